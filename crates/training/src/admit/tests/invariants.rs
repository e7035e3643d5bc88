//! Whatever a plugin returns: admission answers, and what it lets through keeps the promises, as a
//! second, much simpler reader sees them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;

/// Names that some rule looks at, and a few that none does.
const KEYS: [&str; 44] = [
    "containers",
    "initContainers",
    "ephemeralContainers",
    "securityContext",
    "capabilities",
    "add",
    "drop",
    "privileged",
    "runAsUser",
    "runAsNonRoot",
    "allowPrivilegeEscalation",
    "seccompProfile",
    "type",
    "hostNetwork",
    "hostPath",
    "hostPort",
    "resources",
    "requests",
    "limits",
    "cpu",
    "memory",
    "nvidia.com/gpu",
    "replicas",
    "maxReplicas",
    "parallelism",
    "autoscaler",
    "template",
    "spec",
    "metadata",
    "labels",
    "finalizers",
    "image",
    "env",
    "name",
    "value",
    "volumes",
    "emptyDir",
    "namespace",
    "ttlSecondsAfterFinished",
    "serviceAccountName",
    "automountServiceAccountToken",
    "accessModes",
    "a",
    "b~/c",
];
const TEXTS: [&str; 16] = [
    "",
    "x",
    "a/b:1",
    "!",
    "1",
    "2",
    "500m",
    "9",
    "1Gi",
    "ALL",
    "Unconfined",
    "RuntimeDefault",
    "team-a",
    "kube-system",
    "PASSWORD",
    "\u{0}",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => (0..4_i64).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        // Eighths: JSON text holds them exactly.
        1 => any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        4 => proptest::sample::select(&TEXTS[..]).prop_map(Value::from),
        1 => ".*".prop_map(Value::from),
    ]
}

/// Any tree, mostly of names that matter.
fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 6, |inner| {
        let key = prop_oneof![
            8 => proptest::sample::select(&KEYS[..]).prop_map(str::to_owned),
            1 => ".*",
        ];
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => vec((key, inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Something that may well pass: groups of pods with one odd member each.
fn groups() -> impl Strategy<Value = Value> {
    let cpu = proptest::sample::select(&["1", "2", "500m", "4", "9"][..]);
    let pod =
        (cpu, any::<bool>(), proptest::option::of((proptest::sample::select(&KEYS[..]), leaf())));
    let pod = pod.prop_map(|(cpu, starts, odd)| {
        let container =
            json!({"name": "c", "image": "a/b:1", "resources": {"limits": {"cpu": cpu}}});
        let list = if starts { json!([container]) } else { json!([]) };
        let mut pod = json!({"initContainers": list, "containers": [container]});
        if let Some((key, value)) = odd {
            pod["containers"][0][key] = value;
        }
        pod
    });
    let group = (0..4_u32, proptest::sample::select(&["replicas", "parallelism", "a"][..]), pod)
        .prop_map(|(count, key, pod)| json!({key: count, "template": {"spec": pod}}));
    vec(group, 1..4).prop_map(|groups| json!({"groups": groups}))
}

/// The smallest reading of the rules: no shared code, no positions, no explanations.
struct Reader {
    cores: f64,
}

impl Reader {
    fn read(&mut self, value: &Value, times: f64) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.read(item, times)),
            Value::Object(members) => self.object(members, times),
            Value::String(text) => assert!(!text.contains('\0')),
            _ => {}
        }
    }

    fn object(&mut self, members: &Map<String, Value>, times: f64) {
        let is = |key: &str, value: Value| members.get(key) == Some(&value);
        for key in ["hostNetwork", "hostPath"] {
            let found = members.get(key).unwrap_or(&Value::Null);
            assert!(matches!(found, Value::Null | Value::Bool(false)), "{key} is {found}");
        }
        if let Some(Value::Object(context)) = members.get("securityContext") {
            assert!(
                context
                    .get("privileged")
                    .is_none_or(|it| matches!(it, Value::Null | Value::Bool(false)))
            );
            assert_ne!(context.get("runAsUser"), Some(&json!(0)));
        }
        assert!(members.get("ttlSecondsAfterFinished").is_none_or(Value::is_null));
        let mut times = times;
        for key in ["replicas", "parallelism"] {
            times *= members.get(key).and_then(Value::as_f64).unwrap_or(1.0);
        }
        let lists = ["containers", "initContainers"]
            .map(|list| members.get(list).and_then(Value::as_array));
        if lists.iter().any(Option::is_some) {
            assert!(is("automountServiceAccountToken", json!(false)));
            assert_eq!(members["securityContext"]["runAsNonRoot"], true);
            let [main, starting] = lists.map(|list| list.map_or(&[][..], Vec::as_slice));
            for container in main.iter().chain(starting) {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert!(context["capabilities"]["drop"].to_string().contains("ALL"));
            }
            let sum: f64 = main.iter().map(cores).sum();
            assert!(sum <= 4.0, "one pod has {sum} cores");
            self.cores += sum * times;
        }
        for (key, item) in members {
            // Labels are data, whatever they are called.
            let data = key == "labels"
                && item.as_object().is_some_and(|labels| labels.values().all(Value::is_string));
            if !data {
                self.read(item, times);
            }
        }
    }
}

fn cores(container: &Value) -> f64 {
    match container.pointer("/resources/limits/cpu") {
        Some(Value::String(text)) if text == "500m" => 0.5,
        // What the generators call a number of cores; anything else counts elsewhere.
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(Value::Number(number)) => number.as_f64().unwrap(),
        _ => 0.0,
    }
}

/// Checks a bundle for a job of two instances with four cores each.
fn keeps_promises(bundle: &Bundle) {
    let mut reader = Reader { cores: 0.0 };
    for manifest in bundle.manifests() {
        let document = &manifest.document;
        assert_eq!(document["metadata"]["namespace"], "team-a");
        assert_eq!(document["metadata"]["labels"]["training-job-id"], "iris-00000001");
        reader.read(document, 1.0);
    }
    assert!(reader.cores <= 12.0, "{} cores in all", reader.cores);
    assert!(bundle.to_text().len() <= 1 << 20);
    assert_eq!(Bundle::parse(&bundle.to_text()).unwrap(), *bundle);
}

fn answers(document: Value) -> bool {
    let manifest = Manifest { role: Role::Workload, document };
    match run_with(vec![manifest], asked(2, 0), &lenient()) {
        Ok(admitted) => {
            keeps_promises(&admitted.bundle);
            true
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| !error.code.is_empty() && !error.detail.is_empty()));
            false
        }
    }
}

proptest! {
    #[test]
    fn any_tree_is_answered(document in tree()) {
        answers(document);
    }

    #[test]
    fn any_specification_is_answered_and_what_passes_keeps_the_promises(spec in tree()) {
        answers(with_spec(spec).document);
    }

    #[test]
    fn groups_that_pass_stay_below_the_ceiling(spec in groups()) {
        answers(with_spec(spec).document);
    }
}

/// The properties above say nothing if nothing passes.
#[test]
fn a_fair_share_of_the_groups_passes() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let passed = (0..200).filter(|_| {
        let spec = groups().new_tree(&mut runner).unwrap().current();
        answers(with_spec(spec).document)
    });
    assert!(passed.count() >= 20);
}
