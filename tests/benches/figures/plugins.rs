//! The plugin platform: what the second wall costs, how fast a file takes effect, and what a hostile
//! neighbour costs the others.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use plugin_runtime::testing::Guest;
use plugin_runtime::{Config, PluginRuntime};
use tokio_util::sync::CancellationToken;
use training::PluginDigest;
use training::ports::{Audience, ConversionInput, Plugins};

use crate::conversion::{SLICE, sample_input, two_threads};
use crate::crossing::Partner;
use crate::process::program;
use crate::report::{Report, median, percentile, rounds};

/// Runners, as many as the host takes by default on two processors.
pub(crate) const RUNNERS: u32 = 4;
/// Rounds in which both sides take turns.
const ROUNDS: usize = 40;
/// Windows alone, and as many beside a hostile plugin; long enough for some of its calls to end at
/// their deadline and for others to begin.
const WINDOWS: usize = 12;
const WINDOW: Duration = Duration::from_secs(2);
/// Users of the good plugin in a window: one for each processor of a small machine.
const CALLERS: usize = 2;
/// Reloads of each kind.
const RELOADS: usize = rounds(25);

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("plugins:");
    let built = std::env::var("TRAINYARD_PLUGINS_DIR").context("run `cargo xtask bench`")?;
    let component = std::fs::read(Path::new(&built).join("xgboost.wasm"))?;
    let home = tempfile::tempdir()?;
    second_wall(report, &home.path().join("wall"), &component).await?;
    neighbour(report, &home.path().join("neighbour"), &component).await?;
    reload(report, &home.path().join("reload"), &component).await
}

/// A runtime with runner processes over `dir`, and compiled code beside it.
pub(crate) async fn apart(dir: &Path) -> anyhow::Result<Arc<PluginRuntime>> {
    Ok(PluginRuntime::start(isolated(dir)?).await?)
}

fn isolated(dir: &Path) -> anyhow::Result<Config> {
    std::fs::create_dir_all(dir)?;
    let config = Config::new(Some(dir.to_owned()), Some(cache_of(dir)));
    Ok(config.isolated(program("trainyard-host")?, RUNNERS))
}

fn cache_of(dir: &Path) -> PathBuf {
    dir.with_extension("cache")
}

pub(crate) fn serving(runtime: &PluginRuntime) -> anyhow::Result<PluginDigest> {
    let plugin = runtime.resolve("xgboost", Audience::ANYBODY).context("the XGBoost plugin")?;
    Ok(plugin.digest)
}

pub(crate) fn input(runtime: &PluginRuntime) -> anyhow::Result<ConversionInput> {
    sample_input(runtime, &serving(runtime)?)
}

pub(crate) async fn convert(
    runtime: &PluginRuntime,
    plugin: &PluginDigest,
    input: &ConversionInput,
) -> anyhow::Result<()> {
    let answer = runtime.convert(plugin, input).await?;
    std::hint::black_box(answer).map_err(|refusal| anyhow!("{refusal:?}"))?;
    Ok(())
}

/// Microseconds of each conversion in one slice of time.
async fn slice(
    runtime: &PluginRuntime,
    plugin: &PluginDigest,
    input: &ConversionInput,
    each: &mut Vec<f64>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < SLICE {
        let one = Instant::now();
        convert(runtime, plugin, input).await?;
        each.push(one.elapsed().as_secs_f64() * 1e6);
    }
    Ok(())
}

