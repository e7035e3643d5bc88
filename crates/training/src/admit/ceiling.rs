//! Nobody gets more than the job asked for: not in one pod, not in all pods together.
//!
//! A group of pods is found by its shape: a count (`replicas`, `parallelism`, …) in an object with
//! pods below it. Counts multiply on the way down, as for a JobSet of Jobs. What a pod takes is what
//! Kubernetes reserves for it: the larger of its containers together and its largest start-up
//! container, with sidecars added to both; of a request and a limit the larger one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::pod::is_pod;
use super::report::{Report, below, given, quoted};
use super::{Owner, Policy, quantity, storage};

/// Amounts by resource name, in thousandths.
type Amounts = BTreeMap<String, u128>;

/// What cannot be added any more is over every ceiling.
fn add(to: &mut Amounts, amounts: &Amounts) {
    for (resource, amount) in amounts {
        let sum = to.entry(resource.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn raise(to: &mut Amounts, amounts: &Amounts) {
    for (resource, amount) in amounts {
        let most = to.entry(resource.clone()).or_default();
        *most = (*most).max(*amount);
    }
}

/// Pods that are alike, or a part of them that stands outside their template.
struct Group {
    at: String,
    count: u128,
    /// Whether it makes pods, or adds to those of another group.
    pods: bool,
    each: Amounts,
}

/// Adds up a bundle.
pub(super) struct Ceiling<'a> {
    owner: Owner<'a>,
    policy: &'a Policy,
    groups: Vec<Group>,
    claims: storage::Claims,
    /// The highest count to which something outside of any group may raise one.
    bound: u128,
    /// Whether the manifest at hand lets something raise the counts of its groups.
    autoscaled: bool,
}

impl<'a> Ceiling<'a> {
    pub(super) fn new(owner: Owner<'a>, policy: &'a Policy) -> Self {
        let claims = storage::Claims::default();
        Self { owner, policy, groups: Vec::new(), claims, bound: 0, autoscaled: false }
    }

    /// Takes one manifest in, and checks each of its pods and counts alone.
    pub(super) fn add_manifest(&mut self, document: &Value, at: &str, report: &mut Report) {
        let Some(spec) = document.get("spec") else { return };
        self.autoscaled = is_autoscaled(spec);
        self.walk(spec, &format!("{at}/spec"), 1, report);
    }

    fn walk(&mut self, value: &Value, at: &str, count: u128, report: &mut Report) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{at}/{index}"), count, report);
                }
            }
            Value::Object(members) if is_pod(members) => self.pod(members, at, count, report),
            Value::Object(members) => self.object(members, at, count, report),
            _ => {}
        }
    }

    fn object(&mut self, members: &Map<String, Value>, at: &str, count: u128, report: &mut Report) {
        let counts = Counts::read(members, self.autoscaled, at, report);
        let own = counts.effective(self.owner, at, report);
        let inside = count.saturating_mul(own);
        if inside > self.instances() && own <= self.instances() && own > 1 {
            let detail = format!(
                "The counts above and here make {inside} pods, and the job asks for {} instances.",
                self.instances()
            );
            report.refuse(at, "over-ceiling", detail);
        }
        if storage::is_claim(members) {
            self.claims.add(members, at, inside, self.owner, report);
        } else {
            self.loose_resources(members, at, inside, report);
        }
        let before = self.groups.len();
        for (key, item) in members {
            self.walk(item, &below(at, key), inside, report);
        }
        let has_pods = self.groups.iter().skip(before).any(|group| group.pods);
        if has_pods && counts.unbounded {
            let detail = "Something may add pods here without an end: `maxReplicas` is missing.";
            report.refuse(at, "over-ceiling", detail);
        }
        if !has_pods && let Some(most) = counts.max {
            self.bound = self.bound.max(most);
        }
    }

    /// Resources beside pods, such as those of a container that an operator adds to them.
    fn loose_resources(
        &mut self,
        members: &Map<String, Value>,
        at: &str,
        count: u128,
        report: &mut Report,
    ) {
        for (key, value) in members.iter().filter(|(key, _)| key.starts_with("resources")) {
            let block = value.as_object().is_some_and(|inner| {
                ["requests", "limits"].iter().any(|name| inner.contains_key(*name))
            });
            if block {
                let at = below(at, key);
                let each = amounts(value, &at, report);
                self.check_one(&each, &at, report);
                self.groups.push(Group { at, count, pods: false, each });
            }
        }
    }

    fn pod(&mut self, pod: &Map<String, Value>, at: &str, count: u128, report: &mut Report) {
        let mut containers = Amounts::new();
        for (at, container) in listed(pod, "containers", at) {
            add(&mut containers, &amounts_of(container, &at, report));
        }
        let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
        for (at, container) in listed(pod, "initContainers", at) {
            let own = amounts_of(container, &at, report);
            if container.get("restartPolicy").is_some_and(|policy| policy == "Always") {
                add(&mut sidecars, &own);
                raise(&mut starting, &sidecars);
            } else {
                let mut moment = sidecars.clone();
                add(&mut moment, &own);
                raise(&mut starting, &moment);
            }
        }
        let mut each = containers;
        add(&mut each, &sidecars);
        raise(&mut each, &starting);
        // Resources of the pod as a whole bound its containers, or stand for them.
        if let Some(resources) = given(pod, "resources") {
            raise(&mut each, &amounts(resources, &format!("{at}/resources"), report));
        }
        if self.policy.require_limits {
            self.check_bounded(pod, at, report);
        }
        self.check_one(&each, at, report);
        self.groups.push(Group { at: at.to_owned(), count, pods: true, each });
        // Claims of its volumes, and pods inside of what only looks like one.
        for (key, item) in pod {
            let at = below(at, key);
            match item {
                Value::Array(items) if key == "containers" || key == "initContainers" => {
                    for (index, container) in items.iter().enumerate() {
                        self.container(container, &format!("{at}/{index}"), count, report);
                    }
                }
                _ if key == "resources" => {}
                _ => self.walk(item, &at, count, report),
            }
        }
    }

    /// A container without a limit may take all that its node has, whatever it reserves.
    fn check_bounded(&self, pod: &Map<String, Value>, at: &str, report: &mut Report) {
        let limited = |holder: Option<&Value>, resource: &str| {
            let limits = holder.and_then(|resources| resources.get("limits"));
            limits.and_then(|limits| limits.get(resource)).is_some_and(|limit| !limit.is_null())
        };
        // 0 GiB means that the user set no bound.
        let bounded: &[&str] =
            if self.owner.resources.memory_gib == 0 { &["cpu"] } else { &["cpu", "memory"] };
        for list in ["containers", "initContainers"] {
            // What has no image is a change to a container that stands elsewhere.
            let whole = |(_, container): &(String, &Value)| container.get("image").is_some();
            for (at, container) in listed(pod, list, at).filter(whole) {
                let missing = bounded.iter().filter(|resource| {
                    !limited(container.get("resources"), resource)
                        && !limited(pod.get("resources"), resource)
                });
                let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
                if !missing.is_empty() {
                    let detail = format!(
                        "The container has no limit of {}: it could take all that its node has.",
                        missing.join(" and ")
                    );
                    report.refuse(format!("{at}/resources"), "no-limit", detail);
                }
            }
        }
    }

    /// The inside of a container but for its resources, which its pod has counted.
    fn container(&mut self, container: &Value, at: &str, count: u128, report: &mut Report) {
        for (key, item) in container.as_object().into_iter().flatten() {
            if key != "resources" {
                self.walk(item, &below(at, key), count, report);
            }
        }
    }

    fn instances(&self) -> u128 {
        u128::from(self.owner.resources.instance_count)
    }

    /// The ceiling of a resource for so many instances; `None` without one.
    fn limit(&self, resource: &str, pods: u128) -> Option<u128> {
        let asked = self.owner.resources;
        let exact = self.owner.exact;
        match resource {
            "cpu" => {
                let whole = u128::from(asked.cpu_cores) * 1000;
                Some(exact.cpu.map_or(whole, |cpu| cpu.limit.into()) * pods)
            }
            // 0 GiB means that the user set no bound.
            "memory" if asked.memory_gib == 0 => None,
            "memory" => {
                let whole = u128::from(asked.memory_gib) << 30;
                Some(exact.memory.map_or(whole, |memory| memory.limit.into()) * 1000 * pods)
            }
            // Scratch space is bounded by the node.
            "ephemeral-storage" => None,
            _ => Some(u128::from(asked.gpu_count) * 1000 * pods),
        }
    }

    /// No pod is larger than one instance.
    fn check_one(&self, each: &Amounts, at: &str, report: &mut Report) {
        for (resource, asked) in each {
            if let Some(most) = self.limit(resource, 1).filter(|most| asked > most) {
                let detail = format!(
                    "One pod asks for {} of `{resource}`, and an instance of the job has {}.",
                    shown(resource, *asked),
                    shown(resource, most)
                );
                report.refuse(at, "over-ceiling", detail);
            }
        }
    }

    /// Checks the sums over the whole bundle. A sum has no place of its own, so its pointer is the
    /// bundle, and its sentence names the largest parts.
    pub(super) fn finish(&self, report: &mut Report) {
        self.claims.finish(self.owner, report);
        let (workers, helpers) = (self.instances(), u128::from(self.policy.helpers));
        let with_helpers = workers.saturating_add(helpers);
        let pods = self.total(|group| u128::from(group.pods));
        if pods > with_helpers {
            let detail = format!(
                "The manifests make {pods} pods, and the job has {workers} instances and up to \
                 {helpers} helpers: {}.",
                self.largest(|group| u128::from(group.pods), |count| count.to_string())
            );
            report.refuse("", "over-ceiling", detail);
        }
        let mut resources: Vec<&String> =
            self.groups.iter().flat_map(|group| group.each.keys()).collect();
        resources.sort();
        resources.dedup();
        for resource in resources {
            // Helpers run on processors; only workers train.
            let shared = matches!(resource.as_str(), "cpu" | "memory");
            let Some(most) = self.limit(resource, if shared { with_helpers } else { workers })
            else {
                continue;
            };
            let each = |group: &Group| group.each.get(resource).copied().unwrap_or_default();
            let asked = self.total(each);
            if asked > most {
                let detail = format!(
                    "All pods together ask for {} of `{resource}`, and the job has {}: {}.",
                    shown(resource, asked),
                    shown(resource, most),
                    self.largest(each, |amount| shown(resource, amount))
                );
                report.refuse("", "over-ceiling", detail);
            }
        }
    }

    /// The sum over all pods in the worst case: one group, whichever, is raised to the bound.
    fn total(&self, each: impl Fn(&Group) -> u128) -> u128 {
        let (mut sum, mut raised) = (0_u128, 0_u128);
        for group in &self.groups {
            let own = each(group);
            sum = sum.saturating_add(group.count.saturating_mul(own));
            raised = raised.max(self.bound.saturating_sub(group.count).saturating_mul(own));
        }
        sum.saturating_add(raised)
    }

    /// The three largest parts of a sum.
    fn largest(&self, each: impl Fn(&Group) -> u128, show: impl Fn(u128) -> String) -> String {
        let mut groups: Vec<&Group> = self.groups.iter().filter(|group| each(group) > 0).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count.saturating_mul(each(group))));
        let parts: Vec<String> = groups
            .iter()
            .take(3)
            .map(|group| format!("{} × {} at `{}`", group.count, show(each(group)), group.at))
            .collect();
        parts.join(", ")
    }
}

