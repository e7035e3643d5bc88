//! Which plugins there are, and which version of each serves whom. A catalog never changes: each
//! reload, route or quarantine builds a new one and swaps it in, while calls that already started
//! keep the plugin they have.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use training::PluginDigest;
use training::ports::{
    Audience, CatalogView, PluginInfo, PluginVersion, RejectedFile, Route, Signature, VersionState,
};
use training::routing;

use crate::error::{LoadError, LoadFailure};
use crate::plugin::LoadedPlugin;

/// Plugins whose file is gone that can still be called by digest: jobs that run were made by them,
/// and only they read those jobs' status well. Each costs about a MiB; older ones come back from
/// the archive when they are needed.
const RETIRED: usize = 32;

/// A plugin and the file it came from.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) file: String,
    pub(crate) plugin: Arc<LoadedPlugin>,
    /// Files that may hold its successor, if its own is gone: it serves until they do.
    pub(crate) waits_for: Vec<String>,
}

/// Everything that decides what a catalog looks like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    /// What the directory holds, without twins.
    pub(crate) entries: Vec<Entry>,
    /// What only a digest leads to, most recent first.
    pub(crate) retired: Vec<Arc<LoadedPlugin>>,
    /// Files that did not become plugins.
    pub(crate) failures: Vec<LoadFailure>,
    /// What operators decided, by plugin.
    pub(crate) routes: BTreeMap<String, Route>,
    /// Versions that must not be called, and why.
    pub(crate) quarantined: BTreeMap<PluginDigest, String>,
    /// Whether only versions serve that a trusted key signed.
    pub(crate) signed_only: bool,
}

/// All versions of one plugin.
#[derive(Debug)]
struct Family {
    /// Those of the directory and those that a route names, highest first.
    versions: Vec<Arc<LoadedPlugin>>,
    /// Those of them that may serve.
    able: Vec<PluginDigest>,
    route: Option<Route>,
}

impl Family {
    fn serving(&self, name: &str, audience: Audience<'_>) -> Option<&Arc<LoadedPlugin>> {
        let chosen = routing::choose(name, &self.able, self.route.as_ref(), audience)?;
        self.versions.iter().find(|plugin| plugin.info.digest == chosen)
    }

    /// Every version that somebody is served by: the one for anybody, and the one on trial.
    fn in_use(&self, name: &str) -> Vec<&Arc<LoadedPlugin>> {
        let canary = self.route.as_ref().and_then(|route| route.canary.as_ref());
        let tried = canary.filter(|canary| self.able.contains(&canary.digest));
        let tried = tried.and_then(|canary| {
            self.versions.iter().find(|plugin| plugin.info.digest == canary.digest)
        });
        self.serving(name, Audience::ANYBODY).into_iter().chain(tried).collect()
    }

    /// A version in use that serves an algorithm of somebody else, who that is, and the algorithm.
    fn intruder(
        &self,
        name: &str,
        holders: &HashMap<String, String>,
    ) -> Option<(Arc<LoadedPlugin>, String, String)> {
        self.in_use(name).into_iter().find_map(|plugin| {
            plugin.info.algorithms.iter().find_map(|algorithm| {
                let holder = holders.get(algorithm).filter(|holder| *holder != name)?;
                Some((Arc::clone(plugin), algorithm.clone(), holder.clone()))
            })
        })
    }
}

/// One consistent set of plugins.
#[derive(Debug, Default)]
pub struct Catalog {
    parts: Parts,
    families: BTreeMap<String, Family>,
    /// From an algorithm to the plugin that serves it.
    by_algorithm: HashMap<String, String>,
    by_digest: HashMap<PluginDigest, Arc<LoadedPlugin>>,
}

impl Catalog {
    /// An empty catalog, and whether only signed versions may serve from it.
    pub(crate) fn new(signed_only: bool) -> Self {
        Self { parts: Parts { signed_only, ..Parts::default() }, ..Self::default() }
    }

    /// The files that did not become plugins, and why.
    pub fn failures(&self) -> &[LoadFailure] {
        &self.parts.failures
    }