async fn second_wall(report: &mut Report, dir: &Path, component: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("xgboost.wasm"), component)?;
    let apart = apart(dir).await?;
    let here = PluginRuntime::start(Config::new(Some(dir.to_owned()), Some(cache_of(dir)))).await?;
    let (plugin, input) = (serving(&here)?, input(&here)?);
    let (mut in_process, mut in_runner, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    slice(&here, &plugin, &input, &mut in_process).await?;
    let busy = Duration::from_secs_f64(median(&mut in_process) / 1e6);
    let question = here.input_text(&plugin, &input).await?.len();
    let answer = here.convert(&plugin, &input).await?;
    let answer = answer.map_err(|refusal| anyhow!("{refusal:?}"))?.manifests;
    let answer = answer.iter().map(|manifest| manifest.document.to_string().len()).sum();
    let mut partner = Partner::start(question, answer, busy)?;
    for _ in 0..rounds(ROUNDS) {
        slice(&here, &plugin, &input, &mut in_process).await?;
        slice(&apart, &plugin, &input, &mut in_runner).await?;
        partner.slice(&mut bare).await?;
    }
    drop(partner);
    for (name, percent, goal) in [
        ("conversion in a runner, more than in process, p50", 50, "<= 60"),
        ("conversion in a runner, more than in process, p99", 99, "<= 1000"),
    ] {
        let (less, more) =
            (percentile(&mut in_process, percent), percentile(&mut in_runner, percent));
        report.add(name, more - less, "us", goal, format!("{more:.0} us against {less:.0} us"));
    }
    for (name, percent) in [
        ("a bare round trip to a process as busy, more than it is busy, p50", 50),
        ("a bare round trip to a process as busy, more than it is busy, p99", 99),
    ] {
        let (busy, more) = (busy.as_secs_f64() * 1e6, percentile(&mut bare, percent));
        report.add(name, more - busy, "us", "-", format!("{more:.0} us, {busy:.0} us busy"));
    }
    let name = "conversions in runners on two threads, per one thread";
    two_threads(report, name, &apart, &plugin, &input).await
}

/// Conversions by several callers at the same time, in windows of time.
#[derive(Default)]
struct Windows {
    /// Microseconds of each conversion.
    each: Vec<f64>,
    /// Conversions per second of each window.
    rates: Vec<f64>,
}

impl Windows {
    async fn measure(
        &mut self,
        runtime: &Arc<PluginRuntime>,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let (runtime, plugin, input) = (Arc::clone(runtime), *plugin, input.clone());
            callers.spawn(async move {
                let mut each = Vec::new();
                while started.elapsed() < WINDOW {
                    let one = Instant::now();
                    convert(&runtime, &plugin, &input).await?;
                    each.push(one.elapsed().as_secs_f64() * 1e6);
                }
                anyhow::Ok(each)
            });
        }
        let before = self.each.len();
        while let Some(each) = callers.join_next().await {
            self.each.extend(each??);
        }
        let calls = (self.each.len() - before) as f64;
        self.rates.push(calls / started.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Conversions of a good plugin, in turns alone and while another one loops in every place it can
/// get.
async fn neighbour(report: &mut Report, dir: &Path, component: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("xgboost.wasm"), component)?;
    std::fs::write(dir.join("hostile.wasm"), Guest::hostile("loop").build())?;
    let runtime = apart(dir).await?;
    let (plugin, input) = (serving(&runtime)?, input(&runtime)?);
    let hostile = runtime.resolve("loop", Audience::ANYBODY).context("the hostile plugin")?.digest;
    let (mut alone, mut beside) = (Windows::default(), Windows::default());
    for _ in 0..rounds(WINDOWS) {
        alone.measure(&runtime, &plugin, &input).await?;
        let attack = Attack::start(&runtime, hostile, &input).await;
        beside.measure(&runtime, &plugin, &input).await?;
        attack.stop().await;
    }
    let (quiet, loud) = (median(&mut alone.rates), median(&mut beside.rates));
    report.add(
        "conversions beside a plugin that loops, per alone",
        loud / quiet,
        "x",
        "-",
        format!("{loud:.0}/s against {quiet:.0}/s, {CALLERS} callers"),
    );
    for (name, percent, goal) in [
        ("conversion beside a plugin that loops, per alone, p50", 50, "-"),
        ("conversion beside a plugin that loops, per alone, p99", 99, "<= 1.2"),
    ] {
        let quiet = percentile(&mut alone.each, percent);
        let loud = percentile(&mut beside.each, percent);
        report.add(name, loud / quiet, "x", goal, format!("{loud:.0} us against {quiet:.0} us"));
    }
    Ok(())
}

/// Callers of a plugin that never answers, more than it has places.
struct Attack {
    stop: CancellationToken,
    callers: tokio::task::JoinSet<()>,
}

impl Attack {
    async fn start(
        runtime: &Arc<PluginRuntime>,
        plugin: PluginDigest,
        input: &ConversionInput,
    ) -> Self {
        let (stop, mut callers) = (CancellationToken::new(), tokio::task::JoinSet::new());
        for _ in 0..2 * RUNNERS {
            let (runtime, input, stop) = (Arc::clone(runtime), input.clone(), stop.clone());
            callers.spawn(async move {
                while !stop.is_cancelled() {
                    drop(runtime.convert(&plugin, &input).await);
                }
            });
        }
        // Until it is under way in every place.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Self { stop, callers }
    }

