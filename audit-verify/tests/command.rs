//! The program, given what nobody should give it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(dead_code, reason = "the trail has more than these tests need")]

mod trail;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use trail::{Record, Signer, chain, line};

/// A folder with the checkpoints, the keys and an export of a chain of 30, of
/// which 10 and 20 were signed by a key that was rotated away, and 30 by its successor.
struct Given {
    folder: PathBuf,
    chain: Vec<Record>,
}

impl Drop for Given {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Given {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("audit-verify-{name}-{}", std::process::id()));
        let (old, new, chain) = (Signer::new(), Signer::new(), chain(30));
        for sub in ["checkpoints", "keys"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        for (signer, seq) in [(&old, 10), (&old, 20), (&new, 30)] {
            let name = folder.join(format!("checkpoints/{seq:020}.json"));
            fs::write(name, signer.sign(&chain[seq - 1]).to_json().unwrap()).unwrap();
        }
        fs::write(folder.join("keys/old.json"), &old.jwks).unwrap();
        fs::write(folder.join("keys/new.json"), &new.jwks).unwrap();
        Self { folder, chain }
    }

    /// The export as it should be.
    fn export(&self) -> Vec<u8> {
        let mut export = Vec::new();
        for record in &self.chain {
            export.extend(line(record));
            export.push(b'\n');
        }
        export
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, exports: &[&Path], rest: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-verify"));
        command.arg("--checkpoints").arg(self.folder.join("checkpoints")).arg("--keys").arg(self.folder.join("keys"));
        command.args(exports).args(rest).arg("--json").env_clear();
        command
    }

    /// The exit code, and the first bad seq.
    fn run(&self, exports: &[&Path], rest: &[&str]) -> (i32, Option<i64>) {
        let output = self.command(exports, rest).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code().unwrap(), said["first_bad_seq"].as_i64())
    }

    fn of(&self, bytes: &[u8]) -> (i32, Option<i64>) {
        self.run(&[&self.write("export", bytes)], &[])
    }
}

