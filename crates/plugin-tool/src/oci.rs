//! `push` and `pull`: plugins in OCI registries and in folders of the same format.

mod artifact;
mod auth;
mod http;
mod layout;
mod reference;
mod registry;

use std::path::{Path, PathBuf};

use anyhow::Context;
use plugin_runtime::signature::SIGNATURE_BYTES;
use serde_json::{Value, json};
use training::PluginDigest;

use self::artifact::{Artifact, MANIFEST_BYTES, Manifest, digest};
use self::reference::{Place, Reference};
use self::registry::Registry;
use crate::candidate::{Candidate, Setup};
use crate::progress;
use crate::sign::signature_path;
use crate::{Outcome, Wrong};

/// Arguments of `push`.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// The component. A signature that stands beside it (`.minisig`) goes with it.
    file: PathBuf,
    /// `oci://HOST/REPOSITORY:TAG` or `oci-layout:DIR:TAG`.
    reference: String,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Arguments of `pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// `oci://HOST/REPOSITORY:TAG[@sha256:…]` or `oci-layout:DIR:TAG[@sha256:…]`.
    reference: String,
    /// The file to write; by default the plugin's name. A signature is written beside it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Refuses a reference without a digest: a tag can be moved by anybody who can push.
    #[arg(long)]
    require_digest: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

fn parse(text: &str) -> Result<Reference, Wrong> {
    text.parse().map_err(|why| {
        Wrong(vec![
            format!("`{text}` is not a reference: {why}"),
            "hint: write it like oci://registry.example/plugins/NAME:1.0.0".to_owned(),
        ])
    })
}

