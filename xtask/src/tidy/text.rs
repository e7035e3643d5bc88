//! Rules for every text file: nothing from one person's machine, nothing secret, nothing unfinished.

use super::Violation;

/// Places that exist on one machine only. `/home/ray` and `/home/mpiuser` are folders of public
/// images.
const MACHINE_PATHS: [&str; 4] = ["/home/", concat!("/ro", "ot"), concat!("/wo", "rk"), "/Users/"];
const PUBLIC_PATHS: [&str; 3] = ["/home/ray", "/home/nonroot", "/home/mpiuser"];

/// How well-known credentials begin, and how many more characters of theirs must follow.
const CREDENTIALS: [(&str, usize); 7] = [
    (concat!("AK", "IA"), 16),
    (concat!("AS", "IA"), 16),
    (concat!("gh", "p_"), 30),
    (concat!("github", "_pat_"), 30),
    (concat!("xox", "b-"), 20),
    (concat!("gl", "pat-"), 20),
    (concat!("ey", "JhbGciOi"), 60),
];

/// Files with credentials that open nothing, each with the reason for being there.
const HARMLESS: &[(&str, &str)] = &[];

pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    let unfinished = concat!("FIX", "ME");
    let private_key = concat!("PRIVATE", " KEY-----");
    for (number, line) in text.lines().enumerate() {
        let mut report = |what: String, remedy: &str| {
            found.push(Violation::at(path, number + 1, what, remedy));
        };
        if let Some(machine) = machine_path(line) {
            report(format!("a path of one machine: {machine}"), "take it from the environment");
        }
        if line.contains(unfinished) {
            report(format!("a {unfinished}"), "finish it, or say why it stays so");
        }
        let secret = credential(line).or_else(|| {
            (line.contains("-----BEGIN") && line.contains(private_key)).then_some("key")
        });
        if let Some(secret) = secret
            && !HARMLESS.iter().any(|(harmless, _)| *harmless == path)
        {
            report(
                format!("looks like a credential: {secret}…"),
                "remove and revoke it, or list the file in HARMLESS with the reason",
            );
        }
    }
    found
}

fn machine_path(line: &str) -> Option<&str> {
    MACHINE_PATHS.into_iter().find_map(|start| {
        line.match_indices(start).find_map(|(at, _)| {
            // `/var/root` and `https://host/work` begin elsewhere.
            let begins = line[..at]
                .chars()
                .next_back()
                .is_none_or(|before| !before.is_alphanumeric() && !"._-~/}>)*$".contains(before));
            let path = &line[at..];
            let end = path.find(|c: char| !c.is_alphanumeric() && !"/._-".contains(c));
            let path = &path[..end.unwrap_or(path.len())];
            let rest = &path[start.len()..];
            let names_it = if start.ends_with('/') {
                rest.starts_with(|c: char| c.is_alphanumeric())
            } else {
                rest.is_empty() || rest.starts_with('/')
            };
            let public = PUBLIC_PATHS.iter().any(|public| path.starts_with(public));
            (begins && names_it && !public).then_some(path)
        })
    })
}

fn credential(line: &str) -> Option<&'static str> {
    CREDENTIALS.into_iter().find_map(|(start, length)| {
        line.match_indices(start).find_map(|(at, _)| {
            let begins = line[..at].chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric());
            let rest = &line[at + start.len()..];
            let body = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c));
            let body = &rest[..body.unwrap_or(rest.len())];
            // The documentation of every vendor uses keys that say so.
            (begins && body.len() >= length && !body.contains("EXAMPLE")).then_some(start)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joined here, so that this file does not break the rule it tests.
    fn line(parts: [&str; 2]) -> String {
        parts.concat()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for bad in [["see /ho", "me/jane/x"], ["\"/ro", "ot\""], ["cd /wo", "rk/main"]] {
            assert_eq!(check("a.md", &line(bad)).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn paths_that_are_the_same_everywhere_pass() {
        let good = [
            "/home/ray/samples",
            "/home/<user>/x",
            "/workspace/data",
            "GET /apis/work.karmada.io/v1alpha1/works",
            "https://example.org/work/1",
            "/rootless",
            "$HOME/root",
        ];
        for good in good {
            assert!(check("a.md", good).is_empty(), "{good}");
        }
    }

    #[test]
    fn credentials_are_found_and_examples_pass() {
        assert_eq!(check("a.md", &line(["AKI", "A0123456789ABCDEF"])).len(), 1);
        assert_eq!(check("a.md", &line(["-----BEGIN RSA PRIVATE", " KEY-----"])).len(), 1);
        assert!(check("a.md", "AKIAIOSFODNN7EXAMPLE").is_empty());
        assert!(check("a.md", "AKIA is how they begin").is_empty());
    }

    #[test]
    fn an_unfinished_thing_is_found_in_any_file() {
        assert_eq!(check("a.ts", &line(["// FIX", "ME later"])).len(), 1);
    }
}
