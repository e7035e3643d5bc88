//! Where plugins come from: the regular `*.wasm` files of one directory. A file is read once, and
//! everything later works on those bytes, so a file that changes meanwhile is another plugin.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::LoadError;
use crate::limits::COMPONENT_BYTES;

/// Names of the files that look like plugins, sorted. Names that start with a dot are skipped:
/// editors, copy programs and mounted volumes use them for what is not finished.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let plugin = Path::new(&name).extension().is_some_and(|extension| extension == "wasm");
        if plugin && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Reads a file of the directory. A link may lead to another place inside the directory, as it
/// does in a mounted volume, but not out of it.
pub(crate) fn read_inside(dir: &Path, name: &str) -> Result<Vec<u8>, LoadError> {
    let root = dir.canonicalize().map_err(LoadError::Unreadable)?;
    let path = root.join(name).canonicalize().map_err(LoadError::Unreadable)?;
    if !path.starts_with(&root) {
        return Err(LoadError::NotRegular);
    }
    read(&path)
}

/// Reads any one file that the caller names.
pub(crate) fn read(path: &PathBuf) -> Result<Vec<u8>, LoadError> {
    let metadata = fs::metadata(path).map_err(LoadError::Unreadable)?;
    if !metadata.is_file() {
        return Err(LoadError::NotRegular);
    }
    let too_large = |bytes| LoadError::TooLarge { bytes, limit: COMPONENT_BYTES };
    if metadata.len() > COMPONENT_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(LoadError::Unreadable)?;
    // The file may have grown since its size was read.
    file.take(COMPONENT_BYTES + 1).read_to_end(&mut bytes).map_err(LoadError::Unreadable)?;
    if bytes.len() as u64 > COMPONENT_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}