pub(crate) async fn push(args: &PushArgs) -> Outcome<()> {
    let reference = match parse(&args.reference) {
        Ok(reference) if reference.digest.is_some() => {
            let why = "a push makes a digest and cannot be told one".to_owned();
            return Ok(Err(Wrong(vec![why])));
        }
        Ok(reference) => reference,
        Err(wrong) => return Ok(Err(wrong)),
    };
    // What no host would load has no place in a registry of plugins.
    let candidate = match Candidate::load(&args.file, &Setup::plain(None)).await? {
        Ok(candidate) => candidate,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let component = std::fs::read(&args.file).with_context(|| args.file.display().to_string())?;
    if PluginDigest::of(&component) != candidate.info().digest {
        let why = format!("{} changed while it was looked at", args.file.display());
        return Ok(Err(Wrong(vec![why])));
    }
    let signature = match beside(&args.file) {
        Ok(signature) => signature,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let signed = signature.is_some();
    let artifact = Artifact::pack(&candidate.found, component, signature)?;
    let digest = digest(&artifact.manifest);
    let tag = reference.tag.as_deref();
    match &reference.place {
        Place::Layout(dir) => layout::push(dir, tag, &artifact)?,
        Place::Registry { host, repository } => {
            let registry = Registry::open(host, repository).map_err(anyhow::Error::msg)?;
            let _busy = progress::spinner("pushing");
            registry.push(tag, &artifact).await.map_err(|why| unreachable(host, &why))?;
        }
    }
    let pinned = reference.pinned(&digest);
    if args.json {
        let whole = json!({
            "reference": pinned,
            "digest": digest,
            "signed": signed,
            "annotations": artifact.annotations,
        });
        data_line!("{whole:#}");
    } else {
        data_line!("{pinned}");
        if !signed {
            eprintln!("note: it carries no signature");
            eprintln!("hint: `trainyard-plugin sign` before `push` adds one");
        }
    }
    Ok(Ok(()))
}

fn unreachable(host: &str, why: &str) -> anyhow::Error {
    anyhow::anyhow!("the registry {host} did not do as asked: {why}")
}

/// The signature file of a component, if there is one.
fn beside(file: &Path) -> Result<Option<String>, Wrong> {
    let path = signature_path(file);
    let wrong = |why: String| Wrong(vec![format!("{}: {why}", path.display())]);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() > SIGNATURE_BYTES => {
            Err(wrong("it is too long for a signature".to_owned()))
        }
        Ok(_) => std::fs::read_to_string(&path).map(Some).map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}

pub(crate) async fn pull(args: &PullArgs) -> Outcome<()> {
    let reference = match parse(&args.reference) {
        Ok(reference) => reference,
        Err(wrong) => return Ok(Err(wrong)),
    };
    if args.require_digest && reference.digest.is_none() {
        return Ok(Err(Wrong(vec![
            format!("`{}` names a tag and no digest", args.reference),
            "hint: add the `@sha256:…` that `push` printed".to_owned(),
        ])));
    }
    let fetched = match &reference.place {
        Place::Layout(dir) => from_layout(dir, &reference).map_err(|why| Wrong(vec![why])),
        Place::Registry { host, repository } => {
            let registry = Registry::open(host, repository).map_err(anyhow::Error::msg)?;
            let _busy = progress::spinner("pulling");
            from_registry(&registry, host, &reference).await?
        }
    };
    let (manifest, manifest_digest, component) = match fetched {
        Ok(fetched) => fetched,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let out = match &args.out {
        Some(out) => out.clone(),
        None => match default_name(&manifest) {
            Ok(name) => name,
            Err(wrong) => return Ok(Err(wrong)),
        },
    };
    // The signature stands before the component does: a host that watches the folder and wants
    // signed plugins must never see one without the other.
    let signature = manifest.signature();
    if let Some(signature) = signature {
        layout::write(&signature_path(&out), signature.as_bytes())?;
    }
    layout::write(&out, &component)?;
    let sha256 = PluginDigest::of(&component).to_string();
    if args.json {
        let whole = json!({
            "file": out,
            "reference": reference.pinned(&manifest_digest),
            "digest": manifest_digest,
            "sha256": sha256,
            "signature": signature.map_or(Value::Null, |_| json!(signature_path(&out))),
        });
        data_line!("{whole:#}");
    } else {
        data_line!("{}", reference.pinned(&manifest_digest));
        eprintln!("wrote {} (sha-256 {sha256})", out.display());
        match signature {
            Some(_) => {
                eprintln!("wrote {}; nobody has verified it yet", signature_path(&out).display());
            }
            None => eprintln!("note: it carries no signature"),
        }
    }
    Ok(Ok(()))
}

/// A manifest, its digest and the component, each checked against the one that names it.
type Fetched = (Manifest, String, Vec<u8>);

fn checked_manifest(bytes: &[u8], wanted: Option<&str>) -> Result<(Manifest, String), String> {
    let found = digest(bytes);
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        return Err(format!("the manifest has the digest {found}, not {wanted}"));
    }
    Ok((Manifest::parse(bytes)?, found))
}

fn from_layout(dir: &Path, reference: &Reference) -> Result<Fetched, String> {
    let wanted = match (&reference.digest, &reference.tag) {
        (Some(digest), _) => digest.clone(),
        (None, Some(tag)) => layout::resolve(dir, tag)?,
        (None, None) => return Err("it names neither a tag nor a digest".to_owned()),
    };
    let bytes = layout::blob(dir, &wanted, MANIFEST_BYTES)?;
    let (manifest, digest) = checked_manifest(&bytes, Some(&wanted))?;
    let layer = manifest.layer().cloned().ok_or("it has no component")?;
    let component = layout::blob(dir, &layer.digest, layer.size)?;
    layer.check(&component)?;
    Ok((manifest, digest, component))
}

async fn from_registry(registry: &Registry, host: &str, reference: &Reference) -> Outcome<Fetched> {
    let wrong = |why: String| Ok(Err(Wrong(vec![why])));
    let wanted = reference.digest.as_deref();
    let name = wanted.or(reference.tag.as_deref()).unwrap_or_default();
    let found = registry.manifest(name).await.map_err(|why| unreachable(host, &why))?;
    let Some(bytes) = found else {
        return wrong(format!("{host} has no artifact `{name}` there"));
    };
    let (manifest, digest) = match checked_manifest(&bytes, wanted) {
        Ok(checked) => checked,
        Err(why) => return wrong(why),
    };
    let Some(layer) = manifest.layer().cloned() else {
        return wrong("it has no component".to_owned());
    };
    let component = registry.blob(&layer).await.map_err(|why| unreachable(host, &why))?;
    if let Err(why) = layer.check(&component) {
        return wrong(why);
    }
    Ok(Ok((manifest, digest, component)))
}

/// The plugin's name as a file, if what the annotation says can be one.
fn default_name(manifest: &Manifest) -> Result<PathBuf, Wrong> {
    let name = manifest.annotation("dev.trainyard.plugin.name").unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
        return Err(Wrong(vec![
            "the artifact does not say what the plugin is called".to_owned(),
            "hint: name the file with --out".to_owned(),
        ]));
    }
    Ok(PathBuf::from(format!("{name}.wasm")))
}