    /// Active plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<PluginInfo>> {
        self.active().map(|plugin| &plugin.info)
    }

    /// Whether the file is on record as one that could not be loaded, with this content.
    pub(crate) fn refuses(&self, file: &str, digest: &PluginDigest) -> bool {
        let same = |failure: &&LoadFailure| failure.digest.as_ref() == Some(digest);
        self.parts.failures.iter().filter(same).any(|failure| failure.file == file)
    }

    /// Every version and every rejected file.
    pub(crate) fn view(&self) -> CatalogView {
        let mut versions = Vec::new();
        for (name, family) in &self.families {
            versions.extend(family.versions.iter().map(|plugin| self.version(name, plugin)));
        }
        let listed: HashSet<PluginDigest> =
            versions.iter().map(|version| version.info.digest).collect();
        let others =
            self.parts.retired.iter().filter(|plugin| !listed.contains(&plugin.info.digest));
        versions.extend(others.map(|plugin| self.version(&plugin.info.name, plugin)));
        // Stable: versions of one name keep their order, the retired come last.
        versions.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        let rejected = self.parts.failures.iter().map(|failure| self.rejected(failure));
        CatalogView { versions, rejected: rejected.collect() }
    }

    /// A file that did not become a plugin, and what stays in its place.
    fn rejected(&self, failure: &LoadFailure) -> RejectedFile {
        let LoadFailure { file, digest, reason, conflict } = failure.clone();
        // A file that only came second is in nobody's place.
        let stays = self.parts.entries.iter().filter(|_| !conflict);
        let mut stays = stays.filter(|entry| entry.file == file || entry.waits_for.contains(&file));
        let last_good = stays.next().map(|entry| Arc::clone(&entry.plugin.info));
        let reason = match &last_good {
            Some(info) => {
                let (state, _) = self.state(&info.name, info.digest);
                let serves = matches!(state, VersionState::Active | VersionState::Canary);
                let does = if serves { "serving" } else { "holding on to" };
                format!("{reason}; {does} the last good version, {}", info.version)
            }
            None => reason,
        };
        RejectedFile { file, digest, reason, last_good }
    }

    /// The plugin that serves an algorithm to this audience.
    pub(crate) fn resolve(
        &self,
        algorithm: &str,
        audience: Audience<'_>,
    ) -> Option<&Arc<LoadedPlugin>> {
        let name = self.by_algorithm.get(algorithm)?;
        let family = self.families.get(name)?;
        let serves = |plugin: &&Arc<LoadedPlugin>| {
            plugin.info.algorithms.iter().any(|served| served == algorithm)
        };
        // A version on trial may serve fewer algorithms than the one it stands in for.
        let chosen = family.serving(name, audience).filter(serves);
        chosen.or_else(|| family.serving(name, Audience::ANYBODY).filter(serves))
    }

    pub(crate) fn by_digest(&self, digest: &PluginDigest) -> Option<&Arc<LoadedPlugin>> {
        self.by_digest.get(digest)
    }

    /// Why a version must not be called.
    pub(crate) fn quarantine(&self, digest: &PluginDigest) -> Option<&str> {
        self.parts.quarantined.get(digest).map(String::as_str)
    }

    /// Versions that a route names and that are not loaded.
    pub(crate) fn wanted(&self) -> Vec<PluginDigest> {
        let routed = self.parts.routes.values().flat_map(routed);
        routed.filter(|digest| !self.by_digest.contains_key(digest)).collect()
    }

    /// The file that holds a version.
    pub(crate) fn file_of(&self, digest: &PluginDigest) -> Option<&str> {
        let mut entries = self.parts.entries.iter();
        entries.find(|entry| entry.plugin.info.digest == *digest).map(|entry| entry.file.as_str())
    }

    /// The plugin that a file held when it was last read well.
    pub(crate) fn held_by(&self, file: &str) -> Option<&Entry> {
        self.parts.entries.iter().find(|entry| entry.file == file)
    }

    /// Plugins whose files are gone while others came whose content is not known yet: most likely a
    /// newer version under a name of its own, as when a whole directory is exchanged. They serve on
    /// until it is known, and for as long as the file that was to replace them is a bad one.
    pub(crate) fn waiting(
        &self,
        present: &HashSet<String>,
        pending: &[String],
        failing: &[&str],
    ) -> Vec<Entry> {
        let gone = self.parts.entries.iter().filter(|entry| !present.contains(&entry.file));
        gone.filter_map(|entry| {
            let mut waits_for: Vec<String> = if entry.waits_for.is_empty() {
                let successor = |file: &&str| stem(file) == stem(&entry.file);
                let bad = failing.iter().copied().filter(successor).map(str::to_owned);
                pending.iter().cloned().chain(bad).collect()
            } else {
                entry.waits_for.clone()
            };
            waits_for.retain(|file| {
                pending.contains(file)
                    || (failing.contains(&file.as_str()) && stem(file) == stem(&entry.file))
            });
            (!waits_for.is_empty()).then(|| Entry { waits_for, ..entry.clone() })
        })
        .collect()
    }

    /// Every component that is in use.
    pub(crate) fn digests(&self) -> impl Iterator<Item = PluginDigest> {
        self.by_digest.keys().copied()
    }

    /// The next catalog after the directory was read.
    pub(crate) fn after_reload(&self, loaded: Vec<Entry>, failures: Vec<LoadFailure>) -> Self {
        // Who was there first stays, whatever the names of their files.
        let held: HashSet<PluginDigest> =
            self.parts.entries.iter().map(|entry| entry.plugin.info.digest).collect();
        let mut loaded = loaded;
        loaded.sort_by_key(|entry| !held.contains(&entry.plugin.info.digest));
        let (mut entries, twins) = without_twins(loaded);
        entries.sort_by(|a, b| a.file.cmp(&b.file));
        let current: HashSet<PluginDigest> =
            entries.iter().map(|entry| entry.plugin.info.digest).collect();
        let gone = self.parts.entries.iter().map(|entry| &entry.plugin);
        let mut retired: Vec<Arc<LoadedPlugin>> = Vec::new();
        for plugin in gone.chain(&self.parts.retired) {
            let digest = plugin.info.digest;
            let known = current.contains(&digest)
                || retired.iter().any(|plugin| plugin.info.digest == digest);
            if !known {
                retired.push(Arc::clone(plugin));
            }
        }
        let failures = failures.into_iter().chain(twins).collect();
        self.with(Parts { entries, retired, failures, ..self.parts.clone() })
    }

    /// The same plugins under other routes.
    pub(crate) fn with_routes(&self, routes: &[Route]) -> Self {
        let routes = routes.iter().map(|route| (route.plugin.clone(), route.clone())).collect();
        self.with(Parts { routes, ..self.parts.clone() })
    }

    /// The same catalog with one more plugin that only its digest, or a route, leads to.
    pub(crate) fn with_inactive(&self, plugin: Arc<LoadedPlugin>) -> Self {
        if self.by_digest.contains_key(&plugin.info.digest) {
            return self.with(self.parts.clone());
        }
        let mut parts = self.parts.clone();
        parts.retired.insert(0, plugin);
        self.with(parts)
    }

    /// The same catalog with one version locked away, or let out again for `None`.
    pub(crate) fn with_quarantine(&self, digest: PluginDigest, reason: Option<String>) -> Self {
        let mut parts = self.parts.clone();
        match reason {
            Some(reason) => drop(parts.quarantined.insert(digest, reason)),
            None => drop(parts.quarantined.remove(&digest)),
        }
        self.with(parts)
    }

    /// The same catalog without one component, which has to be loaded again.
    pub(crate) fn without(&self, digest: &PluginDigest) -> Self {
        let mut parts = self.parts.clone();
        parts.entries.retain(|entry| entry.plugin.info.digest != *digest);
        parts.retired.retain(|plugin| plugin.info.digest != *digest);
        self.with(parts)
    }

    /// Settles which version of each plugin may serve, and who serves which algorithm. Plugins
    /// that were active before come first, so that a newcomer cannot take an algorithm from them.
    fn with(&self, mut parts: Parts) -> Self {
        let incumbents: HashSet<&str> =
            self.active().map(|plugin| plugin.info.name.as_str()).collect();
        parts.failures.retain(|failure| !failure.conflict);
        let wanted: HashSet<PluginDigest> = parts.routes.values().flat_map(routed).collect();
        let (kept, surplus): (Vec<_>, Vec<_>) =
            parts.retired.drain(..).partition(|plugin| wanted.contains(&plugin.info.digest));
        parts.retired = kept;
        parts.retired.extend(surplus.into_iter().take(RETIRED));

        let mut families = families(&parts);
        let mut turns: Vec<(String, String)> = families
            .iter()
            .map(|(name, family)| (name.clone(), first_file(&parts, family)))
            .collect();
        turns.sort_by_key(|(name, file)| (!incumbents.contains(name.as_str()), file.clone()));

        // What a plugin served before and would serve now stays with it, whoever comes first.
        let mut by_algorithm: HashMap<String, String> = self.by_algorithm.clone();
        by_algorithm.retain(|algorithm, holder| {
            families.get(holder).is_some_and(|family| {
                family
                    .in_use(holder)
                    .iter()
                    .any(|plugin| plugin.info.algorithms.contains(algorithm))
            })
        });
        for (name, _) in turns {
            let Some(family) = families.get_mut(&name) else { continue };
            // The version alone is refused: a lower one of the same plugin may serve instead.
            while let Some((plugin, algorithm, holder)) = family.intruder(&name, &by_algorithm) {
                let digest = plugin.info.digest;
                let reason =
                    format!("plugin `{holder}` already serves the algorithm `{algorithm}`");
                let holds = |entry: &&Entry| entry.plugin.info.digest == digest;
                let file = parts.entries.iter().find(holds).map(|entry| entry.file.clone());
                parts.failures.push(conflict(file.unwrap_or_default(), Some(digest), reason));
                family.versions.retain(|version| version.info.digest != digest);
                family.able.retain(|able| *able != digest);
            }
            let served = family.in_use(&name).into_iter().flat_map(|v| v.info.algorithms.clone());
            by_algorithm.extend(served.map(|algorithm| (algorithm, name.clone())));
            if family.versions.is_empty() {
                families.remove(&name);
            }
        }
        parts.failures.sort_by(|a, b| a.file.cmp(&b.file));
        let loaded = parts.entries.iter().map(|entry| &entry.plugin).chain(&parts.retired);
        let by_digest = loaded.map(|plugin| (plugin.info.digest, Arc::clone(plugin))).collect();
        Self { parts, families, by_algorithm, by_digest }
    }

    pub(crate) fn active(&self) -> impl Iterator<Item = &Arc<LoadedPlugin>> {
        self.families.iter().filter_map(|(name, family)| family.serving(name, Audience::ANYBODY))
    }

    fn version(&self, name: &str, plugin: &LoadedPlugin) -> PluginVersion {
        let digest = plugin.info.digest;
        let (state, reason) = self.state(name, digest);
        PluginVersion {
            info: Arc::clone(&plugin.info),
            state,
            reason,
            file: self.file_of(&digest).map(str::to_owned),
            signature: Signature::clone(&plugin.signature.load()),
            usage: plugin.usage.read(),
        }
    }

    fn state(&self, name: &str, digest: PluginDigest) -> (VersionState, String) {
        if let Some(reason) = self.quarantine(&digest) {
            return (VersionState::Quarantined, reason.to_owned());
        }
        let unsigned = self.by_digest.get(&digest).filter(|plugin| {
            self.parts.signed_only && matches!(**plugin.signature.load(), Signature::Unsigned)
        });
        if unsigned.is_some() {
            return (VersionState::Standby, "No trusted key signed it.".to_owned());
        }
        let Some(family) = self.families.get(name) else {
            return (VersionState::Standby, "Another plugin serves its algorithms.".to_owned());
        };
        let route = family.route.as_ref();
        let serving = family.serving(name, Audience::ANYBODY).map(|plugin| plugin.info.digest);
        if serving == Some(digest) {
            let pinned = route.is_some_and(|route| route.pinned == Some(digest));
            let why = if pinned { "An operator pinned it." } else { "It is the highest version." };
            return (VersionState::Active, why.to_owned());
        }
        let canary = route.and_then(|route| route.canary.as_ref());
        if let Some(canary) = canary.filter(|canary| canary.digest == digest) {
            return (VersionState::Canary, trial(canary));
        }
        if family.versions.iter().any(|plugin| plugin.info.digest == digest) {
            (VersionState::Standby, "Another version serves.".to_owned())
        } else {
            (VersionState::Retired, "Its file is gone; only its jobs still reach it.".to_owned())
        }
    }
}

