//! Faults a test programs: rules on requests (latency, errors, calls that hang), broken watches,
//! members that go down, CRDs that are missing. Rules live here; the state of the world they
//! change lives in `sim`. Called through [`crate::Sandbox::faults`] and `/sandbox/v1/faults`.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Method;
use tokio_util::sync::CancellationToken;

use crate::{clock::Ids, server::Shared, sim::World, status::ApiError};

/// Which requests a rule is about: a method (or any) and a path pattern in which `*` stands for
/// any run of characters. `"POST */rayjobs*"` and `"*/resourcebindings*"` convert into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// `None` matches every method.
    pub method: Option<String>,
    /// Matched against the whole path without the query; the proxy prefix is part of it.
    pub path: String,
}

impl Matcher {
    /// Every request.
    pub fn any() -> Self {
        Self { method: None, path: "*".to_owned() }
    }

    fn matches(&self, method: &Method, path: &str) -> bool {
        let method_fits = self.method.as_ref().is_none_or(|wanted| {
            wanted.split('|').any(|one| one.eq_ignore_ascii_case(method.as_str()))
        });
        method_fits && glob(&self.path, path)
    }
}

impl From<&str> for Matcher {
    fn from(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("*", path)) => Self { method: None, path: path.to_owned() },
            Some((method, path)) => Self { method: Some(method.to_owned()), path: path.to_owned() },
            None => Self { method: None, path: text.to_owned() },
        }
    }
}

pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, tail)) = rest.split_once(part) else { return false };
        rest = tail;
    }
    rest.ends_with(last)
}

/// What a matching rule does to a request.
pub(crate) enum Action {
    Latency(Duration),
    Hang(CancellationToken),
    /// Answer without doing anything.
    Fail(ApiError),
    /// Do it, then answer with this: the lost answer.
    FailAfter(ApiError),
    /// Answer with this, and do it once released.
    Late(ApiError, CancellationToken),
}

/// Requests that are carried out later than anybody waits for them.
#[derive(Debug, Clone)]
pub struct LateRequests(CancellationToken);

impl LateRequests {
    /// Carries out what came so far, and from now on does so at once.
    pub fn carry_out(&self) {
        self.0.cancel();
    }
}

#[derive(Debug, Clone)]
enum Effect {
    Latency(Duration),
    Hang(CancellationToken),
    Fail(ApiError),
    FailAfter(ApiError),
    Late(ApiError, CancellationToken),
}

#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    effect: Effect,
    /// `None` is for ever.
    times: Option<u32>,
    /// Of a hundred matching requests, how many it hits.
    percent: u8,
}

#[derive(Debug)]
struct Rules {
    rules: Vec<Rule>,
    dice: Ids,
}

/// The programmable faults of one sandbox. Every method takes effect at once.
pub struct Faults {
    rules: Mutex<Rules>,
    hanging: AtomicUsize,
    shared: Weak<Shared>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Faults {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        let rules = Mutex::new(Rules { rules: Vec::new(), dice: Ids::new(7) });
        Self { rules, hanging: AtomicUsize::new(0), shared }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, matcher: Matcher, effect: Effect, times: Option<u32>, percent: u8) {
        self.rules().rules.push(Rule { matcher, effect, times, percent });
    }

    fn with_world(&self, change: impl FnOnce(&mut World)) {
        if let Some(shared) = self.shared.upgrade() {
            change(&mut shared.world());
            shared.wake.notify_one();
        }
    }

