//! Small plugins from text. One emits a single batch Job named as the job it was given; what it
//! says about itself, what the Job holds and when it misbehaves is up to the test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A plugin that serves the algorithm `toy`.
pub(crate) struct Guest {
    pub(crate) version: String,
    pub(crate) algorithms: Vec<String>,
    pub(crate) schema: Value,
    pub(crate) settings: Value,
    pub(crate) examples: Vec<Value>,
    pub(crate) summary: String,
    /// The `spec` of the Job.
    pub(crate) spec: Value,
    /// Text in the job that makes `convert` trap.
    pub(crate) traps_on: String,
    /// Text in the job that `validate` objects to.
    pub(crate) objects_to: String,
    /// Text in a status that makes `interpret` trap.
    pub(crate) misreads: String,
}

/// The parameters of the toy: complete, so that no lint objects.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "rounds": {
                "title": "Rounds", "description": "How often.", "type": "integer",
                "minimum": 0, "maximum": 9, "default": 3, "x-group": "Main",
            },
            "mode": {
                "title": "Mode", "description": "How.", "enum": ["fast", "slow"], "default": "fast",
            },
        },
    })
}

/// A form that the toy takes.
pub(crate) fn form(name: &str) -> Value {
    json!({
        "jobName": name,
        "algorithm": {"algorithmName": "toy"},
        "resources": {"instanceResources": {"cpuCores": 2, "memoryGiB": 4}},
        "inputDataConfig": [{"channelName": "train", "channelType": "train", "storageProvider": "minio", "endpoint": "https://minio.example", "bucket": "input"}],
        "hyperparameters": {"toy": {"rounds": 1}},
    })
}

/// A `spec` that the host's policy admits for every job: one pod of one core.
pub(crate) fn spec() -> Value {
    json!({
        "backoffLimit": 0,
        "template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "train",
                "image": "trainyard/toy:1",
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            }],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        }},
    })
}

impl Guest {
    /// A plugin that passes the conformance kit.
    pub(crate) fn good() -> Self {
        Self {
            version: "1.0.0".to_owned(),
            algorithms: vec!["toy".to_owned()],
            schema: schema(),
            settings: json!({"type": "object", "properties": {}}),
            examples: vec![form("toy")],
            summary: "A toy.".to_owned(),
            spec: spec(),
            traps_on: "\u{1}".to_owned(),
            objects_to: "\u{1}".to_owned(),
            misreads: "\u{1}".to_owned(),
        }
    }

    /// Writes the component to `dir/name`.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, self.build()).unwrap();
        path
    }

    fn build(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).unwrap();
        let mut resolve = Resolve::default();
        let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/converter.wit");
        let contract = resolve.push_file(wit).unwrap();
        let world = resolve.select_world(&[contract], Some("plugin")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
    }

    fn module(&self) -> String {
        let mut data = Data(Vec::new());
        let description = data.description(self);
        let document = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "@"}, "spec": self.spec,
        });
        let document = document.to_string();
        let (before, after) = document.split_once('@').unwrap();
        let finding = {
            let mut record = Vec::new();
            for text in ["/hyperparameters/toy/mode", "conflict", "The toy objects."] {
                record.extend(data.text(text));
            }
            record.extend([0, 0]);
            data.words(&record)
        };
        let findings = data.words(&[finding, 1]);
        let words = [
            ("key", data.text("\"name\":\"")),
            ("before", data.text(before)),
            ("after", data.text(after)),
            ("role", data.text("workload")),
            ("trap", data.text(&self.traps_on)),
            ("object", data.text(&self.objects_to)),
            ("misread", data.text(&self.misreads)),
        ];
        let mut text = String::from("(module (memory (export \"memory\") 64)\n");
        writeln!(text, "(data (i32.const {BASE}) \"{}\")", data.escaped()).unwrap();
        for (name, [at, length]) in words {
            writeln!(text, "(global ${name} i32 (i32.const {at}))").unwrap();
            writeln!(text, "(global ${name}_len i32 (i32.const {length}))").unwrap();
        }
        writeln!(text, "(global $findings i32 (i32.const {findings}))").unwrap();
        writeln!(text, "(func $describe (result i32) i32.const {description})").unwrap();
        text.push_str(CODE);
        for name in ["describe", "validate", "convert", "interpret"] {
            writeln!(
                text,
                "(export \"trainyard:converter/converter@1.0.0#{name}\" (func ${name}))"
            )
            .unwrap();
        }
        text.push(')');
        text
    }
}

const BASE: u32 = 1024;

/// The four functions over the constants. Memory below `BASE` is zero: an empty list, or a report
/// that knows nothing.
const CODE: &str = r#"
(global $heap (mut i32) (i32.const 1048576))
(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get 3)))
  (local.get $at))
