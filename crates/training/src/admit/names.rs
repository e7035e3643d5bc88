//! Names, labels and annotations as Kubernetes spells them. What is spelled otherwise may mean one
//! thing to the host and another to who reads it next, so it is refused and never mended.

use serde_json::{Map, Value};

use super::report::{Report, below, quoted};

/// Domains by whose labels and annotations Kubernetes and Karmada steer.
const STEERING: [&str; 4] = ["karmada.io", "kubernetes.io", "k8s.io", "x-k8s.io"];

/// A DNS label: the names of most things inside a manifest.
pub(super) fn is_dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A DNS subdomain: the names of most objects.
pub(super) fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_qualified(name: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| ends(c) || "-_.".contains(c))
        && name.starts_with(ends)
        && name.ends_with(ends)
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_qualified(key),
        Some((domain, name)) => is_dns_subdomain(domain) && is_qualified(name),
    }
}

/// The domain of a key, if it is one of those that steer.
pub(super) fn steering_domain(key: &str) -> Option<&'static str> {
    let domain = key.split_once('/')?.0;
    STEERING.into_iter().find(|known| {
        domain == *known
            || domain.strip_suffix(known).is_some_and(|subdomain| subdomain.ends_with('.'))
    })
}

/// Whether a map of this name holds labels or annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    Labels,
    Annotations,
}

impl Pairs {
    pub(super) const BOTH: [Self; 2] = [Self::Labels, Self::Annotations];

    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }
}

/// The labels or annotations of a metadata object that are spelled right; the others are refused.
pub(super) fn pairs<'v>(
    metadata: &'v Map<String, Value>,
    which: Pairs,
    at: &str,
    report: &mut Report,
) -> Vec<(&'v str, &'v str)> {
    let at = below(at, which.member());
    let map = match metadata.get(which.member()) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(_) => {
            report.refuse(at, "type", "It must be an object of texts.");
            return Vec::new();
        }
    };
    let mut right = Vec::with_capacity(map.len());
    for (key, value) in map {
        let at = below(&at, key);
        let Some(value) = value.as_str() else {
            report.refuse(at, "type", "The value of a label or annotation is a text.");
            continue;
        };
        if !is_key(key) {
            let detail = format!("{} is not the name of a label or annotation.", quoted(key));
            report.refuse(at, "invalid-name", detail);
        } else if which == Pairs::Labels && !(value.is_empty() || is_qualified(value)) {
            let detail = format!(
                "{} is not the value of a label: at most 63 letters, digits, `-`, `_` and `.`.",
                quoted(value)
            );
            report.refuse(at, "invalid-name", detail);
        } else {
            right.push((key.as_str(), value));
        }
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_kubernetes_spells_them() {
        for good in ["a", "a-b", "0", &"a".repeat(63)] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "a b", "ä", &"a".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
        }
        assert!(is_dns_subdomain("a.b-c.d"));
        for bad in ["a..b", ".a", "a.", "a/b"] {
            assert!(!is_dns_subdomain(bad), "{bad}");
        }
        for good in ["app", "example.com/Some_name.x", "a"] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "a b", "Example.com/x", "a\nb"] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn steering_domains_are_found_with_their_subdomains_only() {
        for key in ["karmada.io/x", "work.karmada.io/x", "kueue.x-k8s.io/queue-name"] {
            assert!(steering_domain(key).is_some(), "{key}");
        }
        for key in ["karmada.io", "notkarmada.io/x", "example.com/karmada.io", "app"] {
            assert!(steering_domain(key).is_none(), "{key}");
        }
    }
}
