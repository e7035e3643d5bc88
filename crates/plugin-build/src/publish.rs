//! Writing a component where a host may be reading.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::BuildError;

/// The sha-256 of a component in hex: how hosts and jobs name it.
pub fn digest(component: &[u8]) -> String {
    Sha256::digest(component).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Writes by temporary file and rename, because a reader may open the file at any moment. A file
/// whose bytes would not change is not touched: a host that watches the folder has nothing to
/// reload. True if it was written.
pub fn replace_if_changed(file: &Path, bytes: &[u8]) -> Result<bool, BuildError> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let Some(name) = file.file_name() else {
        return Err(BuildError::Project(format!("{} is not the name of a file", file.display())));
    };
    // The leading dot keeps watchers of the folder from loading the unfinished file.
    let temporary =
        file.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let write = || {
        let mut open = fs::File::create(&temporary)?;
        open.write_all(bytes)?;
        open.sync_all()?;
        fs::rename(&temporary, file)
    };
    write().map_err(|source| {
        fs::remove_file(&temporary).ok();
        BuildError::Io { path: file.to_owned(), source }
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.wasm");
        assert!(replace_if_changed(&file, b"1").unwrap());
        assert!(!replace_if_changed(&file, b"1").unwrap());
        assert!(replace_if_changed(&file, b"2").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"2");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn the_digest_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(b"abc"), expected);
    }
}