fn listed<'v>(
    holder: &'v Map<String, Value>,
    list: &'static str,
    at: &'v str,
) -> impl Iterator<Item = (String, &'v Value)> {
    let items = holder.get(list).and_then(Value::as_array).into_iter().flatten().enumerate();
    items.map(move |(index, item)| (format!("{at}/{list}/{index}"), item))
}

fn amounts_of(container: &Value, at: &str, report: &mut Report) -> Amounts {
    match container.get("resources") {
        None | Some(Value::Null) => Amounts::new(),
        Some(resources) => amounts(resources, &format!("{at}/resources"), report),
    }
}

/// What a block of `requests` and `limits` takes. What cannot be read is refused, not ignored.
fn amounts(resources: &Value, at: &str, report: &mut Report) -> Amounts {
    let mut found = Amounts::new();
    let Value::Object(resources) = resources else {
        report.refuse(at, "type", "`resources` is an object.");
        return found;
    };
    if given(resources, "claims").is_some() {
        let detail = "Devices by claim take room that no ceiling sees.";
        report.refuse(format!("{at}/claims"), "over-ceiling", detail);
    }
    for block in ["requests", "limits"] {
        let at = format!("{at}/{block}");
        let quantities = match given(resources, block) {
            None => continue,
            Some(Value::Object(quantities)) => quantities,
            Some(_) => {
                report.refuse(at, "type", "It must be an object of quantities.");
                continue;
            }
        };
        for (resource, value) in quantities {
            let Some(amount) = quantity::read(value) else {
                let detail = format!("{} is not a quantity.", quoted(&value.to_string()));
                report.refuse(below(&at, resource), "quantity", detail);
                continue;
            };
            // Large pages are memory that was set aside.
            let huge = resource.starts_with("hugepages-");
            let name = if huge { "memory" } else { resource.as_str() };
            raise(&mut found, &Amounts::from([(name.to_owned(), amount)]));
        }
    }
    found
}

