//! Compiled code on disk, so that a restart does not compile and every runner maps the same pages.
//! Loading compiled code is running it, therefore only files are loaded that this installation
//! wrote and authenticated: they lie in a private directory, and each carries a MAC under a secret
//! that never leaves that directory. Runners see the folder `code` in it and nothing else.

use std::collections::HashSet;
use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use training::clock::{Clock as _, IdSource, RandomIds, SystemClock};
use training::{PluginDigest, Sha256Digest};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Entries that are kept; those that were not asked for the longest go first, and none that is in
/// use. At about 2 MiB each that is half a GiB.
const MOST_ENTRIES: usize = 256;

/// Bytes of code that are read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The folder that runners see.
const CODE: &str = "code";

/// A file of compiled code that was found intact. Files are never changed, only unlinked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    /// Its name in [`Cache::code_dir`].
    pub(crate) file: Arc<str>,
}

/// The directory of compiled code.
pub(crate) struct Cache {
    dir: PathBuf,
    /// For a cache that ends with the process.
    _temporary: Option<TempDir>,
    /// Keyed with the secret, ready to be cloned.
    authenticator: Hmac<Sha256>,
    /// Stands for the compiler, all its settings and this host's version: code of a compiler that
    /// was patched since must not come back.
    compiler: Sha256Digest,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens the directory, or makes it; for `None`, one that ends with this value. The error says
    /// what is wrong with it.
    pub(crate) fn open(dir: Option<&Path>, engine: &Engine) -> Result<Self, String> {
        let wrong = |error: io::Error| error.to_string();
        let temporary = match dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(wrong)?),
        };
        let given = dir.or(temporary.as_ref().map(TempDir::path)).unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(given).map_err(wrong)?;
        let dir = given.canonicalize().map_err(wrong)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join(CODE)).map_err(wrong)?;
        let owned = fs::metadata(&dir).map_err(wrong)?;
        if owned.mode() & 0o022 != 0 {
            return Err(format!(
                "others may write to it (mode {:o}); use a directory of this user with mode 700",
                owned.mode() & 0o7777
            ));
        }
        let secret_path = dir.join("secret");
        make_secret(&dir, &secret_path).map_err(wrong)?;
        let secret_owner = fs::symlink_metadata(&secret_path).map_err(wrong)?;
        if !secret_owner.is_file() || secret_owner.mode() & 0o077 != 0 {
            return Err("others may read its `secret`; remove the directory".to_owned());
        }
        let secret = fs::read(&secret_path).map_err(wrong)?;
        if secret.len() < 32 {
            return Err("its `secret` is damaged; remove the directory".to_owned());
        }
        let authenticator =
            Hmac::new_from_slice(&secret).map_err(|_| "its `secret` is unusable".to_owned())?;
        let compiler = compiler_key(engine);
        let cache = Self { dir, _temporary: temporary, authenticator, compiler };
        // Only the owner of the directory can keep others from replacing what is in it.
        let probe =
            cache.write(&format!("probe.{:08x}.tmp", RandomIds.next()), b"").map_err(wrong)?;
        let written = fs::metadata(&probe).map_err(wrong)?;
        fs::remove_file(&probe).map_err(wrong)?;
        let mine = written.uid();
        if owned.uid() != mine || secret_owner.uid() != mine {
            return Err("it belongs to another user".to_owned());
        }
        cache.tidy(written.modified().map_err(wrong)?);
        Ok(cache)
    }

    /// Where the code is.
    pub(crate) fn code_dir(&self) -> PathBuf {
        self.dir.join(CODE)
    }

    /// The code of a component, if it is there and intact.
    pub(crate) fn find(&self, digest: &PluginDigest) -> Option<Code> {
        let path = self.path(digest, "cwasm");
        let mut file = File::open(&path).ok()?;
        let tag = fs::read(self.path(digest, "mac")).ok()?;
        let mut mac = self.begin_mac(digest);
        // In pieces: room for the whole would cost more than reading it.
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece).ok()? {
                0 => break,
                read => mac.update(piece.get(..read)?),
            }
        }
        if mac.verify_slice(&tag).is_err() {
            tracing::warn!("Compiled code in {} is damaged; compiling again", path.display());
            return None;
        }
        // So that what nobody asks for goes first, also on disks that do not note who reads. Not to
        // be able to say so costs nothing now.
        let read = FileTimes::new().set_accessed(SystemClock.now().into());
        drop(file.set_times(read));
        Some(self.code(digest))
    }

    /// Keeps code. A crash leaves either nothing or a pair that does not match, and
    /// [`Cache::find`] refuses the latter.
    pub(crate) fn keep(&self, digest: &PluginDigest, code: &[u8]) -> io::Result<Code> {
        let tag = self.begin_mac(digest).chain_update(code).finalize().into_bytes();
        for (extension, bytes) in [("mac", tag.as_slice()), ("cwasm", code)] {
            let unique = format!("{CODE}/{digest}.{:08x}.tmp", RandomIds.next());
            let temporary = self.write(&unique, bytes)?;
            fs::rename(&temporary, self.path(digest, extension))?;
        }
        Ok(self.code(digest))
    }

    fn code(&self, digest: &PluginDigest) -> Code {
        Code { file: self.name(digest, "cwasm").into() }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.dir.join(name);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(path)
    }

    fn path(&self, digest: &PluginDigest, extension: &str) -> PathBuf {
        self.dir.join(CODE).join(self.name(digest, extension))
    }

    fn name(&self, digest: &PluginDigest, extension: &str) -> String {
        let compiler: String = self.compiler.to_string().chars().take(16).collect();
        format!("{digest}-{compiler}.{extension}")
    }

    /// A MAC that the code is still to be added to.
    fn begin_mac(&self, digest: &PluginDigest) -> Hmac<Sha256> {
        let mut mac = self.authenticator.clone();
        mac.update(format!("{digest} {} ", self.compiler).as_bytes());
        mac
    }

    /// Removes temporary files of a crash. One may be in use by another process that shares the
    /// directory; after an hour it is not.
    fn tidy(&self, now: SystemTime) {
        const LONGEST_USE: Duration = Duration::from_hours(1);
        for (path, metadata) in self.files("tmp") {
            let age = metadata.modified().ok().and_then(|time| now.duration_since(time).ok());
            if age.is_some_and(|age| age > LONGEST_USE) {
                drop(fs::remove_file(&path));
            }
        }
    }

    /// Removes entries beyond the bound, but none of these components: a runner that is started
    /// later maps their files.
    pub(crate) fn prune(&self, in_use: &HashSet<PluginDigest>) {
        let keep: HashSet<PathBuf> =
            in_use.iter().map(|digest| self.path(digest, "cwasm")).collect();
        let mut entries = self.files("cwasm");
        let surplus = entries.len().saturating_sub(MOST_ENTRIES);
        entries.retain(|(path, _)| !keep.contains(path));
        entries.sort_by_key(|(path, metadata)| (metadata.accessed().ok(), path.clone()));
        for (path, _) in entries.into_iter().take(surplus) {
            drop(fs::remove_file(path.with_extension("mac")));
            drop(fs::remove_file(path));
        }
    }

    /// Files with this extension.
    fn files(&self, extension: &str) -> Vec<(PathBuf, Metadata)> {
        let dirs = [self.dir.clone(), self.code_dir()].map(fs::read_dir);
        let entries = dirs.into_iter().flatten().flatten().flatten();
        let wanted = entries.filter(|entry| {
            entry.path().extension().and_then(|extension| extension.to_str()) == Some(extension)
        });
        wanted.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?))).collect()
    }
}

