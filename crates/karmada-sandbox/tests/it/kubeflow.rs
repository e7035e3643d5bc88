//! The kinds of Kubeflow: what their operators make in a member, and what they write of it.

use super::*;

const OUTCOME: &str = "sandbox.trainyard.dev/outcome";

fn group(replicas: u64, container: &str) -> Value {
    json!({
        "replicas": replicas, "restartPolicy": "Never",
        "template": {"spec": {"containers": [{"name": container, "image": "x", "env": [
            {"name": "OWN", "value": "1"},
        ]}]}},
    })
}

fn job(kind: &str, name: &str) -> Value {
    let policy = json!({"cleanPodPolicy": "Running"});
    let (api_version, spec) = match kind {
        "PyTorchJob" => (
            "kubeflow.org/v1",
            json!({"runPolicy": policy, "nprocPerNode": "2", "pytorchReplicaSpecs": {
                "Master": group(1, "pytorch"), "Worker": group(2, "pytorch"),
            }}),
        ),
        "TFJob" => (
            "kubeflow.org/v1",
            json!({"runPolicy": policy, "tfReplicaSpecs": {
                "Chief": group(1, "tensorflow"), "Worker": group(2, "tensorflow"),
                "PS": group(1, "tensorflow"),
            }}),
        ),
        "MPIJob" => (
            "kubeflow.org/v2beta1",
            json!({
                "runPolicy": {"cleanPodPolicy": "Running", "backoffLimit": 0},
                "launcherCreationPolicy": "WaitForWorkersReady",
                "mpiReplicaSpecs": {"Launcher": group(1, "l"), "Worker": group(2, "w")},
            }),
        ),
        _ => (
            "trainer.kubeflow.org/v1alpha1",
            json!({
                "runtimeRef": {"name": "torch-distributed"},
                "trainer": {"image": "x", "numNodes": 2, "numProcPerNode": 4},
                "runtimePatches": [{"manager": "a", "trainingRuntimeSpec": {"template": {"spec": {
                    "replicatedJobs": [{"name": "node", "template": {"spec": {"template": {
                        "spec": {"containers": [{"name": "node", "volumeMounts": [
                            {"name": "v", "mountPath": "/v"},
                        ]}], "volumes": [{"name": "v", "emptyDir": {}}]},
                    }}}}],
                }}}}],
            }),
        ),
    };
    json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": NS, "annotations": {}}, "spec": spec,
    })
}

/// Where the kind is held back.
fn suspend_field(kind: &str) -> &'static str {
    if kind == "TrainJob" { "/spec" } else { "/spec/runPolicy" }
}

fn create(sandbox: &Sandbox, mut job: Value, outcome: &str) {
    let (api, kind) = (job["apiVersion"].clone(), job["kind"].clone());
    let name = job["metadata"]["name"].as_str().unwrap().to_owned();
    let target = (api.as_str().unwrap(), kind.as_str().unwrap());
    let policy = policy(&name, target, &name, json!({}));
    sandbox.create(None, serde_json::to_value(policy).unwrap()).unwrap();
    job["metadata"]["annotations"][OUTCOME] = json!(outcome);
    sandbox.create(None, job).unwrap();
}

fn member(sandbox: &Sandbox, job: &Value) -> Value {
    let word = |name: &str| job[name].as_str().unwrap();
    let name = job["metadata"]["name"].as_str().unwrap();
    sandbox.get(Some("member1"), word("apiVersion"), word("kind"), NS, name).unwrap()
}

/// The conditions that hold.
fn holding(object: &Value) -> Vec<&str> {
    let all = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let held = all.iter().filter(|one| one["status"] == "True");
    held.map(|one| one["type"].as_str().unwrap()).collect()
}

fn pods_of(sandbox: &Sandbox, name: &str) -> Vec<Value> {
    let pods = sandbox.list(Some("member1"), "v1", "Pod").into_iter();
    let prefix = format!("{name}-");
    pods.filter(|pod| pod["metadata"]["name"].as_str().unwrap().starts_with(&prefix)).collect()
}

