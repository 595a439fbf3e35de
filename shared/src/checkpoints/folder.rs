//! A folder: for development, and where another program carries the files on.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;

use super::{CheckpointStore, Put};
use crate::secrets::BoxFuture;

/// A folder of files.
pub struct Folder(PathBuf);

impl Folder {
    /// Of this path; it need not be there yet.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl CheckpointStore for Folder {
    fn put<'a>(&'a self, name: &'a str, json: &'a [u8]) -> BoxFuture<'a, Result<Put, String>> {
        let path = self.0.join(name);
        Box::pin(
            async move { put(&path, json).map_err(|error| format!("{} cannot be written: {error}", path.display())) },
        )
    }
}

/// A name is given to a file that is whole and on the disk, and to one alone:
/// what is read there is what was written.
fn put(path: &Path, json: &[u8]) -> io::Result<Put> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // By chance: two programs on one folder may have one process id.
    let mut chance = [0; 16];
    rand::fill(&mut chance).map_err(io::Error::other)?;
    let unfinished = path.with_extension(format!("{:032x}.tmp", u128::from_be_bytes(chance)));
    let mut file = File::create(&unfinished)?;
    file.write_all(json)?;
    file.sync_all()?;
    let named = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match named {
        Ok(()) => Ok(Put::Written),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::read(path).map(Put::StoodThere),
        Err(error) => Err(error),
    }
}
