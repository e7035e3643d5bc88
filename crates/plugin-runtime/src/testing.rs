//! Builds components from text, for tests of this package and of whole systems. A guest is a core
//! module whose four functions answer emptily; a fragment under `tests/hostile` replaces what it
//! defines itself. Behind the feature `testing`, never in a product.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose guest cannot be built fails by panicking"
)]

use std::fmt::Write as _;

use serde_json::json;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Fragments that misbehave in what they do, by name.
pub const HOSTILE: [(&str, &str); 16] = [
    ("chatter", include_str!("../tests/hostile/chatter.wat")),
    ("huge-string", include_str!("../tests/hostile/huge_string.wat")),
    ("invalid-utf8", include_str!("../tests/hostile/invalid_utf8.wat")),
    ("loop", include_str!("../tests/hostile/loop.wat")),
    ("loop-in-interpret", include_str!("../tests/hostile/loop_in_interpret.wat")),
    ("loop-on-large-jobs", include_str!("../tests/hostile/loop_on_large_jobs.wat")),
    ("loop-in-post-return", include_str!("../tests/hostile/loop_in_post_return.wat")),
    ("loop-in-realloc", include_str!("../tests/hostile/loop_in_realloc.wat")),
    ("loop-in-start", include_str!("../tests/hostile/loop_in_start.wat")),
    ("many-items", include_str!("../tests/hostile/many_items.wat")),
    ("memory-bomb", include_str!("../tests/hostile/memory_bomb.wat")),
    ("out-of-bounds", include_str!("../tests/hostile/out_of_bounds.wat")),
    ("realloc-out-of-bounds", include_str!("../tests/hostile/realloc_out_of_bounds.wat")),
    ("recursion", include_str!("../tests/hostile/recursion.wat")),
    ("trap", include_str!("../tests/hostile/trap.wat")),
    ("clock", include_str!("../tests/hostile/clock.wat")),
];

/// The functions of the contract.
pub const FUNCTIONS: [&str; 4] = ["describe", "validate", "convert", "interpret"];

/// What a guest says about itself, and what it does differently.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Name of the plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it serves.
    pub algorithms: Vec<String>,
    /// JSON Schema of its hyperparameters.
    pub schema: String,
    /// Text of what it does itself.
    pub fragment: String,
    /// Its world; `plugin` is the contract's.
    pub world: &'static str,
    /// Complete forms that it gives as examples.
    pub examples: Vec<String>,
    /// Role and document of each manifest that `convert` answers, whatever the job.
    pub manifests: Vec<(String, String)>,
}

impl Guest {
    /// A well-behaved guest that serves the algorithm of its name.
    pub fn good(name: &str) -> Self {
        let schema =
            json!({"type": "object", "properties": {"rounds": {"type": "integer", "default": 3}}});
        Self {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            algorithms: vec![name.to_owned()],
            schema: schema.to_string(),
            fragment: String::new(),
            world: "plugin",
            examples: Vec::new(),
            manifests: Vec::new(),
        }
    }

    /// One of [`HOSTILE`] under its own name.
    pub fn hostile(name: &str) -> Self {
        let known = HOSTILE.iter().find(|(known, _)| *known == name);
        let (_, fragment) = known.unwrap_or_else(|| panic!("no hostile guest is called `{name}`"));
        Self::good(name).with(fragment)
    }

    /// With this manifest in its answer.
    pub fn emits(mut self, role: &str, document: &serde_json::Value) -> Self {
        self.manifests.push((role.to_owned(), document.to_string()));
        self
    }

    /// With a fragment of its own.
    pub fn with(mut self, fragment: &str) -> Self {
        fragment.clone_into(&mut self.fragment);
        self
    }

    /// Does in this function of the contract what its fragment does in `convert`.
    pub fn instead_in(mut self, function: &str) -> Self {
        let signature = if function == "describe" { "" } else { "(param i32 i32) " };
        for (there, here) in [
            ("$convert (param i32 i32) ", format!("${function} {signature}")),
            // Whatever a function is left with afterwards is called by its name.
            ("#convert\"", format!("#{function}\"")),
        ] {
            self.fragment = self.fragment.replace(there, &here);
        }
        self
    }

    /// Under another version.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The component's bytes.
    pub fn build(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).unwrap();
        let mut resolve = Resolve::default();
        let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/converter.wit");
        let contract = resolve.push_file(wit).unwrap();
        let package = if self.world == "plugin" {
            contract
        } else {
            let worlds = include_str!("../tests/hostile/worlds.wit");
            resolve.push_str("worlds.wit", worlds).unwrap()
        };
        let world = resolve.select_world(&[package], Some(self.world)).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
    }

    fn module(&self) -> String {
        let own = |name: &str| self.fragment.contains(&format!("(func ${name} "));
        let mut data = Data::new();
        let description = data.description(self);
        let plan = if self.manifests.is_empty() { EMPTY } else { data.plan(&self.manifests) };
        let mut text = String::from("(module\n");
        // Imports come first in a module; a fragment starts with its own.
        text.push_str(&self.fragment);
        if !self.fragment.contains("(memory (export") {
            text.push_str("(memory (export \"memory\") 16)\n");
        }
        writeln!(text, "(data (i32.const {BASE}) \"{}\")", data.escaped()).unwrap();
        if !own("realloc") {
            text.push_str(REALLOC);
        }
        if self.fragment.contains("(call $answer ") {
            let function = FUNCTIONS.into_iter().find(|function| own(function));
            text.push_str(answer(function.unwrap()));
        }
        // For a fragment that converts some jobs and not others.
        writeln!(text, "(global $plan i32 (i32.const {plan}))").unwrap();
        if !own("convert") {
            text.push_str("(func $convert (param i32 i32) (result i32) global.get $plan)\n");
        }
        if !own("describe") {
            writeln!(text, "(func $describe (result i32) i32.const {description})").unwrap();
        }
        for name in ["validate", "interpret"] {
            if !own(name) {
                writeln!(text, "(func ${name} (param i32 i32) (result i32) i32.const {EMPTY})")
                    .unwrap();
            }
        }
        for name in FUNCTIONS {
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

/// An area of zeros: an empty list, an empty plan, a report that knows nothing.
const EMPTY: u32 = 64;
const BASE: u32 = 1024;
const REALLOC: &str = r#"
(global $heap (mut i32) (i32.const 65536))
(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get 3)))
  (local.get $at))
