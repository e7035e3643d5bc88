//! A plugin made on the fly: a component whose answers are constants, so that any number of
//! versions of it cost nothing.

use std::path::{Path, PathBuf};

use plugin_runtime::testing::Guest;
use serde_json::{Value, json};

/// The job that every version converts; the workload is named as its job.
pub(super) const JOB: &str = "constant";

/// Puts a version of the plugin `trees` into a directory under its own file name.
pub(super) fn install(dir: &Path, version: &str) {
    put(&file(dir, version), &component(version));
}

/// Puts a component in place as a deployment tool does it.
pub(super) fn put(file: &Path, component: &[u8]) {
    let temporary = file.with_extension("tmp");
    std::fs::write(&temporary, component).expect("the plugin is written");
    std::fs::rename(&temporary, file).expect("the plugin is put in place");
}

/// Where [`install`] puts a version.
pub(super) fn file(dir: &Path, version: &str) -> PathBuf {
    dir.join(format!("trees-{version}.wasm"))
}

/// A form for one of these plugins.
pub(super) fn form(algorithm: &str) -> Value {
    json!({"jobName": JOB, "algorithm": {"algorithmName": algorithm}})
}

/// A workload that every host admits, under an image of this tag.
pub(super) fn workload(tag: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": JOB},
        "spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "train",
                "image": format!("trees:{tag}"),
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            }],
        }}},
    })
}

/// A component that says it is this version of `trees`, and runs an image of that tag.
pub(super) fn component(version: &str) -> Vec<u8> {
    trees(version).build()
}

/// What [`component`] builds.
pub(super) fn trees(version: &str) -> Guest {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {"rate": {"$ref": "#/$defs/share"}},
        "$defs": {"share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}},
    });
    let example = json!({
        "jobName": JOB,
        "algorithm": {"algorithmName": "trees"},
        "hyperparameters": {"trees": {"rate": 0.25}},
    });
    Guest {
        version: version.to_owned(),
        algorithms: vec!["trees".to_owned(), "forest".to_owned()],
        schema: schema.to_string(),
        examples: vec![example.to_string()],
        ..Guest::good("trees")
    }
    .emits("workload", &workload(version))
}
