//! A component in the real runtime: what it imports, its golden cases, its examples, and that equal
//! calls give equal bytes.

use std::path::Path;
use std::sync::Arc;

use plugin_runtime::{Config, Inspection, PluginRuntime};
use serde_json::{Map, Value, json};
use training::job::{ChannelType, DataChannel, DataSource, Exact, JobSpec, Resources, Spread};
use training::ports::{ConversionInput, ConvertRefusal, FieldError, Plugins as _};
use training::{JobId, JobName, Namespace};

use crate::support::kept;

/// A runtime with one plugin loaded.
pub(crate) struct Loaded {
    runtime: Arc<PluginRuntime>,
    pub(crate) plugin: Inspection,
}

/// What became of a form, in the words of a case.
#[derive(Debug, PartialEq)]
enum Answer {
    Plan(Value),
    Findings(Value),
}

impl Loaded {
    /// Loads a component as the host would. Compiled code is kept: a component in Python takes ten
    /// seconds of it.
    pub(crate) async fn open(component: &Path) -> Self {
        let cache = kept("test-plugin-cache");
        let config = Config { max_concurrent: 2, ..Config::new(None, Some(cache)) };
        let runtime = PluginRuntime::start(config).await.expect("the runtime starts");
        let plugin = runtime.inspect(component).await.expect("the plugin loads");
        for import in &plugin.imports {
            let known = ["trainyard:converter/log@", "trainyard:converter/types@"];
            assert!(known.iter().any(|known| import.starts_with(known)), "it imports {import}");
        }
        Self { runtime, plugin }
    }

    /// Every case gives what it says, twice.
    pub(crate) async fn assert_cases(&self, folder: &Path) {
        let mut seen = (0, 0);
        for entry in std::fs::read_dir(folder).expect("cases") {
            let case = entry.expect("a case").path();
            let read = |name: &str| {
                let text = std::fs::read_to_string(case.join(name)).ok()?;
                Some(serde_json::from_str::<Value>(&text).expect("JSON"))
            };
            let form = read("form.json").expect("a form");
            let expected = match (read("plan.json"), read("findings.json")) {
                (Some(plan), None) => Answer::Plan(plan),
                (None, Some(findings)) => Answer::Findings(findings),
                other => panic!("{}: {other:?}", case.display()),
            };
            match expected {
                Answer::Plan(_) => seen.0 += 1,
                Answer::Findings(_) => seen.1 += 1,
            }
            assert_eq!(self.answer(&form).await, expected, "{}", case.display());
            assert_eq!(self.answer(&form).await, expected, "{} again", case.display());
        }
        assert!(seen.0 >= 2 && seen.1 >= 1, "{seen:?} plans and findings");
    }

    /// Every example of the plugin can be converted, and hence be submitted.
    pub(crate) async fn assert_examples(&self) {
        assert!(!self.plugin.info.examples.is_empty());
        for example in &self.plugin.info.examples {
            let answer = self.answer(example).await;
            assert!(matches!(answer, Answer::Plan(_)), "{example}: {answer:?}");
        }
    }

    async fn answer(&self, form: &Value) -> Answer {
        let info = &self.plugin.info;
        let mut input = input_of(form, &info.algorithms);
        let prepared = self.runtime.prepare(&info.digest, &input.spec.hyperparameters);
        let prepared = prepared.expect("the plugin is loaded");
        if !prepared.errors.is_empty() {
            let start = format!("/hyperparameters/{}", info.algorithm());
            return findings(&start, &prepared.errors);
        }
        input.spec.hyperparameters = prepared.hyperparameters;
        let found = self.runtime.validate(&info.digest, &input).await.expect("it validates");
        if !found.is_empty() {
            return findings("", &found);
        }
        let first = self.runtime.convert(&info.digest, &input).await.expect("it converts");
        let again = self.runtime.convert(&info.digest, &input).await.expect("it converts");
        assert_eq!(format!("{first:?}"), format!("{again:?}"), "equal calls, other bytes");
        match first {
            Ok(plan) => Answer::Plan(
                plan.manifests
                    .iter()
                    .map(|m| json!({ "role": m.role.as_str(), "document": m.document }))
                    .collect(),
            ),
            Err(ConvertRefusal::Invalid(errors)) => findings("", &errors),
            Err(ConvertRefusal::Unsupported(_)) => {
                Answer::Findings(json!([{ "pointer": "", "code": "unsupported" }]))
            }
        }
    }
}

