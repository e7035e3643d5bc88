//! Guests that misbehave in every way that costs something. Each is contained with the right
//! fault, and a good plugin of the same catalog still answers.

use std::time::{Duration, Instant};

use plugin_runtime::PluginRuntime;
use serde_json::json;
use training::ports::{PluginFault, Plugins};

use crate::support::{Place, config, dir_with, in_both_places, info, job, start};
use plugin_runtime::testing::Guest;

in_both_places! {
    endless_logging_is_stopped_at_the_deadline,
    trap_is_reported_with_the_last_log_line,
    memory_beyond_the_budget_is_refused_to_the_guest,
    deep_recursion_is_a_fault,
    answer_beyond_a_mebibyte_is_a_fault,
    answer_that_is_no_text_is_a_fault,
    answer_outside_the_memory_is_a_fault,
    findings_beyond_the_bound_are_a_fault,
    files_that_are_no_plugins_fail_alone_and_by_name,
    no_truncation_of_a_component_becomes_a_plugin,
    all_places_of_a_plugin_in_use_is_busy_after_half_a_second,
}

async fn assert_good_answers(runtime: &PluginRuntime) {
    let plugin = info(runtime, "good");
    let plan = runtime.convert(&plugin.digest, &job("good", json!({}))).await.unwrap().unwrap();
    assert!(plan.manifests.is_empty());
}

/// Runs `convert` of a guest made of a fragment, and returns its fault and how long it took.
async fn fault_of(place: Place, fragment: &str) -> (PluginFault, Duration) {
    let dir = dir_with(&[
        ("bad.wasm", Guest::good("bad").with(fragment).build()),
        ("good.wasm", Guest::good("good").build()),
    ]);
    let runtime = start(place.config(dir.path())).await;
    let plugin = info(&runtime, "bad");
    let started = Instant::now();
    let fault = runtime.convert(&plugin.digest, &job("bad", json!({}))).await.unwrap_err();
    let took = started.elapsed();
    assert_good_answers(&runtime).await;
    (fault, took)
}

