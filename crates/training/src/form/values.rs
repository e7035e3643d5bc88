//! Single values of a form that have a shape. Every error is a whole sentence.

use http::Uri;

/// Schemes that a bucket may carry; they say nothing that `storageProvider` does not.
const BUCKET_SCHEMES: [&str; 4] = ["storage", "s3", "minio", "gs"];
/// Schemes of places for results.
const OUTPUT_SCHEMES: [&str; 10] =
    ["storage", "s3", "s3a", "minio", "gs", "file", "azure", "abfs", "abfss", "wasbs"];

/// Where in an object store.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) bucket: String,
    pub(super) prefix: String,
}

/// Takes `input`, `storage://input` or `s3://input/some/prefix` apart.
pub(super) fn location(bucket: &str, prefix: &str) -> Result<Location, String> {
    let path = match bucket.split_once("://") {
        None => bucket,
        Some((scheme, path)) => {
            if !BUCKET_SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
                return Err(format!(
                    "The scheme `{scheme}` is not one of {}.",
                    BUCKET_SCHEMES.join(", ")
                ));
            }
            path
        }
    };
    let path = path.trim_matches('/');
    let (name, inner) = path.split_once('/').unwrap_or((path, ""));
    let prefix = prefix.trim_start_matches('/');
    let inner = inner.trim_start_matches('/');
    let well_formed = !name.is_empty()
        && name.len() <= 222
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !well_formed {
        return Err("A bucket's name consists of letters, digits, dots, underscores and hyphens, \
                    and starts with a letter or digit."
            .to_owned());
    }
    if !inner.is_empty() && !prefix.is_empty() {
        return Err(format!(
            "The bucket names the path `{inner}`, and `prefix` another one; use only `prefix`."
        ));
    }
    // A path inside the bucket keeps its final slash, which says that it is a folder.
    let slash = if !inner.is_empty() && bucket.ends_with('/') { "/" } else { "" };
    let prefix = if prefix.is_empty() { format!("{inner}{slash}") } else { prefix.to_owned() };
    Ok(Location { bucket: name.to_owned(), prefix })
}

/// The URL of an object store.
pub(super) fn endpoint(text: String) -> Result<String, String> {
    let wrong = |detail: &str| Err(format!("{detail} Write it like `https://minio.example:9000`."));
    let Ok(uri) = text.parse::<Uri>() else { return wrong("The endpoint is not a URL.") };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return wrong("The endpoint must begin with `http://` or `https://`.");
    }
    let Some(authority) = uri.authority() else { return wrong("The endpoint names no host.") };
    if authority.as_str().contains('@') {
        return wrong("The endpoint must not hold credentials; the cluster has them in a Secret.");
    }
    if authority.host().is_empty() {
        return wrong("The endpoint names no host.");
    }
    let has_port = authority.as_str() != authority.host();
    if has_port && authority.port_u16().is_none() {
        return wrong("The endpoint's port must be a number up to 65535.");
    }
    if uri.query().is_some() || text.contains('#') {
        return wrong("The endpoint must have neither a query nor a fragment.");
    }
    Ok(text)
}

/// The address of one file of data. Whoever may read the job reads it, so nothing in it may open a
/// door.
pub(super) fn data_url(text: String) -> Result<String, String> {
    let wrong = |detail: &str| Err(format!("{detail} Write it like `https://data.example/a.csv`."));
    let Ok(uri) = text.parse::<Uri>() else { return wrong("The address is not a URL.") };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return wrong("The address must begin with `http://` or `https://`.");
    }
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return wrong("The address names no host.");
    };
    if authority.as_str().contains('@') {
        return wrong("The address must not hold credentials, which would stand in the manifests.");
    }
    if authority.as_str() != authority.host() && authority.port_u16().is_none() {
        return wrong("The port of the address must be a number up to 65535.");
    }
    if text.contains('#') {
        return wrong("The address must not have a fragment.");
    }
    let names = uri.query().into_iter().flat_map(|query| query.split('&'));
    let mut names = names.map(|pair| pair.split('=').next().unwrap_or(pair).to_ascii_lowercase());
    if let Some(name) = names.find(|name| is_key(name)) {
        return wrong(&format!(
            "The address must not hold the key `{name}`, which would stand in the manifests."
        ));
    }
    Ok(text)
}

/// Whether a parameter of an address gives access: signatures of the large object stores, and what
/// others commonly call a key.
fn is_key(name: &str) -> bool {
    let plain = name.replace(['-', '_', '.'], "");
    let words = ["signature", "token", "secret", "password", "credential", "apikey", "accesskey"];
    plain == "sig" || plain == "key" || words.iter().any(|word| plain.contains(word))
}

/// A path below the root of a volume.
pub(super) fn volume_path(text: &str) -> Result<String, String> {
    let path = text.trim_matches('/');
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    if !path.is_empty() && !path.split('/').all(is_plain) {
        return Err(
            "The path leads from the root of the volume downwards: it has no empty parts, \
                    no `.` and no `..`."
                .to_owned(),
        );
    }
    Ok(path.to_owned())
}

