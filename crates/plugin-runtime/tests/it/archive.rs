//! What outlives a process: components, and what each file held when it was last good. The archive
//! of these tests keeps what a database would, and can be told to fall silent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use plugin_runtime::signature::TrustedKey;
use plugin_runtime::{Config, PluginRuntime};
use serde_json::json;
use tokio::sync::Semaphore;
use training::ports::{
    Audience, ComponentArchive, FileNotes, KeptComponent, PluginFault, Plugins, RejectedFile,
    Route, Signature, StoreError, VersionState,
};
use training::{PluginDigest, Timestamp};

use crate::support::{config, dir_with, info, isolated, job, start};
use plugin_runtime::testing::Guest;

/// An archive in memory.
#[derive(Debug)]
struct Shelf {
    components: Mutex<HashMap<PluginDigest, KeptComponent>>,
    files: Mutex<BTreeMap<String, PluginDigest>>,
    signatures: Mutex<Vec<(PluginDigest, String)>>,
    /// Writes and reads of components each take one of these, and give it back.
    open: Semaphore,
    /// How many are at it.
    busy: tokio::sync::watch::Sender<usize>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            components: Mutex::default(),
            files: Mutex::default(),
            signatures: Mutex::default(),
            open: Semaphore::new(Semaphore::MAX_PERMITS),
            busy: tokio::sync::watch::Sender::new(0),
        }
    }
}

impl Shelf {
    /// Waits until somebody waits.
    async fn waited_for(&self) {
        self.busy.subscribe().wait_for(|busy| *busy > 0).await.unwrap();
    }

    /// Makes every further question about components wait.
    fn shut(&self) {
        self.open.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets them go on.
    fn unlock(&self) {
        self.open.add_permits(Semaphore::MAX_PERMITS);
    }

    async fn turn(&self) {
        self.busy.send_modify(|busy| *busy += 1);
        drop(self.open.acquire().await.unwrap());
        self.busy.send_modify(|busy| *busy -= 1);
    }
}

#[async_trait]
impl ComponentArchive for Shelf {
    async fn keep(&self, component: &KeptComponent) -> Result<(), StoreError> {
        self.turn().await;
        self.components.lock().unwrap().insert(component.digest, component.clone());
        Ok(())
    }

    async fn kept(&self) -> Result<HashSet<PluginDigest>, StoreError> {
        Ok(self.components.lock().unwrap().keys().copied().collect())
    }

    async fn fetch(&self, digest: &PluginDigest) -> Result<Option<Vec<u8>>, StoreError> {
        self.turn().await;
        Ok(self.components.lock().unwrap().get(digest).map(|kept| kept.bytes.clone()))
    }

    async fn keep_signature(&self, digest: &PluginDigest, text: &str) -> Result<(), StoreError> {
        assert!(self.components.lock().unwrap().contains_key(digest), "the component comes first");
        self.signatures.lock().unwrap().push((*digest, text.to_owned()));
        Ok(())
    }

    async fn signatures(&self, digest: &PluginDigest) -> Result<Vec<String>, StoreError> {
        let signatures = self.signatures.lock().unwrap();
        let of = signatures.iter().filter(|(signed, _)| signed == digest);
        Ok(of.map(|(_, text)| text.clone()).collect())
    }

    async fn last_good(&self) -> Result<BTreeMap<String, PluginDigest>, StoreError> {
        Ok(self.files.lock().unwrap().clone())
    }

