//! What a form says more exactly than a plugin can count.

use super::*;
use crate::job::Amount;

const GIB: u64 = 1 << 30;

/// The resources of the one container after admission of a job with these exact amounts.
fn admitted_resources(exact: &Exact, resources: Value) -> Value {
    let pod = container_with(json!({"resources": resources}));
    let found = run_exactly(vec![workload(pod)], asked(1, 0), exact, &lenient()).unwrap();
    admitted_pod(&found)["containers"][0]["resources"].clone()
}

fn fractions() -> Exact {
    Exact {
        cpu: Some(Amount { request: 500, limit: 3500 }),
        memory: Some(Amount { request: 3 * GIB / 2, limit: 15 * GIB + 1 }),
        ..Exact::default()
    }
}

#[test]
fn whole_instance_becomes_what_the_form_says() {
    let whole = json!({"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"});
    let both = json!({"limits": whole, "requests": whole});
    let expected = json!({
        "limits": {"cpu": "3500m", "memory": "16106127361", "nvidia.com/gpu": "1"},
        "requests": {"cpu": "500m", "memory": "1536Mi", "nvidia.com/gpu": "1"},
    });
    assert_eq!(admitted_resources(&fractions(), both.clone()), expected);
    assert_eq!(admitted_resources(&Exact::default(), both.clone()), both);
    // Kubernetes takes a limit without a request for both.
    let found = admitted_resources(&fractions(), json!({"limits": {"cpu": 4}}));
    assert_eq!(found, json!({"limits": {"cpu": "3500m"}, "requests": {"cpu": "500m"}}));
    let found = admitted_resources(&fractions(), json!({"requests": {"cpu": "4000m"}}));
    assert_eq!(found, json!({"limits": {"cpu": "3500m"}, "requests": {"cpu": "500m"}}));
}

#[test]
fn plugin_without_limits_gets_none_that_the_form_does_not_ask_for() {
    let half = Amount { request: 3500, limit: 3500 };
    let exact = Exact { cpu: Some(half), ..Exact::default() };
    let found = admitted_resources(&exact, json!({"requests": {"cpu": "4"}}));
    assert_eq!(found, json!({"requests": {"cpu": "3500m"}}));
}

#[test]
fn smaller_amounts_stay_unless_they_are_above_the_exact_ones() {
    let small = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "3"}});
    assert_eq!(admitted_resources(&fractions(), small.clone()), small);
    let found = admitted_resources(&fractions(), json!({"requests": {"cpu": "1"}}));
    assert_eq!(found, json!({"requests": {"cpu": "500m"}}));
}

#[test]
fn every_place_is_reported_and_the_ceiling_is_the_exact_amount() {
    let pod = container_with(json!({"resources": {"limits": {"cpu": "4"}}}));
    let found = run_exactly(vec![workload(pod)], asked(1, 0), &fractions(), &lenient());
    let found = found.unwrap();
    let set: Vec<&str> = found
        .changes
        .iter()
        .filter(|change| change.rule == "exact-amount")
        .filter_map(|change| change.pointer.rsplit_once("/resources").map(|(_, place)| place))
        .collect();
    assert_eq!(set, ["/requests/cpu", "/limits/cpu"]);
    // Two containers of two cores are the four of the plugin, and not the three and a half.
    let two = json!({"name": "two", "image": "a/b:1", "resources": {"limits": {"cpu": "2"}}});
    let mut pod = container_with(json!({"resources": {"limits": {"cpu": "2"}}}));
    pod["containers"].as_array_mut().unwrap().push(two);
    let found = run_exactly(vec![workload(pod)], asked(1, 0), &fractions(), &lenient());
    assert!(codes(found).contains(&"over-ceiling".to_owned()));
}

#[test]
fn claims_get_their_size_and_class() {
    let exact = Exact {
        volume_bytes: Some(5 * GIB / 2),
        storage_class: Some("fast".to_owned()),
        ..Exact::default()
    };
    let claim = |size: &str| {
        json!({"spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        }})
    };
    let admitted = |size: &str| {
        let claim = beside(Role::Storage, "v1", "PersistentVolumeClaim", claim(size));
        let manifests = vec![workload(good_pod()), claim];
        let found = run_exactly(manifests, asked(1, 3), &exact, &lenient()).unwrap();
        found.bundle.manifests()[1].document["spec"].clone()
    };
    let expected = |size: &str| {
        json!({
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "fast",
        })
    };
    assert_eq!(admitted("3Gi"), expected("2560Mi"));
    assert_eq!(admitted("1Gi"), expected("1Gi"));
}
