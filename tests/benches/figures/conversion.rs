//! A conversion in a fresh sandbox against the same Rust code in the same process, in alternating
//! slices of one thread. The sandboxed side writes the job's JSON and ends with the manifests as
//! trees, as the host needs them; the native side starts from the JSON, and ends once with texts and
//! once with the same trees. And every shipped plugin against one of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use plugin_runtime::{Config, PluginRuntime};
use serde_json::{Value, json};
use training::id::{JobId, JobName, Namespace};
use training::job::{ChannelType, DataChannel, DataSource, Exact, JobSpec, Resources, Spread};
use training::ports::{Audience, ConversionInput, PluginInfo, Plugins};
use training::submit::read_form;
use xgboost::Xgboost;

use crate::report::{Report, median, percentile, rounds};

/// Length of one side of a round.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// Rounds of both sides.
const ROUNDS: usize = 60;

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("conversion:");
    let dir = std::env::var("TRAINYARD_PLUGINS_DIR").context("run `cargo xtask bench`")?;
    let cache = tempfile::tempdir()?;
    let cache_dir = cache.path().join("cache");
    let runtime = PluginRuntime::start(Config::new(Some(dir.into()), Some(cache_dir))).await?;
    let plugin = runtime.resolve("xgboost", Audience::ANYBODY).context("the XGBoost plugin")?;
    let input = sample_input(&runtime, &plugin.digest)?;
    let job = job_json(&input, &plugin.settings_schema)?;

    // Both sides must do the same work before their times mean anything.
    let native = plugin_sdk::guest::convert::<Xgboost>(&job)
        .map_err(|failure| anyhow!("native conversion: {failure:?}"))?;
    let guest = runtime.convert(&plugin.digest, &input).await?;
    let guest = guest.map_err(|refusal| anyhow!("sandboxed conversion: {refusal:?}"))?;
    for (ours, theirs) in native.manifests.iter().zip(&guest.manifests) {
        let ours: Value = serde_json::from_str(&ours.document)?;
        anyhow::ensure!(ours == theirs.document, "the two sides differ");
    }

    let (mut inside, mut trees, mut fresh, mut each) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds(ROUNDS) {
        inside.push(microseconds(|| converted(&job))?);
        trees.push(microseconds(|| {
            let manifests = converted(&job)?.manifests;
            let read = manifests.iter().map(|manifest| serde_json::from_str(&manifest.document));
            Ok(read.collect::<Result<Vec<Value>, _>>()?)
        })?);

        let started = Instant::now();
        let mut calls = 0_u32;
        while started.elapsed() < SLICE {
            let one = Instant::now();
            let answer = runtime.convert(&plugin.digest, &input).await?;
            std::hint::black_box(answer).map_err(|refusal| anyhow!("{refusal:?}"))?;
            each.push(one.elapsed().as_secs_f64() * 1e6);
            calls += 1;
        }
        fresh.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
    }
    let (inside, trees, fresh) = (median(&mut inside), median(&mut trees), median(&mut fresh));
    for (name, native) in [
        ("conversion in a fresh sandbox, per native one to the same trees", trees),
        ("conversion in a fresh sandbox, per native one to text", inside),
    ] {
        let context = format!("{fresh:.1} us against {native:.1} us");
        report.add(name, fresh / native, "x", "<= 3.7", context);
    }
    report.add(
        "conversion in a fresh sandbox, p99 per p50",
        percentile(&mut each, 99) / median(&mut each),
        "x",
        "-",
        format!("p99 {:.0} us, p50 {:.0} us", percentile(&mut each, 99), median(&mut each)),
    );
    native_two_threads(report, &job)?;
    let name = "conversions on two threads, per one thread";
    two_threads(report, name, &runtime, &plugin.digest, &input).await?;
    every_plugin(report, &runtime).await
}

fn converted(job: &str) -> anyhow::Result<plugin_sdk::Plan> {
    plugin_sdk::guest::convert::<Xgboost>(std::hint::black_box(job))
        .map_err(|failure| anyhow!("{failure:?}"))
}

