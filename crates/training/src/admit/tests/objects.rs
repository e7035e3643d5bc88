//! Whole objects: shape, kind, role, name, metadata, and what stands beside a workload.

use super::*;

#[test]
fn size_and_texture_are_bounded() {
    let with = |member: &str, value: Value| {
        let mut manifest = workload(good_pod());
        manifest.document["spec"][member] = value;
        vec![manifest]
    };
    let policy = lenient();
    let mut deep = json!("x");
    for _ in 0..70 {
        deep = json!([deep]);
    }
    let many: Vec<u32> = (0..10_001).collect();
    let long = "x".repeat((64 << 10) + 1);
    let texts: Vec<String> = (0..5).map(|_| "x".repeat(60 << 10)).collect();
    for (value, code) in [
        (deep, "too-deep"),
        (json!(many), "too-many-nodes"),
        (json!(long), "string-too-long"),
        (json!(texts), "manifest-too-large"),
        (json!("a\u{0}b"), "control-character"),
        (json!("a\u{2028}b"), "control-character"),
        (json!({"a\u{1b}": 1}), "control-character"),
    ] {
        assert_eq!(codes(run(with("x", value), &policy)), [code]);
    }
    assert!(run(with("x", json!("lines\n\tand tabs")), &policy).is_ok());
    let narrow = Policy { max_bundle_bytes: 100, ..lenient() };
    assert_eq!(codes(run(vec![workload(good_pod())], &narrow)), ["bundle-too-large"]);
    let narrow = Policy { max_manifests: 1, ..lenient() };
    let two = vec![workload(good_pod()), workload(good_pod())];
    assert_eq!(codes(run(two, &narrow)), ["too-many-manifests"]);
    // Ten thousand values in all manifests together, not in each.
    let half = json!((0..6000).collect::<Vec<u32>>());
    let config = || beside(Role::Config, "v1", "ConfigMap", json!({"spec": half}));
    assert_eq!(
        refusals(run(vec![config(), config()], &policy)).last().unwrap(),
        "/1/spec/3988 too-many-nodes"
    );
}

#[test]
fn kinds_roles_and_names_are_checked() {
    let policy = lenient();
    let found = refusals(run(
        vec![workload(good_pod()), beside(Role::Config, "v1", "Secret", json!({}))],
        &policy,
    ));
    assert_eq!(found, ["/1/kind kind-not-allowed"]);
    let found = refusals(run(
        vec![workload(good_pod()), beside(Role::Config, "v1", "Pod", json!({}))],
        &policy,
    ));
    assert_eq!(found, ["/1/kind kind-not-allowed"]);
    let found = refusals(run(
        vec![workload(good_pod()), beside(Role::Workload, "v1", "ConfigMap", json!({}))],
        &policy,
    ));
    assert_eq!(found, [" one-workload", "/1/kind wrong-role", "/1/metadata/name wrong-name"]);

    let named = |name: &str| {
        let mut config = beside(Role::Config, "v1", "ConfigMap", json!({}));
        config.document["metadata"]["name"] = json!(name);
        refusals(run(vec![workload(good_pod()), config], &policy))
    };
    for name in ["other", "iris", "iris-", "irisx", "iris-../x", "iris-A", "iris-x\ny"] {
        let found = named(name);
        let wrong = "/1/metadata/name wrong-name".to_owned();
        assert_eq!(found, [wrong], "{name}");
    }
    assert!(named("iris-a-0").is_empty());
    assert_eq!(named(&format!("iris-{}", "a".repeat(250))), ["/1/metadata/name name-too-long"]);

    let config = || beside(Role::Config, "v1", "ConfigMap", json!({"data": {"a": "b"}}));
    let found = refusals(run(vec![workload(good_pod()), config(), config()], &policy));
    assert_eq!(found, ["/2 duplicate"]);
    assert_eq!(codes(run(Vec::new(), &policy)), ["one-workload"]);
    let list = Manifest { role: Role::Workload, document: json!([1]) };
    assert_eq!(codes(run(vec![list], &policy)), ["type"]);
}

