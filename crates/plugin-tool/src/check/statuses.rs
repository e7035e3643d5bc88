//! Statuses that a cluster might report, sensible or not. `interpret` must read all of them
//! without breaking: operators of any version may have written them.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use training::ports::PluginInfo;

use super::report::Section;
use crate::candidate::Candidate;

/// Members that operators use, so that a random tree goes where a plugin looks.
const MEMBERS: &[&str] = &[
    "active",
    "completionTime",
    "conditions",
    "failed",
    "jobDeploymentStatus",
    "jobStatus",
    "jobsStatus",
    "lastTransitionTime",
    "message",
    "phase",
    "rayClusterStatus",
    "reason",
    "replicaStatuses",
    "startTime",
    "endTime",
    "state",
    "status",
    "succeeded",
    "suspended",
    "type",
];

/// Words and texts that operators write, and some that none does.
const TEXTS: &[&str] = &[
    "",
    "True",
    "False",
    "Unknown",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
    "STOPPED",
    "PENDING",
    "Complete",
    "Failed",
    "Running",
    "Suspended",
    "2026-01-02T03:04:05Z",
    "0000-99-99T99:99:99Z",
    "\u{1F680}",
    "a\nb",
];

/// Lets the plugin read odd statuses of each of its workload kinds.
pub(crate) async fn run(candidate: &Candidate, seed: u64, count: usize) -> Section {
    let mut section = Section::new("statuses");
    let info = candidate.info();
    let mut rng = Rng::with_seed(seed);
    for kind in info.kinds.iter().filter(|kind| kind.workload) {
        let what = format!("`interpret` reads any status of a {}", kind.kind);
        let mut statuses = fixed();
        statuses.extend((0..count).map(|_| Some(tree(&mut rng, 0))));
        let total = statuses.len();
        match first_fault(candidate, info, &kind.api_version, &kind.kind, statuses).await {
            None => section.pass(format!("{what} ({total} tried)")),
            Some((object, why)) => section.fail_with(what, why, object),
        }
    }
    section
}

async fn first_fault(
    candidate: &Candidate,
    info: &PluginInfo,
    api_version: &str,
    kind: &str,
    statuses: Vec<Option<Value>>,
) -> Option<(Value, String)> {
    for status in statuses {
        let object = object(info, api_version, kind, status);
        if let Err(fault) = candidate.interpret(&object).await {
            return Some((object, fault.to_string()));
        }
    }
    None
}

fn object(info: &PluginInfo, api_version: &str, kind: &str, status: Option<Value>) -> Value {
    let mut object = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": info.name, "namespace": "default"},
    });
    if let (Some(members), Some(status)) = (object.as_object_mut(), status) {
        members.insert("status".to_owned(), status);
    }
    object
}

/// `None`: the cluster has not reported any.
fn fixed() -> Vec<Option<Value>> {
    let deep = (0..60).fold(json!("x"), |inner, _| json!({"conditions": [inner]}));
    let mut statuses = vec![None];
    statuses.extend(
        [
            json!(null),
            json!({}),
            json!([]),
            json!("x"),
            json!(-1),
            json!({"conditions": "x"}),
            json!({"conditions": [null, 1, "x", [], {}]}),
            json!({"conditions": [{"type": 1, "status": true}]}),
            json!({"jobStatus": 1, "startTime": {}, "failed": -1}),
            json!({"message": "m".repeat(100_000)}),
            json!({"a": vec![json!({"type": "Ready", "status": "True"}); 1000]}),
            json!({"failed": u64::MAX, "succeeded": i64::MIN, "active": 1e300}),
            deep,
        ]
        .map(Some),
    );
    statuses
}

fn tree(rng: &mut Rng, depth: u32) -> Value {
    // The root is an object, so that there is something to look into.
    let kind = if depth == 0 { 7 } else { rng.u8(0..9) };
    match kind {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i64(-3..1000)),
        3 => json!(rng.f64()),
        4..=6 => json!(rng.choice(TEXTS)),
        7 if depth < 5 => {
            let members: Map<String, Value> = (0..rng.usize(0..6))
                .filter_map(|_| {
                    let name = (*rng.choice(MEMBERS)?).to_owned();
                    Some((name, tree(rng, depth + 1)))
                })
                .collect();
            Value::Object(members)
        }
        8 if depth < 5 => (0..rng.usize(0..4)).map(|_| tree(rng, depth + 1)).collect(),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_makes_the_same_statuses() {
        let draw = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..20).map(|_| tree(&mut rng, 0)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().all(Value::is_object));
    }
}
