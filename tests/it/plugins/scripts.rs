//! The scripts that plugins ship for their kinds, run as Karmada runs them.

use std::collections::BTreeMap;

use karmada_sandbox::call_lua;
use plugin_sdk::{Interpreter, Kind};
use serde_json::{Value, json};

const KINDS: [(&str, &str); 6] = [
    ("batch/v1", "Job"),
    ("ray.io/v1", "RayJob"),
    ("trainer.kubeflow.org/v1alpha1", "TrainJob"),
    ("kubeflow.org/v1", "PyTorchJob"),
    ("kubeflow.org/v1", "TFJob"),
    ("kubeflow.org/v2beta1", "MPIJob"),
];

/// What is installed, by kind.
fn shipped() -> BTreeMap<String, Value> {
    let kinds = KINDS.map(|(api, kind)| {
        let plural = format!("{}s", kind.to_lowercase());
        Kind::workload(api, kind, &plural, 40)
    });
    Interpreter::of(&kinds)
        .iter()
        .map(Interpreter::document)
        .map(|document| {
            let kind = document["spec"]["target"]["kind"].as_str().unwrap().to_owned();
            assert_eq!(document["metadata"]["name"], format!("trainyard-{}", kind.to_lowercase()));
            (kind, document)
        })
        .collect()
}

fn script(kind: &str, operation: &str) -> String {
    let document = &shipped()[kind];
    let script = &document["spec"]["customizations"][operation]["luaScript"];
    script.as_str().unwrap_or_else(|| panic!("{operation} of {document:#}")).to_owned()
}

fn retain(kind: &str, desired: &Value, observed: &Value) -> Value {
    call_lua(&script(kind, "retention"), "Retain", &[desired, observed]).unwrap()
}

fn holder(kind: &str) -> &'static str {
    if kind.ends_with("Job") && !matches!(kind, "PyTorchJob" | "TFJob" | "MPIJob") {
        "/spec"
    } else {
        "/spec/runPolicy"
    }
}

/// An object with its field, or without.
fn object(kind: &str, queued: bool, suspend: Option<bool>) -> Value {
    let mut object = json!({
        "metadata": {"name": "a", "labels": {"app": "a"}, "annotations": {}},
        "spec": {"runPolicy": {"cleanPodPolicy": "Running"}, "args": [], "template": {}},
    });
    if queued {
        object["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = json!("team");
    }
    if let Some(suspend) = suspend {
        object.pointer_mut(holder(kind)).unwrap()["suspend"] = json!(suspend);
    }
    object
}

#[test]
fn queue_of_a_member_owns_what_holds_an_object_back_and_the_control_plane_goes_before_it() {
    assert_eq!(shipped().len(), KINDS.len());
    for (_, kind) in KINDS {
        let field = format!("{}/suspend", holder(kind));
        let case = |queued: (bool, bool), desired, observed| {
            let (desired, observed) =
                (object(kind, queued.0, desired), object(kind, queued.1, observed));
            let kept = retain(kind, &desired, &observed);
            // All else is as the control plane has it, empty members too.
            let mut wanted = desired;
            let value = kept.pointer(&field).cloned();
            let parent = wanted.pointer_mut(holder(kind)).unwrap().as_object_mut().unwrap();
            match &value {
                Some(value) => drop(parent.insert("suspend".to_owned(), value.clone())),
                None => drop(parent.remove("suspend")),
            }
            assert_eq!(kept, wanted, "{kind}");
            value.map(|value| value.as_bool().unwrap())
        };
        let (both, member, none) = ((true, true), (false, true), (false, false));
        for queued in [both, member] {
            assert_eq!(case(queued, None, Some(true)), Some(true), "{kind}: it holds back");
            assert_eq!(case(queued, Some(false), Some(true)), Some(true), "{kind}");
            assert_eq!(case(queued, None, Some(false)), Some(false), "{kind}: it lets go");
            assert_eq!(case(queued, None, None), None, "{kind}: it said nothing");
            assert_eq!(case(queued, Some(true), Some(false)), Some(true), "{kind}: ours");
        }
        assert_eq!(case(none, None, Some(true)), None, "{kind}: there is no queue");
        assert_eq!(case(none, Some(false), Some(true)), Some(false), "{kind}");
    }
}

#[test]
fn run_policy_that_is_absent_on_the_control_plane_is_made() {
    let mut desired = object("TFJob", true, None);
    desired["spec"].as_object_mut().unwrap().remove("runPolicy");
    let kept = retain("TFJob", &desired, &object("TFJob", true, Some(true)));
    assert_eq!(kept["spec"]["runPolicy"], json!({"suspend": true}));
    let mut observed = object("TFJob", true, None);
    observed["spec"].as_object_mut().unwrap().remove("runPolicy");
    assert_eq!(retain("TFJob", &desired, &observed), desired);
}

fn template(pool: Option<&str>) -> Value {
    let mut template = json!({
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "a", "image": "x", "args": []}],
            "volumes": [{"name": "v", "emptyDir": {}}]},
    });
    if let Some(pool) = pool {
        template["metadata"]["annotations"] = json!({"kueue.x-k8s.io/workload": "w"});
        template["spec"]["nodeSelector"] = json!({"pool": pool});
        template["spec"]["tolerations"] = json!([{"key": "spot", "operator": "Exists"}]);
        template["spec"]["schedulingGates"] = json!([{"name": "kueue.x-k8s.io/topology"}]);
    }
    template
}