#[test]
fn metadata_holds_names_labels_and_annotations_only() {
    let with = |metadata: Value| {
        let mut manifest = workload(good_pod());
        manifest.document["metadata"] = merged(json!({"name": "iris"}), metadata);
        refusals(run(vec![manifest], &lenient()))
    };
    for (metadata, refusal) in [
        (json!({"ownerReferences": []}), "/ownerReferences unknown-field"),
        (json!({"finalizers": ["a.b/c"]}), "/finalizers unknown-field"),
        (json!({"labels": {"work.karmada.io/x": "y"}}), "/labels/work.karmada.io~1x reserved-name"),
        (json!({"labels": {"a.k8s.io/x": "y"}}), "/labels/a.k8s.io~1x reserved-name"),
        (
            json!({"annotations": {"trainyard.dev/x": "y"}}),
            "/annotations/trainyard.dev~1x reserved-name",
        ),
        (json!({"labels": {"-a": "y"}}), "/labels/-a invalid-name"),
        (json!({"labels": {"a": "no blanks"}}), "/labels/a invalid-name"),
        (json!({"labels": {"a": "x".repeat(64)}}), "/labels/a invalid-name"),
        (json!({"labels": {"a": 1}}), "/labels/a type"),
        (json!({"labels": []}), "/labels type"),
        (json!({"annotations": {"a b": "y"}}), "/annotations/a b invalid-name"),
    ] {
        assert_eq!(with(metadata), [format!("/0/metadata{refusal}")]);
    }
    assert!(with(json!({"labels": {"a": ""}, "annotations": {"b": "any text"}})).is_empty());

    let mut manifest = workload(good_pod());
    manifest.document["status"] = json!({});
    assert_eq!(refusals(run(vec![manifest], &lenient())), ["/0/status unknown-field"]);
}

#[test]
fn metadata_of_templates_is_checked_too() {
    let with = |metadata: Value| {
        let template = json!({"metadata": metadata, "spec": good_pod()});
        let found = refusals(run(vec![with_spec(json!({"template": template}))], &lenient()));
        found
            .into_iter()
            .map(|line| line.replace("/0/spec/template/metadata", ""))
            .collect::<Vec<_>>()
    };
    for (metadata, refusal) in [
        (json!({"finalizers": ["a.b/c"]}), "/finalizers unknown-field"),
        (json!({"name": "../x"}), "/name invalid-name"),
        (json!({"namespace": "kube-system"}), "/namespace foreign-namespace"),
        (json!({"labels": {"x.karmada.io/y": "z"}}), "/labels/x.karmada.io~1y reserved-name"),
        (json!({"labels": {"training-job-id": "other"}}), "/labels/training-job-id reserved-name"),
        (json!({"labels": {"a": "b c"}}), "/labels/a invalid-name"),
        (
            json!({"annotations":
                {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}}),
            "/annotations/container.apparmor.security.beta.kubernetes.io~1c pod-security",
        ),
    ] {
        assert_eq!(with(metadata), [refusal]);
    }
    let fine = json!({
        "creationTimestamp": null,
        "labels": {"training-job-id": "iris-00000001", "app.kubernetes.io/name": "x"},
        "annotations": {"sidecar.istio.io/inject": "false"},
    });
    assert!(with(fine).is_empty());
}

#[test]
fn no_member_removes_a_workload_by_itself() {
    let with = |member: &str, value: Value, policy: &Policy| {
        let mut manifest = workload(good_pod());
        manifest.document["spec"][member] = value;
        run(vec![manifest], policy)
    };
    let refuse = lenient();
    for (member, value) in [
        ("ttlSecondsAfterFinished", json!(0)),
        ("runPolicy", json!({"ttlSecondsAfterFinished": 60})),
        ("ttlStrategy", json!({"secondsAfterCompletion": 1})),
        ("deletionStrategy", json!({"deletionRules": [{"policy": "DeleteSelf"}]})),
        ("deletionPolicy", json!("DeleteSelf")),
    ] {
        assert_eq!(codes(with(member, value, &refuse)), ["self-removal"], "{member}");
    }
    for (member, value) in [
        ("ttlSecondsAfterFinished", json!(null)),
        ("shutdownAfterJobFinishes", json!(true)),
        ("runPolicy", json!({"cleanPodPolicy": "All"})),
        ("deletionStrategy", json!({"onSuccess": {"policy": "DeleteCluster"}})),
    ] {
        assert!(with(member, value, &refuse).is_ok(), "{member}");
    }
    let remove = Policy { member_ttl: MemberTtl::Remove, ..lenient() };
    let admitted =
        with("runPolicy", json!({"a": 1, "ttlSecondsAfterFinished": 60}), &remove).unwrap();
    let spec = &admitted.bundle.workload().unwrap().document["spec"];
    assert_eq!(spec["runPolicy"], json!({"a": 1}));
    let removed = "/0/spec/runPolicy/ttlSecondsAfterFinished";
    assert!(admitted.changes.iter().any(|change| change.pointer == removed));
    // Only a time can be taken out; a strategy means something else without its rule.
    let found = with("deletionPolicy", json!("DeleteSelf"), &remove);
    assert_eq!(codes(found), ["self-removal"]);
}

