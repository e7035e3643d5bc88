//! What the tests share: a directory with plugins, a runtime over it, a job.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plugin_runtime::{Config, PluginRuntime};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use training::job::{ChannelType, DataChannel, DataSource, Exact, JobSpec, Resources, Spread};
use training::ports::{Audience, ConversionInput, PluginInfo, Plugins};
use training::{JobId, JobName, Namespace};

/// A directory with these files.
pub(crate) fn dir_with(files: &[(&str, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// A directory with the XGBoost plugin as it was built. Only a developer's machine may lack it.
pub(crate) fn shipped_dir() -> Option<TempDir> {
    if let Some(built) = std::env::var_os("TRAINYARD_PLUGINS_DIR") {
        let name = "xgboost.wasm";
        return Some(dir_with(&[(name, std::fs::read(Path::new(&built).join(name)).unwrap())]));
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "TRAINYARD_PLUGINS_DIR must name the built plugins"
    );
    eprintln!("SKIPPED: TRAINYARD_PLUGINS_DIR is not set, so the shipped plugin is not tested");
    None
}

/// A configuration with short deadlines, so that a test of one does not take long.
pub(crate) fn config(dir: &Path) -> Config {
    Config {
        max_concurrent: 4,
        deadline: Duration::from_millis(150),
        ..Config::new(Some(dir.to_owned()), None)
    }
}

/// The program that tests start as compiler and runner.
pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_plugin-worker");

/// The same configuration with runner processes and compilers.
pub(crate) fn isolated(dir: &Path) -> Config {
    config(dir).isolated(WORKER, 4)
}

/// Where the guests of a test run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    Runners,
}

impl Place {
    pub(crate) fn config(self, dir: &Path) -> Config {
        match self {
            Self::Here => config(dir),
            Self::Runners => isolated(dir),
        }
    }
}

/// Makes two tests of each function: its guests run in this process, and in runners.
macro_rules! in_both_places {
    ($($name:ident),+ $(,)?) => {
        mod here {$(
            #[tokio::test]
            async fn $name() {
                super::$name(crate::support::Place::Here).await;
            }
        )+}
        mod in_runners {$(
            #[tokio::test]
            async fn $name() {
                super::$name(crate::support::Place::Runners).await;
            }
        )+}
    };
}
pub(crate) use in_both_places;

pub(crate) async fn start(config: Config) -> Arc<PluginRuntime> {
    PluginRuntime::start(config).await.unwrap()
}

pub(crate) fn info(runtime: &PluginRuntime, algorithm: &str) -> Arc<PluginInfo> {
    runtime.resolve(algorithm, Audience::ANYBODY).unwrap_or_else(|| {
        panic!("`{algorithm}` is not loaded: {:?}", runtime.catalog().failures())
    })
}

/// The predecessor's sample job.
pub(crate) fn job(algorithm: &str, hyperparameters: Value) -> ConversionInput {
    let spec = JobSpec {
        name: JobName::parse("train-20251111052644-oj2y").unwrap(),
        namespace: Namespace::parse("default").unwrap(),
        priority: 500,
        algorithm: algorithm.to_owned(),
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
            content_type: Some("csv".to_owned()),
            feature_names: Vec::new(),
            label_name: None,
        }],
        output_uri: Some("storage://output/artifacts/".to_owned()),
        hyperparameters,
        custom_hyperparameters: Map::new(),
        target_clusters: Vec::new(),
        spread: Spread::One,
        entrypoint: None,
        head_image: None,
        worker_image: None,
        image_uri: None,
        pvc_name: None,
        request: json!({}),
    };
    ConversionInput { id: JobId::from_name(&spec.name, 0x6f42_74ce), spec, settings: None }
}
