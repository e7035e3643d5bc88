//! The host as a process: how long until it is ready, how much memory it holds when idle.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use karmada_sandbox::{Config, Sandbox};

use crate::report::{Report, median};

/// Rounds of starting the host.
const ROUNDS: usize = 15;

/// The release build of the host, with its own sandbox.
pub(crate) struct Host {
    child: Child,
    pub(crate) url: String,
    pub(crate) ready_after: Duration,
}

/// What hosts of one measurement share.
pub(crate) struct Ground {
    pub(crate) sandbox: Sandbox,
    pub(crate) dir: tempfile::TempDir,
}

impl Ground {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let mut config = Config::auto();
        config.clusters =
            ["member1", "member2"].map(karmada_sandbox::ClusterConfig::roomy).to_vec();
        let sandbox = Sandbox::start(config).await?;
        // Beside the build, not in a memory file system: durable writes are measured here.
        let beside = std::env::current_exe()?;
        let beside = beside.parent().context("a directory")?;
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(beside)?;
        std::fs::write(dir.path().join("kubeconfig"), sandbox.kubeconfig())?;
        Ok(Self { sandbox, dir })
    }

    /// Starts the host and waits until it is ready.
    pub(crate) async fn host(&self, database_url: &str) -> anyhow::Result<Host> {
        let kubeconfig = self.dir.path().join("kubeconfig");
        Host::start(self.dir.path(), &kubeconfig, database_url, &[]).await
    }
}

impl Host {
    /// Starts the host with its files in `dir` and waits until it is ready.
    pub(crate) async fn start(
        dir: &Path,
        kubeconfig: &Path,
        database_url: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let plugins = std::env::var("TRAINYARD_PLUGINS_DIR").context("run `cargo xtask bench`")?;
        let log = std::fs::File::create(dir.join("host.log"))?;
        let started = Instant::now();
        let child = Command::new(program("trainyard-host")?)
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--database-url", database_url])
            .arg("--karmada-kubeconfig")
            .arg(kubeconfig)
            .args(["--plugins-dir", &plugins])
            .arg("--cache-dir")
            .arg(dir.join("cache"))
            .env("RUST_LOG", "warn")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut host = Self { child, url, ready_after: Duration::ZERO };
        let client = reqwest::Client::new();
        while started.elapsed() < Duration::from_secs(60) {
            let answer = client.get(format!("{}/readyz", host.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                host.ready_after = started.elapsed();
                return Ok(host);
            }
            if let Some(status) = host.child.try_wait()? {
                let log = std::fs::read_to_string(dir.join("host.log"))?;
                bail!("the host ended with {status}:\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("the host is not ready after a minute")
    }

    /// Processor time that it used so far, without its children.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold anything.
        let (_, rest) = stat.rsplit_once(')').context("a name")?;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        // Linux counts in hundredths of a second, whatever the kernel's own rate.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("VmRSS")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A release program beside the benchmark.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let bench = std::env::current_exe()?;
    let dir = bench.parent().and_then(std::path::Path::parent).context("the target directory")?;
    let path = dir.join(name);
    if !path.exists() {
        bail!("{} is missing: run `cargo xtask bench`", path.display());
    }
    Ok(path)
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("process:");
    let ground = Ground::new().await?;
    let database = format!("sqlite://{}", ground.dir.path().join("start.db").display());
    // The first start compiles the plugins and makes the database.
    let cold = ground.host(&database).await?.ready_after;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        times.push(ground.host(&database).await?.ready_after.as_secs_f64() * 1e3);
    }
    report.add(
        "start to ready, warm compile cache, SQLite",
        median(&mut times),
        "ms",
        "<= 300",
        format!("first start with an empty cache: {:.0} ms", cold.as_secs_f64() * 1e3),
    );
    let host = ground.host(&database).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    report.add(
        "resident memory of the host, idle, without its runners",
        host.resident()?,
        "MiB",
        "<= 60",
        "SQLite, one plugin, two clusters".to_owned(),
    );
    drop(host);
    ground.sandbox.stop().await;
    Ok(())
}
