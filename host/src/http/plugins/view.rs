//! From the domain's values to the wire types.

use api_types::{
    CanaryView, KeptVersionView, LastGoodView, PluginDetail, PluginEventView, PluginVersionView,
    RejectedFileView, RouteView, UsageView, VersionState,
};
use training::ports::{
    self, KeptVersion, PluginEvent, PluginVersion, RejectedFile, Route, Signature, Usage,
};

use crate::http::view::time;

fn state(state: ports::VersionState) -> VersionState {
    match state {
        ports::VersionState::Active => VersionState::Active,
        ports::VersionState::Canary => VersionState::Canary,
        ports::VersionState::Standby => VersionState::Standby,
        ports::VersionState::Retired => VersionState::Retired,
        ports::VersionState::Quarantined => VersionState::Quarantined,
    }
}

fn usage(usage: Usage) -> UsageView {
    UsageView {
        calls: usage.calls,
        failed: usage.failed,
        timed_out: usage.timed_out,
        crashed: usage.crashed,
        total_us: usage.total_us,
        slowest_us: usage.slowest_us,
        peak_memory_bytes: usage.peak_memory_bytes,
    }
}

pub(super) fn version(version: PluginVersion) -> PluginVersionView {
    let info = &version.info;
    PluginVersionView {
        version: info.version.clone(),
        sha256: info.digest.to_string(),
        schema_sha256: info.schema_digest.to_string(),
        title: info.title.clone(),
        algorithms: info.algorithms.clone(),
        state: state(version.state),
        reason: version.reason,
        file: version.file,
        signed_by: match version.signature {
            Signature::Unsigned => None,
            Signature::Trusted { key } => Some(key),
        },
        usage: usage(version.usage),
    }
}

pub(super) fn route(route: Route) -> RouteView {
    RouteView {
        pinned: route.pinned.map(|digest| digest.to_string()),
        canary: route.canary.map(|canary| CanaryView {
            sha256: canary.digest.to_string(),
            percent: canary.percent,
            namespaces: canary.namespaces.iter().map(ToString::to_string).collect(),
        }),
        previous: route.previous.map(|digest| digest.to_string()),
        version: route.version,
        updated_at: time(route.updated_at),
        updated_by: route.updated_by,
    }
}

pub(super) fn kept(kept: KeptVersion) -> KeptVersionView {
    KeptVersionView {
        version: kept.version,
        sha256: kept.digest.to_string(),
        bytes: kept.size,
        first_seen: time(kept.first_seen),
    }
}

pub(super) fn rejected(rejected: RejectedFile) -> RejectedFileView {
    RejectedFileView {
        file: rejected.file,
        sha256: rejected.digest.map(|digest| digest.to_string()),
        reason: rejected.reason,
        last_good: rejected.last_good.map(|info| LastGoodView {
            version: info.version.clone(),
            sha256: info.digest.to_string(),
        }),
    }
}

pub(super) fn event(PluginEvent { id, event }: PluginEvent) -> PluginEventView {
    PluginEventView {
        id,
        at: time(event.at),
        plugin: event.plugin,
        kind: event.kind,
        sha256: event.digest.map(|digest| digest.to_string()),
        actor: event.actor,
        message: event.message,
        evidence: event.evidence,
    }
}

/// An empty plugin, to be filled.
pub(super) fn plugin(name: &str) -> PluginDetail {
    PluginDetail { name: name.to_owned(), versions: Vec::new(), route: None, kept: Vec::new() }
}