/// Maps a file of [`Cache::code_dir`] and makes it callable.
#[expect(unsafe_code, reason = "compiled code can only be loaded by an unsafe function")]
pub(crate) fn revive(engine: &Engine, path: &Path) -> Result<Component, String> {
    // SAFETY: the file was written by `keep` of this installation for this very configuration of
    // the engine and component: its MAC, under a secret that only this user can read, was found to
    // cover the code, the component's digest and the compiler's key. Nobody else can replace or
    // truncate it between that check and the end of the mapping, because `open` refused a directory
    // that others own or may write to, and this program only ever renames over or unlinks entries.
    // Code that is new enough not to be checked comes from our own compiler.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.map_err(|error| format!("its compiled code is not usable: {error:#}"))
}

/// Makes the secret unless there is one. Of two processes that start at once, one makes it.
fn make_secret(dir: &Path, path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let secret: Vec<u8> = (0..8).flat_map(|_| RandomIds.next().to_le_bytes()).collect();
    let temporary = dir.join(format!("secret.{:08x}.tmp", RandomIds.next()));
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, path);
    // Another process that starts now may have tidied it away.
    drop(fs::remove_file(&temporary));
    if path.exists() { Ok(()) } else { linked }
}

fn compiler_key(engine: &Engine) -> Sha256Digest {
    let mut hasher = ShaHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.update(env!("CARGO_PKG_VERSION"));
    Sha256Digest::of(hasher.0.finalize())
}

/// Feeds a [`Hash`] to sha-256, whose result is the same in every process.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> PluginDigest {
        PluginDigest::of(number.to_string())
    }

    /// A full cache whose entries were last asked for in the order of their numbers.
    fn full(dir: &Path) -> Cache {
        let cache = Cache::open(Some(dir), &crate::engine::compiler().unwrap()).unwrap();
        for number in 0..MOST_ENTRIES + 10 {
            cache.keep(&digest(number), b"code").unwrap();
            let file = File::open(cache.path(&digest(number), "cwasm")).unwrap();
            let age = Duration::from_secs(1_000_000 + number as u64);
            let read = FileTimes::new().set_accessed(SystemTime::UNIX_EPOCH + age);
            file.set_times(read).unwrap();
        }
        cache
    }

    #[test]
    fn entries_in_use_are_kept_however_old_and_the_oldest_others_go() {
        let dir = tempfile::tempdir().unwrap();
        let cache = full(dir.path());
        cache.prune(&HashSet::from([digest(0), digest(3)]));
        let there = |number| cache.find(&digest(number)).is_some();
        assert!(there(0) && there(3));
        let gone: Vec<usize> = (0..MOST_ENTRIES + 10).filter(|number| !there(*number)).collect();
        assert_eq!(gone, [1, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(cache.files("mac").len(), MOST_ENTRIES);
    }

    #[test]
    fn what_was_asked_for_lately_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(full(dir.path()).find(&digest(0)).is_some());
        let cache = Cache::open(Some(dir.path()), &crate::engine::compiler().unwrap()).unwrap();
        // A start does not know yet what it will use.
        assert_eq!(cache.files("cwasm").len(), MOST_ENTRIES + 10);
        cache.prune(&HashSet::new());
        assert!(cache.find(&digest(0)).is_some());
        assert!(cache.find(&digest(1)).is_none());
        assert_eq!(cache.files("cwasm").len(), MOST_ENTRIES);
    }

    #[test]
    fn code_of_another_compiler_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let own = crate::engine::compiler().unwrap();
        Cache::open(Some(dir.path()), &own).unwrap().keep(&digest(1), b"code").unwrap();
        assert!(Cache::open(Some(dir.path()), &own).unwrap().find(&digest(1)).is_some());
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(false);
        let other = Engine::new(&config).unwrap();
        assert!(Cache::open(Some(dir.path()), &other).unwrap().find(&digest(1)).is_none());
    }
}