#[test]
fn an_export_is_verified_from_files_and_from_standard_input_over_a_rotated_key() {
    let given = Given::new("sound");
    let export = given.export();
    assert_eq!(given.of(&export), (0, None));
    let half = export.len() / 2;
    let half = half + export[half..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (first, second) = (given.write("first", &export[..half]), given.write("second", &export[half..]));
    assert_eq!(given.run(&[&first, &second], &[]), (0, None));
    assert_eq!(given.run(&[&second, &first], &[]).0, 1, "in another order");
    assert_eq!(given.of(&export[..export.len() - 1]), (0, None), "without the end of the last line");
    let mut child = given.command(&[Path::new("-")], &[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&export).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn l1_what_is_no_export_is_never_proven() {
    let given = Given::new("malformed");
    let export = given.export();
    let with = |place: usize, put: &[u8]| {
        let mut lines: Vec<&[u8]> = export.split_inclusive(|byte| *byte == b'\n').collect();
        lines[place] = put;
        lines.concat()
    };
    let text = |place: usize| String::from_utf8(line(&given.chain[place])).unwrap() + "\n";
    let changed = |from: &str, to: &str| with(6, text(6).replacen(from, to, 1).as_bytes());
    for (name, bytes, bad) in [
        ("empty", vec![], 1),
        ("an empty line", b"\n".to_vec(), 1),
        ("gz", [&[0x1f, 0x8b, 0x08, 0][..], &export].concat(), 1),
        ("a byte order mark", [&[0xef, 0xbb, 0xbf][..], &export].concat(), 1),
        ("UTF-16", export.iter().flat_map(|byte| [*byte, 0]).collect(), 1),
        ("NUL", vec![0; 5_000_000], 1),
        ("no line ends", vec![b'{'; 5_000_000], 1),
        ("a huge line", with(6, &[text(6).trim_end().as_bytes(), &vec![b' '; 2 << 20], b"\n"].concat()), 7),
        ("no UTF-8", with(6, &[&text(6).as_bytes()[..40], &[0xff], &text(6).as_bytes()[40..]].concat()), 7),
        ("an empty line between", with(6, format!("\n{}", text(6)).as_bytes()), 7),
        ("a key twice", changed("{", "{\"seq\":7,"), 7),
        ("a key twice, once escaped", changed("{", "{\"\\u0073eq\":7,"), 7),
        ("another key", changed("{", "{\"more\":1,"), 7),
        ("a key less", changed("\"reason\":", "\"x\":"), 7),
        ("a huge number", changed("\"seq\":7", "\"seq\":99999999999999999999"), 7),
        ("a number with an exponent", changed("\"seq\":7", "\"seq\":7e0"), 7),
        ("the largest number", changed("\"seq\":7", "\"seq\":9223372036854775807"), 7),
        ("a negative number", changed("\"seq\":7", "\"seq\":-7"), -7),
        ("a text as number", changed("\"seq\":7", "\"seq\":\"7\""), 7),
        ("two on a line", with(6, (text(6).trim_end().to_owned() + &text(7)).as_bytes()), 7),
        ("an array", format!("[{}]", String::from_utf8(export.clone()).unwrap()).into_bytes(), 1),
        ("deep", with(6, &[vec![b'['; 500_000], vec![b'\n']].concat()), 7),
        ("deep details", changed("\"details\":null", &format!("\"details\":{}", "[".repeat(100_000))), 7),
    ] {
        assert_eq!(given.of(&bytes), (1, Some(bad)), "{name}");
    }
    let crlf = String::from_utf8(export).unwrap().replace('\n', "\r\n");
    assert_eq!(given.of(crlf.as_bytes()), (0, None), "no record's bytes are other ones");
}

#[test]
fn what_cannot_be_read_or_believed_has_codes_of_its_own() {
    let given = Given::new("unusable");
    let export = given.write("export", &given.export());
    assert_eq!(given.run(&[&given.folder.join("nothing")], &[]).0, 2);
    assert_eq!(given.run(&[&given.folder], &[]).0, 2, "a folder");
    assert_eq!(given.run(&[&export], &["--tenant", "01939f6e-7d2a-7000-8000-000000000002"]).0, 4);
    assert_eq!(given.run(&[&export], &["--tenant", "01939F6E-7D2A-7000-8000-000000000001"]).0, 0);
    assert_eq!(given.run(&[&export], &["--from-seq", "9223372036854775807"]).0, 1);
    assert_eq!(given.run(&[&export], &["--to-seq", "9223372036854775807"]), (1, Some(31)));
    assert_eq!(given.run(&[&export], &["--to-seq", "15"]).0, 3);
    assert_eq!(given.run(&[&export], &["--to-seq", "15", "--allow-unanchored", "5"]).0, 0);
    // What a run that was killed left behind is no checkpoint, and is not read as one.
    given.write("checkpoints/00000000000000000011.77.tmp", b"{");
    assert_eq!(given.run(&[&export], &[]).0, 0);
    let kept = fs::read(given.folder.join("keys/old.json")).unwrap();
    fs::remove_file(given.folder.join("keys/old.json")).unwrap();
    assert_eq!(given.run(&[&export], &[]).0, 4, "the key was forgotten when it was rotated");
    given.write("keys/old.json", &kept);
    let of_old = fs::read_to_string(given.folder.join("checkpoints/00000000000000000010.json")).unwrap();
    let of_new = fs::read_to_string(given.folder.join("checkpoints/00000000000000000030.json")).unwrap();
    let kid = |text: &str| serde_json::from_str::<Value>(text).unwrap()["kid"].as_str().unwrap().to_owned();
    given.write("checkpoints/00000000000000000010.json", of_old.replace(&kid(&of_old), &kid(&of_new)).as_bytes());
    assert_eq!(given.run(&[&export], &[]).0, 4, "the old key's signature under the new one's name");
    given.write("checkpoints/00000000000000000010.json", of_old.replace("\"seq\":10", "\"seq\":11").as_bytes());
    assert_eq!(given.run(&[&export], &[]).0, 4, "of another record");
    given.write("checkpoints/00000000000000000010.json", b"");
    assert_eq!(given.run(&[&export], &[]).0, 0, "an empty file says nothing");
    given.write("keys/new.json", b"{\"keys\":[]}");
    assert_eq!(given.run(&[&export], &[]).0, 4);
    given.write("keys/new.json", b"{");
    assert_eq!(given.run(&[&export], &[]).0, 2);
}
