//! Image references: taken apart as a container runtime does, and held against the operator's list.

use serde_json::Value;

use super::Policy;
use super::report::{Report, below, each_object, quoted};

const DEFAULT_REGISTRY: &str = "docker.io";
/// Other names of the same registry.
const DEFAULT_REGISTRY_ALIASES: [&str; 3] =
    ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
/// Namespace of images of the default registry that name none.
const OFFICIAL: &str = "library";

/// A reference as a runtime reads it: `busybox` is `docker.io/library/busybox:latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Image {
    fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return None,
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let name_at = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(name_at..)?.split_once(':') {
            Some((name, tag)) if is_tag(tag) => {
                (rest.get(..name_at + name.len())?, Some(tag.to_owned()))
            }
            Some(_) => return None,
            None => (rest, None),
        };
        let (registry, path) = split_registry(name);
        let official = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if official { format!("{OFFICIAL}/{path}") } else { path.to_owned() };
        let readable = is_host(&registry) && repository.split('/').all(is_component);
        readable.then_some(Self { registry, repository, tag, digest })
    }

    /// `registry/repository`.
    fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

/// Takes the registry off. The first part is one only if it cannot be a namespace.
fn split_registry(name: &str) -> (String, &str) {
    if let Some((first, rest)) = name.split_once('/')
        && (first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost"))
    {
        return (registry_name(first), rest);
    }
    (DEFAULT_REGISTRY.to_owned(), name)
}

fn registry_name(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let aliased = DEFAULT_REGISTRY_ALIASES.contains(&host.as_str());
    if aliased { DEFAULT_REGISTRY.to_owned() } else { host }
}

fn is_host(host: &str) -> bool {
    let (name, port) =
        host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok());
    port_fits && super::names::is_dns_subdomain(name)
}

/// Lower-case letters and digits with `.`, `_`, `__` or hyphens between them.
fn is_component(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(alphanumeric).filter(|run| !run.is_empty());
    let mut runs =
        separators.map(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'));
    part.starts_with(alphanumeric) && part.ends_with(alphanumeric) && runs.all(|fits| fits)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || ".-".contains(c))
}

fn is_digest(digest: &str) -> bool {
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match digest.split_once(':') {
        Some(("sha256", text)) => hex(text, 64),
        Some(("sha512", text)) => hex(text, 128),
        _ => false,
    }
}

/// Whether an entry of `allowed_images` can ever match: a registry, a namespace or a repository,
/// without tag and digest.
pub(super) fn is_pattern(pattern: &str) -> bool {
    let plain = pattern.strip_suffix('/').unwrap_or(pattern);
    let port = plain.rsplit_once(':').map(|(_, port)| port);
    // After the last colon stands a port, which has digits only, or a path after the port.
    let no_tag = plain.contains('/') || port.is_none_or(|port| port.parse::<u16>().is_ok());
    no_tag
        && !pattern.contains('@')
        && (names_registry(plain) && is_host(&registry_name(plain))
            || Image::parse(plain).is_some_and(|image| image.tag.is_none()))
}

fn names_registry(pattern: &str) -> bool {
    !pattern.contains('/') && (pattern.contains(['.', ':']) || pattern == "localhost")
}

