//! Which version of a plugin serves whom. Pure: the runtime asks for each resolution.

use crate::id::{PluginDigest, Sha256Digest};
use crate::ports::{Audience, Canary, Route};

/// Chooses among the versions of one plugin that can serve, highest first.
///
/// A canary goes before a pin, a pin before the highest version. A pin whose version cannot serve
/// leads to `None`: whoever pinned a version did not mean any other.
pub fn choose(
    plugin: &str,
    able: &[PluginDigest],
    route: Option<&Route>,
    audience: Audience<'_>,
) -> Option<PluginDigest> {
    let Some(route) = route else { return able.first().copied() };
    let canary = route.canary.as_ref().filter(|canary| able.contains(&canary.digest));
    if let Some(canary) = canary.filter(|canary| tries(plugin, canary, audience)) {
        return Some(canary.digest);
    }
    match route.pinned {
        Some(pinned) => able.contains(&pinned).then_some(pinned),
        // A version on trial does not win by its number what it has not been given yet; only if
        // it is the last one left does it serve everybody.
        None => {
            let trial = route.canary.as_ref().map(|canary| canary.digest);
            able.iter().find(|digest| Some(**digest) != trial).or(able.first()).copied()
        }
    }
}

/// Whether this audience takes part in the trial. The same job always answers the same.
fn tries(plugin: &str, canary: &Canary, audience: Audience<'_>) -> bool {
    if audience == Audience::ANYBODY {
        return false;
    }
    canary.namespaces.iter().any(|name| name.as_str() == audience.namespace)
        || share(plugin, audience) < u64::from(canary.percent)
}

/// Where an audience stands among all of them, 0 to 99.
fn share(plugin: &str, audience: Audience<'_>) -> u64 {
    // None of the three holds a slash, so no two audiences read the same.
    let text = format!("{plugin}/{}/{}", audience.namespace, audience.job_name);
    let digest = Sha256Digest::of(&text).to_string();
    let head = digest.get(..15).unwrap_or_default();
    u64::from_str_radix(head, 16).unwrap_or_default() % 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::Namespace;

    fn digest(of: &str) -> PluginDigest {
        PluginDigest::of(of)
    }

    fn route(pinned: Option<&str>, canary: Option<(&str, u8, &[&str])>) -> Route {
        Route {
            plugin: "p".to_owned(),
            pinned: pinned.map(digest),
            canary: canary.map(|(of, percent, namespaces)| Canary {
                digest: digest(of),
                percent,
                namespaces: namespaces
                    .iter()
                    .map(|name| Namespace::parse((*name).to_owned()).unwrap())
                    .collect(),
            }),
            previous: None,
            version: 1,
            updated_at: Timestamp::UNIX_EPOCH,
            updated_by: "ada".to_owned(),
        }
    }

    fn job(name: &str) -> Audience<'_> {
        Audience { namespace: "team", job_name: name }
    }

    #[test]
    fn highest_serves_unless_another_is_pinned() {
        let able = [digest("2"), digest("1")];
        assert_eq!(choose("p", &able, None, job("a")), Some(digest("2")));
        let pinned = route(Some("1"), None);
        assert_eq!(choose("p", &able, Some(&pinned), job("a")), Some(digest("1")));
        assert_eq!(choose("p", &[], None, job("a")), None);
    }

    #[test]
    fn pin_that_cannot_serve_leads_nowhere() {
        let gone = route(Some("0"), None);
        assert_eq!(choose("p", &[digest("2")], Some(&gone), job("a")), None);
    }

    #[test]
    fn canary_takes_its_namespaces_and_its_share_of_the_others() {
        let able = [digest("2"), digest("1")];
        let by_namespace = route(None, Some(("2", 0, &["team"])));
        assert_eq!(choose("p", &able, Some(&by_namespace), job("a")), Some(digest("2")));
        let elsewhere = Audience { namespace: "other", job_name: "a" };
        assert_eq!(choose("p", &able, Some(&by_namespace), elsewhere), Some(digest("1")));

        let by_share = route(Some("1"), Some(("2", 30, &[])));
        let names: Vec<String> = (0..1000).map(|n| format!("job-{n}")).collect();
        let tried =
            |name: &&String| choose("p", &able, Some(&by_share), job(name)) == Some(digest("2"));
        let count = names.iter().filter(tried).count();
        assert!((240..=360).contains(&count), "{count} of 1000 went to a canary of 30 %");
        let everything = route(None, Some(("2", 100, &[])));
        assert!(
            names.iter().all(|name| {
                choose("p", &able, Some(&everything), job(name)) == Some(digest("2"))
            })
        );
    }

    #[test]
    fn canary_serves_nobody_in_particular_and_gives_way_when_it_cannot_serve() {
        let trial = route(None, Some(("2", 100, &[])));
        let able = [digest("2"), digest("1")];
        assert_eq!(choose("p", &able, Some(&trial), Audience::ANYBODY), Some(digest("1")));
        assert_eq!(choose("p", &able[1..], Some(&trial), job("a")), Some(digest("1")));
    }
}
