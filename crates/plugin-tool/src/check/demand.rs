//! What the manifests of a job ask of a cluster, counted from their pods. A pod is recognised by
//! its shape and multiplied by the replica counts around it, so this holds for kinds that did not
//! exist when it was written. It shares no code with the host's admission: two counts that agree
//! are worth more than one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use training::job::JobSpec;

/// Members that multiply the pods below them.
const MULTIPLIERS: &[&str] = &["replicas", "minReplicas", "parallelism", "numNodes"];
/// Multiplies only where an autoscaler is switched on; KubeRay wants it to be written always.
const AUTOSCALED: &str = "maxReplicas";

/// What a job asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    instances: u64,
    cpu_millis: u128,
    /// `None`: no bound.
    memory_millis: Option<u128>,
    gpus: u128,
}

impl Asked {
    /// The workers, and one more pod that leads them.
    pub(crate) fn of(spec: &JobSpec) -> Self {
        let demand = spec.demand();
        Self {
            instances: u64::from(spec.resources.instance_count),
            cpu_millis: u128::from(demand.cpu_millis),
            memory_millis: (spec.resources.memory_gib > 0)
                .then(|| u128::from(demand.memory_bytes) * 1000),
            gpus: u128::from(demand.gpus),
        }
    }
}

/// Everything that a document asks for beyond what the job did.
pub(crate) fn exceeded(document: &Value, asked: &Asked) -> Vec<String> {
    let mut count = Count::default();
    count.walk(document, 1, "", asked);
    let mut found = count.found;
    for (resource, amount) in count.sums {
        let limit = match resource.as_str() {
            "cpu" => asked.cpu_millis,
            "memory" => match asked.memory_millis {
                Some(limit) => limit,
                None => continue,
            },
            "ephemeral-storage" => continue,
            // Anything else that a container can ask for is a device.
            _ => asked.gpus * 1000,
        };
        if amount > limit {
            found.push(format!(
                "its pods ask for {} of `{resource}` in all; the job asked for {}",
                words(amount),
                words(limit)
            ));
        }
    }
    found
}

fn words(millis: u128) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}m") }
}

#[derive(Default)]
struct Count {
    /// An autoscaler is switched on in what was walked.
    autoscaled: bool,
    sums: BTreeMap<String, u128>,
    found: Vec<String>,
}

impl Count {
    fn walk(&mut self, value: &Value, times: u64, at: &str, asked: &Asked) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, times, &format!("{at}/{index}"), asked);
                }
            }
            Value::Object(members) => {
                self.autoscaled |=
                    members.get("enableInTreeAutoscaling") == Some(&Value::Bool(true));
                let scaled = self.autoscaled.then_some(AUTOSCALED);
                let numbers = MULTIPLIERS.iter().copied().chain(scaled);
                let numbers: Vec<(&str, u64)> =
                    numbers.filter_map(|name| Some((name, members.get(name)?.as_u64()?))).collect();
                for (name, number) in &numbers {
                    if *number > asked.instances {
                        self.found.push(format!(
                            "`{at}/{name}` is {number}; the job asked for {} instances",
                            asked.instances
                        ));
                    }
                }
                let most = numbers.iter().map(|(_, number)| *number).max();
                let times = times.saturating_mul(most.unwrap_or(1));
                if members.get("containers").is_some_and(Value::is_array) {
                    self.pod(members, times);
                    return;
                }
                for (name, inner) in members {
                    self.walk(inner, times, &format!("{at}/{name}"), asked);
                }
            }
            _ => {}
        }
    }

    fn pod(&mut self, pod: &Map<String, Value>, times: u64) {
        let containers = pod.get("containers").and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let mut wanted: BTreeMap<&str, u128> = BTreeMap::new();
            // Without requests the limits count as such.
            for block in ["/resources/limits", "/resources/requests"] {
                let block = container.pointer(block).and_then(Value::as_object);
                for (resource, quantity) in block.into_iter().flatten() {
                    let text =
                        quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
                    if let Some(amount) = millis(&text) {
                        wanted.insert(resource, amount);
                    } else {
                        self.found.push(format!("`{text}` is no quantity of `{resource}`"));
                    }
                }
            }
            for (resource, amount) in wanted {
                *self.sums.entry(resource.to_owned()).or_default() += amount * u128::from(times);
            }
        }
    }
}

