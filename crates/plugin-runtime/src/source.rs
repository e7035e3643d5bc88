//! Where plugins come from: the regular `*.wasm` files of one directory. A file is read once, and
//! everything later works on those bytes, so a file that changes meanwhile is another plugin.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use training::ports::Signature;
use training::{PluginDigest, Timestamp};

use crate::error::LoadError;
use crate::limits::COMPONENT_BYTES;
use crate::signature::{self, SIGNATURE_BYTES, SignatureError, Signer, TrustedKey};
use crate::watch::Finished;

/// What follows the name of a file in the name of its signature.
const SIGNATURE: &str = ".minisig";
/// How long a file must be left alone before it counts as written, unless its writer says so by a
/// rename or by closing it.
const SETTLED: Duration = Duration::from_millis(500);
/// How old a file must be before its times are trusted to show every change: file systems count in
/// steps of up to two seconds.
const RACY: Duration = Duration::from_secs(3);

/// What identifies the content of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Time since the last change. Every change moves this time, and only the kernel sets it; if a
    /// clock was set back since, the distance is as good as an age.
    fn age(&self, now: Timestamp) -> Duration {
        let (seconds, nanos) = self.changed;
        let last = i32::try_from(nanos).ok().and_then(|nanos| Timestamp::new(seconds, nanos).ok());
        last.map(|last| now.duration_since(last).unsigned_abs()).unwrap_or_default()
    }
}

/// One file of the directory.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) file: String,
    pub(crate) content: Result<Content, LoadError>,
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) digest: PluginDigest,
    /// The bytes, if they had to be read.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Who signed it, or why that does not count where it has to.
    pub(crate) signature: Result<Signature, String>,
    /// The text of a signature that is worth keeping.
    pub(crate) signature_text: Option<String>,
    /// Whether its writer has finished, as far as one can tell.
    pub(crate) settled: bool,
}

/// What was found out about a file and holds as long as its stamp and its signature do.
#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    digest: PluginDigest,
    signature_text: Option<String>,
    /// Who signed it, or why that does not count where it has to.
    signature: Result<Signature, String>,
    /// Whether the text may be a signature of these bytes.
    worth_keeping: bool,
}

/// The directory, with a memory of what it held.
#[derive(Debug)]
pub(crate) struct Directory {
    dir: PathBuf,
    trusted_keys: Vec<TrustedKey>,
    require_signature: bool,
    known: HashMap<String, Known>,
}

impl Directory {
    pub(crate) fn new(
        dir: PathBuf,
        trusted_keys: Vec<TrustedKey>,
        require_signature: bool,
    ) -> Self {
        Self { dir, trusted_keys, require_signature, known: HashMap::new() }
    }

    /// Looks at every file, by name. A file that did not change for a while is not read again.
    /// `finished` says which files their writers have finished, whatever their age.
    pub(crate) fn look(&mut self, now: Timestamp, finished: &Finished) -> io::Result<Vec<Seen>> {
        let root = self.dir.canonicalize()?;
        let names = list(&root)?;
        self.known.retain(|name, _| names.contains(name));
        let look = |file: String| {
            let content = self.content(&root, &file, now, finished.has(&file));
            Seen { file, content }
        };
        Ok(names.into_iter().map(look).collect())
    }

    fn content(
        &mut self,
        root: &Path,
        file: &str,
        now: Timestamp,
        finished: bool,
    ) -> Result<Content, LoadError> {
        let path = inside(root, file)?;
        let stamp = Stamp::of(&fs::metadata(&path).map_err(LoadError::Unreadable)?);
        let age = stamp.age(now);
        let settled = finished || age >= SETTLED;
        let signature_text = signature_text(root, file);
        let unchanged =
            |known: &&Known| known.stamp == stamp && known.signature_text == signature_text;
        if let Some(known) = self.known.get(file).filter(unchanged) {
            let signature = known.signature.clone();
            let signature_text = signature_text.filter(|_| known.worth_keeping);
            return Ok(Content {
                digest: known.digest,
                bytes: None,
                signature,
                signature_text,
                settled,
            });
        }
        let bytes = read(&path)?;
        let digest = PluginDigest::of(&bytes);
        let verified = signature_text
            .as_deref()
            .map(|text| signature::verify(&bytes, text, &self.trusted_keys));
        // The key of a stranger may be trusted one day.
        let worth_keeping =
            matches!(verified, Some(Ok(_) | Err(SignatureError::UnknownKey { .. })));
        let signature = self.signature(file, verified);
        if age >= RACY {
            let (signature_text, signature) = (signature_text.clone(), signature.clone());
            let known = Known { stamp, digest, signature_text, signature, worth_keeping };
            self.known.insert(file.to_owned(), known);
        } else {
            self.known.remove(file);
        }
        let signature_text = signature_text.filter(|_| worth_keeping);
        Ok(Content { digest, bytes: Some(bytes), signature, signature_text, settled })
    }

    fn signature(
        &self,
        file: &str,
        verified: Option<Result<Signer, SignatureError>>,
    ) -> Result<Signature, String> {
        let why = match verified {
            Some(Ok(signer)) => return Ok(Signature::Trusted { key: signer.key }),
            Some(Err(error)) => error.to_string(),
            None => format!("there is no file `{file}{SIGNATURE}`"),
        };
        if self.require_signature {
            return Err(why);
        }
        Ok(Signature::Unsigned)
    }

    /// Reads a file again, if it still holds the same.
    pub(crate) fn read_again(&self, file: &str, digest: &PluginDigest) -> Option<Vec<u8>> {
        let root = self.dir.canonicalize().ok()?;
        let bytes = read(&inside(&root, file).ok()?).ok()?;
        (PluginDigest::of(&bytes) == *digest).then_some(bytes)
    }
}

/// Names of the files that look like plugins, sorted. Names that start with a dot are skipped:
/// editors, copy programs and mounted volumes use them for what is not finished.
fn list(dir: &Path) -> io::Result<Vec<String>> {
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

/// The real path of a file. A link may lead to another place inside the directory, as it does in a
/// mounted volume, but not out of it.
fn inside(root: &Path, name: &str) -> Result<PathBuf, LoadError> {
    let path = root.join(name).canonicalize().map_err(LoadError::Unreadable)?;
    if path.starts_with(root) { Ok(path) } else { Err(LoadError::NotRegular) }
}

/// The text beside a file. What cannot be read is no signature.
fn signature_text(root: &Path, name: &str) -> Option<String> {
    let path = inside(root, &format!("{name}{SIGNATURE}")).ok()?;
    let mut text = String::new();
    let file = open(&path).ok().filter(|file| file.metadata().is_ok_and(|m| m.is_file()))?;
    file.take(SIGNATURE_BYTES + 1).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Reads any one file that the caller names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let file = open(path).map_err(LoadError::Unreadable)?;
    let metadata = file.metadata().map_err(LoadError::Unreadable)?;
    if !metadata.is_file() {
        return Err(LoadError::NotRegular);
    }
    let too_large = |bytes| LoadError::TooLarge { bytes, limit: COMPONENT_BYTES };
    if metadata.len() > COMPONENT_BYTES {
        return Err(too_large(metadata.len()));
    }
    // One byte of room more shows the end without asking for more room.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    // The file may have grown since its size was read.
    file.take(COMPONENT_BYTES + 1).read_to_end(&mut bytes).map_err(LoadError::Unreadable)?;
    if bytes.len() as u64 > COMPONENT_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Opens without waiting: opening a pipe would wait for somebody to write to it.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
