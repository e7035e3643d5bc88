//! `keygen`, `sign` and `verify`: who stands behind a file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use plugin_runtime::signature::{self, SIGNATURE_BYTES, Signer, TrustedKey};
use serde_json::json;
use training::PluginDigest;

use crate::candidate::{Candidate, Setup};
use crate::{Outcome, Wrong, keys};

/// Arguments of `keygen`.
#[derive(Debug, clap::Args)]
pub(crate) struct KeygenArgs {
    /// File of the secret key; the public key stands beside it with the ending `.pub`.
    #[arg(long, value_name = "FILE", default_value = "trainyard-plugin.key")]
    out: PathBuf,
    /// Makes a key that anybody who can read the file can use, for machines that sign.
    #[arg(long)]
    no_password: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn keygen(args: &KeygenArgs) -> Outcome<()> {
    let public = match keys::generate(&args.out, !args.no_password)? {
        Ok(public) => public,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let text = std::fs::read_to_string(&public).context("the new public key")?;
    let key = TrustedKey::parse(&text).context("the new public key")?;
    if args.json {
        let whole = json!({"secretKey": args.out, "publicKey": public, "key": key.as_str()});
        data_line!("{whole:#}");
    } else {
        data_line!("{}", key.as_str());
        eprintln!("secret key: {} (keep it to yourself)", args.out.display());
        eprintln!("public key: {}", public.display());
    }
    Ok(Ok(()))
}

/// Arguments of `sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    /// The component.
    file: PathBuf,
    /// File of the secret key, by `keygen` or minisign.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Where the signature of a file stands.
pub(crate) fn signature_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".minisig");
    PathBuf::from(path)
}

pub(crate) async fn sign(args: &SignArgs) -> Outcome<()> {
    let wrong = |why: String| Ok(Err(Wrong(vec![format!("{}: {why}", args.file.display())])));
    // Nobody should sign what no host would load.
    let candidate = match Candidate::load(&args.file, &Setup::plain(None)).await? {
        Ok(candidate) => candidate,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let info = candidate.info();
    let bytes = match std::fs::read(&args.file) {
        Ok(bytes) if PluginDigest::of(&bytes) == info.digest => bytes,
        Ok(_) => return wrong("it changed while it was looked at".to_owned()),
        Err(error) => return wrong(error.to_string()),
    };
    let key = match keys::secret(&args.key) {
        Ok(key) => key,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let comment = signature::trusted_comment(&info.name, &info.version, &info.digest);
    let signed = minisign::sign(None, &key, bytes.as_slice(), Some(&comment), None);
    let signed = signed.context("the file cannot be signed")?.to_string();
    let path = signature_path(&args.file);
    std::fs::write(&path, signed).with_context(|| path.display().to_string())?;
    if args.json {
        let whole = json!({
            "file": args.file,
            "signature": path,
            "name": info.name,
            "version": info.version,
            "digest": info.digest.to_string(),
        });
        data_line!("{whole:#}");
    } else {
        data_line!("{}", path.display());
        eprintln!("signed {} {}, sha-256 {}", info.name, info.version, info.digest);
    }
    Ok(Ok(()))
}

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The component; its signature stands beside it with the ending `.minisig`.
    file: PathBuf,
    /// A public key that is trusted: its file, or its line. May be given several times.
    #[arg(long, value_name = "KEY", required = true)]
    key: Vec<String>,
    /// Another file with the signature.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn verify(args: &VerifyArgs) -> Result<(), Wrong> {
    let path = args.signature.clone().unwrap_or_else(|| signature_path(&args.file));
    let (signer, digest) = check(&args.file, &path, &args.key)?;
    if args.json {
        let whole = json!({
            "file": args.file,
            "digest": digest.to_string(),
            "key": signer.key,
            "name": signer.name,
            "version": signer.version,
            "comment": signer.comment,
        });
        data_line!("{whole:#}");
    } else {
        data_line!("signed by {}", signer.key);
        data_line!("comment   {}", signer.comment);
        data_line!("sha-256   {digest}");
    }
    Ok(())
}

fn check(file: &Path, path: &Path, keys: &[String]) -> Result<(Signer, PluginDigest), Wrong> {
    let keys = keys.iter().map(|key| keys::trusted(key)).collect::<Result<Vec<_>, _>>()?;
    let unreadable = |path: &Path, why: String| Wrong(vec![format!("{}: {why}", path.display())]);
    let bytes = std::fs::read(file).map_err(|error| unreadable(file, error.to_string()))?;
    let size = std::fs::metadata(path).map_err(|error| {
        Wrong(vec![
            format!("{}: {error}", path.display()),
            "hint: `trainyard-plugin sign` writes it".to_owned(),
        ])
    })?;
    if size.len() > SIGNATURE_BYTES {
        return Err(unreadable(path, "it is too long for a signature".to_owned()));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| unreadable(path, error.to_string()))?;
    let signer = signature::verify(&bytes, &text, &keys)
        .map_err(|error| unreadable(file, format!("the signature does not count: {error}")))?;
    Ok((signer, PluginDigest::of(&bytes)))
}