/// Thousandths of the unit of a Kubernetes quantity, rounded up.
fn millis(text: &str) -> Option<u128> {
    const SUFFIXES: &[(&str, u128)] = &[
        ("Ki", 1000 << 10),
        ("Mi", 1000 << 20),
        ("Gi", 1000 << 30),
        ("Ti", 1000 << 40),
        ("m", 1),
        ("k", 1_000_000),
        ("M", 1_000_000_000),
        ("G", 1_000_000_000_000),
        ("T", 1_000_000_000_000_000),
        ("", 1000),
    ];
    SUFFIXES.iter().find_map(|(suffix, factor)| {
        let (whole, fraction) = {
            let number = text.strip_suffix(suffix)?;
            number.split_once('.').unwrap_or((number, ""))
        };
        let digits = format!("{whole}{fraction}");
        // More digits than any machine has bytes.
        if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        Some((digits.parse::<u128>().ok()? * factor).div_ceil(scale))
    })
}

/// Mounts without a volume, and volumes of one name twice.
pub(crate) fn undeclared_volumes(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit_pods(document, &mut |pod| {
        let names = |list: Option<&Value>| -> Vec<String> {
            let items = list.and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| item.get("name")?.as_str()).map(str::to_owned).collect()
        };
        let mut volumes = names(pod.get("volumes"));
        volumes.sort_unstable();
        if let Some([name, _]) = volumes.array_windows().find(|[one, other]| one == other) {
            found.push(format!("two volumes are named `{name}`"));
        }
        for list in ["containers", "initContainers"] {
            let containers = pod.get(list).and_then(Value::as_array);
            for container in containers.into_iter().flatten() {
                for mount in names(container.get("volumeMounts")) {
                    if !volumes.contains(&mount) {
                        found.push(format!("the volume `{mount}` is mounted but not declared"));
                    }
                }
            }
        }
    });
    found
}

fn visit_pods(value: &Value, visit: &mut dyn FnMut(&Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit_pods(item, visit)),
        Value::Object(members) if members.get("containers").is_some_and(Value::is_array) => {
            visit(members);
        }
        Value::Object(members) => members.values().for_each(|inner| visit_pods(inner, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked() -> Asked {
        // Three workers and a head: 4 × 2 cores, 4 × 1 GiB, 3 × 1 GPU.
        Asked {
            instances: 3,
            cpu_millis: 8000,
            memory_millis: Some((4_u128 << 30) * 1000),
            gpus: 3,
        }
    }

    fn group(replicas: u64, resources: Value) -> Value {
        json!({"replicas": replicas, "template": {"spec": {
            "containers": [{"name": "c", "resources": resources}],
        }}})
    }

    #[test]
    fn replicas_multiply_what_stands_below_them() {
        let good = json!({"spec": {
            "head": group(1, json!({"requests": {"cpu": "2", "memory": "1Gi"}})),
            "workers": [group(3, json!({"limits": {"cpu": 2, "nvidia.com/gpu": "1"}}))],
        }});
        assert_eq!(exceeded(&good, &asked()), Vec::<String>::new());
        let nested = json!({"replicas": 2, "job": group(2, json!({"requests": {"cpu": "2001m"}}))});
        let found = exceeded(&nested, &asked());
        assert_eq!(found, ["its pods ask for 8004m of `cpu` in all; the job asked for 8"]);
    }

    #[test]
    fn bound_of_an_autoscaler_counts_where_there_is_one() {
        let mut cluster = json!({"enableInTreeAutoscaling": false, "group": group(3, json!({}))});
        cluster["group"]["maxReplicas"] = json!(15);
        assert_eq!(exceeded(&cluster, &asked()), Vec::<String>::new());
        cluster["enableInTreeAutoscaling"] = json!(true);
        assert_eq!(
            exceeded(&cluster, &asked()),
            ["`/group/maxReplicas` is 15; the job asked for 3 instances"]
        );
    }

    #[test]
    fn too_many_replicas_and_devices_are_named() {
        let found = exceeded(&json!({"x": group(4, json!({}))}), &asked());
        assert_eq!(found, ["`/x/replicas` is 4; the job asked for 3 instances"]);
        let found = exceeded(&group(2, json!({"limits": {"amd.com/gpu": "2"}})), &asked());
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, expected) in [
            ("4", Some(4000)),
            ("0.5", Some(500)),
            ("500m", Some(500)),
            ("1Ki", Some(1_024_000)),
            ("1k", Some(1_000_000)),
            ("1.5Gi", Some((3_u128 << 29) * 1000)),
            ("", None),
            ("Gi", None),
            ("-1", None),
            ("1e3", None),
            ("1..2", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }

    #[test]
    fn mount_without_volume_is_found() {
        let pod = |volume: &str| {
            json!({"a": [{"spec": {
                "volumes": [{"name": volume}],
                "containers": [{"volumeMounts": [{"name": "data", "mountPath": "/x"}]}],
            }}]})
        };
        assert!(undeclared_volumes(&pod("data")).is_empty());
        assert_eq!(undeclared_volumes(&pod("other")).len(), 1);
    }
}
