//! What every [`PluginRegistry`] promises, as cases, in the manner of [`contract`](super::contract).

use std::sync::Arc;

use serde_json::json;

use crate::id::{Namespace, PluginDigest};
use crate::ports::{
    Canary, FileNotes, KeptComponent, Moved, NewPluginEvent, PluginRegistry, Route,
};
use crate::testing::samples::at;

type Registry = Arc<dyn PluginRegistry>;

/// A component of `plugin` with these bytes.
fn component(plugin: &str, version: &str, bytes: &[u8]) -> KeptComponent {
    KeptComponent {
        digest: PluginDigest::of(bytes),
        name: plugin.to_owned(),
        version: version.to_owned(),
        bytes: bytes.to_vec(),
    }
}

fn event(plugin: &str, kind: &str) -> NewPluginEvent {
    NewPluginEvent {
        at: at(7),
        plugin: plugin.to_owned(),
        kind: kind.to_owned(),
        digest: Some(PluginDigest::of("one")),
        actor: "ada".to_owned(),
        message: format!("{plugin} was {kind}: é."),
        evidence: json!({"z": 1, "a": {"text": "\n"}}),
    }
}

/// A route with a value in every field.
fn full_route(plugin: &str) -> Route {
    Route {
        plugin: plugin.to_owned(),
        pinned: Some(PluginDigest::of("one")),
        canary: Some(Canary {
            digest: PluginDigest::of("two"),
            percent: 100,
            namespaces: vec![
                Namespace::parse("team-b").unwrap(),
                Namespace::parse("team-a").unwrap(),
            ],
        }),
        previous: Some(PluginDigest::of("three")),
        version: 0,
        updated_at: at(5),
        updated_by: "ada".to_owned(),
    }
}

/// A route with as little as possible.
fn bare_route(plugin: &str) -> Route {
    Route { pinned: None, canary: None, previous: None, ..full_route(plugin) }
}

async fn change(registry: &Registry, route: &Route) -> Moved {
    registry.change_route(route, &event(&route.plugin, "Changed")).await.unwrap()
}

/// See the name.
pub async fn a_fresh_registry_is_empty(registry: Registry) {
    assert!(registry.kept().await.unwrap().is_empty());
    assert_eq!(registry.kept_versions("trees").await.unwrap(), []);
    assert_eq!(registry.fetch(&PluginDigest::of("one")).await.unwrap(), None);
    assert_eq!(registry.routes().await.unwrap(), []);
    assert_eq!(registry.plugin_events(None, None, 10).await.unwrap(), []);
}

/// See the name.
pub async fn a_component_is_kept_byte_for_byte_and_once(registry: Registry) {
    let every_byte: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let first = component("trees", "1.0.0", &every_byte);
    registry.keep(&first).await.unwrap();
    // The same bytes again, whatever else is said about them.
    registry.keep(&KeptComponent { name: "other".to_owned(), ..first.clone() }).await.unwrap();
    registry.keep(&component("trees", "1.1.0", b"second")).await.unwrap();
    registry.keep(&component("forest", "1.0.0", b"third")).await.unwrap();

    assert_eq!(registry.fetch(&first.digest).await.unwrap(), Some(every_byte));
    assert_eq!(registry.kept().await.unwrap().len(), 3);
    assert_eq!(registry.kept_versions("other").await.unwrap(), []);
    let versions = registry.kept_versions("trees").await.unwrap();
    let mut known: Vec<(&str, u64)> =
        versions.iter().map(|kept| (kept.version.as_str(), kept.size)).collect();
    known.sort_unstable();
    assert_eq!(known, [("1.0.0", 1000), ("1.1.0", 6)]);
    assert!(versions.is_sorted_by(|a, b| a.first_seen >= b.first_seen), "{versions:?}");
}

/// Twenty MiB: more than a plugin file may have.
pub async fn a_large_component_is_kept(registry: Registry) {
    let bytes: Vec<u8> =
        (0u32..5 << 20).flat_map(|word| (word ^ (word << 13)).to_le_bytes()).collect();
    let large = component("trees", "1.0.0", &bytes);
    registry.keep(&large).await.unwrap();
    let fetched = registry.fetch(&large.digest).await.unwrap().unwrap();
    // Not by `assert_eq`: nobody wants to read the difference.
    assert!(fetched == bytes, "{} bytes came back of {}", fetched.len(), bytes.len());
}

/// See the name.
pub async fn signatures_of_a_component_are_kept_once_each(registry: Registry) {
    let (one, two) = (PluginDigest::of("one"), PluginDigest::of("two"));
    assert_eq!(registry.signatures(&one).await.unwrap(), Vec::<String>::new());
    for text in ["comment: é\nRUT1\n", "comment\nRUT2\n", "comment: é\nRUT1\n"] {
        registry.keep_signature(&one, text).await.unwrap();
    }
    registry.keep_signature(&two, "comment\nRUT2\n").await.unwrap();
    let mut texts = registry.signatures(&one).await.unwrap();
    texts.sort_unstable();
    assert_eq!(texts, ["comment\nRUT2\n", "comment: é\nRUT1\n"]);
    assert_eq!(registry.signatures(&two).await.unwrap(), ["comment\nRUT2\n"]);
    for number in 0..20 {
        registry.keep_signature(&two, &format!("{number}")).await.unwrap();
    }
    assert_eq!(registry.signatures(&two).await.unwrap().len(), 16);
}

