//! Which plugins there are. A catalog never changes: a reload builds a new one and swaps it in,
//! while calls that already started keep theirs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use training::PluginDigest;
use training::ports::PluginInfo;

use crate::error::{LoadError, LoadFailure};
use crate::plugin::LoadedPlugin;

/// Plugins whose file is gone that can still be called by digest: jobs that run were made by them,
/// and only they read those jobs' status well. Each costs about a MiB.
const RETIRED: usize = 32;

/// A plugin and the file it came from.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) file: String,
    pub(crate) plugin: Arc<LoadedPlugin>,
}

/// One consistent set of plugins.
#[derive(Debug, Default)]
pub struct Catalog {
    by_algorithm: HashMap<String, Arc<LoadedPlugin>>,
    by_digest: HashMap<PluginDigest, Arc<LoadedPlugin>>,
    active: Vec<Arc<LoadedPlugin>>,
    entries: Vec<Entry>,
    /// Most recent first.
    retired: Vec<Arc<LoadedPlugin>>,
    failures: Vec<LoadFailure>,
}

impl Catalog {
    /// The files that did not become plugins, and why.
    pub fn failures(&self) -> &[LoadFailure] {
        &self.failures
    }

    /// Active plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<PluginInfo>> {
        self.active.iter().map(|plugin| &plugin.info)
    }

    pub(crate) fn by_algorithm(&self, name: &str) -> Option<&Arc<LoadedPlugin>> {
        self.by_algorithm.get(name)
    }

    pub(crate) fn by_digest(&self, digest: &PluginDigest) -> Option<&Arc<LoadedPlugin>> {
        self.by_digest.get(digest)
    }

    /// The plugin that a file held when it was last read well.
    pub(crate) fn held_by(&self, file: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.file == file)
    }

    /// What the same bytes in the same file failed with before.
    pub(crate) fn known_failure(&self, file: &str, digest: &PluginDigest) -> Option<&LoadFailure> {
        self.failures.iter().find(|failure| {
            failure.file == file && failure.digest.as_ref() == Some(digest) && !failure.retryable
        })
    }

    /// The next catalog: chooses the active version of each plugin and settles who serves which
    /// algorithm. Plugins that were active before come first, so that a newcomer cannot take an
    /// algorithm away from them.
    pub(crate) fn next(&self, loaded: Vec<Entry>, mut failures: Vec<LoadFailure>) -> Self {
        let incumbents: HashSet<&str> =
            self.active.iter().map(|plugin| plugin.info.name.as_str()).collect();
        let (entries, twins) = without_twins(loaded);
        failures.extend(twins);

        let mut by_name: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in &entries {
            let highest = by_name.entry(&entry.plugin.info.name).or_insert(entry);
            if entry.plugin.version > highest.plugin.version {
                *highest = entry;
            }
        }
        let mut claims: Vec<&Entry> = by_name.into_values().collect();
        claims.sort_by_key(|entry| {
            (!incumbents.contains(entry.plugin.info.name.as_str()), entry.file.clone())
        });

        let mut by_algorithm: HashMap<String, Arc<LoadedPlugin>> = HashMap::new();
        let mut active = Vec::new();
        for entry in claims {
            let info = &entry.plugin.info;
            let taken = info
                .algorithms
                .iter()
                .find_map(|name| by_algorithm.get(name).map(|holder| (name, holder)));
            if let Some((name, holder)) = taken {
                let reason =
                    format!("plugin `{}` already serves the algorithm `{name}`", holder.info.name);
                failures.push(refused(entry, reason));
                continue;
            }
            for name in &info.algorithms {
                by_algorithm.insert(name.clone(), Arc::clone(&entry.plugin));
            }
            active.push(Arc::clone(&entry.plugin));
        }
        active.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        failures.sort_by(|a, b| a.file.cmp(&b.file));

        let current: HashMap<PluginDigest, Arc<LoadedPlugin>> = entries
            .iter()
            .map(|entry| (entry.plugin.info.digest, Arc::clone(&entry.plugin)))
            .collect();
        let gone = self.entries.iter().map(|entry| &entry.plugin);
        let mut retired: Vec<Arc<LoadedPlugin>> = Vec::new();
        for plugin in gone.chain(&self.retired) {
            let digest = plugin.info.digest;
            let known = current.contains_key(&digest)
                || retired.iter().any(|plugin| plugin.info.digest == digest);
            if !known && retired.len() < RETIRED {
                retired.push(Arc::clone(plugin));
            }
        }
        let mut by_digest = current;
        by_digest.extend(retired.iter().map(|plugin| (plugin.info.digest, Arc::clone(plugin))));
        Self { by_algorithm, by_digest, active, entries, retired, failures }
    }

    /// The same catalog with one more plugin that only its digest leads to.
    pub(crate) fn with_inactive(&self, plugin: Arc<LoadedPlugin>) -> Self {
        let mut by_digest = self.by_digest.clone();
        let mut retired = self.retired.clone();
        if by_digest.insert(plugin.info.digest, Arc::clone(&plugin)).is_none() {
            retired.insert(0, plugin);
        }
        Self {
            by_algorithm: self.by_algorithm.clone(),
            by_digest,
            active: self.active.clone(),
            entries: self.entries.clone(),
            retired,
            failures: self.failures.clone(),
        }
    }
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
                refusals.push(refused(&entry, reason));
            }
            None => kept.push(entry),
        }
    }
    (kept, refusals)
}

fn refused(entry: &Entry, reason: String) -> LoadFailure {
    LoadFailure {
        file: entry.file.clone(),
        digest: Some(entry.plugin.info.digest),
        reason: LoadError::Refused(reason).to_string(),
        // Who came first can change with the other files.
        retryable: true,
    }
}
