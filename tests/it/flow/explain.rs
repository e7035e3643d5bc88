//! `explain` told the cause that was staged, in words a person can act on, and the link that is
//! wrong.

mod control_plane;
mod on_clusters;
mod over;

use std::time::Duration;

use serde_json::Value;

use crate::harness::{App, Setup, sample_form};

const MEMBERS: [&str; 2] = ["member1", "member2"];
const OUTCOME: &str = "sandbox.trainyard.dev/outcome";

/// The longest that a cause may take to show.
const PATIENCE: Duration = Duration::from_secs(60);

/// The explanation of a job now.
async fn explanation(app: &App, id: &str) -> Value {
    let answer = app.get(&format!("/api/v1/jobs/{id}/explain")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn link<'a>(explanation: &'a Value, step: &str) -> &'a Value {
    let links = explanation["links"].as_array().expect("links");
    links.iter().find(|link| link["step"] == step).unwrap_or(&Value::Null)
}

/// Waits until the sentence has all these words and the link is in this state; fails with what was
/// told last.
async fn told(app: &App, id: &str, words: &[&str], step: &str, state: &str) -> Value {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            last = explanation(app, id).await;
            let sentence = last["explanation"].as_str().expect("a sentence");
            let all = words.iter().all(|word| sentence.contains(word));
            if all && link(&last, step)["state"] == state {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
    assert!(done, "never {words:?} with `{step}` {state}; last: {last:#}");
    for link in last["links"].as_array().expect("links") {
        for field in ["text", "source"] {
            assert!(link[field].as_str().is_some_and(|text| !text.is_empty()), "{link:#}");
        }
    }
    last
}

async fn told_wrong(app: &App, id: &str, words: &[&str], step: &str) -> Value {
    told(app, id, words, step, "wrong").await
}

/// A host whose members steer every RayJob to this end.
async fn steered(outcome: &str) -> App {
    let app = Setup::sqlite().start().await;
    for member in MEMBERS {
        app.sandbox.faults().annotate(Some(member), "RayJob", "*", OUTCOME, outcome);
    }
    app
}
