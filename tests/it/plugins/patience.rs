//! How long a request waits for plugins, as an operator sets it.

use std::time::Duration;

use plugin_runtime::testing::Guest;

use super::guest;
use crate::harness::{Setup, until};

#[tokio::test]
async fn time_in_a_queue_and_time_in_a_call_are_one_time() {
    let mut setup = Setup::sqlite().own_plugins();
    let endless = Guest::hostile("loop").build();
    guest::put(&setup.plugins_dir().join("loop.wasm"), &endless);
    guest::install(&setup.plugins_dir(), "1.0.0");
    // Any single call is stopped before its request is over, if only just.
    setup.env = vec![
        ("TRAINYARD__PLUGINS__DEADLINE_MILLISECONDS", "400".to_owned()),
        ("TRAINYARD__PLUGINS__REQUEST_MILLISECONDS", "401".to_owned()),
        ("TRAINYARD__PLUGINS__RUNNERS", "2".to_owned()),
    ];
    let app = setup.start().await;
    let form = guest::form("loop");
    // One has the only place of this plugin; the other waits for it, and has less time for its call.
    until("a request is over before its call", async || {
        let later = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            app.post("/api/v1/render", &form).await
        };
        let (first, second) = tokio::join!(app.post("/api/v1/render", &form), later);
        for answer in [first, second] {
            let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
            match code.as_str() {
                "plugin-timeout" => assert_eq!(answer.status, 500),
                "overloaded" => assert!(!answer.header("retry-after").is_empty()),
                _ => panic!("{}", answer.body),
            }
        }
        app.host.log().contains("did not finish") && app.host.log().contains("in 401 ms")
    })
    .await;
    // Its neighbour is served all the while.
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}