"#;

/// The function by which a fragment makes a text the first one of its answer: where the text lies
/// in the answer depends on what a function answers.
fn answer(function: &str) -> &'static str {
    match function {
        // The name of the plugin.
        "describe" => {
            "(func $answer (param i32 i32) (result i32)
              (i32.store offset=128 (i32.const 0) (local.get 0))
              (i32.store offset=132 (i32.const 0) (local.get 1))
              (i32.const 128))\n"
        }
        // The pointer of the only finding.
        "validate" => {
            "(func $answer (param i32 i32) (result i32)
              (i32.store offset=128 (i32.const 0) (i32.const 136))
              (i32.store offset=132 (i32.const 0) (i32.const 1))
              (i32.store offset=136 (i32.const 0) (local.get 0))
              (i32.store offset=140 (i32.const 0) (local.get 1))
              (i32.const 128))\n"
        }
        // Why the form is refused.
        "convert" => {
            "(func $answer (param i32 i32) (result i32)
              (i32.store8 offset=128 (i32.const 0) (i32.const 1))
              (i32.store8 offset=132 (i32.const 0) (i32.const 1))
              (i32.store offset=136 (i32.const 0) (local.get 0))
              (i32.store offset=140 (i32.const 0) (local.get 1))
              (i32.const 128))\n"
        }
        // The reason of the state.
        "interpret" => {
            "(func $answer (param i32 i32) (result i32)
              (i32.store offset=132 (i32.const 0) (local.get 0))
              (i32.store offset=136 (i32.const 0) (local.get 1))
              (i32.const 128))\n"
        }
        other => panic!("no function of the contract is called `{other}`"),
    }
}

/// Constant data in the layout of the component model's canonical ABI.
struct Data(Vec<u8>);

impl Data {
    fn new() -> Self {
        Self(Vec::new())
    }

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

    fn description(&mut self, guest: &Guest) -> u32 {
        let names: Vec<u32> = guest.algorithms.iter().flat_map(|name| self.text(name)).collect();
        let mut kind = Vec::new();
        for text in ["batch/v1", "Job", "jobs"] {
            kind.extend(self.text(text));
        }
        kind.extend([1, 63]);
        let examples: Vec<u32> = guest.examples.iter().flat_map(|text| self.text(text)).collect();
        let mut record = Vec::new();
        record.extend(self.text(&guest.name));
        record.extend(self.text(&guest.version));
        record.extend([self.words(&names), u32::try_from(guest.algorithms.len()).unwrap()]);
        record.extend(self.text("Title"));
        record.extend(self.text("A summary."));
        record.extend(self.text(&guest.schema));
        record.extend(self.text(r#"{"type":"object"}"#));
        record.extend([self.words(&kind), 1]);
        record.extend([self.words(&examples), u32::try_from(guest.examples.len()).unwrap(), 0, 0]);
        self.words(&record)
    }

    fn plan(&mut self, manifests: &[(String, String)]) -> u32 {
        let mut seen: std::collections::HashMap<&str, [u32; 2]> = std::collections::HashMap::new();
        let mut records = Vec::new();
        for text in manifests.iter().flat_map(|(role, document)| [role, document]) {
            let at = match seen.get(text.as_str()) {
                Some(at) => *at,
                None => self.text(text),
            };
            seen.insert(text, at);
            records.extend(at);
        }
        let list = self.words(&records);
        // Success, its manifests, no warnings, nothing else.
        self.words(&[0, list, u32::try_from(manifests.len()).unwrap(), 0, 0, 0, 0])
    }

    fn escaped(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").unwrap();
            text
        })
    }
}

/// A component whose only function costs the compiler minutes: many variables, all of which live
/// across many branches.
pub fn compilation_bomb() -> Vec<u8> {
    let mut body = String::new();
    for n in 0..30_000 {
        let (a, b) = (n % 3000, (n * 7 + 1) % 3000);
        write!(
            body,
            "(block (br_if 0 (local.get {a})) (local.set {b} (i32.add (local.get {a}) \
             (local.get {b}))))"
        )
        .unwrap();
    }
    let locals = "i32 ".repeat(3000);
    let text = format!(
        "(component (core module (func (export \"f\") (param i32) (local {locals}) {body})))"
    );
    wat::parse_str(text).unwrap()
}
