//! Where an artifact is: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:…]` in a registry, or
//! `oci-layout:DIR[:TAG][@sha256:…]` in a folder.

use std::path::PathBuf;
use std::str::FromStr;

use super::artifact::is_digest;

/// A place and the name within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) place: Place,
    pub(crate) tag: Option<String>,
    /// `sha256:…` of the manifest.
    pub(crate) digest: Option<String>,
}

/// A registry's repository or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Registry { host: String, repository: String },
    Layout(PathBuf),
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, registry) = if let Some(rest) = text.strip_prefix("oci://") {
            (rest, true)
        } else if let Some(rest) = text.strip_prefix("oci-layout:") {
            (rest, false)
        } else {
            return Err("it must begin with `oci://` or `oci-layout:`".to_owned());
        };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some((_, digest)) => return Err(format!("`{digest}` is not a digest `sha256:…`")),
            None => (rest, None),
        };
        // A colon before a slash belongs to a port or a folder.
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if let Some(tag) = tag.as_deref().filter(|tag| !is_tag(tag)) {
            return Err(format!("`{tag}` is not a tag"));
        }
        let place = if registry {
            let (host, repository) = path.split_once('/').unwrap_or((path, ""));
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
            if host.is_empty() || repository.is_empty() || !repository.chars().all(plain) {
                return Err("it must be `oci://HOST/REPOSITORY:TAG`".to_owned());
            }
            Place::Registry { host: host.to_owned(), repository: repository.to_owned() }
        } else if path.is_empty() {
            return Err("it must be `oci-layout:DIR:TAG`".to_owned());
        } else {
            Place::Layout(PathBuf::from(path))
        };
        if tag.is_none() && digest.is_none() {
            return Err("it names neither a tag nor a digest".to_owned());
        }
        Ok(Self { place, tag, digest })
    }
}

/// The distribution specification's rule.
fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

impl Reference {
    /// The same place, pinned to what lies there now.
    pub(crate) fn pinned(&self, digest: &str) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        match &self.place {
            Place::Registry { host, repository } => {
                format!("oci://{host}/{repository}{tag}@{digest}")
            }
            Place::Layout(dir) => format!("oci-layout:{}{tag}@{digest}", dir.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_and_put_together() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for text in [
            format!("oci://registry.example/plugins/xgboost:1.0.0@{digest}"),
            format!("oci://127.0.0.1:5000/x@{digest}"),
            format!("oci-layout:/tmp/a.b/c:1.0@{digest}"),
            format!("oci-layout:dir@{digest}"),
        ] {
            let parsed: Reference = text.parse().unwrap();
            assert_eq!(parsed.pinned(&digest), text);
            assert_eq!(parsed.digest.as_ref(), Some(&digest));
        }
        let plain: Reference = "oci://localhost:5000/a/b:v1".parse().unwrap();
        let place =
            Place::Registry { host: "localhost:5000".to_owned(), repository: "a/b".to_owned() };
        assert_eq!((plain.place, plain.tag.as_deref()), (place, Some("v1")));
    }

    #[test]
    fn slips_are_named() {
        for bad in [
            "registry.example/x:1",
            "oci://registry.example",
            "oci://registry.example/x",
            "oci://registry.example/X:1",
            "oci://registry.example/x:1@sha256:0",
            "oci://registry.example/x:-1",
            "oci-layout:",
            "oci-layout:dir",
            "oci-layout::tag",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