    /// Waits until nothing of it is left in a runner.
    async fn stop(mut self) {
        self.stop.cancel();
        while self.callers.join_next().await.is_some() {}
    }
}

/// From the rename of a file to the first conversion by what it holds.
async fn reload(report: &mut Report, dir: &Path, component: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("xgboost.wasm"), component)?;
    let runtime = apart(dir).await?;
    let input = input(&runtime)?;
    let stop = CancellationToken::new();
    let mut follow = tokio::task::JoinSet::new();
    follow.spawn(Arc::clone(&runtime).follow(stop.clone()));
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for round in 0..RELOADS {
        // Compiled beforehand by another process that shares the cache, as on a second host.
        let known = variant(component, 2 * round);
        let precompiled = dir.join(".precompiled");
        std::fs::write(&precompiled, &known)?;
        let other = Config::new(None, Some(cache_of(dir)));
        PluginRuntime::start(other).await?.inspect(&precompiled).await?;
        warm.push(rename_until_served(&runtime, dir, &known, &input).await?);
        let unknown = variant(component, 2 * round + 1);
        cold.push(rename_until_served(&runtime, dir, &unknown, &input).await?);
    }
    stop.cancel();
    while follow.join_next().await.is_some() {}
    let p99 = |times: &mut [f64]| format!("p99 {:.1} ms", percentile(times, 99));
    let context = p99(&mut warm);
    report.add(
        "file renamed into place to first call, compiled before",
        median(&mut warm),
        "ms",
        "<= 5",
        context,
    );
    let context = p99(&mut cold);
    report.add(
        "file renamed into place to first call, cold",
        median(&mut cold),
        "ms",
        "<= 250",
        context,
    );
    Ok(())
}

/// Milliseconds.
async fn rename_until_served(
    runtime: &PluginRuntime,
    dir: &Path,
    component: &[u8],
    input: &ConversionInput,
) -> anyhow::Result<f64> {
    let (digest, temporary) = (PluginDigest::of(component), dir.join(".next"));
    std::fs::write(&temporary, component)?;
    let started = Instant::now();
    std::fs::rename(&temporary, dir.join("xgboost.wasm"))?;
    while serving(runtime)? != digest {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(60), "it never served");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    convert(runtime, &digest, input).await?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// The same plugin with other bytes: a custom section more, which no compiler looks at.
fn variant(component: &[u8], number: usize) -> Vec<u8> {
    let name = format!("variant-{number:06}");
    let mut bytes = component.to_vec();
    // Section 0, its length, the length of its name, and the name; each length is one byte.
    bytes.extend([0, u8::try_from(name.len() + 1).unwrap_or_default()]);
    bytes.push(u8::try_from(name.len()).unwrap_or_default());
    bytes.extend(name.as_bytes());
    bytes
}