fn trial(canary: &training::ports::Canary) -> String {
    let mut reason = format!("It is tried on {} % of the jobs", canary.percent);
    if !canary.namespaces.is_empty() {
        let names: Vec<String> = canary.namespaces.iter().map(ToString::to_string).collect();
        reason.push_str(" and on all jobs in ");
        reason.push_str(&names.join(", "));
    }
    reason.push('.');
    reason
}

/// The versions that a route names.
pub(crate) fn routed(route: &Route) -> impl Iterator<Item = PluginDigest> + use<> {
    route.pinned.into_iter().chain(route.canary.as_ref().map(|canary| canary.digest))
}

fn families(parts: &Parts) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let wanted: HashSet<PluginDigest> = parts.routes.values().flat_map(routed).collect();
    let retired = parts.retired.iter().filter(|plugin| wanted.contains(&plugin.info.digest));
    for plugin in parts.entries.iter().map(|entry| &entry.plugin).chain(retired) {
        let name = &plugin.info.name;
        let family = families.entry(name.clone()).or_insert_with(|| Family {
            versions: Vec::new(),
            able: Vec::new(),
            route: parts.routes.get(name).cloned(),
        });
        if !family.versions.iter().any(|other| other.info.digest == plugin.info.digest) {
            family.versions.push(Arc::clone(plugin));
        }
    }
    for family in families.values_mut() {
        family.versions.sort_by(|a, b| b.version.cmp(&a.version));
        let able = family.versions.iter().filter(|plugin| {
            let trusted = matches!(**plugin.signature.load(), Signature::Trusted { .. });
            // Files without one are not loaded at all; what comes from the archive may be older
            // than the rule.
            (trusted || !parts.signed_only) && !parts.quarantined.contains_key(&plugin.info.digest)
        });
        family.able = able.map(|plugin| plugin.info.digest).collect();
    }
    families
}