/// What each kind has pod templates in.
fn templates(kind: &str, pool: Option<&str>) -> Value {
    let one = json!({"replicas": 1, "template": template(pool)});
    match kind {
        "Job" => json!({"template": template(pool)}),
        "RayJob" => json!({"rayClusterSpec": {
            "headGroupSpec": {"template": template(pool)},
            "workerGroupSpecs": [one.clone(), one],
        }}),
        "PyTorchJob" => json!({"pytorchReplicaSpecs": {"Master": one.clone(), "Worker": one}}),
        "TFJob" => json!({"tfReplicaSpecs": {"Chief": one.clone(), "PS": one}}),
        "MPIJob" => json!({"mpiReplicaSpecs": {"Launcher": one.clone(), "Worker": one}}),
        _ => {
            let ours = json!({"manager": "trainyard", "trainingRuntimeSpec": {}});
            let mut patches = json!([ours]);
            if let Some(pool) = pool {
                patches.as_array_mut().unwrap().push(json!({"manager": "queue", "pool": pool}));
            }
            json!({"runtimePatches": patches})
        }
    }
}

#[test]
fn places_that_a_queue_chose_stay_in_every_pod_template() {
    for (_, kind) in KINDS {
        let made = |queued: bool, pool| {
            let mut made = object(kind, queued, Some(false));
            made["spec"] = templates(kind, pool);
            made
        };
        let (desired, observed) = (made(true, None), made(true, Some("spot")));
        assert_eq!(retain(kind, &desired, &observed)["spec"], observed["spec"], "{kind}");
        // Once it holds the object back again, it takes them out.
        assert_eq!(retain(kind, &desired, &desired)["spec"], desired["spec"], "{kind}");
        // The image is ours.
        let mut observed = observed;
        let text = observed.to_string().replace("\"image\":\"x\"", "\"image\":\"other\"");
        observed = serde_json::from_str(&text).unwrap();
        assert!(!retain(kind, &desired, &observed).to_string().contains("other"), "{kind}");
        let free = made(false, None);
        let kept = retain(kind, &free, &made(false, Some("spot")));
        assert_eq!(kept, free, "{kind}: there is no queue");
    }
}

#[test]
fn what_a_member_generates_for_a_job_is_kept_as_karmada_itself_keeps_it() {
    let labels = json!({"app": "a", "batch.kubernetes.io/controller-uid": "u"});
    for queued in [true, false] {
        let mut desired = object("Job", queued, Some(false));
        desired["spec"] = json!({"template": template(None)});
        let mut observed = desired.clone();
        let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}});
        observed["spec"]["selector"] = selector.clone();
        observed["spec"]["template"]["metadata"]["labels"] = labels.clone();
        let kept = retain("Job", &desired, &observed);
        assert_eq!(kept["spec"]["selector"], selector);
        assert_eq!(kept["spec"]["template"]["metadata"]["labels"], labels);
        assert_eq!(kept["spec"]["template"]["spec"], desired["spec"]["template"]["spec"]);
    }
}

#[test]
fn status_of_a_train_job_reaches_the_control_plane_and_failures_are_unwell() {
    let status = |kind: &str| json!({"conditions": [{"type": kind, "status": "True"}]});
    let template = object("TrainJob", false, None);
    let aggregate = |items: Value| {
        let script = script("TrainJob", "statusAggregation");
        call_lua(&script, "AggregateStatus", &[&template, &items]).unwrap()
    };
    let one = json!({"clusterName": "member1", "status": status("Complete")});
    let with_status = aggregate(json!([one]));
    assert_eq!(with_status["status"], status("Complete"));
    assert_eq!(with_status["spec"], template["spec"]);
    assert_eq!(aggregate(json!([one, one])), template, "whose it would be is not known");
    assert_eq!(aggregate(json!([])), template);

    let health = |status: Value| {
        let script = script("TrainJob", "healthInterpretation");
        call_lua(&script, "InterpretHealth", &[&json!({"status": status})]).unwrap()
    };
    assert_eq!(health(status("Failed")), false);
    for well in [status("Complete"), status("Suspended"), json!({}), Value::Null] {
        assert_eq!(health(well.clone()), true, "{well}");
    }
    let not_failed = json!({"conditions": [{"type": "Failed", "status": "False"}]});
    assert_eq!(health(not_failed), true);
}
