//! The world: the control plane, the members and the clock, and the loop that wakes controllers.
//! Pure over itself: no I/O, no wall clock. `server` locks it for requests, the driver or the
//! stepper runs it.

mod garbage;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    ClusterConfig, Config, TimeMode, clock, karmada,
    kinds::{self, nodes::Nodes, runs::Runs},
    objects::{
        Api, Key,
        resources::{self, INSTALLED_GROUPS, NAMESPACE},
    },
};

/// One member cluster: an API server of its own and what runs on it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) config: ClusterConfig,
    pub(crate) api: Api,
    pub(crate) nodes: Nodes,
    pub(crate) runs: Runs,
    /// Its API server takes connections.
    pub(crate) reachable: bool,
    /// Its workload controllers stand still.
    pub(crate) operators_down: bool,
    /// Counts outages and their ends, so that a readiness timer of an earlier one is void.
    outage: u64,
    /// A look at its resources is due.
    poll_due: bool,
    ordinal: usize,
}

impl Member {
    pub(crate) fn address(&self) -> String {
        format!("10.20.{}.10:6443", self.ordinal)
    }
}

#[derive(Debug, Clone)]
enum Timer {
    /// Wake the controllers of an object.
    Touch(Option<String>, Key),
    /// Karmada's look at a member's capacity and APIs.
    Poll(String),
    /// A member's readiness follows its reachability.
    Readiness(String, u64),
}

/// Karmada looks at a member's status this often.
const POLL_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    speed: f64,
    pub(crate) control: Api,
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) karmada: karmada::State,
    pub(crate) aggregated_down: bool,
    timers: BTreeMap<(Timestamp, u64), Timer>,
    timer_count: u64,
}

impl World {
    pub(crate) fn new(config: &Config, now: Timestamp) -> Self {
        let speed = match config.time {
            TimeMode::Auto { speed } => speed,
            TimeMode::Stepped { .. } => 1.0,
        };
        let mut world = Self {
            now,
            speed,
            control: Api::new("", now, config.seed),
            members: BTreeMap::new(),
            karmada: karmada::State::default(),
            aggregated_down: false,
            timers: BTreeMap::new(),
            timer_count: 0,
        };
        prepare(&mut world.control);
        for (ordinal, cluster) in config.clusters.iter().enumerate() {
            // Members must not hand out the control plane's uids.
            let seed = config.seed ^ clock::fnv64(&cluster.name);
            let mut api = Api::new(&cluster.name, now, seed);
            prepare(&mut api);
            let nodes = Nodes::install(cluster, &mut api);
            let member = Member {
                config: cluster.clone(),
                api,
                nodes,
                runs: Runs::default(),
                reachable: true,
                operators_down: false,
                outage: 0,
                poll_due: false,
                ordinal,
            };
            world.members.insert(cluster.name.clone(), member);
            karmada::clusters::join(&mut world, &cluster.name);
        }
        world
    }

    pub(crate) fn set_now(&mut self, now: Timestamp) {
        // The wall clock may step back; the world's does not.
        self.now = self.now.max(now);
        self.control.now = self.now;
        for member in self.members.values_mut() {
            member.api.now = self.now;
        }
    }

    pub(crate) fn api(&self, cluster: Option<&str>) -> Option<&Api> {
        match cluster {
            None => Some(&self.control),
            Some(name) => self.members.get(name).map(|member| &member.api),
        }
    }

    pub(crate) fn api_mut(&mut self, cluster: Option<&str>) -> Option<&mut Api> {
        match cluster {
            None => Some(&mut self.control),
            Some(name) => self.members.get_mut(name).map(|member| &mut member.api),
        }
    }