    /// What happens to a request, rules in the order they were made.
    pub(crate) fn actions(&self, method: &Method, path: &str) -> Vec<Action> {
        let mut state = self.rules();
        let Rules { rules, dice } = &mut *state;
        let mut actions = Vec::new();
        for rule in rules.iter_mut() {
            if rule.times == Some(0) || !rule.matcher.matches(method, path) {
                continue;
            }
            if rule.percent < 100 && dice.next() % 100 >= u64::from(rule.percent) {
                continue;
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
            actions.push(match rule.effect.clone() {
                Effect::Latency(by) => Action::Latency(by),
                Effect::Hang(release) => Action::Hang(release),
                Effect::Fail(error) => Action::Fail(error),
                Effect::FailAfter(error) => Action::FailAfter(error),
                Effect::Late(error, release) => Action::Late(error, release),
            });
        }
        rules.retain(|rule| rule.times != Some(0));
        actions
    }

    /// Answers the next `times` matching requests with `status`, without doing what they ask.
    /// 429 and 503 carry `Retry-After: 1`.
    pub fn fail_next(&self, matcher: impl Into<Matcher>, status: u16, times: u32) {
        self.add(matcher.into(), Effect::Fail(injected(status)), Some(times), 100);
    }

    /// Does what the next `times` matching requests ask and then answers with `status` anyway:
    /// the client does not learn that it worked.
    pub fn fail_after_next(&self, matcher: impl Into<Matcher>, status: u16, times: u32) {
        self.add(matcher.into(), Effect::FailAfter(injected(status)), Some(times), 100);
    }

    /// Answers the next `times` matching requests with `status` and carries them out long after
    /// that, once [`LateRequests::carry_out`] says so: an API server that was slow, or a network
    /// that kept them.
    pub fn late_next(&self, matcher: impl Into<Matcher>, status: u16, times: u32) -> LateRequests {
        let release = CancellationToken::new();
        let effect = Effect::Late(injected(status), release.clone());
        self.add(matcher.into(), effect, Some(times), 100);
        LateRequests(release)
    }

    /// Answers `percent` of all matching requests with `status`, until [`Self::clear`].
    pub fn fail_share(&self, matcher: impl Into<Matcher>, status: u16, percent: u8) {
        self.add(matcher.into(), Effect::Fail(injected(status)), None, percent);
    }

    /// Delays matching requests by this much real time, until [`Self::clear`].
    pub fn latency(&self, matcher: impl Into<Matcher>, by: Duration) {
        self.add(matcher.into(), Effect::Latency(by), None, 100);
    }

    /// Leaves matching requests without an answer until [`Self::clear`]; then they are carried
    /// out.
    pub fn hang(&self, matcher: impl Into<Matcher>) {
        self.add(matcher.into(), Effect::Hang(CancellationToken::new()), None, 100);
    }

    /// How many requests hang. One whose client has gone away does not count, and is never carried
    /// out; one that was let go counts until it is answered.
    pub fn hanging(&self) -> usize {
        self.hanging.load(Ordering::SeqCst)
    }

    /// Counts a request that hangs, until the guard is dropped.
    pub(crate) fn count_hanging(&self) -> Hanging<'_> {
        self.hanging.fetch_add(1, Ordering::SeqCst);
        Hanging(self)
    }

    /// The admission of a member, or of the control plane, annotates new objects of a kind whose
    /// name matches (`*` stands for anything), as a mutating webhook does: the way to steer
    /// workloads that others write. The annotations are those in the documentation of this crate.
    pub fn annotate(&self, cluster: Option<&str>, kind: &str, name: &str, key: &str, value: &str) {
        self.with_world(|world| {
            if let Some(api) = world.api_mut(cluster) {
                api.hooks.annotate(kind, name, key, value);
            }
        });
    }

    /// The admission of a member, or of the control plane, refuses new objects of a resource, as a
    /// validating webhook or a quota does: 403 with `pods "x" is forbidden: ` and `why`.
    pub fn refuse(&self, cluster: Option<&str>, plural: &str, why: &str) {
        self.with_world(|world| {
            if let Some(api) = world.api_mut(cluster) {
                api.hooks.refuse(plural, why);
            }
        });
    }

    /// Removes every rule on requests and undoes every switch, except that members which are down
    /// stay down and removed CRDs stay removed.
    pub fn clear(&self) {
        let rules = std::mem::take(&mut self.rules().rules);
        for rule in rules {
            if let Effect::Hang(release) = rule.effect {
                release.cancel();
            }
        }
        self.with_world(|world| {
            world.aggregated_down = false;
            world.control.webhook_down = false;
            world.control.hooks.clear();
            for member in world.members.values_mut() {
                member.api.hooks.clear();
                member.operators_down = false;
            }
            world.resync_members();
        });
    }