fn findings(start: &str, errors: &[FieldError]) -> Answer {
    let mut found: Vec<(String, &str)> =
        errors.iter().map(|e| (format!("{start}{}", e.pointer), e.code.as_str())).collect();
    found.sort();
    Answer::Findings(found.iter().map(|(p, c)| json!({ "pointer": p, "code": c })).collect())
}

/// Reads a form that has no mistakes of its own, as the host does.
fn input_of(form: &Value, algorithms: &[String]) -> ConversionInput {
    let text = |pointer: &str| form.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str, default: u64| -> u32 {
        let found = form.pointer(pointer).and_then(Value::as_u64).unwrap_or(default);
        u32::try_from(found).expect("a number of the form")
    };
    let each = "/resources/instanceResources";
    let name = JobName::parse(text("/jobName").expect("a name")).expect("a good name");
    let given = algorithms.iter().find_map(|a| form.get("hyperparameters")?.get(a));
    let channels = form.get("inputDataConfig").and_then(Value::as_array);
    let spec = JobSpec {
        namespace: Namespace::parse(text("/namespace").unwrap_or("default".into())).unwrap(),
        priority: i32::try_from(number("/priority", 500)).unwrap(),
        algorithm: text("/algorithm/algorithmName").expect("an algorithm"),
        resources: Resources {
            cpu_cores: number(&format!("{each}/cpuCores"), 4),
            memory_gib: number(&format!("{each}/memoryGiB"), 16),
            gpu_count: number(&format!("{each}/gpuCount"), 0),
            instance_count: number("/resources/instanceCount", 1),
            volume_size_gb: number("/resources/volumeSizeGB", 0),
        },
        max_pending_seconds: None,
        attempt: training::job::Attempt::FIRST,
        exact: Exact::default(),
        max_runtime_seconds: form
            .pointer("/stoppingCondition/maxRuntimeSeconds")
            .map(|_| number("/stoppingCondition/maxRuntimeSeconds", 0)),
        channels: channels.into_iter().flatten().map(channel_of).collect(),
        output_uri: text("/outputDataConfig/artifactUri"),
        hyperparameters: given.cloned().expect("hyperparameters"),
        custom_hyperparameters: match form.get("customHyperparameters") {
            Some(Value::Object(custom)) => custom.clone(),
            _ => Map::new(),
        },
        target_clusters: Vec::new(),
        spread: Spread::One,
        entrypoint: text("/entrypoint"),
        head_image: text("/headImage"),
        worker_image: text("/workerImage"),
        image_uri: text("/algorithm/imageUri"),
        pvc_name: text("/pvcName"),
        request: Value::Null,
        name,
    };
    ConversionInput { id: JobId::from_name(&spec.name, 0x1a2b_3c4d), spec, settings: None }
}

fn channel_of(channel: &Value) -> DataChannel {
    let text = |name: &str| channel.get(name).and_then(Value::as_str).map(str::to_owned);
    DataChannel {
        name: text("channelName").expect("a name"),
        channel_type: match text("channelType").expect("a type").as_str() {
            "train" => ChannelType::Train,
            "validation" => ChannelType::Validation,
            "test" => ChannelType::Test,
            other => panic!("the type {other}"),
        },
        source: DataSource::ObjectStorage {
            provider: text("storageProvider").unwrap_or("minio".into()),
            endpoint: text("endpoint").unwrap_or_default(),
            bucket: text("bucket").expect("a bucket"),
            prefix: text("prefix").unwrap_or_default(),
        },
        content_type: text("contentType"),
        feature_names: channel
            .get("featureNames")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        label_name: text("labelName"),
    }
}