(func $find (param $at i32) (param $len i32) (param $what i32) (param $what_len i32) (result i32)
  (local $end i32) (local $i i32)
  (local.set $end (i32.sub (i32.add (local.get $at) (local.get $len)) (local.get $what_len)))
  (loop $next
    (if (i32.gt_s (local.get $at) (local.get $end)) (then (return (i32.const -1))))
    (local.set $i (i32.const 0))
    (block $differs
      (loop $same
        (br_if $differs (i32.ne
          (i32.load8_u (i32.add (local.get $at) (local.get $i)))
          (i32.load8_u (i32.add (local.get $what) (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $same (i32.lt_u (local.get $i) (local.get $what_len))))
      (return (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $next))
  (i32.const -1))
(func $has (param $at i32) (param $len i32) (param $what i32) (param $what_len i32) (result i32)
  (i32.ne (call $find (local.get $at) (local.get $len) (local.get $what) (local.get $what_len))
    (i32.const -1)))
(func $validate (param $job i32) (param $len i32) (result i32)
  (if (result i32) (call $has (local.get $job) (local.get $len)
      (global.get $object) (global.get $object_len))
    (then (global.get $findings))
    (else (i32.const 64))))
(func $interpret (param $job i32) (param $len i32) (result i32)
  (if (call $has (local.get $job) (local.get $len) (global.get $misread) (global.get $misread_len))
    (then (unreachable)))
  (i32.const 64))
(func $convert (param $job i32) (param $len i32) (result i32)
  (local $name i32) (local $name_len i32) (local $doc i32) (local $to i32) (local $area i32)
  (if (call $has (local.get $job) (local.get $len) (global.get $trap) (global.get $trap_len))
    (then (unreachable)))
  (local.set $name (i32.add
    (call $find (local.get $job) (local.get $len) (global.get $key) (global.get $key_len))
    (global.get $key_len)))
  (loop $more
    (if (i32.ne (i32.load8_u (i32.add (local.get $name) (local.get $name_len))) (i32.const 34))
      (then
        (local.set $name_len (i32.add (local.get $name_len) (i32.const 1)))
        (br $more))))
  (local.set $doc (call $realloc (i32.const 0) (i32.const 0) (i32.const 8)
    (i32.add (i32.add (global.get $before_len) (global.get $after_len)) (local.get $name_len))))
  (local.set $to (local.get $doc))
  (memory.copy (local.get $to) (global.get $before) (global.get $before_len))
  (local.set $to (i32.add (local.get $to) (global.get $before_len)))
  (memory.copy (local.get $to) (local.get $name) (local.get $name_len))
  (local.set $to (i32.add (local.get $to) (local.get $name_len)))
  (memory.copy (local.get $to) (global.get $after) (global.get $after_len))
  (local.set $to (i32.add (local.get $to) (global.get $after_len)))
  ;; The manifest, then the answer that lists it.
  (local.set $area (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 64)))
  (i32.store (local.get $area) (global.get $role))
  (i32.store offset=4 (local.get $area) (global.get $role_len))
  (i32.store offset=8 (local.get $area) (local.get $doc))
  (i32.store offset=12 (local.get $area) (i32.sub (local.get $to) (local.get $doc)))
  (i32.store offset=20 (local.get $area) (local.get $area))
  (i32.store offset=24 (local.get $area) (i32.const 1))
  (i32.add (local.get $area) (i32.const 16)))
"#;

/// Constant data in the layout of the component model's canonical ABI.
struct Data(Vec<u8>);

impl Data {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(0);
        }
        let at = BASE + u32::try_from(self.0.len()).unwrap();
        self.0.extend_from_slice(bytes);
        at
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(&bytes)
    }

    fn text(&mut self, text: &str) -> [u32; 2] {
        [self.put(text.as_bytes()), u32::try_from(text.len()).unwrap()]
    }

    fn list<T: ToString>(&mut self, texts: &[T]) -> [u32; 2] {
        let items: Vec<u32> = texts.iter().flat_map(|text| self.text(&text.to_string())).collect();
        [self.words(&items), u32::try_from(texts.len()).unwrap()]
    }

    fn description(&mut self, guest: &Guest) -> u32 {
        let mut kind = Vec::new();
        for text in ["batch/v1", "Job", "jobs"] {
            kind.extend(self.text(text));
        }
        kind.extend([1, 63]);
        let mut record = Vec::new();
        record.extend(self.text("toy"));
        record.extend(self.text(&guest.version));
        record.extend(self.list(&guest.algorithms));
        record.extend(self.text("Toy"));
        record.extend(self.text(&guest.summary));
        record.extend(self.text(&guest.schema.to_string()));
        record.extend(self.text(&guest.settings.to_string()));
        record.extend([self.words(&kind), 1]);
        record.extend(self.list(&guest.examples));
        record.extend([0, 0]);
        self.words(&record)
    }

    fn escaped(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").unwrap();
            text
        })
    }
}