#[track_caller]
fn failed_with(fault: &PluginFault, words: &str) {
    match fault {
        PluginFault::Failed { plugin, call, detail } => {
            assert_eq!((plugin.as_str(), *call), ("bad", "convert"));
            assert!(detail.contains(words), "{detail}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn infinite_loop_is_stopped_at_the_deadline_without_holding_the_thread() {
    // The only worker thread of this executor runs the loop and the timer beside it.
    let beside = async {
        let mut ticks = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            ticks += 1;
            if ticks == 5 {
                return Instant::now();
            }
        }
    };
    let dir = dir_with(&[(
        "bad.wasm",
        Guest::good("bad").with(include_str!("../hostile/loop.wat")).build(),
    )]);
    let runtime = start(config(dir.path())).await;
    let plugin = info(&runtime, "bad");
    let input = job("bad", json!({}));
    let call = async {
        let result = runtime.convert(&plugin.digest, &input).await;
        (result, Instant::now())
    };
    let ((result, stopped), ticked) = tokio::join!(call, beside);
    assert!(matches!(result, Err(PluginFault::TimedOut { limit_ms: 150, .. })), "{result:?}");
    assert!(ticked < stopped, "the timer had to wait for the guest");
}

async fn endless_logging_is_stopped_at_the_deadline(place: Place) {
    let (fault, took) = fault_of(place, include_str!("../hostile/chatter.wat")).await;
    assert!(matches!(fault, PluginFault::TimedOut { .. }), "{fault}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

async fn trap_is_reported_with_the_last_log_line(place: Place) {
    let (fault, _) = fault_of(place, include_str!("../hostile/trap.wat")).await;
    failed_with(&fault, "unreachable");
    failed_with(&fault, "last\\nwords");
}

async fn memory_beyond_the_budget_is_refused_to_the_guest(place: Place) {
    let (fault, _) = fault_of(place, include_str!("../hostile/memory_bomb.wat")).await;
    failed_with(&fault, "unreachable");
}

async fn deep_recursion_is_a_fault(place: Place) {
    let (fault, _) = fault_of(place, include_str!("../hostile/recursion.wat")).await;
    failed_with(&fault, "stack");
}

async fn answer_beyond_a_mebibyte_is_a_fault(place: Place) {
    let (fault, _) = fault_of(place, include_str!("../hostile/huge_string.wat")).await;
    failed_with(&fault, "fuel");
}

async fn answer_that_is_no_text_is_a_fault(place: Place) {
    let (fault, _) = fault_of(place, include_str!("../hostile/invalid_utf8.wat")).await;
    failed_with(&fault, "utf-8");
}

async fn answer_outside_the_memory_is_a_fault(place: Place) {
    let (fault, _) = fault_of(place, include_str!("../hostile/out_of_bounds.wat")).await;
    failed_with(&fault, "out of bounds");
}

async fn findings_beyond_the_bound_are_a_fault(place: Place) {
    let fragment = include_str!("../hostile/many_items.wat");
    let dir = dir_with(&[("bad.wasm", Guest::good("bad").with(fragment).build())]);
    let runtime = start(place.config(dir.path())).await;
    let plugin = info(&runtime, "bad");
    let result = runtime.validate(&plugin.digest, &job("bad", json!({}))).await;
    assert!(matches!(result, Err(PluginFault::Failed { call: "validate", .. })), "{result:?}");
}

async fn files_that_are_no_plugins_fail_alone_and_by_name(place: Place) {
    let whole = Guest::good("whole").build();
    let bad_schema = Guest { schema: r#"{"type":"string"}"#.to_owned(), ..Guest::good("schema") };
    let greedy = Guest { world: "greedy", ..Guest::good("greedy") }
        .with(include_str!("../hostile/clock.wat"));
    let dir = dir_with(&[
        ("good.wasm", Guest::good("good").build()),
        ("empty.wasm", Vec::new()),
        ("text.wasm", b"(component)".to_vec()),
        ("truncated.wasm", whole[..whole.len() / 2].to_vec()),
        // Not hostile, but it made the compiler panic under other settings of the engine.
        ("composed.wasm", wat::parse_str(include_str!("../hostile/composed.wat")).unwrap()),
        ("module.wasm", wat::parse_str("(module)").unwrap()),
        ("exportless.wasm", wat::parse_str("(component)").unwrap()),
        ("schema.wasm", bad_schema.build()),
        ("name.wasm", Guest::good("Bad Name").build()),
        ("greedy.wasm", greedy.build()),
        (
            "start.wasm",
            Guest::good("start").with(include_str!("../hostile/loop_in_start.wat")).build(),
        ),
        (".hidden.wasm", b"not looked at".to_vec()),
        ("notes.txt", b"not looked at".to_vec()),
    ]);
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.wasm")).unwrap();
    std::fs::create_dir(dir.path().join("folder.wasm")).unwrap();

    let runtime = start(place.config(dir.path())).await;
    assert_good_answers(&runtime).await;
    assert_eq!(runtime.list().len(), 1);
    let catalog = runtime.catalog();
    let expected = [
        ("composed.wasm", "does not export `trainyard:converter/converter@1.0.0`"),
        ("empty.wasm", "not a component"),
        ("exportless.wasm", "does not export `trainyard:converter/converter@1.0.0`"),
        ("folder.wasm", "not a regular file"),
        ("greedy.wasm", "imports `hostile:worlds/clock@1.0.0`"),
        ("link.wasm", "not a regular file"),
        ("module.wasm", "not a component"),
        ("name.wasm", "Bad Name"),
        ("schema.wasm", "schema of hyperparameters"),
        ("start.wasm", "did not finish `describe` in 150 ms"),
        ("text.wasm", "not a component"),
        ("truncated.wasm", "not a component"),
    ];
    let failures: Vec<_> = catalog
        .failures()
        .iter()
        .map(|failure| (failure.file.as_str(), failure.reason.as_str()))
        .collect();
    assert_eq!(failures.len(), expected.len(), "{failures:#?}");
    for ((file, reason), (expected_file, words)) in failures.iter().zip(expected) {
        assert_eq!(*file, expected_file);
        assert!(reason.contains(words), "{file}: {reason}");
    }
}

async fn no_truncation_of_a_component_becomes_a_plugin(place: Place) {
    let whole = Guest::good("whole").build();
    let files: Vec<(String, Vec<u8>)> = (1..40)
        .map(|part| (format!("{part:02}.wasm"), whole[..whole.len() * part / 40].to_vec()))
        .collect();
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let dir = dir_with(&files);
    let runtime = start(place.config(dir.path())).await;
    assert_eq!(runtime.list().len(), 0);
    assert_eq!(runtime.catalog().failures().len(), 39);
}

async fn all_places_of_a_plugin_in_use_is_busy_after_half_a_second(place: Place) {
    let dir = dir_with(&[(
        "bad.wasm",
        Guest::good("bad").with(include_str!("../hostile/loop.wat")).build(),
    )]);
    let mut config = place.config(dir.path());
    // A plugin gets half of the sandboxes.
    config.max_concurrent = 4;
    config.deadline = Duration::from_millis(1500);
    let runtime = start(config).await;
    let plugin = info(&runtime, "bad");
    let input = job("bad", json!({}));
    let started = Instant::now();
    let third = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let result = runtime.convert(&plugin.digest, &input).await;
        (result, started.elapsed())
    };
    let convert = || runtime.convert(&plugin.digest, &input);
    let (first, second, (third, took)) = tokio::join!(convert(), convert(), third);
    assert!(matches!(third, Err(PluginFault::Busy)), "{third:?}");
    assert!(took < Duration::from_millis(1400), "{took:?}");
    for result in [first, second] {
        assert!(matches!(result, Err(PluginFault::TimedOut { .. })), "{result:?}");
    }
}