#[test]
fn services_are_for_the_cluster_only_unless_allowed() {
    let with = |spec: Value, policy: &Policy| {
        let service = beside(Role::Config, "v1", "Service", json!({"spec": spec}));
        refusals(run(vec![workload(good_pod()), service], policy))
    };
    let closed = lenient();
    for spec in [json!({"type": "ClusterIP"}), json!({"clusterIP": "None"}), json!({})] {
        assert!(with(spec.clone(), &closed).is_empty(), "{spec}");
    }
    let table = [
        (json!({"type": "LoadBalancer"}), "/type", "LoadBalancer"),
        (json!({"loadBalancerSourceRanges": []}), "/loadBalancerSourceRanges", "LoadBalancer"),
        (json!({"type": "NodePort"}), "/type", "NodePort"),
        (json!({"ports": [{"port": 1, "nodePort": 30000}]}), "/ports/0/nodePort", "NodePort"),
        (json!({"externalName": "x.example"}), "/externalName", "ExternalName"),
    ];
    for (spec, at, kind) in table {
        let refusal = format!("/1/spec{at} service-not-allowed");
        assert_eq!(with(spec.clone(), &closed), [refusal], "{spec}");
        let open = Policy { service_types: vec![kind.to_owned()], ..lenient() };
        assert!(with(spec.clone(), &open).is_empty(), "{spec}");
    }
    let all = ["LoadBalancer", "NodePort", "ExternalName"].map(str::to_owned).to_vec();
    let open = Policy { service_types: all, ..lenient() };
    let found = with(json!({"externalIPs": ["192.0.2.1"]}), &open);
    assert_eq!(found, ["/1/spec/externalIPs service-not-allowed"]);
    // A Service inside another object is one, too.
    let inner = with_spec(json!({"headGroupSpec": {"serviceType": "NodePort"}}));
    assert_eq!(codes(run(vec![inner], &closed)), ["service-not-allowed"]);
}

#[test]
fn services_select_pods_of_their_own_job() {
    let with = |selector: Value| {
        let service =
            beside(Role::Config, "v1", "Service", json!({"spec": {"selector": selector}}));
        refusals(run(vec![workload(good_pod()), service], &lenient()))
    };
    let name = workload(good_pod()).document["metadata"]["name"].clone();
    let name = name.as_str().unwrap();
    for own in [
        json!({}),
        json!({"app": "trainer", "job-name": name}),
        json!({"ray.io/cluster": format!("{name}-head")}),
    ] {
        assert_eq!(with(own.clone()), Vec::<String>::new(), "{own}");
    }
    for shared in [json!({"app": "trainer"}), json!({"job-name": format!("{name}er")})] {
        assert_eq!(with(shared.clone()), ["/1/spec/selector foreign-pods"], "{shared}");
    }
}

#[test]
fn ingresses_have_hosts_that_were_given_away() {
    let with = |spec: Value, policy: &Policy| {
        let ingress =
            beside(Role::Config, "networking.k8s.io/v1", "Ingress", json!({"spec": spec}));
        codes(run(vec![workload(good_pod()), ingress], policy))
    };
    let rule = |host: &str| json!({"rules": [{"host": host, "http": {"paths": []}}]});
    let closed = lenient();
    assert_eq!(with(rule("a.jobs.example"), &closed), ["ingress-not-allowed"]);
    let open = Policy { ingress_hosts: vec!["jobs.example".to_owned()], ..lenient() };
    assert!(with(rule("a.jobs.example"), &open).is_empty());
    for host in
        ["jobs.example", "xjobs.example", "*.jobs.example", "a.example", ".jobs.example", ""]
    {
        assert_eq!(with(rule(host), &open), ["ingress-not-allowed"], "{host}");
    }
    for spec in [
        json!({"rules": [{"http": {"paths": []}}]}),
        json!({"defaultBackend": {"service": {"name": "x"}}}),
        json!({"tls": [{"hosts": ["a.example"], "secretName": "x"}]}),
    ] {
        assert_eq!(with(spec.clone(), &open), ["ingress-not-allowed"], "{spec}");
    }
    let inner = with_spec(json!({"headGroupSpec": {"enableIngress": true}}));
    assert_eq!(codes(run(vec![inner], &open)), ["ingress-not-allowed"]);
}

