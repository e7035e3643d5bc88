//! The same misdeeds in each function of the contract, and in what the component model calls around
//! them. Each call is contained with the right fault, and the next call of a good plugin is right.

use plugin_runtime::PluginRuntime;
use plugin_runtime::testing::Guest;
use serde_json::json;
use training::ports::{ConversionInput, PluginFault, Plugins};

use crate::support::{Place, dir_with, in_both_places, info, job, start};

in_both_places! {
    misdeeds_in_validate_are_contained,
    misdeeds_in_convert_are_contained,
    misdeeds_in_interpret_are_contained,
    misdeeds_in_describe_cost_their_own_file_only,
    misdeeds_around_a_call_are_contained,
}

/// Misdeeds, and words of the fault; no words for what is stopped at the deadline.
const MISDEEDS: [(&str, Option<&str>); 9] = [
    ("chatter", None),
    ("huge-string", Some("fuel")),
    ("invalid-utf8", Some("utf-8")),
    ("loop", None),
    ("loop-in-post-return", None),
    ("memory-bomb", Some("unreachable")),
    ("out-of-bounds", Some("out of bounds")),
    ("recursion", Some("stack")),
    ("trap", Some("last\\nwords")),
];

/// The same for what happens before a function begins that takes anything.
const AROUND: [(&str, Option<&str>); 2] =
    [("loop-in-realloc", None), ("realloc-out-of-bounds", Some("realloc return"))];

/// A good plugin and what it must always answer.
struct Good<'r> {
    runtime: &'r PluginRuntime,
    input: ConversionInput,
    documents: Vec<serde_json::Value>,
}

fn good_plugin() -> Guest {
    Guest::good("good").emits("workload", &json!({"kind": "Job", "metadata": {"name": "good"}}))
}

impl<'r> Good<'r> {
    async fn new(runtime: &'r PluginRuntime) -> Self {
        let input = job("good", json!({}));
        let mut good = Self { runtime, input, documents: Vec::new() };
        good.documents = good.converts().await;
        assert_eq!(good.documents[0]["metadata"]["name"], "good");
        good
    }

    async fn converts(&self) -> Vec<serde_json::Value> {
        let plugin = info(self.runtime, "good");
        let plan = self.runtime.convert(&plugin.digest, &self.input).await.unwrap().unwrap();
        plan.manifests.into_iter().map(|manifest| manifest.document).collect()
    }

    async fn still_answers_right(&self, after: &str) {
        assert_eq!(self.converts().await, self.documents, "after {after}");
        let plugin = info(self.runtime, "good");
        let found = self.runtime.validate(&plugin.digest, &self.input).await.unwrap();
        assert!(found.is_empty(), "after {after}: {found:?}");
        let object = json!({"metadata": {"name": "good"}});
        let read = self.runtime.interpret(&plugin.digest, "good", &object).await;
        assert!(read.is_ok(), "after {after}: {read:?}");
    }
}

/// The fault of a plugin in one function.
async fn fault_in(runtime: &PluginRuntime, name: &str, function: &str) -> PluginFault {
    let plugin = info(runtime, name);
    let input = job(name, json!({}));
    let object = json!({"metadata": {"name": "a"}, "status": {}});
    let fault = match function {
        "validate" => runtime.validate(&plugin.digest, &input).await.err(),
        "convert" => runtime.convert(&plugin.digest, &input).await.err(),
        _ => runtime.interpret(&plugin.digest, name, &object).await.err(),
    };
    fault.unwrap_or_else(|| panic!("{name} gets away with it in {function}"))
}

#[track_caller]
fn is_right(fault: &PluginFault, name: &str, function: &str, words: Option<&str>) {
    match (fault, words) {
        (PluginFault::TimedOut { plugin, call, limit_ms: 150 }, None) => {
            assert_eq!((plugin.as_str(), *call), (name, function));
        }
        (PluginFault::Failed { plugin, call, detail }, Some(words)) => {
            assert_eq!((plugin.as_str(), *call), (name, function));
            assert!(detail.contains(words), "{name} in {function}: {detail}");
        }
        _ => panic!("{name} in {function}: {fault}"),
    }
}

async fn contained(place: Place, function: &str) {
    let mut files = vec![("good.wasm".to_owned(), good_plugin().build())];
    for (name, _) in MISDEEDS {
        let bad = Guest::hostile(name).instead_in(function);
        files.push((format!("{name}.wasm"), bad.build()));
    }
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let dir = dir_with(&files);
    let runtime = start(place.config(dir.path())).await;
    let good = Good::new(&runtime).await;
    for (name, words) in MISDEEDS {
        is_right(&fault_in(&runtime, name, function).await, name, function, words);
        good.still_answers_right(name).await;
    }
}

async fn misdeeds_in_validate_are_contained(place: Place) {
    contained(place, "validate").await;
}

async fn misdeeds_in_convert_are_contained(place: Place) {
    contained(place, "convert").await;
}

async fn misdeeds_in_interpret_are_contained(place: Place) {
    contained(place, "interpret").await;
}

async fn misdeeds_in_describe_cost_their_own_file_only(place: Place) {
    let dir = dir_with(&[("good.wasm", good_plugin().build())]);
    for (name, _) in MISDEEDS {
        let bad = Guest::hostile(name).instead_in("describe").build();
        std::fs::write(dir.path().join(format!("{name}.wasm")), bad).unwrap();
    }
    let runtime = start(place.config(dir.path())).await;
    assert_eq!(runtime.list().len(), 1);
    let good = Good::new(&runtime).await;
    let catalog = runtime.catalog();
    let failures = catalog.failures();
    assert_eq!(failures.len(), MISDEEDS.len(), "{failures:#?}");
    for (name, words) in MISDEEDS {
        let file = format!("{name}.wasm");
        let failure = failures.iter().find(|failure| failure.file == file).unwrap();
        let words = words.unwrap_or("did not finish `describe` in 150 ms");
        assert!(failure.reason.contains(words), "{name}: {}", failure.reason);
        good.still_answers_right(name).await;
    }
}

async fn misdeeds_around_a_call_are_contained(place: Place) {
    let dir = dir_with(&[("good.wasm", good_plugin().build())]);
    for (name, _) in AROUND {
        std::fs::write(dir.path().join(format!("{name}.wasm")), Guest::hostile(name).build())
            .unwrap();
    }
    let runtime = start(place.config(dir.path())).await;
    let good = Good::new(&runtime).await;
    for (name, words) in AROUND {
        // `describe` takes nothing, so the host asks for no room.
        for function in ["validate", "convert", "interpret"] {
            is_right(&fault_in(&runtime, name, function).await, name, function, words);
            good.still_answers_right(name).await;
        }
    }
}