fn in_phase(pods: &[Value], phase: &str) -> usize {
    pods.iter().filter(|pod| pod["status"]["phase"] == phase).count()
}

#[tokio::test]
async fn every_kind_walks_to_its_end_and_says_so() {
    let (sandbox, _) = stepped().await;
    // Pods of the kind, those of them that end by themselves, and the last condition.
    for (kind, pods, ended, end) in [
        ("PyTorchJob", 3, 3, "Succeeded"),
        ("TFJob", 4, 3, "Succeeded"),
        ("MPIJob", 3, 1, "Succeeded"),
        ("TrainJob", 2, 2, "Complete"),
    ] {
        let name = kind.to_lowercase();
        let job = job(kind, &name);
        create(&sandbox, job.clone(), "succeed");
        sandbox.step(seconds(3.0)).await;
        let running = member(&sandbox, &job);
        if kind == "TrainJob" {
            let jobs = &running["status"]["jobsStatus"][0];
            assert_eq!((&jobs["name"], &jobs["ready"]), (&json!("node"), &json!(1)), "{running:#}");
        } else {
            assert_eq!(holding(&running), ["Created", "Running"], "{running:#}");
        }
        assert_eq!(pods_of(&sandbox, &name).len(), pods, "{kind}");
        sandbox.step(seconds(10.0)).await;
        let over = member(&sandbox, &job);
        assert_eq!(*holding(&over).last().unwrap(), end, "{over:#}");
        assert!(!holding(&over).contains(&"Running"), "{over:#}");
        let left = pods_of(&sandbox, &name);
        assert_eq!(in_phase(&left, "Succeeded"), ended, "{kind}: what ended keeps its log");
        assert_eq!(left.len(), ended, "{kind}: what still ran is gone");
    }
}

#[tokio::test]
async fn every_kind_says_that_its_program_failed() {
    let (sandbox, _) = stepped().await;
    let kinds = [
        ("PyTorchJob", "PyTorchJobFailed"),
        ("TFJob", "TFJobFailed"),
        ("MPIJob", "BackoffLimitExceeded/Error"),
        ("TrainJob", "FailedJobs"),
    ];
    for (kind, _) in kinds {
        create(&sandbox, job(kind, &kind.to_lowercase()), "fail");
    }
    sandbox.step(seconds(20.0)).await;
    for (kind, reason) in kinds {
        let over = member(&sandbox, &job(kind, &kind.to_lowercase()));
        assert_eq!(condition(&over, "Failed")["reason"], reason, "{over:#}");
    }
}

#[tokio::test]
async fn every_kind_is_held_back_and_goes_on() {
    let (sandbox, _) = stepped().await;
    let kinds = ["PyTorchJob", "TFJob", "MPIJob", "TrainJob"];
    let suspend = |kind: &str, value: bool| {
        let job = job(kind, &kind.to_lowercase());
        let api = job["apiVersion"].as_str().unwrap().to_owned();
        let mut template = sandbox.get(None, &api, kind, NS, &kind.to_lowercase()).unwrap();
        template.pointer_mut(suspend_field(kind)).unwrap()["suspend"] = json!(value);
        (api, template)
    };
    let client = client_at(&sandbox.url());
    for kind in kinds {
        create(&sandbox, job(kind, &kind.to_lowercase()), "succeed");
    }
    sandbox.step(seconds(2.0)).await;
    for (value, seconds_later) in [(true, 3.0), (false, 15.0)] {
        for kind in kinds {
            let (api, template) = suspend(kind, value);
            let api = dynamic(&client, &api, kind);
            let name = kind.to_lowercase();
            api.replace(&name, &PostParams::default(), &object(template)).await.unwrap();
        }
        sandbox.step(seconds(seconds_later)).await;
        for kind in kinds {
            let name = kind.to_lowercase();
            let found = member(&sandbox, &job(kind, &name));
            if value {
                assert!(holding(&found).contains(&"Suspended"), "{found:#}");
                assert!(!holding(&found).contains(&"Running"), "{found:#}");
                assert!(pods_of(&sandbox, &name).is_empty(), "{kind}");
            } else {
                assert!(!holding(&found).contains(&"Suspended"), "{found:#}");
                let end = if kind == "TrainJob" { "Complete" } else { "Succeeded" };
                assert_eq!(*holding(&found).last().unwrap(), end, "{found:#}");
            }
        }
    }
}