/// An amount as people write it.
fn shown(resource: &str, millis: u128) -> String {
    if resource == "memory" {
        let mib = (millis / 1000).div_ceil(1 << 20);
        return if mib.is_multiple_of(1024) {
            format!("{} GiB", mib / 1024)
        } else {
            format!("{mib} MiB")
        };
    }
    match millis % 1000 {
        0 => (millis / 1000).to_string(),
        rest => format!("{}.{rest:03}", millis / 1000).trim_end_matches('0').to_owned(),
    }
}

/// Counts that stand beside each other in one object.
#[derive(Default)]
struct Counts {
    replicas: Option<u128>,
    min: Option<u128>,
    max: Option<u128>,
    /// Those that always hold: `parallelism` and the like.
    fixed: Vec<(&'static str, u128)>,
    /// Whether `max` can be reached.
    reachable: bool,
    /// Whether something may raise the count and nothing says how far.
    unbounded: bool,
}

impl Counts {
    fn read(members: &Map<String, Value>, autoscaled: bool, at: &str, report: &mut Report) -> Self {
        let mut read = |key: &str| {
            let value = given(members, key)?;
            // What cannot be read might be anything.
            let count = value.as_u64().filter(|count| u32::try_from(*count).is_ok());
            if count.is_none() {
                let detail = format!("{} is not a count.", quoted(&value.to_string()));
                report.refuse(below(at, key), "count", detail);
            }
            count.map(u128::from)
        };
        let mut counts = Self {
            replicas: read("replicas"),
            min: read("minReplicas"),
            max: read("maxReplicas"),
            ..Self::default()
        };
        for key in ["parallelism", "numNodes", "numOfHosts"] {
            counts.fixed.extend(read(key).map(|count| (key, count)));
        }
        // `size` means many things; beside a template it counts its pods.
        if members.keys().any(|key| key.ends_with("emplate")) {
            counts.fixed.extend(read("size").map(|count| ("size", count)));
        }
        // A bound beside a stated count moves nothing by itself: operators fill in one of 2³¹ - 1
        // where it is missing, and only an autoscaler goes there.
        counts.reachable = autoscaled || counts.replicas.is_none();
        let grouped = counts.replicas.is_some() || counts.min.is_some();
        counts.unbounded = autoscaled && grouped && counts.max.is_none();
        counts
    }

