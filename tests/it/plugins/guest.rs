//! A plugin made on the fly: a component whose answers are constants, so that any number of
//! versions of it cost nothing.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::harness::repo;

/// The job that every version converts; the workload is named as its job.
pub(super) const JOB: &str = "constant";

/// Puts a version of the plugin `trees` into a directory under its own file name.
pub(super) fn install(dir: &Path, version: &str) {
    let temporary = dir.join(format!("trees-{version}.tmp"));
    std::fs::write(&temporary, component(version)).expect("the plugin is written");
    std::fs::rename(&temporary, file(dir, version)).expect("the plugin is put in place");
}

/// Where [`install`] puts a version.
pub(super) fn file(dir: &Path, version: &str) -> std::path::PathBuf {
    dir.join(format!("trees-{version}.wasm"))
}

/// A component that says it is this version of `trees`, and runs an image of that tag.
pub(super) fn component(version: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module(version)).expect("the module is well formed");
    let mut resolve = Resolve::default();
    let contract = resolve.push_file(repo().join("wit/converter.wit")).expect("the contract");
    let world = resolve.select_world(&[contract], Some("plugin")).expect("its world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("the contract fits the module");
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .expect("a core module")
        .encode()
        .expect("a component")
}

const BASE: u32 = 1024;

fn module(version: &str) -> String {
    let mut data = Data(Vec::new());
    let (description, plan) = (data.description(version), data.plan(version));
    let mut escaped = String::new();
    for byte in &data.0 {
        write!(escaped, "\\{byte:02x}").expect("a string takes everything");
    }
    let export = |name: &str| {
        format!("(export \"trainyard:converter/converter@1.0.0#{name}\" (func ${name}))")
    };
    let exports: String = ["describe", "validate", "convert", "interpret"].map(export).concat();
    // Address 64 is an area of zeros: no findings, a report that knows nothing.
    format!(
        r#"(module
        (memory (export "memory") 16)
        (data (i32.const {BASE}) "{escaped}")
        (global $heap (mut i32) (i32.const 65536))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
          (global.set $heap (i32.add (local.get $at) (local.get 3)))
          (local.get $at))
        (func $describe (result i32) i32.const {description})
        (func $convert (param i32 i32) (result i32) i32.const {plan})
        (func $validate (param i32 i32) (result i32) i32.const 64)
        (func $interpret (param i32 i32) (result i32) i32.const 64)
        {exports})"#
    )
}

/// Constant data in the layout of the component model's canonical ABI.
struct Data(Vec<u8>);

impl Data {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(0);
        }
        let at = BASE + u32::try_from(self.0.len()).expect("small");
        self.0.extend_from_slice(bytes);
        at
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(&bytes)
    }

    fn text(&mut self, text: &str) -> [u32; 2] {
        [self.put(text.as_bytes()), u32::try_from(text.len()).expect("small")]
    }

    fn texts(&mut self, texts: &[&str]) -> Vec<u32> {
        texts.iter().flat_map(|text| self.text(text)).collect()
    }

    /// `description` of the contract.
    fn description(&mut self, version: &str) -> u32 {
        let schema = json!({
            "$id": "https://plugin.example/trees",
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
        let algorithms = self.texts(&["trees", "forest"]);
        let algorithms = [self.words(&algorithms), 2];
        let mut kind = self.texts(&["batch/v1", "Job", "jobs"]);
        kind.extend([1, 63]);
        let kinds = [self.words(&kind), 1];
        let examples = self.texts(&[&example.to_string()]);
        let examples = [self.words(&examples), 1];
        let mut record = self.texts(&["trees", version]);
        record.extend(algorithms);
        record.extend(self.texts(&[
            "Trees",
            "Grows the same trees always.",
            &schema.to_string(),
            r#"{"type":"object"}"#,
        ]));
        record.extend(kinds);
        record.extend(examples);
        record.extend([0, 0]);
        self.words(&record)
    }

    /// `ok(plan)` of the contract.
    fn plan(&mut self, version: &str) -> u32 {
        let document = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": JOB},
            "spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "train",
                    "image": format!("trees:{version}"),
                    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                }],
            }}},
        });
        let manifest = self.texts(&["workload", &document.to_string()]);
        let manifests = [self.words(&manifest), 1];
        self.words(&[0, manifests[0], manifests[1], 0, 0, 0, 0])
    }
}