/// Whether an image lies at or below an entry; `a/b` does not cover `a/bc`.
fn lies_below(image: &Image, pattern: &str) -> bool {
    let plain = pattern.strip_suffix('/').unwrap_or(pattern);
    if names_registry(plain) {
        return image.registry == registry_name(plain);
    }
    let (registry, path) = split_registry(plain);
    let name = image.name();
    let covers = |prefix: String| {
        name.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // One word is a namespace of the default registry, and also the official image of that name.
    covers(format!("{registry}/{path}"))
        || (registry == DEFAULT_REGISTRY
            && !path.contains('/')
            && !pattern.ends_with('/')
            && covers(format!("{registry}/{OFFICIAL}/{path}")))
}

/// What is wrong with an image, as a code and a sentence.
pub(super) fn refusal(text: &str, policy: &Policy) -> Option<(&'static str, String)> {
    let shown = quoted(text);
    let Some(image) = Image::parse(text) else {
        return Some(("image-unreadable", format!("{shown} is not a reference to an image.")));
    };
    let allowed = &policy.allowed_images;
    if !allowed.is_empty() && !allowed.iter().any(|pattern| lies_below(&image, pattern)) {
        let detail = format!(
            "The image {shown} ({}) does not come from an allowed repository: {}.",
            image.name(),
            allowed.join(", ")
        );
        return Some(("image-not-allowed", detail));
    }
    if policy.require_image_digest && image.digest.is_none() {
        let detail =
            format!("The image {shown} must name its digest: `{}@sha256:…`.", image.name());
        return Some(("image-digest-required", detail));
    }
    // With a digest the tag is only decoration.
    let tag = image.tag.as_deref().unwrap_or("latest");
    if image.digest.is_none() && policy.denied_image_tags.iter().any(|denied| denied == tag) {
        let detail = format!("The tag `{tag}` of the image {shown} is denied; name a version.");
        return Some(("image-tag-denied", detail));
    }
    None
}

/// Checks every image below a spec: members called `image`, or ending so.
pub(super) fn check(spec: &Value, at: &str, policy: &Policy, report: &mut Report) {
    each_object(spec, at, &mut |members, at| {
        for (key, value) in members {
            if key != "image" && !key.ends_with("Image") {
                continue;
            }
            match value {
                Value::String(text) => {
                    if let Some((code, detail)) = refusal(text, policy) {
                        report.refuse(below(at, key), code, detail);
                    }
                }
                // Absent, or an object that is not a reference.
                Value::Null | Value::Object(_) => {}
                _ => report.refuse(below(at, key), "image-unreadable", "An image is a text."),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn code(image: &str, policy: &Policy) -> &'static str {
        refusal(image, policy).map_or("ok", |(code, _)| code)
    }

    #[test]
    fn references_are_read_as_a_runtime_reads_them() {
        for (text, name, tag) in [
            ("busybox", "docker.io/library/busybox", None),
            ("busybox:1", "docker.io/library/busybox", Some("1")),
            ("a/b", "docker.io/a/b", None),
            ("docker.io/busybox", "docker.io/library/busybox", None),
            ("index.docker.io/a/b:x", "docker.io/a/b", Some("x")),
            ("localhost/a", "localhost/a", None),
            ("localhost:5000/a:1", "localhost:5000/a", Some("1")),
            ("Registry.Example/a/b_c/d--e:1.0", "registry.example/a/b_c/d--e", Some("1.0")),
        ] {
            let image = Image::parse(text).unwrap();
            assert_eq!((image.name().as_str(), image.tag.as_deref()), (name, tag), "{text}");
        }
        assert_eq!(Image::parse(&format!("a/b:1@{SHA}")).unwrap().digest.as_deref(), Some(SHA));
        for text in [
            "",
            " ",
            "A",
            "a b",
            "/a",
            "a/",
            "a//b",
            "a:",
            "a:b:c",
            "a@",
            "a@sha256:1",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "$(x)",
            "https://a/b",
            "a.b:99999/c",
            "a.b:x/c",
            ":5000/a",
            "a\nb",
        ] {
            assert_eq!(Image::parse(text), None, "{text}");
        }
    }

    #[test]
    fn entries_cover_registries_namespaces_and_repositories_and_nothing_beside() {
        for (pattern, inside, outside) in [
            ("trainyard", "trainyard/x:1", "trainyards/x:1"),
            ("trainyard/", "docker.io/trainyard/x", "registry.example/trainyard/x"),
            ("registry.example", "registry.example/a/b", "registry.example.evil/a/b"),
            ("registry.example/team", "registry.example/team/x", "registry.example/team2/x"),
            ("localhost:5000", "localhost:5000/a", "localhost/a"),
            ("busybox", "busybox:1", "someone/busybox:1"),
            ("a/b", "a/b:1", "a/bc"),
            ("docker.io", "a/b", "registry.example/a/b"),
        ] {
            assert!(is_pattern(pattern), "{pattern}");
            let policy = Policy { allowed_images: vec![pattern.to_owned()], ..Policy::default() };
            assert_eq!(code(inside, &policy), "ok", "{pattern}");
            assert_eq!(code(outside, &policy), "image-not-allowed", "{pattern}");
        }
        for pattern in ["", "/", "a:1.0", "a/b:1", "a@sha256:1", "A/b", "a b", "*"] {
            assert!(!is_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn digests_and_tags_can_be_demanded_and_denied() {
        let policy = Policy { require_image_digest: true, ..Policy::default() };
        assert_eq!(code("a/b:1", &policy), "image-digest-required");
        assert_eq!(code(&format!("a/b@{SHA}"), &policy), "ok");
        let policy = Policy { denied_image_tags: vec!["latest".to_owned()], ..Policy::default() };
        assert_eq!(code("a/b", &policy), "image-tag-denied");
        assert_eq!(code("a/b:latest", &policy), "image-tag-denied");
        assert_eq!(code(&format!("a/b:latest@{SHA}"), &policy), "ok");
        assert_eq!(code("a/b:1", &policy), "ok");
    }
}