#[tokio::test]
async fn operators_tell_pods_of_one_another() {
    let (sandbox, _) = stepped().await;
    for kind in ["PyTorchJob", "TFJob", "TrainJob"] {
        create(&sandbox, job(kind, &kind.to_lowercase()), "hang");
    }
    sandbox.step(seconds(3.0)).await;
    let value = |pod: &str, name: &str| -> Value {
        let pods = sandbox.list(Some("member1"), "v1", "Pod").into_iter();
        let mut named =
            pods.filter(|found| found["metadata"]["name"].as_str().unwrap().starts_with(pod));
        let found = named.next().unwrap();
        let env = found["spec"]["containers"][0]["env"].as_array().unwrap();
        let mut values = env.iter().filter(|one| one["name"] == name);
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {env:#?}")).clone();
        assert_eq!(values.next(), None, "{name} is set twice");
        value["value"].clone()
    };
    for (pod, name, expected) in [
        ("pytorchjob-master-0", "RANK", "0"),
        ("pytorchjob-worker-1", "RANK", "2"),
        ("pytorchjob-worker-1", "WORLD_SIZE", "6"),
        ("pytorchjob-worker-1", "PET_NNODES", "3"),
        ("pytorchjob-worker-1", "MASTER_ADDR", "pytorchjob-master-0"),
        ("pytorchjob-worker-1", "MASTER_PORT", "23456"),
        ("trainjob-node-0-1", "PET_NPROC_PER_NODE", "4"),
        ("trainjob-node-0-1", "PET_MASTER_ADDR", "trainjob-node-0-0.trainjob"),
    ] {
        assert_eq!(value(pod, name), expected, "{pod} {name}");
    }
    let config = value("tfjob-worker-1", "TF_CONFIG");
    let config: Value = serde_json::from_str(config.as_str().unwrap()).unwrap();
    assert_eq!(config["task"], json!({"type": "worker", "index": 1}));
    assert_eq!(config["cluster"]["ps"], json!([format!("tfjob-ps-0.{NS}.svc:2222")]));
}

#[tokio::test]
async fn runtime_that_no_cluster_has_and_deadlines_end_a_job() {
    let (sandbox, _) = stepped().await;
    let mut nowhere = job("TrainJob", "nowhere");
    nowhere["spec"]["runtimeRef"]["name"] = json!("no-such");
    create(&sandbox, nowhere.clone(), "succeed");
    let mut late = job("TrainJob", "late");
    late["spec"]["activeDeadlineSeconds"] = json!(5);
    create(&sandbox, late.clone(), "hang");
    let mut slow = job("PyTorchJob", "slow");
    slow["spec"]["runPolicy"]["activeDeadlineSeconds"] = json!(5);
    create(&sandbox, slow.clone(), "hang");
    sandbox.step(seconds(20.0)).await;
    let reason = |job: &Value| condition(&member(&sandbox, job), "Failed")["reason"].clone();
    assert_eq!(reason(&nowhere), "TrainingRuntimeNotSupported");
    assert_eq!(reason(&late), "DeadlineExceeded");
    let failed = member(&sandbox, &slow);
    let message = condition(&failed, "Failed")["message"].as_str().unwrap();
    assert!(message.contains("active longer than specified deadline"), "{message}");
    assert_eq!(in_phase(&pods_of(&sandbox, "slow"), "Running"), 0);
}
