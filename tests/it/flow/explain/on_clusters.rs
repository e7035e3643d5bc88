//! Causes on a member.

use serde_json::json;

use super::*;

#[tokio::test]
async fn explain_object_in_the_way_on_the_member() {
    let app = Setup::sqlite().start().await;
    for member in MEMBERS {
        let theirs = json!({"apiVersion": "ray.io/v1", "kind": "RayJob",
            "metadata": {"name": "squatted", "namespace": "default"}, "spec": {}});
        app.sandbox.create(Some(member), theirs).expect("somebody's job");
    }
    let id = app.submit(&sample_form("squatted")).await;
    let words = ["does not take the workload", "already exists in the cluster", "another name"];
    told_wrong(&app, &id, &words, "work").await;
}

#[tokio::test]
async fn explain_quota_that_the_member_enforces_on_the_workload() {
    let app = Setup::sqlite().start().await;
    let why = "exceeded quota: team, requested: count/rayjobs.ray.io=1, used: \
               count/rayjobs.ray.io=2, limited: count/rayjobs.ray.io=2";
    for member in MEMBERS {
        app.sandbox.faults().refuse(Some(member), "rayjobs", why);
    }
    let id = app.submit(&sample_form("counted")).await;
    let words = ["does not take the workload", "exceeded quota: team", "raise the quota"];
    let told = told_wrong(&app, &id, &words, "work").await;
    let source = link(&told, "work")["source"].as_str().unwrap().to_owned();
    assert!(source.starts_with("Work karmada-es-member"), "{source}");
}

#[tokio::test]
async fn explain_quota_that_the_member_enforces_on_pods() {
    let app = Setup::sqlite().start().await;
    let why = "exceeded quota: team, requested: requests.cpu=4, used: requests.cpu=8, limited: \
               requests.cpu=8";
    for member in MEMBERS {
        app.sandbox.faults().refuse(Some(member), "pods", why);
    }
    let id = app.submit(&sample_form("starved")).await;
    let words = ["does not run yet", "exceeded quota: team", "raise the quota"];
    let told = told_wrong(&app, &id, &words, "events").await;
    let source = link(&told, "events")["source"].as_str().unwrap().to_owned();
    assert!(source.contains("Event on RayCluster default/starved-"), "{source}");
}

#[tokio::test]
async fn explain_cluster_that_went_away() {
    let mut setup = Setup::sqlite().speed(1.0);
    setup.env.push(("TRAINYARD__RECONCILE__UNKNOWN_AFTER_SECONDS", "1".to_owned()));
    let app = setup.start().await;
    let id = app.submit(&sample_form("dark")).await;
    let job = app.job_in_phase(&id, "Running").await;
    let cluster = job["clusters"][0].as_str().unwrap().to_owned();
    app.sandbox.faults().member_down(&cluster);
    app.job_in_phase(&id, "Unknown").await;
    let why = format!("cluster {cluster} is not ready since");
    let words = ["is not known, last known to be Running", &why, "never started a second time"];
    let told = told_wrong(&app, &id, &words, "cluster").await;
    for step in ["object", "pods", "events"] {
        assert_eq!(link(&told, step)["state"], "unknown", "{told:#}");
        let text = link(&told, step)["text"].as_str().unwrap();
        assert!(text.contains("does not answer since"), "{text}");
    }
}

#[tokio::test]
async fn explain_cluster_without_access() {
    let app = steered("image-pull").await;
    let id = app.submit(&sample_form("closed")).await;
    app.job_in_phase(&id, "Submitted").await;
    app.sandbox.faults().fail_share("GET *proxy/api/v1/*", 403, 100);
    let told = told(&app, &id, &["does not run yet"], "pods", "unknown").await;
    let text = link(&told, "pods")["text"].as_str().unwrap();
    assert!(text.starts_with("No access to cluster member"), "{text}");
}