    /// What `usual` takes at this sandbox's speed.
    pub(crate) fn scaled(&self, usual: Duration) -> Duration {
        Duration::try_from_secs_f64(usual.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    pub(crate) fn speed(&self) -> f64 {
        self.speed
    }

    fn schedule(&mut self, delay: Duration, timer: Timer) {
        self.timer_count += 1;
        let at = clock::after(self.now, self.scaled(delay));
        self.timers.insert((at, self.timer_count), timer);
    }

    /// Wakes an object's controllers after `delay` of usual time.
    pub(crate) fn wake_in(&mut self, delay: Duration, cluster: Option<&str>, key: &Key) {
        self.schedule(delay, Timer::Touch(cluster.map(str::to_owned), key.clone()));
    }

    /// Asks for a look at a member's status at the next poll.
    pub(crate) fn poll_soon(&mut self, cluster: &str) {
        if let Some(member) = self.members.get_mut(cluster)
            && !member.poll_due
        {
            member.poll_due = true;
            self.schedule(POLL_EVERY, Timer::Poll(cluster.to_owned()));
        }
    }

    /// Reconciles at most `budget` changes; false when nothing is left to do.
    pub(crate) fn run(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            if !self.run_one() {
                return false;
            }
        }
        true
    }

    fn run_one(&mut self) -> bool {
        if let Some(change) = self.control.next_change() {
            garbage::collect(&mut self.control, &change);
            karmada::control_plane_changed(self, &change);
            return true;
        }
        let next = self
            .members
            .iter_mut()
            .find_map(|(name, member)| Some((name.clone(), member.api.next_change()?)));
        let Some((cluster, change)) = next else { return false };
        if let Some(member) = self.members.get_mut(&cluster) {
            garbage::collect(&mut member.api, &change);
        }
        kinds::changed(self, &cluster, &change);
        karmada::member_changed(self, &cluster, &change);
        true
    }

    pub(crate) fn has_work(&self) -> bool {
        self.control.has_changes() || self.members.values().any(|member| member.api.has_changes())
    }

    /// Fires every timer that is due at `now`.
    pub(crate) fn fire(&mut self, now: Timestamp) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Timer::Touch(cluster, key) => {
                    if let Some(api) = self.api_mut(cluster.as_deref()) {
                        api.touch(key);
                    }
                }
                Timer::Poll(cluster) => {
                    if let Some(member) = self.members.get_mut(&cluster) {
                        member.poll_due = false;
                    }
                    karmada::clusters::poll(self, &cluster);
                }
                Timer::Readiness(cluster, outage) => {
                    if self.members.get(&cluster).is_some_and(|one| one.outage == outage) {
                        karmada::clusters::readiness(self, &cluster);
                    }
                }
            }
        }
    }

    /// Moves the clock to the next timer before `end` and fires it; false once `end` is reached.
    pub(crate) fn advance(&mut self, end: Timestamp) -> bool {
        let next = self.timers.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= end);
        self.set_now(next.unwrap_or(end));
        let now = self.now;
        self.fire(now);
        next.is_some()
    }

    pub(crate) fn until_next_timer(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((at, _), _)| clock::between(self.now, *at))
    }

    pub(crate) fn compact(&mut self) {
        self.control.compact();
        for member in self.members.values_mut() {
            member.api.compact();
        }
    }

    pub(crate) fn set_reachable(&mut self, cluster: &str, reachable: bool) {
        let Some(member) = self.members.get_mut(cluster) else { return };
        if member.reachable == reachable {
            return;
        }
        member.reachable = reachable;
        member.outage += 1;
        let outage = member.outage;
        let delay =
            if reachable { member.config.ready_after } else { member.config.not_ready_after };
        self.schedule(delay, Timer::Readiness(cluster.to_owned(), outage));
        if reachable {
            karmada::clusters::resync(self, cluster);
        }
    }

    pub(crate) fn set_crds(&mut self, cluster: Option<&str>, group: &str, installed: bool) {
        let Some(api) = self.api_mut(cluster) else { return };
        if installed {
            api.missing_groups.remove(group);
            install_crds(api, group);
        } else {
            for res in resources::ALL.iter().filter(|res| res.group == group) {
                let keys: Vec<Key> = api.all(res, "").map(|(key, _)| key.clone()).collect();
                for key in keys {
                    api.edit(&key, |object| {
                        crate::json::set(object, &["metadata", "finalizers"], json!([]));
                    });
                    api.discard(&key);
                }
                let name = format!("{}.{group}", res.plural);
                api.discard(&Key::new(&resources::CRD, "", &name));
            }
            api.missing_groups.insert(group.to_owned());
        }
        if let Some(cluster) = cluster {
            self.poll_soon(cluster);
        }
    }

    pub(crate) fn set_operators(&mut self, cluster: &str, up: bool) {
        if let Some(member) = self.members.get_mut(cluster) {
            member.operators_down = !up;
        }
        self.resync_members();
    }

    /// Wakes the controllers of every workload of every member.
    pub(crate) fn resync_members(&mut self) {
        for member in self.members.values_mut() {
            let keys: Vec<Key> = resources::ALL
                .iter()
                .filter(|res| kinds::is_simulated(res))
                .flat_map(|res| member.api.all(res, "").map(|(key, _)| key.clone()))
                .collect();
            for key in keys {
                member.api.touch(key);
            }
        }
    }
}

/// What every API server has before anyone uses it.
fn prepare(api: &mut Api) {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        api.ensure(&NAMESPACE, "", json!({ "metadata": { "name": name } }));
    }
    for group in INSTALLED_GROUPS {
        install_crds(api, group);
    }
}

fn install_crds(api: &mut Api, group: &str) {
    for res in resources::ALL.iter().filter(|res| res.group == group) {
        let names = json!({
            "plural": res.plural, "singular": res.singular(), "kind": res.kind,
            "listKind": format!("{}List", res.kind),
        });
        let version = json!({
            "name": res.version, "served": true, "storage": true,
            "subresources": { "status": {} },
            "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            } },
        });
        let name = format!("{}.{group}", res.plural);
        api.ensure(
            &resources::CRD,
            "",
            json!({
                "metadata": { "name": name },
                "spec": {
                    "group": group, "names": names, "scope": "Namespaced", "versions": [version],
                },
            }),
        );
        let at = clock::stamp(api.now);
        api.edit(&Key::new(&resources::CRD, "", &name), |crd| {
            let condition = |kind: &str, reason: &str| {
                json!({
                    "type": kind, "status": "True", "reason": reason, "message": "",
                    "lastTransitionTime": at,
                })
            };
            let conditions = json!([
                condition("NamesAccepted", "NoConflicts"),
                condition("Established", "InitialNamesAccepted"),
            ]);
            crate::json::set(crd, &["status", "conditions"], conditions);
        });
    }
}
