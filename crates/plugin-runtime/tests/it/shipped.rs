//! The shipped XGBoost plugin, found through `TRAINYARD_PLUGINS_DIR`.

use plugin_runtime::Config;
use serde_json::json;
use training::manifest::Role;
use training::ports::{Plugins, RunState};

use crate::support::{info, job, shipped_dir, start};

#[tokio::test]
async fn sample_job_converts_twice_to_equal_manifests() {
    let Some(dir) = shipped_dir() else { return };
    let runtime = start(Config::new(Some(dir.path().to_owned()), None)).await;
    let plugin = info(&runtime, "xgboost");
    let sent = json!({"lambda": 0, "verbosity": 0, "subsample": 0.5});
    let prepared = runtime.prepare(&plugin.digest, &sent).unwrap();
    assert_eq!(prepared.errors, []);
    let sent = prepared.hyperparameters.as_object().unwrap();
    assert_eq!((&sent["lambda"], &sent["verbosity"]), (&json!(0), &json!(0)), "zero is a value");
    assert_eq!(sent["max_depth"], json!(6), "an absent field gets its default");

    let input = job("xgboost", prepared.hyperparameters);
    assert_eq!(runtime.validate(&plugin.digest, &input).await.unwrap(), []);
    let first = runtime.convert(&plugin.digest, &input).await.unwrap().unwrap();
    let second = runtime.convert(&plugin.digest, &input).await.unwrap().unwrap();
    assert_eq!(first, second);
    let workloads: Vec<_> =
        first.manifests.iter().filter(|manifest| manifest.role == Role::Workload).collect();
    assert_eq!(workloads.len(), 1);
    assert_eq!(workloads[0].object_ref().kind, "RayJob");
    assert_eq!(workloads[0].object_ref().name, input.spec.name.as_str());
}

#[tokio::test]
async fn defaults_alone_make_a_job() {
    let Some(dir) = shipped_dir() else { return };
    let runtime = start(Config::new(Some(dir.path().to_owned()), None)).await;
    let plugin = info(&runtime, "xgboost");
    let prepared = runtime.prepare(&plugin.digest, &json!(null)).unwrap();
    assert_eq!(prepared.errors, []);
    let input = job("xgboost", prepared.hyperparameters);
    let plan = runtime.convert(&plugin.digest, &input).await.unwrap().unwrap();
    assert!(plan.manifests.iter().any(|manifest| manifest.object_ref().kind == "RayJob"));
}

#[tokio::test]
async fn shipped_plugin_imports_nothing_but_log_and_types() {
    let Some(dir) = shipped_dir() else { return };
    let runtime = start(Config::new(None, None)).await;
    let inspection = runtime.inspect(&dir.path().join("xgboost.wasm")).await.unwrap();
    for import in &inspection.imports {
        let allowed = ["trainyard:converter/log@1.", "trainyard:converter/types@1."];
        assert!(allowed.iter().any(|prefix| import.starts_with(prefix)), "{import}");
    }
    assert!(runtime.list().is_empty(), "an inspected file is not active");
}

#[tokio::test]
async fn wrong_fields_are_named_and_statuses_are_read() {
    let Some(dir) = shipped_dir() else { return };
    let runtime = start(Config::new(Some(dir.path().to_owned()), None)).await;
    let plugin = info(&runtime, "xgboost");
    let sent = json!({"eta": "fast", "max_dept": 3});
    let errors = runtime.prepare(&plugin.digest, &sent).unwrap().errors;
    let found: Vec<_> = errors.iter().map(|e| (e.pointer.as_str(), e.code.as_str())).collect();
    assert!(found.contains(&("/eta", "type")), "{errors:?}");
    for status in [json!({}), json!({"jobStatus": "RUNNING"}), json!({"jobStatus": [1]})] {
        let object = json!({
            "apiVersion": "ray.io/v1", "kind": "RayJob",
            "metadata": {"name": "a", "namespace": "b"}, "status": status,
        });
        let report = runtime.interpret(&plugin.digest, "xgboost", &object).await.unwrap();
        assert_ne!(report.state, RunState::Succeeded);
    }
}