#[tokio::test]
async fn explain_image_that_cannot_be_pulled() {
    let app = steered("image-pull").await;
    let id = app.submit(&sample_form("imageless")).await;
    let words = ["does not run yet", "cannot be pulled (ImagePullBackOff)", "registry"];
    let told = told_wrong(&app, &id, &words, "pods").await;
    let source = link(&told, "pods")["source"].as_str().unwrap();
    assert!(source.contains("Pod default/imageless-"), "{source}");
}

#[tokio::test]
async fn explain_nodes_that_do_not_match() {
    let app = steered("unschedulable").await;
    let id = app.submit(&sample_form("particular")).await;
    let words = ["no node takes pod particular-", "node affinity/selector", "label a node"];
    told_wrong(&app, &id, &words, "pods").await;
}

#[tokio::test]
async fn explain_nodes_too_small_for_a_pod() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("large");
    // Both nodes of a cluster together have the room, none of them alone.
    form["resources"]["instanceCount"] = json!(1);
    form["resources"]["instanceResources"] = json!({"cpuCores": 2, "memoryGiB": 2, "gpuCount": 12});
    let id = app.submit(&form).await;
    let words = ["no node takes pod large-", "its nodes lack nvidia.com/gpu", "ask for less"];
    told_wrong(&app, &id, &words, "pods").await;
}

#[tokio::test]
async fn explain_missing_secret() {
    let app = Setup::sqlite().start().await;
    for member in MEMBERS {
        let there =
            app.sandbox.delete_member_object(member, "v1", "Secret", "default", "trainyard-s3");
        assert!(there);
    }
    let id = app.submit(&sample_form("keyless")).await;
    let words = ["secret \"trainyard-s3\" not found", "create the Secret"];
    told_wrong(&app, &id, &words, "pods").await;
}

#[tokio::test]
async fn explain_missing_claim() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("claimless");
    form["pvcName"] = json!("nobody-made-it");
    let id = app.submit(&form).await;
    let words = ["member1 does not have the claim nobody-made-it", "create the claim"];
    told_wrong(&app, &id, &words, "placement").await;
    // On the cluster that would not be chosen otherwise.
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "nobody-made-it", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    app.sandbox.create(Some("member2"), claim).expect("the claim");
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(job["clusters"], json!(["member2"]));
}

#[tokio::test]
async fn explain_unbound_claim() {
    let app = Setup::sqlite().start().await;
    for member in MEMBERS {
        let kind = "PersistentVolumeClaim";
        app.sandbox.faults().annotate(Some(member), kind, "*", OUTCOME, "unbound");
    }
    let id = app.submit(&sample_form("volumeless")).await;
    let words = ["unbound immediate PersistentVolumeClaims", "storage class"];
    told_wrong(&app, &id, &words, "pods").await;
}

#[tokio::test]
async fn explain_crash_loop() {
    let app = steered("crash-loop").await;
    let id = app.submit(&sample_form("looping")).await;
    let words = ["exit code 1, 5 times by now (CrashLoopBackOff)", "read the log of pod looping-"];
    told_wrong(&app, &id, &words, "pods").await;
}

#[tokio::test]
async fn explain_suspended_job() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("held")).await;
    app.job_in_phase(&id, "Running").await;
    let path = "/apis/ray.io/v1/namespaces/default/rayjobs/held";
    app.patch(path, &json!({"spec": {"suspend": true}})).await;
    app.job_in_phase(&id, "Suspended").await;
    told(&app, &id, &["is held back on cluster", "resume"], "object", "waiting").await;
}

#[tokio::test]
async fn explain_job_that_runs() {
    let app = steered("hang").await;
    let id = app.submit(&sample_form("healthy")).await;
    app.job_in_phase(&id, "Running").await;
    let told =
        told(&app, &id, &["The job runs on cluster", "nothing is in its way"], "pods", "ok").await;
    let links = told["links"].as_array().unwrap();
    assert!(links.iter().all(|link| link["state"] == "ok"), "{told:#}");
    let steps: Vec<&str> = links.iter().filter_map(|link| link["step"].as_str()).collect();
    let way = [
        "queue",
        "placement",
        "template",
        "policy",
        "binding",
        "work",
        "cluster",
        "object",
        "pods",
        "events",
    ];
    assert_eq!(steps, way);
}
