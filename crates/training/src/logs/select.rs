//! What was asked for, and which containers that means.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::Cursor;
use crate::clock::Timestamp;
use crate::ports::LogKey;

/// Which pod of each role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replica {
    /// Counted from 0 in the order of the names.
    Index(usize),
    /// By its name.
    Pod(String),
}

impl Replica {
    /// A number or a pod's name.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Pod(text.to_owned()), Self::Index)
    }
}

/// What a reader wants to see. The default is everything of the containers that matter.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// Go on until the job is over.
    pub follow: bool,
    /// Only so many of the last lines of each container.
    pub tail: Option<u64>,
    /// Only lines since then.
    pub since: Option<Timestamp>,
    /// Containers of this name instead of the plugin's choice, also those that initialise.
    pub container: Option<String>,
    /// Only pods of this role.
    pub role: Option<String>,
    /// Only this pod of each role.
    pub replica: Option<Replica>,
    /// The run of each container before its last one.
    pub previous: bool,
    /// Go on after the line that came with it.
    pub cursor: Cursor,
}

/// A time: RFC 3339, or so long before `now`: `90s`, `10m`, `1h30m`, or seconds without a unit.
pub fn since(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let ago = match text.parse::<u32>() {
        Ok(seconds) => SignedDuration::from_secs(i64::from(seconds)),
        Err(_) => text.parse::<SignedDuration>().ok().filter(|ago| !ago.is_negative())?,
    };
    now.checked_sub(ago).ok()
}

/// A container whose log could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: LogKey,
    /// Whether it is read if no container is named.
    pub(super) main: bool,
    pub(super) source: Source,
}

/// Where a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// On its cluster: whether the container runs, and how often it was started again.
    Live { running: bool, run: u32 },
    /// Nowhere yet, because of this.
    Waiting(String),
    /// In the archive.
    Kept,
}

impl LogRequest {
    /// The containers that are meant, by role as they came, then by pod.
    pub(super) fn select(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        let of_role = |key: &LogKey| self.role.as_ref().is_none_or(|role| *role == key.role);
        let mut pods: BTreeMap<&str, BTreeSet<Name<'_>>> = BTreeMap::new();
        for Candidate { key, .. } in candidates.iter().filter(|one| of_role(&one.key)) {
            pods.entry(&key.role).or_default().insert(Name(&key.pod));
        }
        let wanted = |key: &LogKey| match &self.replica {
            None => true,
            Some(Replica::Pod(name)) => *name == key.pod,
            Some(Replica::Index(index)) => pods
                .get(key.role.as_str())
                .and_then(|pods| pods.iter().nth(*index))
                .is_some_and(|pod| pod.0 == key.pod),
        };
        let named = |candidate: &Candidate| match &self.container {
            Some(name) => candidate.key.container == *name,
            None => candidate.main,
        };
        let mut selected: Vec<Candidate> = candidates
            .iter()
            .filter(|one| one.key.previous == self.previous && of_role(&one.key))
            .filter(|one| wanted(&one.key) && named(one))
            .cloned()
            .collect();
        let mut roles: Vec<&str> = Vec::new();
        for candidate in candidates {
            if !roles.contains(&candidate.key.role.as_str()) {
                roles.push(&candidate.key.role);
            }
        }
        let rank = |key: &LogKey| roles.iter().position(|role| *role == key.role);
        selected.sort_by(|a, b| {
            (rank(&a.key), Name(&a.key.pod)).cmp(&(rank(&b.key), Name(&b.key.pod)))
        });
        selected
    }

    /// Says what there is instead of what was asked for.
    pub(super) fn no_match(&self, candidates: &[Candidate]) -> String {
        let list = |of: &dyn Fn(&LogKey) -> &str| {
            let names: BTreeSet<&str> = candidates.iter().map(|one| of(&one.key)).collect();
            names.into_iter().take(20).collect::<Vec<_>>().join(", ")
        };
        let what = if self.previous { "earlier run of a container" } else { "container" };
        format!(
            "No {what} is what you ask for. Roles: {}; pods: {}; containers: {}.",
            list(&|key| &key.role),
            list(&|key| &key.pod),
            list(&|key| &key.container)
        )
    }
}

/// A name whose numbers are compared as numbers, so that `worker-10` comes after `worker-9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name<'a>(&'a str);

