//! Key files on disk, in the format of minisign: a secret key that only its owner reads, and a
//! public key for everybody.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context;
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use plugin_runtime::signature::TrustedKey;

use crate::{Outcome, Wrong};

/// Where a password may stand instead of being typed.
const PASSWORD: &str = "TRAINYARD_KEY_PASSWORD";

/// Writes a new key pair. An existing file is never overwritten: whoever loses a secret key loses
/// every plugin that trusts it.
pub(crate) fn generate(secret: &Path, protected: bool) -> Outcome<PathBuf> {
    let public = secret.with_extension("pub");
    for path in [secret, public.as_path()] {
        if path.exists() {
            return Ok(Err(Wrong(vec![
                format!("{} exists", path.display()),
                "hint: name another file with --out, or remove the old pair first".to_owned(),
            ])));
        }
    }
    let pair = if protected {
        let password = match password(true) {
            Ok(password) => password,
            Err(wrong) => return Ok(Err(wrong)),
        };
        KeyPair::generate_encrypted_keypair(Some(password))
    } else {
        KeyPair::generate_unencrypted_keypair()
    };
    let pair = pair.context("no key can be made")?;
    let write = |path: &Path, mode: u32, text: String| -> anyhow::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut file = options.open(path).with_context(|| path.display().to_string())?;
        file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
    };
    let comment = "trainyard-plugin secret key";
    write(secret, 0o600, pair.sk.to_box(Some(comment)).context("the key")?.to_string())?;
    write(&public, 0o644, pair.pk.to_box().context("the key")?.to_string())?;
    Ok(Ok(public))
}

/// Reads a secret key, and asks for its password if it has one.
pub(crate) fn secret(path: &Path) -> Result<SecretKey, Wrong> {
    let wrong = |why: String| Wrong(vec![format!("{}: {why}", path.display())]);
    private(path)?;
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let boxed = || SecretKeyBox::from_string(&text).map_err(|error| wrong(error.to_string()));
    if let Ok(key) = boxed()?.into_unencrypted_secret_key() {
        return Ok(key);
    }
    if !text.starts_with("untrusted comment:") {
        return Err(wrong("it is not a secret key of minisign".to_owned()));
    }
    let password = password(false)?;
    boxed()?
        .into_secret_key(Some(password))
        .map_err(|error| wrong(format!("it cannot be opened: {error}")))
}

/// A secret that others can read is none.
#[cfg(unix)]
fn private(path: &Path) -> Result<(), Wrong> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = std::fs::metadata(path)
        .map_err(|error| Wrong(vec![format!("{}: {error}", path.display())]))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode.trailing_zeros() >= 6 {
        // Neither the group nor others may do anything with it.
        return Ok(());
    }
    Err(Wrong(vec![
        format!("{} can be read or changed by others (mode {mode:o})", path.display()),
        format!("hint: chmod 600 {}", path.display()),
    ]))
}

#[cfg(not(unix))]
fn private(_path: &Path) -> Result<(), Wrong> {
    Ok(())
}

/// From the environment, else typed; a new one twice.
fn password(new: bool) -> Result<String, Wrong> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Wrong(vec![
            "the key needs a password, and nobody is there to type it".to_owned(),
            format!("hint: set {PASSWORD}, or make a key with --no-password"),
        ]));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map_err(|error| Wrong(vec![format!("no password was read: {error}")]))
    };
    let password = ask("Password: ")?;
    if new && password != ask("Password again: ")? {
        return Err(Wrong(vec!["the two passwords are not the same".to_owned()]));
    }
    Ok(password)
}

/// Reads a public key from a file, or takes the text for the key itself.
pub(crate) fn trusted(file_or_key: &str) -> Result<TrustedKey, Wrong> {
    if let Ok(key) = TrustedKey::parse(file_or_key) {
        return Ok(key);
    }
    let wrong = |why: String| Wrong(vec![format!("{file_or_key}: {why}")]);
    let text = std::fs::read_to_string(file_or_key).map_err(|error| wrong(error.to_string()))?;
    TrustedKey::parse(&text).map_err(|error| wrong(error.to_string()))
}