    /// Ends every watch and every followed log in the middle of nowhere.
    pub fn drop_watches(&self) {
        if let Some(shared) = self.shared.upgrade() {
            let _ = shared.hang_up.send(());
        }
    }

    /// Forgets the watch history of all API servers and ends every watch: whoever resumes from a
    /// revision it remembers gets 410.
    pub fn expire_watches(&self) {
        self.drop_watches();
        self.with_world(World::compact);
    }

    /// The member stops answering: the proxy fails, Karmada cannot reach it, its `Cluster` turns
    /// not ready after [`crate::ClusterConfig::not_ready_after`]. Its workloads go on.
    pub fn member_down(&self, cluster: &str) {
        self.with_world(|world| world.set_reachable(cluster, false));
        self.drop_watches();
    }

    /// The member answers again; its `Cluster` turns ready after
    /// [`crate::ClusterConfig::ready_after`].
    pub fn member_up(&self, cluster: &str) {
        self.with_world(|world| world.set_reachable(cluster, true));
    }

    /// Removes the CRDs of a group (and their objects) from a member, or from the control plane.
    pub fn remove_crds(&self, cluster: Option<&str>, group: &str) {
        self.with_world(|world| world.set_crds(cluster, group, false));
    }

    /// Installs the CRDs of a group.
    pub fn install_crds(&self, cluster: Option<&str>, group: &str) {
        self.with_world(|world| world.set_crds(cluster, group, true));
    }

    /// Stops the controllers of a member's workloads (KubeRay, the Job controller, the kubelet):
    /// new objects get no status, deleted ones stay Terminating on their finalizers.
    pub fn operators_down(&self, cluster: &str) {
        self.with_world(|world| world.set_operators(cluster, false));
    }

    /// Starts them again.
    pub fn operators_up(&self, cluster: &str) {
        self.with_world(|world| world.set_operators(cluster, true));
    }

    /// Karmada's webhook does not answer: writing a policy fails with 500.
    pub fn webhook_down(&self, down: bool) {
        self.with_world(|world| world.control.webhook_down = down);
    }

    /// Karmada's aggregated API server does not answer: `cluster.karmada.io`, the proxy included,
    /// is 503.
    pub fn aggregated_apiserver_down(&self, down: bool) {
        self.with_world(|world| world.aggregated_down = down);
    }

    /// Whether a failed `batch/v1` Job never gets its status back on the template, as in Karmada
    /// up to 1.19. On by default.
    pub fn failed_job_status_lost(&self, lost: bool) {
        self.with_world(|world| world.karmada.failed_job_status_lost = lost);
    }
}

/// A request that hangs, or is being answered after it did.
pub(crate) struct Hanging<'a>(&'a Faults);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.hanging.fetch_sub(1, Ordering::SeqCst);
    }
}

fn injected(status: u16) -> ApiError {
    let (reason, message) = match status {
        400 => ("BadRequest", "injected: bad request"),
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "injected: forbidden"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => (
            "Conflict",
            "Operation cannot be fulfilled: the object has been modified; please apply your \
             changes to the latest version and try again",
        ),
        410 => ("Expired", "too old resource version"),
        422 => ("Invalid", "injected: invalid"),
        429 => ("TooManyRequests", "too many requests, please try again later"),
        500 => ("InternalError", "Internal error occurred: injected"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "request did not complete within the allotted timeout"),
        _ => ("", "injected"),
    };
    let mut error = ApiError::new(status, reason, message);
    if matches!(status, 429 | 503) {
        error.retry_after = Some(1);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("*", "/anything", true),
            ("*/rayjobs*", "/apis/ray.io/v1/namespaces/a/rayjobs", true),
            ("*/rayjobs", "/apis/ray.io/v1/namespaces/a/rayjobs/x", false),
            ("/api*/pods/*/log", "/api/v1/namespaces/a/pods/p/log", true),
            ("/version", "/version", true),
            ("/version", "/versions", false),
        ] {
            assert_eq!(glob(pattern, path), expected, "{pattern} {path}");
        }
    }
}