#[test]
fn claims_are_as_large_as_asked_for_and_empty() {
    let claim = |spec: Value| {
        let spec = merged(json!({"accessModes": ["ReadWriteMany"]}), spec);
        beside(Role::Storage, "v1", "PersistentVolumeClaim", json!({"spec": spec}))
    };
    let sized = |size: &str| claim(json!({"resources": {"requests": {"storage": size}}}));
    let with = |claims: Vec<Manifest>, gib: u32| {
        let manifests = std::iter::once(workload(good_pod())).chain(claims).collect();
        refusals(run_with(manifests, asked(1, gib), &lenient()))
    };
    assert!(with(vec![sized("50Gi")], 50).is_empty());
    assert_eq!(with(vec![sized("50Gi")], 0), ["/1/spec over-ceiling"]);
    assert_eq!(with(vec![sized("51Gi")], 50), [" over-ceiling"]);
    assert_eq!(with(vec![sized("0.1Ei")], 50), [" over-ceiling"]);
    let mut second = sized("30Gi");
    second.document["metadata"]["name"] = json!("iris-y");
    assert_eq!(with(vec![sized("30Gi"), second], 50), [" over-ceiling"]);
    let storage = "/1/spec/resources/requests/storage";
    assert_eq!(with(vec![sized("much")], 50), [format!("{storage} quantity")]);
    assert_eq!(with(vec![claim(json!({}))], 50), [format!("{storage} quantity")]);
    for member in ["volumeName", "dataSource", "dataSourceRef", "selector"] {
        let mut claim = sized("1Gi");
        claim.document["spec"][member] = json!({"name": "x"});
        assert_eq!(with(vec![claim], 50), [format!("/1/spec/{member} foreign-volume")]);
    }
    // A claim for each pod counts as often as there are pods.
    let template = json!({"volumeClaimTemplate": {"spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "30Gi"}}}}});
    let volumes = json!([{"name": "v", "ephemeral": template}]);
    let spec = json!({"replicas": 2, "template": {"spec": pod_with(json!({"volumes": volumes}))}});
    let run = |gib| refusals(run_with(vec![with_spec(spec.clone())], asked(2, gib), &lenient()));
    assert!(run(60).is_empty());
    assert_eq!(run(59), [" over-ceiling"]);
}

#[test]
fn data_holds_no_secrets() {
    let with = |data: Value| {
        let config = beside(Role::Config, "v1", "ConfigMap", json!({"data": data}));
        refusals(run(vec![workload(good_pod()), config], &lenient()))
    };
    assert!(with(json!({"empty.json": ""})).is_empty());
    assert!(with(json!({"train.yaml": "model:\n  tokenizer: x\n", "LEVEL": "info"})).is_empty());
    for (data, refusal) in [
        (json!({"PASSWORD": "x"}), "/PASSWORD secret-literal"),
        (json!({"c.yaml": "db:\n  password: x\n"}), "/c.yaml secret-literal"),
        (json!({"c.json": "{\"list\": [{\"apiKey\": 7}]}"}), "/c.json secret-literal"),
        (json!({"c.yaml": "a: [1"}), "/c.yaml unreadable-document"),
        (json!({"c.yaml": "a: &a [1]\nb: [*a, *a]"}), "/c.yaml unreadable-document"),
        (json!({"a/b": "x"}), "/a~1b invalid-name"),
        (json!({"a": 1}), "/a type"),
    ] {
        assert_eq!(with(data), [format!("/1/data{refusal}")]);
    }
    // Even where an operator allows the kind.
    let mut policy = lenient();
    policy.allowed_kinds.push("v1/Secret".to_owned());
    let secret = |rest| beside(Role::Config, "v1", "Secret", rest);
    let found =
        refusals(run(vec![workload(good_pod()), secret(json!({"data": {"a": "eA=="}}))], &policy));
    assert_eq!(found, ["/1/data secret-literal"]);
    let found = refusals(run(
        vec![workload(good_pod()), secret(json!({"stringData": {"a": "x"}}))],
        &policy,
    ));
    assert_eq!(found, ["/1/stringData unknown-field"]);
}
