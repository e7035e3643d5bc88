//! Reviewed snapshots, and the sample of the predecessor line by line.

use std::path::Path;

use plugin_sdk::testing::run;
use plugin_sdk::testing::snapshots::assert_cases;
use serde_json::{Value, json};
use xgboost::Xgboost;

pub(crate) fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"))
}

#[test]
fn every_case_gives_its_snapshot() {
    assert_cases::<Xgboost>(directory());
}

/// What the predecessor emitted for this form, except for what was wrong with it: the credentials
/// left for a Secret, the claim that is created is the one that is mounted, the bucket has no
/// scheme, the pods go when the training ends, the deadline counts, and the place for results is
/// passed on.
#[test]
fn the_sample_gives_the_predecessors_rayjob() {
    let plan = run::<Xgboost>(include_str!("../../cases/sample/job.json")).unwrap();
    let documents: Vec<Value> =
        plan.manifests.iter().map(|m| serde_json::from_str(&m.document).unwrap()).collect();
    let [claim, rayjob] = documents.as_slice() else { panic!("expected two objects") };
    assert_eq!(
        claim,
        &json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "train-20251111052644-oj2y-pvc",
                "namespace": "default",
                "labels": {
                    "app": "train-20251111052644-oj2y",
                    "training-job-id": "train-20251111052644-oj2y-1a2b3c4d"
                }
            },
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "resources": { "requests": { "storage": "50Gi" } }
            }
        })
    );
    let yaml = rayjob["spec"]["runtimeEnvYAML"].as_str().unwrap();
    let read: serde_json::Map<String, Value> = serde_saphyr::from_str(yaml).unwrap();
    let variables: Vec<String> = read["env_vars"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
        .collect();
    assert_eq!(variables.join("\n"), SAMPLE_VARIABLES.trim());

    let secret = |name: &str, key: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": "trainyard-s3", "key": key } } });
    let template = |container: &str, ports: Option<Value>| {
        let amounts = json!({ "cpu": "4", "memory": "16Gi" });
        let mut pod = json!({
            "metadata": { "annotations": { "sidecar.istio.io/inject": "false" } },
            "spec": {
                "containers": [{
                    "name": container,
                    "image": "trainyard/training-xgboost:0.1.0",
                    "env": [secret("S3_ACCESS_KEY", "access-key"), secret("S3_SECRET_KEY", "secret-key")],
                    "resources": { "limits": amounts, "requests": amounts },
                    "volumeMounts": [
                        { "mountPath": "/home/ray/result-storage", "name": "result-storage" }
                    ]
                }],
                "volumes": [{
                    "name": "result-storage",
                    "persistentVolumeClaim": { "claimName": "train-20251111052644-oj2y-pvc" }
                }]
            }
        });
        if let Some(ports) = ports {
            pod["spec"]["containers"][0]["ports"] = ports;
        }
        pod
    };
    assert_eq!(
        rayjob,
        &json!({
            "apiVersion": "ray.io/v1",
            "kind": "RayJob",
            "metadata": {
                "name": "train-20251111052644-oj2y",
                "namespace": "default",
                "labels": {
                    "app": "train-20251111052644-oj2y",
                    "training-job-id": "train-20251111052644-oj2y-1a2b3c4d",
                    "algorithm": "xgboost"
                },
                "annotations": { "training-job-id": "train-20251111052644-oj2y-1a2b3c4d" }
            },
            "spec": {
                "entrypoint": "python /home/ray/xgboost_train.py",
                "runtimeEnvYAML": yaml,
                "shutdownAfterJobFinishes": true,
                "activeDeadlineSeconds": 14400,
                "rayClusterSpec": {
                    "rayVersion": "2.46.0",
                    "headGroupSpec": {
                        "rayStartParams": {},
                        "template": template("ray-head", Some(json!([
                            { "containerPort": 6379, "name": "gcs-server" },
                            { "containerPort": 8265, "name": "dashboard" },
                            { "containerPort": 10001, "name": "client" }
                        ])))
                    },
                    "workerGroupSpecs": [{
                        "groupName": "small-group",
                        "replicas": 1,
                        "minReplicas": 1,
                        "maxReplicas": 5,
                        "rayStartParams": {},
                        "template": template("ray-worker", None)
                    }]
                }
            }
        })
    );
}

const SAMPLE_VARIABLES: &str = "
NUM_WORKER=1
USE_GPU=false
LABEL_COLUMN=target
RUN_NAME=train-20251111052644-oj2y
STORAGE_PATH=/home/ray/result-storage
S3_ENDPOINT=https://minio.local
S3_REGION=us-east-1
S3_BUCKET=input
S3_TRAIN_KEY=datasets/default/
NUM_BOOST_ROUND=300
EARLY_STOPPING_ROUNDS=
CSV_WEIGHT=0
BOOSTER=gbtree
VERBOSITY=1
ETA=0.3
GAMMA=0
MAX_DEPTH=6
MIN_CHILD_WEIGHT=1
MAX_DELTA_STEP=0
SUBSAMPLE=1
SAMPLING_METHOD=uniform
COLSAMPLE_BYTREE=1
COLSAMPLE_BYLEVEL=1
COLSAMPLE_BYNODE=1
LAMBDA=1
ALPHA=0
TREE_METHOD=auto
SKETCH_EPS=0.03
SCALE_POS_WEIGHT=1
DSPLIT=row
REFRESH_LEAF=1
PROCESS_TYPE=default
GROW_POLICY=depthwise
MAX_LEAVES=0
MAX_BIN=256
NUM_PARALLEL_TREE=1
SAMPLE_TYPE=uniform
NORMALIZE_TYPE=tree
RATE_DROP=0
ONE_DROP=0
SKIP_DROP=0
LAMBDA_BIAS=0
TWEEDIE_VARIANCE_POWER=1.5
OBJECTIVE=reg:squarederror
BASE_SCORE=0.5
EVAL_METRIC=rmse
OUTPUT_URI=storage://output/artifacts/
";