    async fn note_files(&self, notes: &FileNotes) -> Result<(), StoreError> {
        let mut files = self.files.lock().unwrap();
        files.retain(|file, digest| !notes.gone.contains(&(file.clone(), *digest)));
        files.extend(notes.held.iter().cloned());
        Ok(())
    }
}

fn bytes(version: &str) -> Vec<u8> {
    Guest::good("a").version(version).build()
}

/// Another process of the same installation.
async fn process(config: Config, shelf: &Arc<Shelf>) -> Arc<PluginRuntime> {
    let runtime = start(config).await;
    runtime.set_archive(Arc::clone(shelf) as Arc<dyn ComponentArchive>).await;
    runtime
}

fn serving(runtime: &PluginRuntime) -> Option<String> {
    let found = runtime.resolve("a", Audience::ANYBODY);
    found.map(|plugin| plugin.version.clone())
}

fn rejected(runtime: &PluginRuntime) -> Vec<RejectedFile> {
    Plugins::catalog(runtime).rejected
}

/// A directory whose file held 1.0.0, as an earlier process saw it.
async fn earlier(shelf: &Arc<Shelf>) -> tempfile::TempDir {
    let dir = dir_with(&[("a.wasm", bytes("1.0.0"))]);
    drop(process(config(dir.path()), shelf).await);
    dir
}

fn write(dir: &Path, bytes: &[u8]) {
    std::fs::write(dir.join("a.wasm"), bytes).unwrap();
}

#[tokio::test]
async fn restart_over_a_half_written_file_serves_what_the_file_last_held() {
    let shelf = Arc::new(Shelf::default());
    let dir = earlier(&shelf).await;
    let next = bytes("2.0.0");
    write(dir.path(), &next[..next.len() / 2]);
    let runtime = process(isolated(dir.path()), &shelf).await;
    assert_eq!(info(&runtime, "a").version, "1.0.0");
    let list = rejected(&runtime);
    let [file] = list.as_slice() else { panic!("{list:?}") };
    assert!(file.reason.contains("not a component"), "{}", file.reason);
    assert!(file.reason.ends_with("serving the last good version, 1.0.0"), "{}", file.reason);
    assert_eq!(file.last_good, runtime.resolve("a", Audience::ANYBODY));
    // A reload changes nothing about it, and the whole file takes over.
    runtime.reload().await.unwrap();
    assert_eq!(serving(&runtime).as_deref(), Some("1.0.0"));
    write(dir.path(), &next);
    runtime.reload().await.unwrap();
    assert_eq!(serving(&runtime).as_deref(), Some("2.0.0"));
    assert_eq!(rejected(&runtime), []);
}

#[tokio::test]
async fn file_that_was_removed_does_not_come_back() {
    let shelf = Arc::new(Shelf::default());
    let dir = earlier(&shelf).await;
    std::fs::remove_file(dir.path().join("a.wasm")).unwrap();
    let runtime = process(config(dir.path()), &shelf).await;
    assert_eq!(serving(&runtime), None);
    drop(runtime);
    // Not even in the place of another bad file of its name.
    write(dir.path(), b"no component");
    let runtime = process(config(dir.path()), &shelf).await;
    assert_eq!(serving(&runtime), None);
    let list = rejected(&runtime);
    assert!(list[0].last_good.is_none() && !list[0].reason.contains("last good"), "{list:?}");
}

#[tokio::test]
async fn bad_file_whose_last_good_component_is_lost_says_so() {
    let shelf = Arc::new(Shelf::default());
    let dir = earlier(&shelf).await;
    write(dir.path(), b"no component");
    for kept in shelf.components.lock().unwrap().values_mut() {
        kept.bytes = bytes("6.6.6");
    }
    let runtime = process(config(dir.path()), &shelf).await;
    assert_eq!(serving(&runtime), None);
    let list = rejected(&runtime);
    assert!(list[0].reason.contains("other bytes under its sha-256"), "{list:?}");
}

#[tokio::test(start_paused = true)]
async fn component_that_comes_while_another_is_written_is_kept_before_it_serves() {
    let dir = dir_with(&[]);
    let shelf = Arc::new(Shelf::default());
    let runtime = process(config(dir.path()), &shelf).await;
    shelf.shut();
    let put = |name: &str| {
        std::fs::write(dir.path().join(format!("{name}.wasm")), Guest::good(name).build()).unwrap();
    };
    put("first");
    let first = runtime.reload();
    tokio::pin!(first);
    tokio::select! {
        _ = &mut first => panic!("it was not kept"),
        () = shelf.waited_for() => {}
    }
    put("second");
    let second = runtime.reload();
    tokio::pin!(second);
    // Time stands still until there is nothing left to do but to wait for the first.
    tokio::select! {
        _ = &mut second => panic!("it ended, and nobody keeps its component"),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    assert_eq!(runtime.list(), [], "one serves before it is kept");
    shelf.unlock();
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    second.unwrap();
    assert_eq!(shelf.components.lock().unwrap().len(), 2);
    assert!(runtime.resolve("second", Audience::ANYBODY).is_some());
}

#[tokio::test]
async fn archive_that_falls_silent_is_not_waited_for_without_end() {
    let dir = dir_with(&[]);
    let shelf = Arc::new(Shelf::default());
    let one = PluginDigest::of(bytes("1.0.0"));
    shelf.components.lock().unwrap().insert(one, kept("1.0.0"));
    let runtime = process(config(dir.path()), &shelf).await;
    shelf.shut();
    tokio::time::pause();
    let silent = runtime.load(&one).await;
    assert!(matches!(silent, Err(PluginFault::Unreachable(_))), "{silent:?}");
    // No other version reads the status of a job for want of patience.
    let status = json!({"metadata": {"name": "x"}});
    let unread = runtime.interpret(&one, "a", &status).await;
    assert!(matches!(unread, Err(PluginFault::Unreachable(_))), "{unread:?}");
    tokio::time::resume();
    shelf.unlock();
    assert_eq!(runtime.load(&one).await.unwrap().version, "1.0.0");
}

fn kept(version: &str) -> KeptComponent {
    let bytes = bytes(version);
    KeptComponent {
        digest: PluginDigest::of(&bytes),
        name: "a".to_owned(),
        version: version.to_owned(),
        bytes,
    }
}

/// Somebody who signs.
struct Signer(minisign::KeyPair);

impl Signer {
    fn new() -> Self {
        Self(minisign::KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn sign(&self, dir: &Path, file: &str) {
        let bytes = std::fs::read(dir.join(file)).unwrap();
        let text = minisign::sign(None, &self.0.sk, bytes.as_slice(), Some("by hand"), None);
        std::fs::write(dir.join(format!("{file}.minisig")), text.unwrap().to_string()).unwrap();
    }

    fn key(&self) -> TrustedKey {
        TrustedKey::parse(&self.0.pk.to_base64()).unwrap()
    }
}

fn signed_only(dir: &Path, keys: &[&Signer]) -> Config {
    let trusted_keys = keys.iter().map(|signer| signer.key()).collect();
    Config { trusted_keys, require_signature: true, ..config(dir) }
}

fn pinned(digest: PluginDigest) -> Route {
    Route {
        plugin: "a".to_owned(),
        pinned: Some(digest),
        canary: None,
        previous: None,
        version: 1,
        updated_at: Timestamp::UNIX_EPOCH,
        updated_by: "ada".to_owned(),
    }
}

#[tokio::test]
async fn component_of_the_archive_is_trusted_by_its_signature_and_the_keys_of_now() {
    let (ours, others) = (Signer::new(), Signer::new());
    let shelf = Arc::new(Shelf::default());
    let dir = dir_with(&[("a.wasm", bytes("1.0.0"))]);
    let one = PluginDigest::of(bytes("1.0.0"));
    // Signed a while after it was loaded, and before any key was trusted.
    let runtime = process(config(dir.path()), &shelf).await;
    ours.sign(dir.path(), "a.wasm");
    runtime.reload().await.unwrap();
    runtime.set_archive(Arc::clone(&shelf) as Arc<dyn ComponentArchive>).await;
    drop(runtime);
    std::fs::remove_file(dir.path().join("a.wasm")).unwrap();

    let (input, status) = (job("a", json!({})), json!({"metadata": {"name": "x"}}));
    let runtime = process(signed_only(dir.path(), &[&others, &ours]), &shelf).await;
    runtime.set_routes(&[pinned(one)]).await;
    assert_eq!(serving(&runtime).as_deref(), Some("1.0.0"));
    assert!(runtime.convert(&one, &input).await.unwrap().is_ok());
    runtime.may_convert(&one).unwrap();
    drop(runtime);

    // The key was withdrawn.
    let runtime = process(signed_only(dir.path(), &[&others]), &shelf).await;
    runtime.set_routes(&[pinned(one)]).await;
    assert_eq!(serving(&runtime), None);
    let untrusted = |fault: PluginFault| {
        assert_eq!(fault.to_string(), "no trusted key signed version 1.0.0 of plugin `a`");
    };
    untrusted(runtime.convert(&one, &input).await.unwrap_err());
    untrusted(runtime.validate(&one, &input).await.unwrap_err());
    untrusted(runtime.validate_and_convert(&one, &input).await.unwrap_err());
    untrusted(runtime.may_convert(&one).unwrap_err());
    let version = Plugins::catalog(&*runtime).versions.remove(0);
    assert_eq!((version.state, version.signature), (VersionState::Standby, Signature::Unsigned));
    assert_eq!(version.reason, "No trusted key signed it.");
    // Jobs that it made are still read by it.
    runtime.interpret(&one, "a", &status).await.unwrap();
}

#[tokio::test]
async fn signature_of_other_bytes_is_neither_kept_nor_believed() {
    let ours = Signer::new();
    let shelf = Arc::new(Shelf::default());
    let dir = dir_with(&[("a.wasm", bytes("2.0.0"))]);
    ours.sign(dir.path(), "a.wasm");
    write(dir.path(), &bytes("1.0.0"));
    let lenient = Config { trusted_keys: vec![ours.key()], ..config(dir.path()) };
    drop(process(lenient, &shelf).await);
    assert_eq!(*shelf.signatures.lock().unwrap(), []);
    // Nor if somebody edits the database.
    let text = std::fs::read_to_string(dir.path().join("a.wasm.minisig")).unwrap();
    let one = PluginDigest::of(bytes("1.0.0"));
    shelf.signatures.lock().unwrap().push((one, text));
    let empty = dir_with(&[]);
    let runtime = process(signed_only(empty.path(), &[&ours]), &shelf).await;
    let refused = runtime.convert(&one, &job("a", json!({}))).await;
    assert!(matches!(refused, Err(PluginFault::Untrusted { .. })), "{refused:?}");
}

#[tokio::test]
async fn last_good_component_serves_in_the_place_of_an_unsigned_file_only_if_it_is_signed() {
    let ours = Signer::new();
    for signs in [true, false] {
        let shelf = Arc::new(Shelf::default());
        let dir = dir_with(&[("a.wasm", bytes("1.0.0"))]);
        if signs {
            ours.sign(dir.path(), "a.wasm");
        }
        drop(process(config(dir.path()), &shelf).await);
        write(dir.path(), &bytes("2.0.0"));
        let runtime = process(signed_only(dir.path(), &[&ours]), &shelf).await;
        assert_eq!(serving(&runtime).as_deref(), signs.then_some("1.0.0"));
        let list = rejected(&runtime);
        let reason = &list[0].reason;
        assert!(reason.contains("it is not signed by a trusted key"), "{reason}");
        let why = if signs { "serving the last good" } else { "no trusted key signed it" };
        assert!(reason.contains(why), "{reason}");
    }
}
