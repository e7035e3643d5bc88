//! An OCI image layout: a folder with `oci-layout`, `index.json` and `blobs/sha256`. Works without
//! a network, and tools of others read and copy it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::artifact::{Artifact, Descriptor, MANIFEST, MANIFEST_BYTES};

/// Annotation of an index entry: the tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Writes an artifact and moves the tag to it. Blobs come before what refers to them, so a reader
/// never finds a reference into the void.
pub(crate) fn push(dir: &Path, tag: Option<&str>, artifact: &Artifact) -> anyhow::Result<()> {
    let blobs = dir.join("blobs").join("sha256");
    fs::create_dir_all(&blobs).with_context(|| blobs.display().to_string())?;
    write(&dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    for bytes in [&artifact.component, &artifact.config, &artifact.manifest] {
        let digest = super::artifact::digest(bytes);
        write(&blobs.join(digest.trim_start_matches("sha256:")), bytes)?;
    }
    let mut entry = Descriptor::of(MANIFEST, &artifact.manifest);
    entry.annotations.extend(tag.map(|tag| (REF_NAME.to_owned(), tag.to_owned())));
    let path = dir.join("index.json");
    let mut manifests: Vec<Value> = match fs::read(&path) {
        Ok(bytes) => {
            let index: Value = serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is not an index", path.display()))?;
            index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    manifests.retain(|other| {
        let named = other.get("annotations").and_then(|all| all.get(REF_NAME)?.as_str());
        let same = other.get("digest").and_then(Value::as_str) == Some(entry.digest.as_str());
        // A tag points to one manifest, and a manifest without a tag stands there once.
        if tag.is_some() { named != tag } else { !(same && named.is_none()) }
    });
    manifests.push(serde_json::to_value(&entry)?);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    write(&path, format!("{index:#}\n").as_bytes())
}

/// In place at once or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| ".".as_ref());
    let failed = || path.display().to_string();
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(())
}

/// The digest that a tag leads to.
pub(crate) fn resolve(dir: &Path, tag: &str) -> Result<String, String> {
    let path = dir.join("index.json");
    let bytes = read(&path, MANIFEST_BYTES)?;
    let index: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is not an index: {error}", path.display()))?;
    let manifests = index.get("manifests").and_then(Value::as_array);
    let mut entries = manifests.into_iter().flatten();
    let found = entries.find(|entry| {
        let annotations = entry.get("annotations");
        annotations.and_then(|all| all.get(REF_NAME)).and_then(Value::as_str) == Some(tag)
    });
    let digest = found.and_then(|entry| entry.get("digest")?.as_str());
    let digest = digest.filter(|digest| super::artifact::is_digest(digest));
    digest.map(str::to_owned).ok_or_else(|| format!("{} has no tag `{tag}`", dir.display()))
}

/// A blob, of at most so many bytes. Its digest was checked to be one, so it is a plain file name.
pub(crate) fn blob(dir: &Path, digest: &str, most: u64) -> Result<Vec<u8>, String> {
    let name = digest.trim_start_matches("sha256:");
    read(&dir.join("blobs").join("sha256").join(name), most)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    use std::io::Read as _;

    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(format!("{} is longer than {most} bytes", path.display()));
    }
    Ok(bytes)
}
