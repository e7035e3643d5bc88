//! Plugins count in whole cores, GiB and Gi, rounded up. Where a form says it more exactly, the host
//! writes what the form says: a quantity that is the whole instance becomes the exact one, and a
//! smaller one, of a helper, stays unless it is above it.

use serde_json::{Map, Value};

use super::report::{Report, below, each_object_mut, given};
use super::{Owner, quantity, storage};
use crate::form::quantities::{bytes_text, cores_text};
use crate::job::Amount;

/// What the form says about one resource.
struct Rule {
    resource: &'static str,
    /// The whole instance, in thousandths of the unit.
    whole: u128,
    /// In thousandths of the unit.
    request: (u128, String),
    limit: (u128, String),
}

/// Writes the exact amounts of a form into everything below `spec`.
pub(super) fn write(spec: &mut Value, at: &str, owner: Owner<'_>, report: &mut Report) {
    let rules = rules(owner);
    let class = owner.exact.storage_class.as_deref();
    if rules.is_empty() && class.is_none() && owner.exact.volume_bytes.is_none() {
        return;
    }
    each_object_mut(spec, at, &mut |members, at| {
        if storage::is_claim(members) {
            write_claim(members, at, owner, report);
            return;
        }
        // As the ceiling finds them: those of containers, of pods, and of what joins pods later.
        for (key, block) in members.iter_mut().filter(|(key, _)| key.starts_with("resources")) {
            if let Value::Object(block) = block {
                for rule in &rules {
                    rule.write(block, &below(at, key), report);
                }
            }
        }
    });
}

fn rules(owner: Owner<'_>) -> Vec<Rule> {
    let cpu = |amount: u64| (u128::from(amount), cores_text(amount));
    let memory = |amount: u64| (u128::from(amount) * 1000, bytes_text(amount));
    let rule = |resource, whole, amount: Amount, text: &dyn Fn(u64) -> (u128, String)| Rule {
        resource,
        whole,
        request: text(amount.request),
        limit: text(amount.limit),
    };
    let (cores, gib) = (owner.resources.cpu_cores, owner.resources.memory_gib);
    let of_cpu = owner.exact.cpu.map(|it| rule("cpu", u128::from(cores) * 1000, it, &cpu));
    let of_memory =
        owner.exact.memory.map(|it| rule("memory", (u128::from(gib) << 30) * 1000, it, &memory));
    of_cpu.into_iter().chain(of_memory).collect()
}

impl Rule {
    fn write(&self, block: &mut Map<String, Value>, at: &str, report: &mut Report) {
        let amount = |list: &str| {
            let found = block.get(list)?.get(self.resource)?;
            quantity::read(found)
        };
        let (request, limit) = (amount("requests"), amount("limits"));
        let Some(most) = limit.max(request) else { return };
        if most == self.whole {
            // A limit alone would be the request, too.
            self.set(block, "requests", &self.request, at, report);
            // A plugin that sets no limit has a reason, unless the form asks for one.
            if limit.is_some() || self.limit.0 != self.request.0 {
                self.set(block, "limits", &self.limit, at, report);
            }
            return;
        }
        for (list, own, exact) in
            [("requests", request, &self.request), ("limits", limit, &self.limit)]
        {
            if own.is_some_and(|own| own > exact.0 && own <= self.whole) {
                self.set(block, list, exact, at, report);
            }
        }
    }

    fn set(
        &self,
        block: &mut Map<String, Value>,
        list: &str,
        (amount, text): &(u128, String),
        at: &str,
        report: &mut Report,
    ) {
        let quantities = block.entry(list).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(quantities) = quantities else { return };
        if quantities.get(self.resource).and_then(quantity::read) == Some(*amount) {
            return;
        }
        quantities.insert(self.resource.to_owned(), Value::from(text.as_str()));
        let detail = format!("Set to {text}: the form says so, and plugins count in whole ones.");
        report.change(below(&below(at, list), self.resource), "exact-amount", detail);
    }
}

fn write_claim(claim: &mut Map<String, Value>, at: &str, owner: Owner<'_>, report: &mut Report) {
    if let Some(class) = &owner.exact.storage_class {
        let key = "storageClassName";
        if given(claim, key).and_then(Value::as_str) != Some(class) {
            claim.insert(key.to_owned(), Value::from(class.as_str()));
            let detail = format!("Set to `{class}`: the form says so.");
            report.change(below(at, key), "storage-class", detail);
        }
    }
    let whole = (u128::from(owner.resources.volume_size_gb) << 30) * 1000;
    let Some(bytes) = owner.exact.volume_bytes else { return };
    let Some(Value::Object(resources)) = claim.get_mut("resources") else { return };
    for list in ["requests", "limits"] {
        let Some(Value::Object(quantities)) = resources.get_mut(list) else { continue };
        if quantities.get("storage").and_then(quantity::read) == Some(whole) {
            let text = bytes_text(bytes);
            quantities.insert("storage".to_owned(), Value::from(text.as_str()));
            let at = format!("{at}/resources/{list}/storage");
            let detail = format!("Set to {text}: the form says so, and plugins count in whole Gi.");
            report.change(at, "exact-amount", detail);
        }
    }
}