impl Name<'_> {
    fn parts(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(text);
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, after) = after.split_at(digits);
            rest = after;
            Some((word, number.parse().unwrap_or_default()))
        })
    }
}

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(other.parts()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Name<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a stream reads, as far as it decides whether a line says whose it is.
#[derive(Debug, Default)]
pub(super) struct Scope {
    many: bool,
    pods: BTreeSet<(String, String)>,
    containers: BTreeMap<String, BTreeSet<String>>,
    several: bool,
}

impl Scope {
    /// `roles` are those that may turn up.
    pub(super) fn new(request: &LogRequest, roles: &[String]) -> Self {
        let mut scope = Self::default();
        if request.follow {
            scope.expect(request, roles);
        }
        scope
    }

    /// Several roles mean several pods, though they may not be there yet.
    pub(super) fn expect(&mut self, request: &LogRequest, roles: &[String]) {
        let one_pod = matches!(request.replica, Some(Replica::Pod(_)));
        self.many |= roles.len() > 1 && request.role.is_none() && !one_pod;
    }

    pub(super) fn add(&mut self, key: &LogKey) {
        let containers = self.containers.entry(key.pod.clone()).or_default();
        containers.insert(key.container.clone());
        self.several |= containers.len() > 1;
        self.pods.insert((key.role.clone(), key.pod.clone()));
        self.many |= self.pods.len() > 1;
    }

    /// `[worker/pod]`; with the container, too, if some pod shows several.
    pub(super) fn prefix(&self, key: &LogKey) -> Option<String> {
        if self.several {
            return Some(format!("[{}/{}/{}]", key.role, key.pod, key.container));
        }
        self.many.then(|| format!("[{}/{}]", key.role, key.pod))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(role: &str, pod: &str, container: &str) -> LogKey {
        LogKey {
            cluster: "member1".to_owned(),
            role: role.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
            previous: false,
        }
    }

    fn candidates() -> Vec<Candidate> {
        let source = || Source::Live { running: true, run: 0 };
        let mut all: Vec<Candidate> = [
            ("worker", "w-10", "train", true),
            ("worker", "w-9", "train", true),
            ("worker", "w-9", "fetch", false),
            ("driver", "d", "main", true),
        ]
        .into_iter()
        .map(|(role, pod, container, main)| Candidate {
            key: key(role, pod, container),
            main,
            source: source(),
        })
        .collect();
        let mut earlier = all[0].clone();
        earlier.key.previous = true;
        all.push(earlier);
        all
    }

    fn shown(request: &LogRequest) -> Vec<String> {
        let selected = request.select(&candidates());
        selected.iter().map(|one| format!("{}/{}", one.key.pod, one.key.container)).collect()
    }

    #[test]
    fn requests_select_by_role_replica_container_and_run() {
        let all = LogRequest::default();
        assert_eq!(shown(&all), ["w-9/train", "w-10/train", "d/main"]);
        let role = LogRequest { role: Some("driver".to_owned()), ..all.clone() };
        assert_eq!(shown(&role), ["d/main"]);
        let replica =
            |text: &str| LogRequest { replica: Some(Replica::parse(text)), ..all.clone() };
        assert_eq!(shown(&replica("1")), ["w-10/train"]);
        assert_eq!(shown(&replica("0")), ["w-9/train", "d/main"]);
        assert_eq!(shown(&replica("w-9")), ["w-9/train"]);
        assert!(shown(&replica("7")).is_empty());
        let init = LogRequest { container: Some("fetch".to_owned()), ..all.clone() };
        assert_eq!(shown(&init), ["w-9/fetch"]);
        let previous = LogRequest { previous: true, ..all.clone() };
        assert_eq!(shown(&previous), ["w-10/train"]);
        let text = replica("7").no_match(&candidates());
        assert!(text.contains("driver, worker") && text.contains("fetch, main, train"), "{text}");
    }

    #[test]
    fn times_are_absolute_or_ago() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-01-01T11:00:00+01:00", Some("2026-01-01T10:00:00Z")),
            ("90", Some("2026-01-01T11:58:30Z")),
            ("90s", Some("2026-01-01T11:58:30Z")),
            ("10m", Some("2026-01-01T11:50:00Z")),
            ("1h30m", Some("2026-01-01T10:30:00Z")),
            ("-5s", None),
            ("yesterday", None),
            ("", None),
            ("99999999999h", None),
        ] {
            let expected: Option<Timestamp> = expected.map(|text| text.parse().unwrap());
            assert_eq!(since(text, now), expected, "{text}");
        }
    }

    #[test]
    fn lines_say_whose_they_are_only_if_there_is_a_choice() {
        let request = LogRequest::default();
        let mut scope = Scope::new(&request, &[]);
        scope.add(&key("worker", "a", "x"));
        assert_eq!(scope.prefix(&key("worker", "a", "x")), None);
        scope.add(&key("worker", "b", "x"));
        assert_eq!(scope.prefix(&key("worker", "a", "x")).unwrap(), "[worker/a]");
        scope.add(&key("worker", "b", "y"));
        assert_eq!(scope.prefix(&key("worker", "a", "x")).unwrap(), "[worker/a/x]");
        let roles = ["driver".to_owned(), "worker".to_owned()];
        let follow = LogRequest { follow: true, ..request };
        assert!(Scope::new(&follow, &roles).prefix(&key("driver", "d", "x")).is_some());
        let one = LogRequest { role: Some("driver".to_owned()), ..follow };
        assert!(Scope::new(&one, &roles).prefix(&key("driver", "d", "x")).is_none());
    }
}