/// See the name.
pub async fn what_a_file_last_held_is_noted_until_the_file_is_gone(registry: Registry) {
    let note = |file: &str, of: &str| (file.to_owned(), PluginDigest::of(of));
    let noted = async || registry.last_good().await.unwrap().into_iter().collect::<Vec<_>>();
    registry.note_files(&FileNotes::default()).await.unwrap();
    assert_eq!(noted().await, []);
    let held = vec![note("b.wasm", "one"), note("a.wasm", "one")];
    registry.note_files(&FileNotes { held, gone: Vec::new() }).await.unwrap();
    assert_eq!(noted().await, [note("a.wasm", "one"), note("b.wasm", "one")]);
    let next = FileNotes { held: vec![note("a.wasm", "two")], gone: vec![note("b.wasm", "one")] };
    registry.note_files(&next).await.unwrap();
    assert_eq!(noted().await, [note("a.wasm", "two")]);
    // Who saw an older component of it go must not make the newer one forgotten.
    let late = FileNotes { held: Vec::new(), gone: vec![note("a.wasm", "one")] };
    registry.note_files(&late).await.unwrap();
    assert_eq!(noted().await, [note("a.wasm", "two")]);
    // A file that went and came back is there.
    let both = FileNotes { held: late.gone.clone(), gone: vec![note("a.wasm", "two")] };
    registry.note_files(&both).await.unwrap();
    assert_eq!(noted().await, [note("a.wasm", "one")]);
}

/// See the name.
pub async fn a_route_is_read_back_equal_in_every_field(registry: Registry) {
    let (full, bare) = (full_route("trees"), bare_route("forest"));
    assert_eq!(change(&registry, &full).await, Moved::Done);
    assert_eq!(change(&registry, &bare).await, Moved::Done);
    let expected = [Route { version: 1, ..bare }, Route { version: 1, ..full.clone() }];
    assert_eq!(registry.routes().await.unwrap(), expected);

    let emptied = Route { version: 1, updated_by: "bob".to_owned(), ..bare_route("trees") };
    assert_eq!(change(&registry, &emptied).await, Moved::Done);
    let routes = registry.routes().await.unwrap();
    assert_eq!(routes.last(), Some(&Route { version: 2, ..emptied }));
}

/// See the name.
pub async fn a_stale_change_of_a_route_leaves_route_and_history(registry: Registry) {
    assert_eq!(change(&registry, &full_route("trees")).await, Moved::Done);
    let before = registry.routes().await.unwrap();
    for version in [0, 2] {
        let stale = Route { version, ..bare_route("trees") };
        assert_eq!(change(&registry, &stale).await, Moved::Stale, "from version {version}");
    }
    assert_eq!(change(&registry, &Route { version: 1, ..bare_route("new") }).await, Moved::Stale);
    assert_eq!(registry.routes().await.unwrap(), before);
    assert_eq!(registry.plugin_events(None, None, 10).await.unwrap().len(), 1);
}

/// See the name.
pub async fn concurrent_changes_of_one_route_let_one_through(registry: Registry) {
    for version in 0..3 {
        let route = Route { version, ..full_route("trees") };
        let moves = futures_util::future::join_all((0..8).map(|_| change(&registry, &route))).await;
        let done = moves.iter().filter(|moved| **moved == Moved::Done).count();
        assert_eq!(done, 1, "from version {version}");
    }
    assert_eq!(registry.plugin_events(None, None, 100).await.unwrap().len(), 3);
}

/// See the name.
pub async fn events_are_read_back_newest_first_in_pages(registry: Registry) {
    registry.record(&[]).await.unwrap();
    for number in 0..5 {
        let kinds = [format!("A{number}"), format!("B{number}")];
        registry.record(&[event("trees", &kinds[0]), event("forest", &kinds[1])]).await.unwrap();
    }
    let all = registry.plugin_events(None, None, 100).await.unwrap();
    let kinds: Vec<&str> = all.iter().map(|event| event.event.kind.as_str()).collect();
    assert_eq!(kinds, ["B4", "A4", "B3", "A3", "B2", "A2", "B1", "A1", "B0", "A0"]);
    assert!(all.is_sorted_by(|a, b| a.id > b.id));
    assert_eq!(all.last().unwrap().event, event("trees", "A0"));

    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = registry.plugin_events(Some("trees"), before, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        paged.extend(page);
    }
    let kinds: Vec<&str> = paged.iter().map(|event| event.event.kind.as_str()).collect();
    assert_eq!(kinds, ["A4", "A3", "A2", "A1", "A0"]);
}

/// See the name.
pub async fn an_event_without_a_digest_and_with_a_zero_byte_is_recorded(registry: Registry) {
    let odd = NewPluginEvent { digest: None, message: "a\0b".to_owned(), ..event("x.wasm", "Odd") };
    registry.record(std::slice::from_ref(&odd)).await.unwrap();
    let read = registry.plugin_events(Some("x.wasm"), None, 1).await.unwrap();
    let expected = NewPluginEvent { message: "a\u{fffd}b".to_owned(), ..odd };
    assert_eq!(read.first().map(|event| &event.event), Some(&expected));
}
