//! All that one request asks of plugins ends by one moment, whatever it waits for.

use std::time::Duration;

use plugin_runtime::Config;
use plugin_runtime::testing::Guest;
use serde_json::json;
use tempfile::TempDir;
use training::PluginDigest;
use training::ports::{PluginFault, Plugins};

use crate::support::{Place, dir_with, in_both_places, info, job, start};

in_both_places!(
    calls_that_keep_their_own_deadlines_do_not_outlast_their_request,
    time_in_a_queue_is_time_of_the_request,
);

/// More calls than any request has time for.
const MANY: usize = 300;

/// A plugin that never ends a conversion, one that is quick, and their directory.
fn plugins() -> (TempDir, Guest, Guest) {
    let endless = Guest::hostile("loop");
    let good = Guest::good("good");
    let dir = dir_with(&[("loop.wasm", endless.build()), ("good.wasm", good.build())]);
    (dir, endless, good)
}

/// Two sandboxes, so one for each plugin.
fn config(place: Place, dir: &TempDir, deadline: u64, request: u64) -> Config {
    Config {
        max_concurrent: 2,
        deadline: Duration::from_millis(deadline),
        request: Duration::from_millis(request),
        ..place.config(dir.path())
    }
}

/// Asks until there is no answer any more because the time of the request is up.
async fn time_is_up(request: &dyn Plugins, name: &str, digest: &PluginDigest, limit: u64) {
    for _ in 0..MANY {
        match request.convert(digest, &job(name, json!({}))).await {
            Err(PluginFault::TimedOut { limit_ms, .. }) if limit_ms == limit => return,
            Ok(_) | Err(PluginFault::TimedOut { .. } | PluginFault::Busy) => {}
            Err(fault) => panic!("{fault}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the request goes on");
}

async fn calls_that_keep_their_own_deadlines_do_not_outlast_their_request(place: Place) {
    let (dir, endless, good) = plugins();
    let runtime = start(config(place, &dir, 100, 1500)).await;
    let digest = |guest: &Guest| info(&runtime, &guest.name).digest;
    let request = runtime.for_request().expect("requests are bounded");
    let input = job(&good.name, json!({}));
    assert!(request.validate_and_convert(&digest(&good), &input).await.unwrap().is_ok());
    time_is_up(&*request, &endless.name, &digest(&endless), 1500).await;
    // Whatever else it asks, the request has had its time; the next has all of it.
    let late = request.validate_and_convert(&digest(&good), &input).await;
    assert!(matches!(late, Err(PluginFault::TimedOut { limit_ms: 1500, .. })), "{late:?}");
    let next = runtime.for_request().unwrap();
    assert!(next.validate_and_convert(&digest(&good), &input).await.unwrap().is_ok());
}

async fn time_in_a_queue_is_time_of_the_request(place: Place) {
    let (dir, endless, good) = plugins();
    let runtime = start(config(place, &dir, 900, 1000)).await;
    let digest = |guest: &Guest| info(&runtime, &guest.name).digest;
    let input = job(&endless.name, json!({}));
    let the_loop = digest(&endless);
    // Somebody else has the only place of this plugin.
    let mut holder = std::pin::pin!(runtime.convert(&the_loop, &input));
    assert!(futures_util::poll!(holder.as_mut()).is_pending());
    let request = runtime.for_request().unwrap();
    let waited = request.validate_and_convert(&the_loop, &input).await;
    assert!(matches!(waited, Err(PluginFault::Busy)), "{waited:?}");
    time_is_up(&*request, &good.name, &digest(&good), 1000).await;
}
