//! Decisions over in-memory ports: what serves afterwards, and what the history says.

use super::*;
use crate::clock::ManualClock;
use crate::ports::{Audience, ComponentArchive as _, KeptComponent, PluginEvent};
use crate::testing::{MemoryPlugins, MemoryRegistry, samples};

struct World {
    plugins: Arc<MemoryPlugins>,
    registry: Arc<MemoryRegistry>,
    ports: PluginPorts,
}

/// Plugin `trees` in versions 1 and 2 as files, 2 on top.
fn world() -> (World, PluginDigest, PluginDigest) {
    let plugins = Arc::new(MemoryPlugins::default());
    let registry = Arc::new(MemoryRegistry::default());
    let one = plugins.add("trees", "1.0.0", true);
    let two = plugins.add("trees", "2.0.0", true);
    let ports = PluginPorts {
        registry: registry.clone(),
        plugins: plugins.clone(),
        clock: Arc::new(ManualClock::new(samples::at(0))),
    };
    (World { plugins, registry, ports }, one, two)
}

fn version(text: &str) -> Wanted {
    Wanted::Version(text.to_owned())
}

impl World {
    fn served(&self, namespace: &str) -> Option<PluginDigest> {
        let audience = Audience { namespace, job_name: "a" };
        self.plugins.resolve("trees", audience).map(|info| info.digest)
    }

    async fn events(&self) -> Vec<PluginEvent> {
        let mut events = self.registry.plugin_events(None, None, 100).await.unwrap();
        events.reverse();
        events
    }

    async fn kinds(&self) -> Vec<String> {
        self.events().await.into_iter().map(|event| event.event.kind).collect()
    }
}

#[tokio::test]
async fn pin_serves_at_once_and_is_on_record_with_its_actor() {
    let (world, one, two) = world();
    assert_eq!(world.served("team"), Some(two));
    let route = pin(&world.ports, "trees", &version("1.0.0"), "ada").await.unwrap();
    assert_eq!((route.pinned, route.previous, route.version), (Some(one), Some(two), 1));
    assert_eq!(world.served("team"), Some(one));
    let events = world.events().await;
    let event = &events[0].event;
    assert_eq!((event.kind.as_str(), event.actor.as_str()), ("Pinned", "ada"));
    assert_eq!(event.evidence["pinned"], one.to_string());
    assert_eq!(event.evidence["served"], two.to_string());

    // The same again is no change.
    pin(&world.ports, "trees", &Wanted::Digest(one), "bob").await.unwrap();
    assert_eq!(world.events().await.len(), 1);
    let route = unpin(&world.ports, "trees", "bob").await.unwrap();
    assert_eq!((route.pinned, route.previous), (None, Some(one)));
    assert_eq!(world.served("team"), Some(two));
    unpin(&world.ports, "trees", "bob").await.unwrap();
    assert_eq!(world.kinds().await, ["Pinned", "Unpinned"]);
}

#[tokio::test]
async fn canary_is_promoted_and_rolled_back() {
    let (world, one, two) = world();
    let team = vec![Namespace::parse("team").unwrap()];
    start_canary(&world.ports, "trees", &version("2.0.0"), 0, team, "ada").await.unwrap();
    assert_eq!((world.served("team"), world.served("other")), (Some(two), Some(one)));
    let route = promote(&world.ports, "trees", "ada").await.unwrap();
    assert_eq!((route.pinned, route.previous, route.canary), (Some(two), Some(one), None));
    assert_eq!(world.served("other"), Some(two));
    roll_back(&world.ports, "trees", "bob").await.unwrap();
    assert_eq!(world.served("team"), Some(one));
    roll_back(&world.ports, "trees", "bob").await.unwrap();
    assert_eq!(world.served("team"), Some(two));
    let kinds = world.kinds().await;
    assert_eq!(kinds, ["CanaryStarted", "Promoted", "RolledBack", "RolledBack"]);
}

#[tokio::test]
async fn stopped_canary_serves_nobody() {
    let (world, one, _) = world();
    pin(&world.ports, "trees", &version("1.0.0"), "ada").await.unwrap();
    start_canary(&world.ports, "trees", &version("2.0.0"), 100, Vec::new(), "ada").await.unwrap();
    assert_ne!(world.served("team"), Some(one));
    stop_canary(&world.ports, "trees", "ada").await.unwrap();
    assert_eq!(world.served("team"), Some(one));
    stop_canary(&world.ports, "trees", "ada").await.unwrap();
    assert_eq!(world.kinds().await, ["Pinned", "CanaryStarted", "CanaryStopped"]);
}

#[tokio::test]
async fn version_without_a_file_is_pinned_from_the_archive() {
    let (world, ..) = world();
    let zero = world.plugins.add("trees", "0.9.0", false);
    let component = |digest| KeptComponent {
        digest,
        name: "trees".to_owned(),
        version: "0.9.0".to_owned(),
        bytes: b"zero".to_vec(),
    };
    world.registry.keep(&component(zero)).await.unwrap();
    pin(&world.ports, "trees", &version("0.9.0"), "ada").await.unwrap();
    assert_eq!(world.served("team"), Some(zero));

    let twin = PluginDigest::of("twin");
    world.registry.keep(&component(twin)).await.unwrap();
    let refused = pin(&world.ports, "trees", &version("0.9.0"), "ada").await.unwrap_err();
    assert!(refused.to_string().contains(&twin.to_string()), "{refused}");
}

