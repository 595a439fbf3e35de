//! Where checkpoints are kept: outside the database, whose owner must not be
//! able to change them.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use audit_verify::Checkpoint;
use serde_json::{Value, json};
use shared::secrets::BoxFuture;
use uuid::Uuid;

/// A place for checkpoints and the public keys that check them. What is wrong
/// is said in a sentence for the operator.
pub(crate) trait CheckpointStore: Send + Sync {
    /// The tenant's checkpoint with the highest seq.
    fn last(&self, tenant: Uuid) -> BoxFuture<'_, Result<Option<Checkpoint>, String>>;

    /// Keeps a checkpoint; it is there for good when this returns.
    fn put<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<(), String>>;

    /// Keeps a part of a chain, under a name below `exports/`; it is there for
    /// good when this returns, and once, however often it is kept.
    fn put_export<'a>(&'a self, name: &'a str, lines: Vec<u8>) -> BoxFuture<'a, Result<(), String>>;

    /// The public keys, a JWKS; an empty one at first.
    fn keys(&self) -> BoxFuture<'_, Result<Value, String>>;

    /// Replaces the public keys.
    fn put_keys<'a>(&'a self, jwks: &'a Value) -> BoxFuture<'a, Result<(), String>>;
}

/// The name of a checkpoint: the last one comes first in the order of names,
/// so that one entry of a list is enough to find it.
fn name(tenant: impl std::fmt::Display, seq: u64) -> String {
    format!("checkpoints/{tenant}/{:020}-{seq}.json", u64::MAX - seq)
}

/// A folder. Each file is written aside and then named: none is half there.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    fn write(&self, name: &str, content: &impl serde::Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(content)?;
        text.push(b'\n');
        self.write_bytes(name, &text)
    }

    fn write_bytes(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.0.join(name);
        let folder = path.parent().unwrap_or(&self.0);
        fs::create_dir_all(folder)?;
        let aside = path.with_extension("part");
        let mut file = fs::File::create(&aside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        fs::File::open(folder)?.sync_all()
    }

    fn first(&self, tenant: Uuid) -> io::Result<Option<Checkpoint>> {
        let entries = match fs::read_dir(self.0.join(format!("checkpoints/{tenant}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries?,
        };
        let mut first: Option<PathBuf> = None;
        for entry in entries {
            let path = entry?.path();
            let is_earlier = first.as_ref().is_none_or(|first| path < *first);
            if is_earlier && path.extension().is_some_and(|end| end == "json") {
                first = Some(path);
            }
        }
        first.map(|path| Ok(serde_json::from_slice(&fs::read(path)?)?)).transpose()
    }

    fn read_keys(&self) -> io::Result<Value> {
        match fs::read(self.0.join("jwks.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(json!({ "keys": [] })),
            text => Ok(serde_json::from_slice(&text?)?),
        }
    }
}

fn failed(folder: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("the folder {}: {error}", folder.display())
}

impl CheckpointStore for Folder {
    fn last(&self, tenant: Uuid) -> BoxFuture<'_, Result<Option<Checkpoint>, String>> {
        Box::pin(async move { self.first(tenant).map_err(failed(&self.0)) })
    }

    fn put<'a>(&'a self, checkpoint: &'a Checkpoint) -> BoxFuture<'a, Result<(), String>> {
        let name = name(&checkpoint.tenant_id, checkpoint.seq);
        Box::pin(async move { self.write(&name, checkpoint).map_err(failed(&self.0)) })
    }

    fn put_export<'a>(&'a self, name: &'a str, lines: Vec<u8>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { self.write_bytes(name, &lines).map_err(failed(&self.0)) })
    }

    fn keys(&self) -> BoxFuture<'_, Result<Value, String>> {
        Box::pin(async move { self.read_keys().map_err(failed(&self.0)) })
    }

    fn put_keys<'a>(&'a self, jwks: &'a Value) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { self.write("jwks.json", jwks).map_err(failed(&self.0)) })
    }
}
