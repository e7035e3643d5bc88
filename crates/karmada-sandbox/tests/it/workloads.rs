//! How workloads run, end and write logs.

use super::*;

#[tokio::test]
async fn rayjob_walks_step_by_step() {
    let (sandbox, client) = stepped().await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    let template = sandbox.get(None, RAY, "RayJob", NS, "j").unwrap();
    assert_eq!(template["metadata"]["annotations"]["propagationpolicy.karmada.io/name"], "j");
    assert_eq!(template["metadata"]["generation"], 1);
    let found = binding(&sandbox, "j");
    assert_eq!(found["spec"]["clusters"], json!([{"name": "member1"}]));
    assert_eq!(found["metadata"]["ownerReferences"][0]["uid"], template["metadata"]["uid"]);
    assert_eq!(condition(&found, "FullyApplied")["status"], "True");
    let member = sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").unwrap();
    assert_eq!(member["metadata"]["labels"]["karmada.io/managed"], "true");
    assert_eq!(words(&sandbox, None, "j"), ("Initializing".into(), String::new()));
    sandbox.step(seconds(0.6)).await;
    assert_eq!(words(&sandbox, None, "j"), ("Running".into(), "PENDING".into()));
    sandbox.step(seconds(1.0)).await;
    assert_eq!(words(&sandbox, None, "j"), ("Running".into(), "RUNNING".into()));
    assert_eq!(sandbox.list(Some("member1"), "v1", "Pod").len(), 4);
    sandbox.step(seconds(4.0)).await;
    assert_eq!(words(&sandbox, None, "j"), ("Complete".into(), "SUCCEEDED".into()));
    let aggregated = &binding(&sandbox, "j")["status"]["aggregatedStatus"][0];
    assert_eq!(aggregated["status"]["jobStatus"], "SUCCEEDED");
    assert_eq!(aggregated["health"], "Healthy");
    sandbox.step(seconds(1.0)).await;
    assert!(sandbox.list(Some("member1"), RAY, "RayCluster").is_empty(), "shut down");
    assert_eq!(sandbox.list(Some("member1"), "v1", "Pod").len(), 1, "the submitter stays");
}

#[tokio::test]
async fn outcomes_are_steered_by_annotation() {
    let (sandbox, client) = stepped().await;
    let cases = [
        ("fail", json!({}), ("Failed", "FAILED")),
        ("fail-once", json!({"backoffLimit": 1}), ("Complete", "SUCCEEDED")),
        ("oom", json!({}), ("Failed", "FAILED")),
        ("hang", json!({}), ("Running", "RUNNING")),
        ("image-pull", json!({}), ("Initializing", "")),
        ("unschedulable", json!({}), ("Initializing", "")),
        ("hang", json!({"activeDeadlineSeconds": 5}), ("Failed", "RUNNING")),
        ("succeed", json!({"suspend": true}), ("Suspended", "")),
    ];
    for (at, (outcome, spec, _)) in cases.iter().enumerate() {
        let annotations = json!({"sandbox.trainyard.dev/outcome": outcome});
        submit(&client, rayjob(&format!("j{at}"), annotations, spec.clone()), json!({})).await;
    }
    let long = "a".repeat(48);
    submit(&client, rayjob(&long, json!({}), json!({})), json!({})).await;
    sandbox.step(seconds(60.0)).await;
    for (at, (outcome, _, expected)) in cases.iter().enumerate() {
        let (phase, status) = words(&sandbox, None, &format!("j{at}"));
        assert_eq!((phase.as_str(), status.as_str()), *expected, "{outcome}");
    }
    assert_eq!(words(&sandbox, None, &long).0, "ValidationFailed");
    let pods = sandbox.list(Some("member1"), "v1", "Pod");
    let reasons: Vec<&str> = pods
        .iter()
        .filter_map(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str()
        })
        .collect();
    assert!(reasons.contains(&"ImagePullBackOff"), "{reasons:?}");
    let resumed = json!({"spec": {"suspend": false}});
    rayjobs(&client).patch("j7", &PatchParams::default(), &Patch::Merge(resumed)).await.unwrap();
    sandbox.step(seconds(10.0)).await;
    assert_eq!(words(&sandbox, None, "j7").1, "SUCCEEDED");
}

#[tokio::test]
async fn members_are_api_servers_behind_the_proxy() {
    let (sandbox, client) = stepped().await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.step(seconds(3.0)).await;
    let member = member_client(&sandbox, "member1");
    let discovery = Discovery::new(member.clone()).run().await.unwrap();
    assert!(discovery.has_group("ray.io") && !discovery.has_group("work.karmada.io"));
    let pods: Api<Pod> = Api::namespaced(member, NS);
    let submitters = pods.list(&ListParams::default().labels("job-name=j")).await.unwrap();
    let name = submitters.items[0].metadata.name.clone().unwrap();
    let tail = LogParams { tail_lines: Some(2), timestamps: true, ..LogParams::default() };
    let text = pods.logs(&name, &tail).await.unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with("2026-01-01T00:00:0"), "{text}");
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&name, &follow).await.unwrap().lines();
    sandbox.step(seconds(10.0)).await;
    let mut all = Vec::new();
    while let Some(line) = lines.try_next().await.unwrap() {
        all.push(line);
    }
    assert_eq!(all.last().unwrap(), "Training finished.");
    let nowhere: Api<Pod> = Api::namespaced(member_client(&sandbox, "nowhere"), NS);
    let error = status_of(nowhere.list(&ListParams::default()).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (404, "NotFound"));
}