#[tokio::test]
async fn what_cannot_serve_is_refused_and_nothing_is_stored() {
    let (world, one, two) = world();
    world.plugins.add("forest", "1.0.0", true);
    let unknown = pin(&world.ports, "tress", &version("1.0.0"), "ada").await.unwrap_err();
    assert!(matches!(unknown, PluginError::UnknownPlugin { .. }), "{unknown:?}");
    let foreign = Wanted::Digest(PluginDigest::of("forest 1.0.0"));
    for wanted in [version("3.0.0"), foreign, Wanted::Digest(PluginDigest::of("nothing"))] {
        let unknown = pin(&world.ports, "trees", &wanted, "ada").await.unwrap_err();
        assert!(matches!(unknown, PluginError::UnknownVersion { .. }), "{unknown:?}");
    }
    world.plugins.quarantine(&one);
    let locked = pin(&world.ports, "trees", &Wanted::Digest(one), "ada").await.unwrap_err();
    assert!(locked.to_string().contains("quarantine"), "{locked}");
    for refused in
        [promote(&world.ports, "trees", "ada").await, roll_back(&world.ports, "trees", "ada").await]
    {
        assert!(matches!(refused, Err(PluginError::Unfit(_))), "{refused:?}");
    }
    assert_eq!(world.registry.routes().await.unwrap(), []);
    pin(&world.ports, "trees", &Wanted::Digest(two), "ada").await.unwrap();
    let pinned = Wanted::Digest(two);
    let refused = start_canary(&world.ports, "trees", &pinned, 5, Vec::new(), "ada").await;
    assert!(matches!(refused, Err(PluginError::Unfit(_))), "{refused:?}");
    assert_eq!(world.kinds().await, ["Pinned"]);
}

#[tokio::test]
async fn release_is_recorded_with_its_actor_and_carried_out_by_other_hosts() {
    let (world, one, _) = world();
    let elsewhere = Arc::new(MemoryPlugins::default());
    elsewhere.add("trees", "1.0.0", true);
    let ports = PluginPorts { plugins: elsewhere.clone(), ..world.ports.clone() };
    let mut other = Follower::new(ports, "other");
    other.round().await.unwrap();
    elsewhere.quarantine(&one);

    let refused = release(&world.ports, "trees", one, "ada").await.unwrap_err();
    assert!(matches!(refused, PluginError::Unfit(_)), "{refused:?}");
    world.plugins.quarantine(&one);
    release(&world.ports, "trees", one, "ada").await.unwrap();
    assert!(!world.plugins.release(&one), "it is still locked away here");
    other.round().await.unwrap();
    assert!(!elsewhere.release(&one), "it is still locked away on the other host");
    assert_eq!(world.events().await[0].event.actor, "ada");

    // An old release does not free what was locked away after it.
    elsewhere.quarantine(&one);
    other.round().await.unwrap();
    let mut restarted = Follower::new(
        PluginPorts { plugins: elsewhere.clone(), ..world.ports.clone() },
        "restarted",
    );
    restarted.round().await.unwrap();
    assert!(elsewhere.release(&one));
}

#[tokio::test]
async fn follower_takes_over_decisions_of_other_hosts_and_records_what_happens() {
    let (world, one, _) = world();
    pin(&world.ports, "trees", &version("1.0.0"), "ada").await.unwrap();
    let elsewhere = Arc::new(MemoryPlugins::default());
    let ports = PluginPorts { plugins: elsewhere.clone(), ..world.ports.clone() };
    let mut follower = Follower::new(ports, "other");
    follower.round().await.unwrap();
    assert_eq!(elsewhere.routes()[0].pinned, Some(one));

    elsewhere.happen("Loaded", "forest");
    world.registry.set_unavailable(true);
    assert!(follower.round().await.is_err());
    elsewhere.happen("Rejected", "broken");
    world.registry.set_unavailable(false);
    follower.round().await.unwrap();
    follower.round().await.unwrap();
    assert_eq!(world.kinds().await, ["Pinned", "Loaded", "Rejected"]);
    let events = world.events().await;
    assert_eq!(events[1].event.actor, "host");
    assert_eq!(events[1].event.evidence["host"], "other");
}

#[tokio::test(start_paused = true)]
async fn loop_wakes_by_hint_and_by_timer_and_ends_with_everything_on_record() {
    let (world, one, _) = world();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let follower = Follower::new(world.ports.clone(), "here");
    let driver = async {
        world.plugins.happen("Loaded", "trees");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert_eq!(world.kinds().await, ["Loaded"]);
        // Decided elsewhere: nothing rings here.
        let route =
            Route { pinned: Some(one), ..current(&world.ports, "trees", "x").await.unwrap() };
        let events = world.events().await;
        world.registry.change_route(&route, &events[0].event).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert_eq!(world.served("team"), Some(one));
        world.plugins.happen("Removed", "trees");
        stop.send(true).unwrap();
    };
    tokio::join!(follower.follow(stopped), driver);
    assert_eq!(world.kinds().await.last().map(String::as_str), Some("Removed"));
}