/// Where results go.
pub(super) fn storage_uri(text: &str) -> Result<(), String> {
    let known = text
        .split_once("://")
        .filter(|(scheme, path)| OUTPUT_SCHEMES.contains(scheme) && !path.is_empty());
    match known {
        Some((_, path)) if path.contains('@') => {
            Err("The URI must not hold credentials; the cluster has them in a Secret.".to_owned())
        }
        Some(_) => Ok(()),
        None => Err(format!(
            "It must be a URI like `s3://bucket/path/`; known schemes are {}.",
            OUTPUT_SCHEMES.join(", ")
        )),
    }
}

/// A container image.
pub(super) fn image(text: String) -> Result<String, String> {
    let well_formed = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@+".contains(c));
    if well_formed {
        Ok(text)
    } else {
        Err("It must be a container image like `registry.example/team/train:1.0`.".to_owned())
    }
}

/// The name of a Kubernetes object.
pub(super) fn dns_label(text: String) -> Result<String, String> {
    let well_formed = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if well_formed {
        Ok(text)
    } else {
        Err("It must consist of at most 63 lower-case letters, digits and hyphens, and start and \
             end with a letter or digit."
            .to_owned())
    }
}

/// The name of an object that may have dots, such as a storage class.
pub(super) fn dns_subdomain(text: String) -> Result<String, String> {
    let label = |label: &str| dns_label(label.to_owned()).is_ok();
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text)
    } else {
        Err("It must consist of lower-case letters, digits, hyphens and dots, at most 253 in all."
            .to_owned())
    }
}

/// The name of a data channel, by SageMaker's rule.
pub(super) fn channel_name(text: String) -> Result<String, String> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        Ok(text)
    } else {
        Err("A channel's name consists of letters, digits, dots, underscores and hyphens."
            .to_owned())
    }
}

/// The format of a channel's objects: `csv`, `text/csv`.
pub(super) fn content_type(text: String) -> Result<String, String> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "+._-/".contains(c)) {
        Ok(text)
    } else {
        Err("It must be a format like `csv`, or a media type like `text/csv`.".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_lose_scheme_and_slashes_and_may_hold_the_prefix() {
        for (bucket, prefix, expected) in [
            ("input", "", ("input", "")),
            ("storage://input", "datasets/default/", ("input", "datasets/default/")),
            ("S3://input/", "/a", ("input", "a")),
            ("s3://b/p/x", "", ("b", "p/x")),
            ("gs://b/p/", "", ("b", "p/")),
            ("b//p", "", ("b", "p")),
        ] {
            let found = location(bucket, prefix).unwrap();
            assert_eq!((found.bucket.as_str(), found.prefix.as_str()), expected, "{bucket}");
        }
        for (bucket, prefix) in [
            ("", ""),
            ("/", ""),
            ("s3://", ""),
            ("ftp://b", ""),
            ("b/p", "q"),
            ("a b", ""),
            ("..", ""),
        ] {
            assert!(location(bucket, prefix).is_err(), "{bucket}");
        }
    }

    #[test]
    fn endpoints_are_plain_urls() {
        for good in ["http://minio:9000", "https://minio.local", "https://[::1]:9000/x"] {
            assert!(endpoint(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "minio:9000",
            "ftp://minio",
            "https://key:secret@minio",
            "https://",
            "http://minio:",
            "http://minio:99999",
            "https://minio?x=1",
            "https://minio/#x",
            "https://a b",
        ] {
            assert!(endpoint(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_of_data_open_no_door() {
        for good in [
            "http://data.example/a.csv",
            "https://data.example:8443/a/b.parquet?version=2&format=csv",
            "https://[::1]/a%20b.csv",
        ] {
            assert_eq!(data_url(good.to_owned()).as_deref(), Ok(good));
        }
        for bad in [
            "a.csv",
            "ftp://data.example/a.csv",
            "file:///etc/passwd",
            "https:///a.csv",
            "https://user:secret@data.example/a.csv",
            "https://data.example:99999/a.csv",
            "https://data.example/a.csv#x",
            "https://data.example/a b.csv",
            "https://data.example/a.csv?X-Amz-Signature=0",
            "https://data.example/a.csv?v=1&sig=0",
            "https://data.example/a.csv?access_token=0",
            "https://data.example/a.csv?api-key",
        ] {
            assert!(data_url(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_lead_down_into_a_volume() {
        for (text, path) in [("", ""), ("/", ""), ("/a/b/", "a/b"), ("a.csv", "a.csv")] {
            assert_eq!(volume_path(text).as_deref(), Ok(path), "{text}");
        }
        for bad in ["..", "a/../../b", "a//b", "./a", "a/."] {
            assert!(volume_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn results_go_to_known_schemes_without_credentials() {
        for good in ["storage://output/artifacts/", "file:///mnt/x", "s3://b"] {
            assert!(storage_uri(good).is_ok(), "{good}");
        }
        for bad in ["out", "s3://", "ftp://x/y", "s3://key:secret@b/x"] {
            assert!(storage_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn images_have_no_blanks() {
        assert!(image("quay.io/a/b:1@sha256:abc".to_owned()).is_ok());
        for bad in ["", "a b", "-a", "$(x)", "a\"b"] {
            assert!(image(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
