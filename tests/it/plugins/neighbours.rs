//! A good plugin while another one does its worst: each of its answers is the same to the byte as
//! when it was alone, and none is missing. Nothing is said about time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use plugin_runtime::testing::Guest;
use serde_json::Value;

use super::guest;
use crate::harness::{App, Setup, plugins_dir, sample_form};

/// What takes most from others: processor time, memory, logs, answers, and room in the queue.
const WORST: [&str; 5] = ["chatter", "huge-string", "loop", "memory-bomb", "recursion"];
/// Users of the good plugin at the same time, and what each of them does.
const USERS: usize = 2;
const REQUESTS: usize = 3;
/// Runners, of which a plugin gets half. Plenty, because who finds none within half a second is
/// refused, and a busy machine takes longer than that to start another one.
const RUNNERS: usize = 12;
/// Callers of a hostile plugin, more than there are runners.
const ATTACKERS: usize = 16;

/// The manifests of an answer as text, without what is new in each: the job's id, and the digest
/// of what holds it.
fn manifests(answer: &Value) -> String {
    let mut manifests = answer["manifests"].clone();
    let mut id = String::new();
    for manifest in manifests.as_array_mut().expect("manifests") {
        let metadata = &mut manifest["document"]["metadata"];
        let label = metadata["labels"]["training-job-id"].as_str().expect("an id");
        label.clone_into(&mut id);
        let digest = metadata["annotations"]["trainyard.dev/bundle-sha256"].take();
        assert!(digest.is_string(), "{metadata}");
    }
    manifests.to_string().replace(&id, "ID")
}

async fn rendered(app: &App, name: &str) -> String {
    let answer = app.post("/api/v1/render", &sample_form(name)).await;
    assert_eq!(answer.status, 200, "{name}: {}", answer.body);
    manifests(&answer.body)
}

/// Users who render and submit while others call a hostile plugin as often as they can.
async fn beside(app: &App, hostile: &str, alone: &HashMap<String, String>) {
    let done = AtomicBool::new(false);
    let form = guest::form(hostile);
    let attacker = async || {
        let mut attacks = 0;
        // At least once, however soon the others are done.
        while attacks == 0 || !done.load(Ordering::Relaxed) {
            let answer = app.post("/api/v1/render", &form).await;
            assert!((500..600).contains(&answer.status), "{hostile}: {}", answer.body);
            attacks += 1;
        }
    };
    let user = async |name: &str| {
        for request in 0..REQUESTS {
            let what = format!("{name}, {request}, beside {hostile}");
            assert_eq!(rendered(app, name).await, alone[name], "{what}");
            let job = format!("{name}-{hostile}-{request}");
            let id = app.submit(&sample_form(&job)).await;
            let stored = app.get(&format!("/api/v1/jobs/{id}/manifests")).await;
            assert_eq!(stored.status, 200, "{}", stored.body);
            assert_eq!(manifests(&stored.body).replace(&job, name), alone[name], "{what}");
        }
    };
    let users = async {
        join_all(alone.keys().map(|name| user(name))).await;
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(users, join_all((0..ATTACKERS).map(|_| attacker())));
}

#[tokio::test]
async fn answers_beside_a_hostile_plugin_are_those_of_a_plugin_alone() {
    let mut setup = Setup::sqlite().own_plugins();
    setup.env = vec![("TRAINYARD__PLUGINS__RUNNERS", RUNNERS.to_string())];
    let dir = setup.plugins_dir();
    std::fs::copy(plugins_dir().join("xgboost.wasm"), dir.join("xgboost.wasm")).unwrap();
    for name in WORST {
        guest::put(&dir.join(format!("{name}.wasm")), &Guest::hostile(name).build());
    }
    let app = setup.start().await;
    let names: Vec<String> = (0..USERS).map(|user| format!("user-{user}")).collect();
    let mut alone = HashMap::new();
    for name in &names {
        alone.insert(name.clone(), rendered(&app, name).await);
    }

    for hostile in WORST {
        beside(&app, hostile, &alone).await;
    }
    for name in &names {
        assert_eq!(rendered(&app, name).await, alone[name], "{name} afterwards");
    }
}