/// Microseconds of each of what is done again and again for a slice of time.
fn microseconds<T>(work: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut calls = 0_u32;
    while started.elapsed() < SLICE {
        std::hint::black_box(work()?);
        calls += 1;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

/// A plugin with the smallest form that its page shows.
struct Shipped {
    algorithm: String,
    plugin: training::PluginDigest,
    input: ConversionInput,
    /// Microseconds of each conversion.
    each: Vec<f64>,
}

impl Shipped {
    /// As a submission prepares it, before it asks the plugin.
    fn of(runtime: &PluginRuntime, plugin: &PluginInfo) -> anyhow::Result<Self> {
        let form = plugin.examples.first().context("an example")?.clone();
        let form = read_form(runtime, Some(plugin), &[], form)
            .map_err(|mistakes| anyhow!("the form of {}: {mistakes:?}", plugin.name))?;
        let mut spec = form.spec;
        let prepared = runtime.prepare(&plugin.digest, &spec.hyperparameters)?;
        anyhow::ensure!(prepared.errors.is_empty(), "{}: {:?}", plugin.name, prepared.errors);
        spec.hyperparameters = prepared.hyperparameters;
        let id = JobId::from_name(&spec.name, 0x1a2b_3c4d);
        Ok(Self {
            algorithm: plugin.algorithm().to_owned(),
            plugin: plugin.digest,
            input: ConversionInput { id, spec, settings: None },
            each: Vec::new(),
        })
    }

    async fn slice(&mut self, runtime: &PluginRuntime) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < SLICE {
            let one = Instant::now();
            let answer = runtime.convert(&self.plugin, &self.input).await?;
            std::hint::black_box(answer)
                .map_err(|refusal| anyhow!("{}: {refusal:?}", self.algorithm))?;
            self.each.push(one.elapsed().as_secs_f64() * 1e6);
        }
        Ok(())
    }
}

/// A conversion of every shipped plugin, each with its smallest documented form, against one of
/// XGBoost. All take turns, so that what else the machine does meets all of them.
async fn every_plugin(report: &mut Report, runtime: &PluginRuntime) -> anyhow::Result<()> {
    let mut shipped = Vec::new();
    for plugin in runtime.list() {
        shipped.push(Shipped::of(runtime, &plugin)?);
    }
    for _ in 0..rounds(ROUNDS / 4) {
        for plugin in &mut shipped {
            plugin.slice(runtime).await?;
        }
    }
    let of_one = shipped.iter_mut().find(|plugin| plugin.algorithm == "xgboost");
    let of_one = median(&mut of_one.context("the XGBoost plugin")?.each);
    for Shipped { algorithm, each, .. } in &mut shipped {
        let (middle, slow) = (median(each), percentile(each, 99));
        report.add(
            format!("smallest form of {algorithm}, p50 per that of xgboost"),
            middle / of_one,
            "x",
            "-",
            format!("p50 {middle:.1} us"),
        );
        report.add(
            format!("smallest form of {algorithm}, p99 per p50"),
            slow / middle,
            "x",
            "-",
            format!("p99 {slow:.1} us, p50 {middle:.1} us"),
        );
    }
    Ok(())
}

/// Native conversions on two threads, per those on one: what the machine itself gives.
fn native_two_threads(report: &mut Report, job: &str) -> anyhow::Result<()> {
    let rate = |threads: usize| -> anyhow::Result<f64> {
        let each = std::thread::scope(|scope| {
            let run = || microseconds(|| converted(job));
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            let ended = |_| anyhow!("a thread ended");
            let joined = threads.into_iter().map(|thread| thread.join().map_err(ended)?);
            joined.collect::<anyhow::Result<Vec<f64>>>()
        })?;
        Ok(each.iter().map(|microseconds| 1e6 / microseconds).sum())
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..rounds(ROUNDS) {
        one.push(rate(1)?);
        two.push(rate(2)?);
    }
    let (one, two) = (median(&mut one), median(&mut two));
    let name = "native conversions on two threads, per one thread";
    report.add(name, two / one, "x", "-", format!("{two:.0}/s against {one:.0}/s"));
    Ok(())
}

/// Conversions per second on two threads, per those on one.
pub(crate) async fn two_threads(
    report: &mut Report,
    name: &'static str,
    runtime: &Arc<PluginRuntime>,
    plugin: &training::PluginDigest,
    input: &ConversionInput,
) -> anyhow::Result<()> {
    let rate = async |threads: usize| -> anyhow::Result<f64> {
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..threads {
            let (runtime, plugin, input) = (Arc::clone(runtime), *plugin, input.clone());
            tasks.spawn(async move {
                let mut calls = 0_u32;
                while started.elapsed() < SLICE * 4 {
                    std::hint::black_box(runtime.convert(&plugin, &input).await?)
                        .map_err(|refusal| anyhow!("{refusal:?}"))?;
                    calls += 1;
                }
                anyhow::Ok(calls)
            });
        }
        let mut calls = 0_u32;
        while let Some(done) = tasks.join_next().await {
            calls += done??;
        }
        Ok(f64::from(calls) / started.elapsed().as_secs_f64())
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..rounds(ROUNDS / 4) {
        one.push(rate(1).await?);
        two.push(rate(2).await?);
    }
    let (one, two) = (median(&mut one), median(&mut two));
    report.add(name, two / one, "x", ">= 1.9", format!("{two:.0}/s against {one:.0}/s"));
    Ok(())
}

/// The sample form, checked and completed by the plugin's schema.
pub(crate) fn sample_input(
    runtime: &PluginRuntime,
    plugin: &training::PluginDigest,
) -> anyhow::Result<ConversionInput> {
    let form: Value = serde_json::from_str(&std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/params.json"
    ))?)?;
    let prepared = runtime.prepare(plugin, &form["hyperparameters"]["xgboost"])?;
    sample(prepared.hyperparameters)
}

/// The sample form as the host's parser leaves it.
fn sample(hyperparameters: Value) -> anyhow::Result<ConversionInput> {
    let name = JobName::parse("train-20251111052644-oj2y")?;
    let spec = JobSpec {
        namespace: Namespace::parse("default")?,
        priority: 500,
        algorithm: "xgboost".to_owned(),
        resources: Resources {
            cpu_cores: 4,
            memory_gib: 16,
            gpu_count: 0,
            instance_count: 1,
            volume_size_gb: 50,
        },
        exact: Exact::default(),
        max_runtime_seconds: Some(14400),
        max_pending_seconds: None,
        attempt: training::job::Attempt::FIRST,
        channels: vec![DataChannel {
            name: "train".to_owned(),
            channel_type: ChannelType::Train,
            source: DataSource::ObjectStorage {
                provider: "minio".to_owned(),
                endpoint: "https://minio.local".to_owned(),
                bucket: "input".to_owned(),
                prefix: "datasets/default/".to_owned(),
            },
            content_type: None,
            feature_names: Vec::new(),
            label_name: None,
        }],
        output_uri: Some("storage://output/artifacts/".to_owned()),
        hyperparameters,
        custom_hyperparameters: serde_json::Map::new(),
        target_clusters: Vec::new(),
        spread: Spread::One,
        entrypoint: None,
        head_image: None,
        worker_image: None,
        image_uri: None,
        pvc_name: None,
        request: json!({}),
        name,
    };
    Ok(ConversionInput { id: JobId::from_name(&spec.name, 0x1a2b_3c4d), spec, settings: None })
}

/// The job as the contract describes it.
fn job_json(input: &ConversionInput, settings_schema: &str) -> anyhow::Result<String> {
    let schema: Value = serde_json::from_str(settings_schema)?;
    let properties = schema["properties"].as_object().context("settings have properties")?;
    let settings: serde_json::Map<String, Value> = properties
        .iter()
        .filter_map(|(name, about)| Some((name.clone(), about.get("default")?.clone())))
        .collect();
    let spec = &input.spec;
    let channel = spec.channels.first().context("a channel")?;
    let DataSource::ObjectStorage { provider, endpoint, bucket, prefix } = &channel.source else {
        anyhow::bail!("the sample reads from an object store");
    };
    Ok(json!({
        "id": input.id.as_str(),
        "name": spec.name.as_str(),
        "namespace": spec.namespace.as_str(),
        "algorithm": spec.algorithm,
        "attempt": 1,
        "priority": spec.priority,
        "resources": {
            "cpuCores": spec.resources.cpu_cores,
            "memoryGiB": spec.resources.memory_gib,
            "gpuCount": spec.resources.gpu_count,
            "instanceCount": spec.resources.instance_count,
            "volumeSizeGB": spec.resources.volume_size_gb,
        },
        "maxRuntimeSeconds": spec.max_runtime_seconds,
        "channels": [{
            "name": channel.name,
            "type": channel.channel_type.as_str(),
            "provider": provider,
            "endpoint": endpoint,
            "bucket": bucket,
            "prefix": prefix,
            "featureNames": channel.feature_names,
        }],
        "outputUri": spec.output_uri,
        "hyperparameters": spec.hyperparameters,
        "customHyperparameters": spec.custom_hyperparameters,
        "settings": settings,
    })
    .to_string())
}
