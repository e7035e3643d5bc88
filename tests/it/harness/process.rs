//! The host's real binary as a child process, so that it can be killed.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::Database;

/// Name of the configuration file of a test, in its directory.
pub(super) const CONFIG_FILE: &str = "trainyard.toml";

/// A running host.
pub(crate) struct Host {
    child: Child,
    pub(crate) url: String,
    log: PathBuf,
}

impl Host {
    /// Starts the host and waits until it is ready.
    pub(crate) async fn start(
        database: &Database,
        kubeconfig: &Path,
        dir: &Path,
        plugins: &Path,
        env: &[(&'static str, String)],
    ) -> Self {
        let mut host = Self::spawn(database, kubeconfig, dir, plugins, env);
        host.wait_until_it_answers("/readyz").await;
        host
    }

    /// Starts the host and waits until it serves its API, ready or not.
    pub(crate) async fn start_alive(
        database: &Database,
        kubeconfig: &Path,
        dir: &Path,
        plugins: &Path,
        env: &[(&'static str, String)],
    ) -> Self {
        let mut host = Self::spawn(database, kubeconfig, dir, plugins, env);
        host.wait_until_it_answers("/api/v1/algorithms").await;
        host
    }

    fn spawn(
        database: &Database,
        kubeconfig: &Path,
        dir: &Path,
        plugins: &Path,
        env: &[(&'static str, String)],
    ) -> Self {
        let port = free_port();
        let log = dir.join(format!("host-{port}.log"));
        let output = File::create(&log).expect("a log file");
        let mut command = Command::new(program("trainyard-host"));
        command
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(config_file(dir))
            .args(["--database-url", &database.url(dir)])
            .args(["--karmada-kubeconfig", &kubeconfig.display().to_string()])
            .args(["--plugins-dir", &plugins.display().to_string()])
            .env("TRAINYARD__PLUGINS__CACHE_DIR", cache_dir())
            // Long enough to be seen, where a test does not need more.
            .env("TRAINYARD__RECONCILE__PROOF_SECONDS", "1")
            .env("RUST_LOG", "info,training=debug")
            .envs(env.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output);
        let child = command.spawn().expect("the host's binary runs");
        Self { child, url: format!("http://127.0.0.1:{port}"), log }
    }

    async fn wait_until_it_answers(&mut self, path: &str) {
        let url = format!("{}{path}", self.url);
        for _ in 0..1200 {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                panic!("the host ended with {status}:\n{}", self.log());
            }
            if reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the host is not ready after a minute:\n{}", self.log());
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as a power cut.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGSTOP, as a virtual machine that is suspended: connections stay, nothing moves.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT, after [`Host::pause`].
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("`kill` runs");
        assert!(sent.success());
    }

    /// SIGTERM, as an orchestrator; returns how it ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the host did not end within 30 s:\n{}", self.log());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- log of the host ----\n{}", self.log());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The flag for the configuration file of this test, if it has one.
fn config_file(dir: &Path) -> Vec<String> {
    let file = dir.join(CONFIG_FILE);
    if file.exists() { vec!["--config".to_owned(), file.display().to_string()] } else { Vec::new() }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// One of our programs, beside the test binary.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test binary");
    let dir = test.parent().and_then(Path::parent).expect("the target directory");
    let path = dir.join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`", path.display());
    path
}

/// Every built plugin.
pub(crate) fn all_plugins_dir() -> PathBuf {
    let dir = std::env::var_os("TRAINYARD_PLUGINS_DIR")
        .expect("TRAINYARD_PLUGINS_DIR is not set: run `cargo xtask test`");
    PathBuf::from(dir)
}

/// The one plugin that most tests need, alone: hosts that load it only are ready at once.
pub(crate) fn plugins_dir() -> PathBuf {
    let dir = all_plugins_dir().with_file_name("test-plugins");
    let (from, to) = (all_plugins_dir().join("xgboost.wasm"), dir.join("xgboost.wasm"));
    let built = std::fs::read(&from).expect("the plugin is built");
    if std::fs::read(&to).ok().as_ref() != Some(&built) {
        // Other tests may do the same at this moment.
        let temporary = dir.join(format!(".{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory beside the plugins");
        std::fs::write(&temporary, built).expect("a copy of the plugin");
        std::fs::rename(&temporary, &to).expect("the copy is put in place");
    }
    dir
}

/// Compiled plugins, shared by all tests: compiling one takes a second.
fn cache_dir() -> PathBuf {
    all_plugins_dir().with_file_name("test-plugin-cache")
}