#[tokio::test]
async fn jobs_complete_and_failed_ones_lose_their_status() {
    let (sandbox, client) = stepped().await;
    let jobs: Api<Job> = Api::namespaced(client.clone(), NS);
    for (name, outcome) in [("good", "succeed"), ("bad", "fail")] {
        let policy = policy(name, ("batch/v1", "Job"), name, json!({}));
        policies(&client).create(&PostParams::default(), &policy).await.unwrap();
        let job = serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": {"sandbox.trainyard.dev/outcome": outcome}},
            "spec": {
                "parallelism": 2, "completions": 2, "backoffLimit": 0, "ttlSecondsAfterFinished": 60,
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}},
            },
        }))
        .unwrap();
        jobs.create(&PostParams::default(), &job).await.unwrap();
    }
    sandbox.step(seconds(10.0)).await;
    let good = jobs.get("good").await.unwrap().status.unwrap();
    assert_eq!(good.succeeded, Some(2));
    let kinds: Vec<_> = good.conditions.unwrap().into_iter().map(|one| one.type_).collect();
    assert_eq!(kinds, ["SuccessCriteriaMet", "Complete"]);
    let bad = sandbox.get(Some("member1"), "batch/v1", "Job", NS, "bad").unwrap();
    assert_eq!(condition(&bad, "Failed")["reason"], "BackoffLimitExceeded");
    assert_eq!(bad["spec"]["ttlSecondsAfterFinished"], Value::Null);
    assert!(jobs.get("bad").await.unwrap().status.is_none_or(|status| status.failed.is_none()));
    sandbox.step(seconds(70.0)).await;
    assert!(jobs.get_opt("good").await.unwrap().is_none(), "time to live");
    assert!(sandbox.get(Some("member1"), "batch/v1", "Job", NS, "good").is_none());
}

#[tokio::test]
async fn automatic_time_runs_a_job_to_its_end() {
    let mut config = Config::auto();
    config.time = karmada_sandbox::TimeMode::Auto { speed: 20.0 };
    let sandbox = Sandbox::start(config).await.unwrap();
    let client = client_at(&sandbox.url());
    create_namespace(&client).await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    let jobs = rayjobs(&client);
    let mut events = watcher(jobs, watcher::Config::default().fields("metadata.name=j")).boxed();
    let finished = async {
        while let Some(event) = events.next().await {
            if let Ok(watcher::Event::Apply(job) | watcher::Event::InitApply(job)) = event
                && job.data["status"]["jobStatus"] == "SUCCEEDED"
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), finished).await.unwrap();
    sandbox.stop().await;
}

#[tokio::test]
async fn cost_of_a_job_does_not_grow_with_their_number() {
    let mut config = Config::stepped();
    config.clusters = vec![ClusterConfig::roomy("member1"), ClusterConfig::roomy("member2")];
    let sandbox = Sandbox::start(config).await.unwrap();
    create_namespace(&client_at(&sandbox.url())).await;
    sandbox.settle().await;
    let batch = async |from: usize, count: usize| {
        let begin = std::time::Instant::now();
        for at in from..from + count {
            let name = format!("j{at}");
            let job = rayjob(&name, json!({"sandbox.trainyard.dev/outcome": "hang"}), json!({}));
            let policy = policy(&name, (RAY, "RayJob"), &name, json!({}));
            sandbox.create(None, serde_json::to_value(policy).unwrap()).unwrap();
            sandbox.create(None, serde_json::to_value(job).unwrap()).unwrap();
        }
        sandbox.step(seconds(5.0)).await;
        begin.elapsed()
    };
    let first = batch(0, 40).await;
    batch(40, 160).await;
    let last = batch(200, 40).await;
    assert_eq!(words(&sandbox, None, "j239").1, "RUNNING");
    // Four times is noise on a busy machine; five times the objects at quadratic cost is more.
    assert!(last < first * 4 + Duration::from_millis(500), "{first:?} then {last:?}");
}

#[tokio::test]
async fn admission_of_a_member_annotates_and_refuses_until_it_is_cleared() {
    let (sandbox, client) = stepped().await;
    let outcome = "sandbox.trainyard.dev/outcome";
    for (name, value) in [("looping", "crash-loop"), ("evicted", "evict")] {
        sandbox.faults().annotate(Some("member1"), "RayJob", name, outcome, value);
        submit(&client, rayjob(name, json!({}), json!({})), json!({})).await;
    }
    sandbox.step(seconds(5.0)).await;
    let pods = sandbox.list(Some("member1"), "v1", "Pod");
    let heads: Vec<&Value> =
        pods.iter().filter(|pod| pod["metadata"]["labels"]["ray.io/node-type"] == "head").collect();
    let looping = |pod: &&&Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    assert!(heads.iter().any(|pod| pod["status"]["reason"] == "Evicted"), "{heads:#?}");
    let restarted = heads.iter().find(looping).expect("a head that crashes");
    assert_eq!(restarted["status"]["containerStatuses"][0]["restartCount"], 5);
    assert_eq!(words(&sandbox, None, "looping").0, "Initializing");

    sandbox.faults().refuse(Some("member1"), "pods", "exceeded quota: team");
    submit(&client, rayjob("starved", json!({}), json!({})), json!({})).await;
    sandbox.step(seconds(5.0)).await;
    let events = sandbox.list(Some("member1"), "v1", "Event");
    let told = events.iter().find(|event| event["reason"] == "FailedToCreateHeadPod");
    let message = told.expect("a complaint")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("is forbidden: exceeded quota: team"), "{message}");
    sandbox.faults().clear();
    sandbox.step(seconds(10.0)).await;
    assert_eq!(words(&sandbox, None, "starved").0, "Complete");
}
