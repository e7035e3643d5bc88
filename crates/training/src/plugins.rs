//! What operators decide about the versions of a plugin: pin, canary, promote, roll back, release.
//!
//! Each use-case finds the version, makes sure that it can be loaded, stores the decision with one
//! event under the route's version, and makes this process take over; other processes follow by
//! [`follow`](Follower::follow).

mod follow;
mod interpreters;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::id::{Namespace, PluginDigest};
use crate::ports::{
    Canary, Moved, NewPluginEvent, PluginFault, PluginInfo, PluginRegistry, Plugins, Route,
    StoreError, VersionState,
};

pub use follow::Follower;
pub use interpreters::{InterpreterError, InterpreterSeen, install, interpreters};

/// Most namespaces of one canary: more are a share.
pub const MOST_NAMESPACES: usize = 100;

/// What these use-cases need.
#[derive(Clone)]
pub struct PluginPorts {
    /// Keeps decisions, histories and components.
    pub registry: Arc<dyn PluginRegistry>,
    /// Takes decisions over.
    pub plugins: Arc<dyn Plugins>,
    /// Dates them.
    pub clock: Arc<dyn Clock>,
}

/// Which version an operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By its semantic version.
    Version(String),
    /// By its content.
    Digest(PluginDigest),
}

/// Why a decision was not taken. Nothing was stored, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// Nothing of this name is loaded, kept or routed.
    #[error("no plugin has the name `{plugin}`")]
    UnknownPlugin {
        /// As the operator wrote it.
        plugin: String,
    },
    /// The plugin has no such version, neither loaded nor kept.
    #[error("plugin `{plugin}` has no version {version}")]
    UnknownVersion {
        /// Name of the plugin.
        plugin: String,
        /// The version or digest as it was asked for.
        version: String,
    },
    /// The decision does not fit what is in force.
    #[error("{0}")]
    Unfit(String),
    /// Somebody else decided about this plugin at the same time.
    #[error("the route of plugin `{plugin}` was changed at the same time")]
    Stale {
        /// Name of the plugin.
        plugin: String,
    },
    /// The version cannot be loaded.
    #[error("the version cannot be used")]
    Plugin(#[source] PluginFault),
    /// The store failed. After [`StoreError::Unavailable`] the decision may nevertheless be in
    /// force.
    #[error("the decision could not be stored")]
    Store(#[source] StoreError),
}

/// Makes one version serve, whatever others there are.
///
/// # Errors
/// See [`PluginError`].
pub async fn pin(
    ports: &PluginPorts,
    plugin: &str,
    wanted: &Wanted,
    actor: &str,
) -> Result<Route, PluginError> {
    let route = current(ports, plugin, actor).await?;
    let info = find(ports, plugin, wanted).await?;
    if route.pinned == Some(info.digest) {
        return Ok(route);
    }
    let from = serving(ports, plugin);
    let message = format!("`{actor}` pinned version {}.", info.version);
    let next = repinned(route, Some(info.digest), from);
    change(ports, next, "Pinned", Some(info.digest), message, from).await
}

/// Lets the highest version serve again.
///
/// # Errors
/// See [`PluginError`].
pub async fn unpin(ports: &PluginPorts, plugin: &str, actor: &str) -> Result<Route, PluginError> {
    let route = current(ports, plugin, actor).await?;
    let Some(pinned) = route.pinned else { return Ok(route) };
    let message = format!("`{actor}` removed the pin; the highest version serves.");
    let next = repinned(route, None, Some(pinned));
    change(ports, next, "Unpinned", Some(pinned), message, Some(pinned)).await
}

/// Tries a version on a share of the jobs, and on all jobs of some namespaces.
///
/// # Errors
/// See [`PluginError`].
pub async fn start_canary(
    ports: &PluginPorts,
    plugin: &str,
    wanted: &Wanted,
    percent: u8,
    namespaces: Vec<Namespace>,
    actor: &str,
) -> Result<Route, PluginError> {
    let route = current(ports, plugin, actor).await?;
    let info = find(ports, plugin, wanted).await?;
    if route.pinned == Some(info.digest) {
        return Err(PluginError::Unfit(format!(
            "Version {} is pinned and serves every job; try another version.",
            info.version
        )));
    }
    let canary = Canary { digest: info.digest, percent, namespaces };
    if route.canary.as_ref() == Some(&canary) {
        return Ok(route);
    }
    let message = format!("`{actor}` tries version {} on {percent} % of the jobs.", info.version);
    let from = serving(ports, plugin);
    let next = Route { canary: Some(canary), ..route };
    change(ports, next, "CanaryStarted", Some(info.digest), message, from).await
}

/// Ends the trial; what served the other jobs serves all.
///
/// # Errors
/// See [`PluginError`].
pub async fn stop_canary(
    ports: &PluginPorts,
    plugin: &str,
    actor: &str,
) -> Result<Route, PluginError> {
    let route = current(ports, plugin, actor).await?;
    let Some(canary) = &route.canary else { return Ok(route) };
    let digest = canary.digest;
    let message = format!("`{actor}` stopped the trial.");
    let from = serving(ports, plugin);
    change(ports, Route { canary: None, ..route }, "CanaryStopped", Some(digest), message, from)
        .await
}

/// Makes the version on trial serve every job.
///
/// # Errors
/// See [`PluginError`].
pub async fn promote(ports: &PluginPorts, plugin: &str, actor: &str) -> Result<Route, PluginError> {
    let route = current(ports, plugin, actor).await?;
    let Some(canary) = &route.canary else {
        return Err(PluginError::Unfit(format!(
            "Plugin `{plugin}` has no version on trial; start a canary first."
        )));
    };
    let info = find(ports, plugin, &Wanted::Digest(canary.digest)).await?;
    let from = serving(ports, plugin);
    let message = format!("`{actor}` promoted version {} from trial to pin.", info.version);
    let next = Route { canary: None, ..repinned(route, Some(info.digest), from) };
    change(ports, next, "Promoted", Some(info.digest), message, from).await
}

/// Makes the version serve that served before the last change of the pin, and ends a trial. Done
/// twice, it leads back.
///
/// # Errors
/// See [`PluginError`].
pub async fn roll_back(
    ports: &PluginPorts,
    plugin: &str,
    actor: &str,
) -> Result<Route, PluginError> {
    let route = current(ports, plugin, actor).await?;
    let Some(previous) = route.previous else {
        return Err(PluginError::Unfit(format!(
            "Plugin `{plugin}` was never pinned, so there is nothing to go back to; pin a version."
        )));
    };
    let info = find(ports, plugin, &Wanted::Digest(previous)).await?;
    let from = serving(ports, plugin);
    let message = format!("`{actor}` rolled back to version {}.", info.version);
    let next = Route { canary: None, ..repinned(route, Some(previous), from) };
    change(ports, next, "RolledBack", Some(previous), message, from).await
}

/// Lifts a version's quarantine. Other processes follow through the history.
///
/// # Errors
/// [`PluginError::Unfit`] if it is in none here, and [`PluginError::Store`].
pub async fn release(
    ports: &PluginPorts,
    plugin: &str,
    digest: PluginDigest,
    actor: &str,
) -> Result<(), PluginError> {
    let versions = ports.plugins.catalog().versions;
    let unknown =
        || PluginError::UnknownVersion { plugin: plugin.to_owned(), version: digest.to_string() };
    let version = versions
        .into_iter()
        .find(|version| version.info.name == plugin && version.info.digest == digest)
        .ok_or_else(unknown)?;
    if version.state != VersionState::Quarantined {
        return Err(PluginError::Unfit(format!(
            "Version {} of plugin `{plugin}` is not in quarantine.",
            version.info.version
        )));
    }
    // Recorded first: a release that nobody can account for is worse than one to be repeated.
    let event = NewPluginEvent {
        at: ports.clock.now(),
        plugin: plugin.to_owned(),
        kind: follow::RELEASED.to_owned(),
        digest: Some(digest),
        actor: actor.to_owned(),
        message: format!("`{actor}` released version {} from quarantine.", version.info.version),
        evidence: json!({"version": version.info.version, "reason": version.reason}),
    };
    ports.registry.record(&[event]).await.map_err(PluginError::Store)?;
    ports.plugins.release(&digest);
    Ok(())
}

/// The stored route, or an empty one at version 0; dated and signed for its next change.
async fn current(ports: &PluginPorts, plugin: &str, actor: &str) -> Result<Route, PluginError> {
    let routes = ports.registry.routes().await.map_err(PluginError::Store)?;
    if let Some(route) = routes.into_iter().find(|route| route.plugin == plugin) {
        return Ok(Route { updated_by: actor.to_owned(), updated_at: ports.clock.now(), ..route });
    }
    let loaded = ports.plugins.catalog().versions;
    let known = loaded.iter().any(|version| version.info.name == plugin) || {
        let kept = ports.registry.kept_versions(plugin).await.map_err(PluginError::Store)?;
        !kept.is_empty()
    };
    if !known {
        return Err(PluginError::UnknownPlugin { plugin: plugin.to_owned() });
    }
    Ok(Route {
        plugin: plugin.to_owned(),
        pinned: None,
        canary: None,
        previous: None,
        version: 0,
        updated_at: ports.clock.now(),
        updated_by: actor.to_owned(),
    })
}

/// The version that is meant, after loading it: what cannot be loaded cannot serve.
async fn find(
    ports: &PluginPorts,
    plugin: &str,
    wanted: &Wanted,
) -> Result<Arc<PluginInfo>, PluginError> {
    let digest = match wanted {
        Wanted::Digest(digest) => *digest,
        Wanted::Version(version) => named(ports, plugin, version).await?,
    };
    let unknown =
        || PluginError::UnknownVersion { plugin: plugin.to_owned(), version: digest.to_string() };
    let info = match ports.plugins.load(&digest).await {
        Ok(info) => info,
        Err(PluginFault::NotLoaded(_)) => return Err(unknown()),
        Err(fault) => return Err(PluginError::Plugin(fault)),
    };
    if info.name != plugin {
        return Err(unknown());
    }
    ports.plugins.may_convert(&digest).map_err(PluginError::Plugin)?;
    let versions = ports.plugins.catalog().versions;
    let locked = versions
        .iter()
        .any(|version| version.info.digest == digest && version.state == VersionState::Quarantined);
    if locked {
        return Err(PluginError::Unfit(format!(
            "Version {} of plugin `{plugin}` is in quarantine; release it first.",
            info.version
        )));
    }
    Ok(info)
}

/// The digest of a version. One that has a file goes before those that are only kept; among
/// several that are only kept, nobody can tell which is meant.
async fn named(
    ports: &PluginPorts,
    plugin: &str,
    version: &str,
) -> Result<PluginDigest, PluginError> {
    let catalog = ports.plugins.catalog();
    let in_files = catalog.versions.iter().find(|known| {
        known.file.is_some() && known.info.name == plugin && known.info.version == version
    });
    if let Some(known) = in_files {
        return Ok(known.info.digest);
    }
    let kept = ports.registry.kept_versions(plugin).await.map_err(PluginError::Store)?;
    let digests: Vec<PluginDigest> =
        kept.iter().filter(|kept| kept.version == version).map(|kept| kept.digest).collect();
    match digests.as_slice() {
        [digest] => Ok(*digest),
        [] => Err(PluginError::UnknownVersion {
            plugin: plugin.to_owned(),
            version: version.to_owned(),
        }),
        several => {
            let list: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(PluginError::Unfit(format!(
                "Several components say that they are version {version} of plugin `{plugin}`; \
                 name one by its sha256: {}.",
                list.join(", ")
            )))
        }
    }
}

/// What serves jobs of nobody in particular now.
fn serving(ports: &PluginPorts, plugin: &str) -> Option<PluginDigest> {
    let active = ports.plugins.list();
    active.iter().find(|info| info.name == plugin).map(|info| info.digest)
}

/// The route with another pin. What served before becomes the way back, unless it still serves.
fn repinned(route: Route, pinned: Option<PluginDigest>, from: Option<PluginDigest>) -> Route {
    let previous = from.filter(|from| Some(*from) != pinned).or(route.previous);
    Route { pinned, previous, ..route }
}

/// Stores the decision, and makes this process take over.
async fn change(
    ports: &PluginPorts,
    route: Route,
    kind: &str,
    digest: Option<PluginDigest>,
    message: String,
    from: Option<PluginDigest>,
) -> Result<Route, PluginError> {
    let event = NewPluginEvent {
        at: route.updated_at,
        plugin: route.plugin.clone(),
        kind: kind.to_owned(),
        digest,
        actor: route.updated_by.clone(),
        message,
        evidence: evidence(&route, from),
    };
    match ports.registry.change_route(&route, &event).await.map_err(PluginError::Store)? {
        Moved::Stale => return Err(PluginError::Stale { plugin: route.plugin }),
        Moved::Done => {}
    }
    tracing::info!(plugin.name = %route.plugin, actor = %route.updated_by, "{}", event.message);
    match ports.registry.routes().await {
        Ok(routes) => ports.plugins.set_routes(&routes).await,
        // The decision is durable, so it is not answered with an error; the loop takes it over.
        Err(error) => {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "The route of `{}` is in force a little later", route.plugin);
        }
    }
    Ok(Route { version: route.version + 1, ..route })
}

/// The whole route after the change, so that the history alone tells what was in force when.
fn evidence(route: &Route, from: Option<PluginDigest>) -> Value {
    let text = |digest: Option<PluginDigest>| digest.map(|digest| digest.to_string());
    let canary = route.canary.as_ref().map(|canary| {
        let names = canary.namespaces.iter().map(Namespace::as_str);
        json!({
            "sha256": canary.digest.to_string(),
            "percent": canary.percent,
            "namespaces": names.collect::<Vec<_>>(),
        })
    });
    json!({
        "served": text(from),
        "pinned": text(route.pinned),
        "canary": canary,
        "previous": text(route.previous),
    })
}
