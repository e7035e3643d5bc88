//! Pods, groups of pods and sums, in the shapes that workload kinds have.

use super::*;

/// A template of pods that take so much each.
fn template(resources: Value) -> Value {
    json!({"spec": {"containers": [
        {"name": "c", "image": "a/b:1", "resources": {"limits": resources}},
    ]}})
}

fn whole() -> Value {
    template(json!({"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": 1}))
}

fn check(spec: Value, instances: u32) -> Vec<String> {
    let found = run_with(vec![with_spec(spec)], asked(instances, 0), &lenient());
    refusals(found).into_iter().map(|line| line.replace("/0/spec", "")).collect()
}

#[test]
fn one_pod_is_at_most_one_instance() {
    for (resource, quantity) in [
        ("cpu", json!("4001m")),
        ("cpu", json!(5)),
        ("memory", json!("17Gi")),
        ("hugepages-2Mi", json!("17Gi")),
        ("nvidia.com/gpu", json!("2")),
        ("amd.com/gpu", json!(2)),
    ] {
        for block in ["requests", "limits"] {
            let case = container_with(json!({"resources": {block: {resource: quantity}}}));
            let found = codes(run(vec![workload(case)], &lenient()));
            assert!(
                !found.is_empty() && found.iter().all(|code| code == "over-ceiling"),
                "{resource}"
            );
        }
    }
    let case = container_with(json!({"resources": {"limits": {"ephemeral-storage": "1Ti"}}}));
    assert!(run(vec![workload(case)], &lenient()).is_ok());
    let unbounded = Resources { memory_gib: 0, ..asked(1, 0) };
    let case = container_with(json!({"resources": {"limits": {"memory": "1Ti"}}}));
    assert!(run_with(vec![workload(case)], unbounded, &lenient()).is_ok());
}

#[test]
fn what_cannot_be_read_is_refused_and_never_ignored() {
    let pod = "/rayClusterSpec/headGroupSpec/template/spec";
    for (resources, refusal) in [
        (json!({"limits": {"cpu": "many"}}), "/resources/limits/cpu quantity"),
        (json!({"limits": {"cpu": -1}}), "/resources/limits/cpu quantity"),
        (json!({"limits": {"cpu": null}}), "/resources/limits/cpu quantity"),
        (json!({"limits": []}), "/resources/limits type"),
        (json!([]), "/resources type"),
        (json!({"claims": [{"name": "gpu"}]}), "/resources/claims over-ceiling"),
    ] {
        let case = container_with(json!({"resources": resources}));
        let found = refusals(run(vec![workload(case)], &lenient()));
        assert_eq!(found, [format!("/0/spec{pod}/containers/0{refusal}")]);
    }
    for count in [json!("2"), json!(-1), json!(1.5), json!(u64::MAX), json!([])] {
        let found = check(json!({"replicas": count, "template": whole()}), 2);
        assert_eq!(found, ["/replicas count"], "{count}");
    }
}

#[test]
fn containers_start_up_containers_and_sidecars_add_up_as_kubernetes_reserves() {
    let container = |cpu: &str| json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
    let sidecar = |cpu: &str| merged(container(cpu), json!({"restartPolicy": "Always"}));
    let fits = |init: Vec<Value>, main: Vec<Value>| {
        let pod = json!({"initContainers": init, "containers": main});
        run(vec![workload(pod)], &lenient()).is_ok()
    };
    assert!(fits(vec![], vec![container("2"), container("2")]));
    assert!(!fits(vec![], vec![container("2"), container("2001m")]));
    // Start-up containers run one after the other, before the others.
    assert!(fits(vec![container("4"), container("4")], vec![container("4")]));
    assert!(!fits(vec![container("5")], vec![container("1")]));
    // Sidecars stay.
    assert!(fits(vec![sidecar("1")], vec![container("3")]));
    assert!(!fits(vec![sidecar("1")], vec![container("4")]));
    // One that starts later is not there yet, one that started before is.
    assert!(fits(vec![container("4"), sidecar("1")], vec![container("3")]));
    assert!(!fits(vec![sidecar("1"), container("4")], vec![container("1")]));
    // Of a request and a limit in different containers each counts.
    let mixed = json!({"containers": [
        {"name": "a", "resources": {"requests": {"cpu": "4"}}},
        {"name": "b", "resources": {"limits": {"cpu": "4"}}},
    ]});
    assert!(run(vec![workload(mixed)], &lenient()).is_err());
    let whole = pod_with(json!({"resources": {"limits": {"cpu": "5"}}}));
    assert!(run(vec![workload(whole)], &lenient()).is_err());
}

#[test]
fn counts_beside_a_template_are_at_most_the_instances() {
    for key in ["replicas", "minReplicas", "maxReplicas", "parallelism", "numNodes", "numOfHosts"] {
        let with = |count: u32| json!({"group": {key: count, "template": whole()}});
        assert!(check(with(2), 2).is_empty(), "{key}");
        let found = check(with(3), 2);
        assert_eq!(found.first().unwrap(), &format!("/group/{key} over-ceiling"));
    }
    // No count is one pod; nothing at all is none.
    assert!(check(json!({"group": {"template": whole()}}), 1).is_empty());
    assert!(check(json!({"group": {"replicas": 0, "template": whole()}}), 1).is_empty());
}

