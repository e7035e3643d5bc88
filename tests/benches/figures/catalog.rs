//! A hundred plugins: how long a start takes that finds them, and what each of them costs in memory.
//! Memory is measured in processes of their own, which did nothing else before: what an allocator
//! keeps from earlier work is not the doing of a plugin.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;
use training::PluginDigest;
use training::ports::{ComponentArchive, KeptComponent, Plugins, StoreError};

use crate::plugins::{RUNNERS, apart, convert, input, serving};
use crate::report::{Report, median, rounds};

/// Plugins of the large catalog.
const MANY: usize = rounds(100);
/// The version that the shipped plugin carries in its bytes.
const VERSION: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();
/// Tells this program to be the process whose memory is measured, with the plugins of a directory.
pub(crate) const MEASURED: &str = "TRAINYARD_BENCH_CATALOG";

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("catalog:");
    let built = std::env::var("TRAINYARD_PLUGINS_DIR").context("run `cargo xtask bench`")?;
    let component = std::fs::read(Path::new(&built).join("xgboost.wasm"))?;
    let home = tempfile::tempdir()?;
    let (one, many) = (home.path().join("one"), home.path().join("many"));
    for (dir, count) in [(&one, 1), (&many, MANY)] {
        std::fs::create_dir_all(dir)?;
        for number in 0..count {
            let bytes = versioned(&component, number)?;
            std::fs::write(dir.join(format!("{number:03}.wasm")), bytes)?;
        }
    }
    drop(apart(&one).await?);
    let started = Instant::now();
    let empty = apart(&many).await?;
    // A start does not wait for compilations for ever; this does.
    empty.reload().await?;
    drop(empty);
    let cold = started.elapsed().as_secs_f64() * 1e3;
    let mut warm = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        drop(apart(&many).await?);
        warm.push(started.elapsed().as_secs_f64() * 1e3);
    }
    report.add(
        "start with 100 plugins, warm cache",
        median(&mut warm),
        "ms",
        "<= 300",
        format!("with an empty cache: {cold:.0} ms"),
    );
    let (few, all) = (Memory::of(&one)?, Memory::of(&many)?);
    let share = |of: fn(&Memory) -> f64| (of(&all) - of(&few)) / (MANY - 1) as f64 / 1024.0;
    let host = share(|memory| memory.host.all);
    let runners = share(|memory| memory.runners.all);
    let (anonymous, of_runners) =
        (share(|memory| memory.host.anonymous), share(|memory| memory.runners.anonymous));
    report.add(
        "proportional memory per plugin, loaded and called",
        host + runners,
        "MiB",
        "<= 0.9",
        format!(
            "host {host:.2} ({anonymous:.2} anonymous), {RUNNERS} runners {runners:.2} \
             ({of_runners:.2} anonymous)"
        ),
    );
    Ok(())
}

/// The process whose memory is measured: loads and calls every plugin of `dir`.
pub(crate) async fn be_measured(dir: &OsStr) -> anyhow::Result<()> {
    let runtime = apart(Path::new(dir)).await?;
    runtime.set_archive(Arc::new(Elsewhere)).await;
    let input = input(&runtime)?;
    convert(&runtime, &serving(&runtime)?, &input).await?;
    for version in &Plugins::catalog(&*runtime).versions {
        convert(&runtime, &version.info.digest, &input).await?;
    }
    let Memory { host, runners } = Memory::own()?;
    println!("{}", json!([host.all, host.anonymous, runners.all, runners.anonymous]));
    Ok(())
}

/// Memory of a process and of its runners.
struct Memory {
    host: Resident,
    runners: Resident,
}

/// KiB, each shared page counted by its share.
#[derive(Default)]
struct Resident {
    all: f64,
    anonymous: f64,
}

impl Memory {
    /// Of a new process with the plugins of `dir`.
    fn of(dir: &Path) -> anyhow::Result<Self> {
        let out = Command::new(std::env::current_exe()?)
            .env(MEASURED, dir)
            // As the host sets it for itself.
            .env("MALLOC_MMAP_THRESHOLD_", (256 << 10).to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        anyhow::ensure!(out.status.success(), "the measured process ended with {}", out.status);
        let [host, of_host, runners, of_runners]: [f64; 4] = serde_json::from_slice(&out.stdout)?;
        Ok(Self {
            host: Resident { all: host, anonymous: of_host },
            runners: Resident { all: runners, anonymous: of_runners },
        })
    }

    fn own() -> anyhow::Result<Self> {
        let own = std::process::id();
        let threads = std::fs::read_dir(format!("/proc/{own}/task"))?;
        let mut children = BTreeSet::new();
        for thread in threads.flatten() {
            // A thread may have ended meanwhile.
            let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            children.extend(text.split_whitespace().flat_map(str::parse::<u32>));
        }
        let mut runners = Resident::default();
        for child in children {
            let Resident { all, anonymous } = Resident::of(child)?;
            runners.all += all;
            runners.anonymous += anonymous;
        }
        Ok(Self { host: Resident::of(own)?, runners })
    }
}

impl Resident {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let rollup = match std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(rollup) => rollup,
            // A runner that was just replaced.
            Err(_) if !Path::new(&format!("/proc/{pid}")).exists() => return Ok(Self::default()),
            Err(error) => anyhow::bail!("the memory of process {pid} cannot be read: {error}"),
        };
        let field = |name: &str| -> anyhow::Result<f64> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next());
            Ok(kib.with_context(|| name.to_owned())?.parse()?)
        };
        Ok(Self { all: field("Pss:")?, anonymous: field("Pss_Anon:")? })
    }
}

/// The plugin under another version of the same length.
fn versioned(component: &[u8], number: usize) -> anyhow::Result<Vec<u8>> {
    let version = format!("{}.{}.{}", number / 100 + 1, number / 10 % 10, number % 10);
    anyhow::ensure!(version.len() == VERSION.len(), "versions of one length");
    let mut bytes = component.to_vec();
    let mut found = 0;
    for at in 0..bytes.len().saturating_sub(VERSION.len()) {
        if bytes[at..].starts_with(VERSION) {
            bytes[at..at + VERSION.len()].copy_from_slice(version.as_bytes());
            found += 1;
        }
    }
    anyhow::ensure!(found > 0, "the plugin does not carry its version as text");
    Ok(bytes)
}

/// An archive that is somewhere else, as a database is.
struct Elsewhere;

#[async_trait::async_trait]
impl ComponentArchive for Elsewhere {
    async fn keep(&self, _component: &KeptComponent) -> Result<(), StoreError> {
        Ok(())
    }

    async fn kept(&self) -> Result<HashSet<PluginDigest>, StoreError> {
        Ok(HashSet::new())
    }

    async fn fetch(&self, _digest: &PluginDigest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}