/// The file by which a plugin takes its turn when algorithms are given out.
fn first_file(parts: &Parts, family: &Family) -> String {
    let digests: HashSet<PluginDigest> =
        family.versions.iter().map(|plugin| plugin.info.digest).collect();
    let files = parts.entries.iter().filter(|entry| digests.contains(&entry.plugin.info.digest));
    files.map(|entry| entry.file.clone()).min().unwrap_or_default()
}

/// The name of a file up to its version: `trees` of `trees-1.2.0.wasm` and of `trees.wasm`.
fn stem(file: &str) -> &str {
    let name = file.strip_suffix(".wasm").unwrap_or(file);
    let version = name.char_indices().find(|(at, c)| {
        let rest = name.get(at + c.len_utf8()..).unwrap_or_default();
        let rest = rest.strip_prefix('v').unwrap_or(rest);
        matches!(c, '-' | '_' | '@' | '.') && rest.starts_with(|c: char| c.is_ascii_digit())
    });
    version.and_then(|(at, _)| name.get(..at)).unwrap_or(name)
}

/// Drops copies of the same bytes, and refuses a second file that says it is the same version but
/// has other bytes: which of them ran would depend on their names.
fn without_twins(loaded: Vec<Entry>) -> (Vec<Entry>, Vec<LoadFailure>) {
    let mut kept: Vec<Entry> = Vec::new();
    let mut refusals = Vec::new();
    for entry in loaded {
        let info = &entry.plugin.info;
        if kept.iter().any(|other| other.plugin.info.digest == info.digest) {
            continue;
        }
        let twin = kept.iter().find(|other| {
            other.plugin.info.name == info.name && other.plugin.version == entry.plugin.version
        });
        match twin {
            Some(twin) => {
                let reason = format!(
                    "`{}` holds other bytes of plugin `{}` {}",
                    twin.file, info.name, info.version
                );
                refusals.push(LoadFailure {
                    conflict: false,
                    ..conflict(entry.file.clone(), Some(info.digest), reason)
                });
            }
            None => kept.push(entry),
        }
    }
    (kept, refusals)
}

/// Who serves an algorithm is settled anew with each catalog, so this failure never lasts.
fn conflict(file: String, digest: Option<PluginDigest>, reason: String) -> LoadFailure {
    let reason = LoadError::Refused(reason).to_string();
    LoadFailure { file, digest, reason, conflict: true }
}