    /// The most pods that these counts can make of one below them; each count above the job's
    /// instances is refused at its place.
    fn effective(&self, owner: Owner<'_>, at: &str, report: &mut Report) -> u128 {
        let instances = u128::from(owner.resources.instance_count);
        let max = self.max.filter(|_| self.reachable);
        let named = [("replicas", self.replicas), ("minReplicas", self.min), ("maxReplicas", max)];
        let mut group: Option<u128> = None;
        for (key, count) in named.into_iter().filter_map(|(key, count)| Some((key, count?))) {
            group = Some(group.unwrap_or_default().max(count));
            over(key, count, instances, at, report);
        }
        let mut product = group.unwrap_or(1);
        for (key, count) in &self.fixed {
            over(key, *count, instances, at, report);
            product = product.saturating_mul(*count);
        }
        product
    }
}

fn over(key: &str, count: u128, instances: u128, at: &str, report: &mut Report) {
    if count > instances {
        let detail = format!("`{key}` is {count}, and the job asks for {instances} instances.");
        report.refuse(below(at, key), "over-ceiling", detail);
    }
}

/// Whether a switch below a spec lets something add pods: `enableInTreeAutoscaling` and its like.
fn is_autoscaled(spec: &Value) -> bool {
    match spec {
        Value::Array(items) => items.iter().any(is_autoscaled),
        Value::Object(members) => members.iter().any(|(key, value)| {
            let off = value.is_null() || *value == Value::Bool(false);
            (key.to_ascii_lowercase().contains("autoscal") && !off) || is_autoscaled(value)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn amounts_are_shown_as_people_write_them() {
        for (resource, millis, text) in [
            ("cpu", 4000, "4"),
            ("cpu", 4500, "4.5"),
            ("cpu", 1, "0.001"),
            ("memory", (16_u128 << 30) * 1000, "16 GiB"),
            ("memory", (1536_u128 << 20) * 1000, "1536 MiB"),
            ("nvidia.com/gpu", 2000, "2"),
        ] {
            assert_eq!(shown(resource, millis), text);
        }
    }
}
