//! Nothing may ask a member cluster to remove the workload by itself: Karmada would make the object
//! again, and the job would run twice. What removes only pods or inner clusters (`cleanPodPolicy`,
//! `shutdownAfterJobFinishes`) is left alone.

use serde_json::Value;

use super::report::{Report, below};
use super::{MemberTtl, Policy};

const WHY: &str = "The host removes finished jobs; when a member does it, Karmada makes the object \
                   again, and the job runs twice.";

/// The fields stand at another place in each kind, so they are looked for everywhere.
pub(super) fn check(spec: &mut Value, at: &str, policy: &Policy, report: &mut Report) {
    match spec {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                check(item, &format!("{at}/{index}"), policy, report);
            }
        }
        Value::Object(members) => {
            let mut removed = Vec::new();
            for (key, item) in members.iter_mut() {
                let at = below(at, key);
                if is_ttl(key) && !item.is_null() {
                    match policy.member_ttl {
                        MemberTtl::Refuse => report.refuse(at, "self-removal", WHY),
                        MemberTtl::Remove => {
                            report.change(at, "self-removal", format!("Taken out. {WHY}"));
                            removed.push(key.clone());
                        }
                    }
                } else if key.to_ascii_lowercase().ends_with("policy") && item == "DeleteSelf" {
                    report.refuse(at, "self-removal", WHY);
                } else {
                    check(item, &at, policy, report);
                }
            }
            for key in removed {
                // Keeps the order of the other members.
                members.shift_remove(&key);
            }
        }
        _ => {}
    }
}

/// `ttlSecondsAfterFinished`, `ttlStrategy` and their like.
fn is_ttl(key: &str) -> bool {
    key.strip_prefix("ttl").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}
