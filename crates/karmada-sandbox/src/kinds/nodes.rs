//! The nodes of a member: what fits where, and the sums Karmada reports as `resourceSummary`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::json::Tree as _;
use crate::{
    ClusterConfig, clock,
    json::{self as js, list, quantity, quantity_text},
    objects::{Api, Key, resources::NODE},
};

/// Amounts by resource name, in thousandths.
pub(crate) type Amounts = BTreeMap<String, i128>;

#[derive(Debug)]
struct Node {
    name: String,
    allocatable: Amounts,
    used: Amounts,
}

/// All nodes of one member, and who is on them.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    placed: HashMap<Key, (usize, Amounts)>,
    /// Pods that did not fit, in the order they are tried again.
    pub(crate) waiting: BTreeSet<Key>,
}

impl Nodes {
    /// Creates the `Node` objects of a cluster.
    pub(crate) fn install(config: &ClusterConfig, api: &mut Api) -> Self {
        let mut nodes = Vec::new();
        for at in 1..=config.nodes {
            let name = format!("{}-node-{at}", config.name);
            let mut allocatable = Amounts::from([
                ("cpu".to_owned(), i128::from(config.cpu_per_node) * 1000),
                ("memory".to_owned(), (i128::from(config.memory_gib_per_node) << 30) * 1000),
                ("pods".to_owned(), i128::from(config.pods_per_node) * 1000),
                ("ephemeral-storage".to_owned(), (1_i128 << 40) * 1000),
            ]);
            if config.gpus_per_node > 0 {
                let gpus = i128::from(config.gpus_per_node) * 1000;
                allocatable.insert("nvidia.com/gpu".to_owned(), gpus);
            }
            let texts = write(&allocatable);
            let labels = json!({
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": config.region,
                "topology.kubernetes.io/zone": config.zone,
            });
            api.ensure(&NODE, "", json!({ "metadata": { "name": name, "labels": labels } }));
            let now = clock::stamp(api.now);
            api.edit(&Key::new(&NODE, "", &name), |node| {
                let ready = json!([{
                    "type": "Ready", "status": "True", "reason": "KubeletReady",
                    "message": "kubelet is posting ready status", "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }]);
                js::set(
                    node,
                    &["status"],
                    json!({
                        "capacity": texts, "allocatable": texts, "conditions": ready,
                        "nodeInfo": { "kubeletVersion": config.kubernetes_version },
                    }),
                );
            });
            nodes.push(Node { name, allocatable, used: Amounts::new() });
        }
        Self { nodes, placed: HashMap::new(), waiting: BTreeSet::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Reserves room for a pod on the first node that has it. `Err` says what is short where.
    pub(crate) fn place(&mut self, key: &Key, pod: &Value) -> Result<String, String> {
        let wanted = requests(pod);
        let mut short: BTreeMap<String, usize> = BTreeMap::new();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let lacking = wanted.iter().find(|(name, amount)| {
                let used = node.used.get(*name).copied().unwrap_or_default();
                let has = node.allocatable.get(*name).copied().unwrap_or_default();
                used + **amount > has
            });
            if let Some((name, _)) = lacking {
                *short.entry(name.clone()).or_default() += 1;
                continue;
            }
            for (name, amount) in &wanted {
                *node.used.entry(name.clone()).or_default() += amount;
            }
            self.placed.insert(key.clone(), (at, wanted));
            self.waiting.remove(key);
            return Ok(node.name.clone());
        }
        let reasons: Vec<String> = short
            .iter()
            .map(|(name, count)| match name.as_str() {
                "pods" => format!("{count} Too many pods"),
                name => format!("{count} Insufficient {name}"),
            })
            .collect();
        Err(format!("0/{} nodes are available: {}.", self.nodes.len(), reasons.join(", ")))
    }

    /// Gives a pod's room back; false if it had none.
    pub(crate) fn free(&mut self, key: &Key) -> bool {
        self.waiting.remove(key);
        let Some((at, amounts)) = self.placed.remove(key) else { return false };
        if let Some(node) = self.nodes.get_mut(at) {
            for (name, amount) in amounts {
                *node.used.entry(name).or_default() -= amount;
            }
        }
        true
    }

    /// `Cluster.status.resourceSummary`.
    pub(crate) fn summary(&self) -> Value {
        let mut allocatable = Amounts::new();
        let mut allocated = Amounts::new();
        for node in &self.nodes {
            for (name, amount) in &node.allocatable {
                *allocatable.entry(name.clone()).or_default() += amount;
            }
            for (name, amount) in node.used.iter().filter(|(_, amount)| **amount != 0) {
                *allocated.entry(name.clone()).or_default() += amount;
            }
        }
        json!({ "allocatable": write(&allocatable), "allocated": write(&allocated) })
    }
}

fn write(amounts: &Amounts) -> Value {
    amounts
        .iter()
        .map(|(name, amount)| (name.clone(), json!(quantity_text(name, *amount))))
        .collect()
}

/// What a pod asks for; a limit without a request is a request.
fn requests(pod: &Value) -> Amounts {
    let mut total = Amounts::from([("pods".to_owned(), 1000)]);
    for container in list(pod, "/spec/containers") {
        let resources = container.at(&["resources"]);
        let mut wanted = resources.at(&["limits"]).as_object().cloned().unwrap_or_default();
        for (name, amount) in resources.at(&["requests"]).as_object().into_iter().flatten() {
            wanted.insert(name.clone(), amount.clone());
        }
        for (name, amount) in wanted {
            *total.entry(name).or_default() += quantity(&amount);
        }
    }
    total
}