#[test]
fn counts_multiply_on_the_way_down() {
    let set = |outer: u32, inner: u32| {
        let job = json!({"template": {"spec": {"parallelism": inner, "template": whole()}}});
        json!({"replicatedJobs": [merged(job, json!({"replicas": outer}))]})
    };
    assert!(check(set(2, 3), 6).is_empty());
    let found = check(set(2, 3), 5);
    assert_eq!(found[0], "/replicatedJobs/0/template/spec over-ceiling");
    let huge = check(set(u32::MAX, u32::MAX), 1000);
    assert!(huge.contains(&"/replicatedJobs/0/replicas over-ceiling".to_owned()), "{huge:?}");
    let sized =
        json!({"replicas": 2, "leaderWorkerTemplate": {"size": 2, "workerTemplate": whole()}});
    assert!(check(sized.clone(), 4).is_empty());
    assert!(!check(sized, 3).is_empty());
}

#[test]
fn all_pods_together_are_the_instances_and_one_helper_without_devices() {
    let head = template(json!({"cpu": "4", "memory": "16Gi"}));
    let cluster = |head: Value, workers: u32| json!({"head": {"template": head}, "workers": [{"replicas": workers, "template": whole()}]});
    assert!(check(cluster(head.clone(), 3), 3).is_empty());
    // A head with a device is one too many.
    let found = run_with(vec![with_spec(cluster(whole(), 3))], asked(3, 0), &lenient());
    let errors = found.unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].pointer.as_str(), errors[0].code.as_str()), ("", "over-ceiling"));
    assert!(
        errors[0].detail.contains("ask for 4 of `nvidia.com/gpu`, and the job has 3"),
        "{errors:?}"
    );
    assert!(errors[0].detail.contains("3 × 1 at `/0/spec/workers/0/template/spec`"), "{errors:?}");

    // Two helpers are one too many, unless the operator says otherwise.
    let small = template(json!({"cpu": "100m"}));
    let spec = json!({"a": {"template": small}, "b": {"template": small},
        "workers": {"replicas": 1, "template": whole()}});
    assert_eq!(check(spec.clone(), 1), [" over-ceiling"]);
    let policy = Policy { helpers: 2, ..lenient() };
    assert!(run_with(vec![with_spec(spec)], asked(1, 0), &policy).is_ok());
    let policy = Policy { helpers: 0, ..lenient() };
    assert!(run_with(vec![with_spec(cluster(head, 1))], asked(1, 0), &policy).is_err());

    // The other manifests of a bundle count, too.
    let deployment = beside(
        Role::Config,
        "v1",
        "ConfigMap",
        json!({"spec": {"replicas": 2, "template": template(json!({"cpu": "4"}))}}),
    );
    let manifests = vec![with_spec(json!({"replicas": 2, "template": whole()})), deployment];
    let found = refusals(run_with(manifests, asked(2, 0), &lenient()));
    assert_eq!(found, [" over-ceiling", " over-ceiling"]);
}

#[test]
fn bounds_count_where_something_can_reach_them() {
    let group = |rest: Value| {
        merged(
            json!({"replicas": 1, "minReplicas": 1, "maxReplicas": 5, "template": whole()}),
            rest,
        )
    };
    // Without an autoscaler the count is what is stated.
    assert!(check(json!({"workers": [group(json!({}))]}), 1).is_empty());
    assert!(check(json!({"autoscaling": false, "workers": [group(json!({}))]}), 1).is_empty());
    for switch in [json!({"enableInTreeAutoscaling": true}), json!({"autoscalerOptions": {}})] {
        let found = check(merged(switch.clone(), json!({"workers": [group(json!({}))]})), 1);
        assert_eq!(found[0], "/workers/0/maxReplicas over-ceiling", "{switch}");
        let fits = merged(switch.clone(), json!({"workers": [group(json!({}))]}));
        assert!(check(fits, 5).is_empty(), "{switch}");
        let open = merged(switch, json!({"workers": [group(json!({"maxReplicas": null}))]}));
        assert_eq!(check(open, 1), ["/workers/0 over-ceiling"]);
    }
    // A smallest count holds in any case.
    let found = check(json!({"workers": [group(json!({"minReplicas": 2}))]}), 1);
    assert_eq!(found[0], "/workers/0/minReplicas over-ceiling");
    // A bound beside the groups may raise any one of them.
    let elastic = |max: u32, instances| {
        let roles = json!({"Master": {"replicas": 1, "template": whole()},
            "Worker": {"replicas": 1, "template": whole()}});
        check(json!({"elasticPolicy": {"maxReplicas": max}, "replicaSpecs": roles}), instances)
    };
    assert!(elastic(2, 3).is_empty());
    assert_eq!(elastic(3, 3), [" over-ceiling"]);
    assert_eq!(elastic(4, 3)[0], "/elasticPolicy/maxReplicas over-ceiling");
}

#[test]
fn resources_beside_pods_count() {
    let node = |cpu: &str, nodes: u32| json!({"trainer": {"numNodes": nodes, "resourcesPerNode": {"limits": {"cpu": cpu}}}});
    assert!(check(node("4", 2), 2).is_empty());
    assert_eq!(check(node("5", 1), 2), ["/trainer/resourcesPerNode over-ceiling"]);
    assert_eq!(check(node("4", 3), 2), ["/trainer/numNodes over-ceiling"]);
    // With what an operator adds to it, the head is larger than an instance.
    let options = json!({"resources": {"requests": {"cpu": "500m"}}});
    let pods = json!({"replicas": 2, "template": whole()});
    assert_eq!(check(json!({"options": options, "pods": pods}), 1).len(), 3);
}
