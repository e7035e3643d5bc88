//! Detached signatures of components in the format of minisign, so that the well-known tool can
//! make and check them as well. Pure: bytes and texts in, an answer out; who reads which file and
//! what an unsigned plugin means is decided elsewhere.
//!
//! A signature says that somebody who holds a key stands behind these bytes. It does not say that
//! they are the newest: an old, signed file stays signed.

use minisign_verify::{Error, PublicKey, Signature};
use training::Sha256Digest;

/// How the trusted comment of our own tool begins. The rest is `name=… version=… sha256=…`.
const COMMENT: &str = "trainyard-plugin ";

/// Longest signature file that is looked at: four lines, one of them a comment.
pub const SIGNATURE_BYTES: u64 = 16 << 10;

/// A public key that an operator trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key as one line of Base64, which is also its name.
    line: String,
    key: PublicKey,
}

impl TrustedKey {
    /// Reads a key: the Base64 line alone, or a whole `.pub` file with its comment.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = match (lines.next(), lines.next(), lines.next()) {
            (Some(line), None, None) => line,
            (Some(comment), Some(line), None) if comment.starts_with("untrusted comment:") => line,
            _ => return Err(SignatureError::MalformedKey),
        };
        let key = PublicKey::from_base64(line).map_err(|_| SignatureError::MalformedKey)?;
        Ok(Self { line: line.to_owned(), key })
    }

    /// The key as one line of Base64.
    pub fn as_str(&self) -> &str {
        &self.line
    }
}

/// Who signed, and what they said about the file. Everything here was covered by the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key, as [`TrustedKey::as_str`] gives it.
    pub key: String,
    /// The whole comment.
    pub comment: String,
    /// Name of the plugin, if our tool signed.
    pub name: Option<String>,
    /// Version of the plugin, if our tool signed.
    pub version: Option<String>,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// What should be a key is not.
    #[error("it is not a public key of minisign")]
    MalformedKey,
    /// What should be a signature is not.
    #[error("it is not a signature of minisign")]
    MalformedSignature,
    /// Made by `minisign -l`, which signs the file itself and not its hash.
    #[error("it is a signature of the legacy kind; sign again without `-l`")]
    Legacy,
    /// No trusted key made it.
    #[error("none of the {known} trusted keys made the signature")]
    UnknownKey {
        /// How many keys are trusted.
        known: usize,
    },
    /// A trusted key is named, but the bytes or the comment are not what was signed.
    #[error("the file or the comment of its signature was changed after it was signed")]
    Changed,
    /// The comment speaks of another file.
    #[error("the comment of the signature names another sha-256 than that of the file")]
    OtherFile,
}

/// Writes the comment that a signature of this plugin carries.
pub fn trusted_comment(name: &str, version: &str, digest: &Sha256Digest) -> String {
    format!("{COMMENT}name={name} version={version} sha256={digest}")
}

/// Checks that one of the keys signed the component.
pub fn verify(
    component: &[u8],
    signature_text: &str,
    keys: &[TrustedKey],
) -> Result<Signer, SignatureError> {
    if signature_text.len() as u64 > SIGNATURE_BYTES {
        return Err(SignatureError::MalformedSignature);
    }
    let signature =
        Signature::decode(signature_text).map_err(|_| SignatureError::MalformedSignature)?;
    let mut named = false;
    for trusted in keys {
        match trusted.key.verify(component, &signature, false) {
            Ok(()) => return signer(component, &trusted.line, signature.trusted_comment()),
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => return Err(SignatureError::Legacy),
            // Two keys may bear the same id, so another one may still fit.
            Err(_) => named = true,
        }
    }
    Err(if named {
        SignatureError::Changed
    } else {
        SignatureError::UnknownKey { known: keys.len() }
    })
}

fn signer(component: &[u8], key: &str, comment: &str) -> Result<Signer, SignatureError> {
    let field = |name: &str| {
        let fields = comment.strip_prefix(COMMENT)?;
        fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let digest = Sha256Digest::of(component).to_string();
    if field("sha256").is_some_and(|named| named != digest) {
        return Err(SignatureError::OtherFile);
    }
    Ok(Signer {
        key: key.to_owned(),
        comment: comment.to_owned(),
        name: field("name").map(str::to_owned),
        version: field("version").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"\0asm component";

    struct Pair {
        secret: minisign::SecretKey,
        trusted: TrustedKey,
    }

    fn pair() -> Pair {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let trusted = TrustedKey::parse(&pair.pk.to_base64()).unwrap();
        Pair { secret: pair.sk, trusted }
    }

    fn sign(pair: &Pair, bytes: &[u8], comment: &str) -> String {
        minisign::sign(None, &pair.secret, bytes, Some(comment), None).unwrap().to_string()
    }

    fn comment() -> String {
        trusted_comment("xgboost", "1.2.3", &Sha256Digest::of(FILE))
    }

    #[test]
    fn signature_of_a_trusted_key_names_its_signer() {
        let (ours, other) = (pair(), pair());
        let text = sign(&ours, FILE, &comment());
        let keys = [other.trusted, ours.trusted.clone()];
        let signer = verify(FILE, &text, &keys).unwrap();
        assert_eq!(signer.key, ours.trusted.as_str());
        assert_eq!(signer.name.as_deref(), Some("xgboost"));
        assert_eq!(signer.version.as_deref(), Some("1.2.3"));
        // Any comment will do: the standard tool writes another one.
        let plain = sign(&ours, FILE, "timestamp:1 file:x.wasm");
        assert_eq!(verify(FILE, &plain, &keys).unwrap().name, None);
    }

    #[test]
    fn every_single_changed_byte_is_noticed() {
        let ours = pair();
        let keys = [ours.trusted.clone()];
        let text = sign(&ours, FILE, &comment());
        for at in 0..FILE.len() {
            let mut bytes = FILE.to_vec();
            bytes[at] ^= 1;
            assert_eq!(verify(&bytes, &text, &keys), Err(SignatureError::Changed), "{at}");
        }
        let forged = text.replace("version=1.2.3", "version=9.9.9");
        assert_ne!(forged, text);
        assert_eq!(verify(FILE, &forged, &keys), Err(SignatureError::Changed));
    }

    #[test]
    fn stranger_is_not_trusted() {
        let text = sign(&pair(), FILE, &comment());
        let known = |known| Err(SignatureError::UnknownKey { known });
        assert_eq!(verify(FILE, &text, &[]), known(0));
        assert_eq!(verify(FILE, &text, &[pair().trusted, pair().trusted]), known(2));
    }

    #[test]
    fn signed_comment_about_another_file_does_not_count() {
        let ours = pair();
        let about_another = trusted_comment("xgboost", "1.2.3", &Sha256Digest::of("other"));
        let text = sign(&ours, FILE, &about_another);
        assert_eq!(verify(FILE, &text, &[ours.trusted]), Err(SignatureError::OtherFile));
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        let ours = pair();
        let long = "x".repeat(1 << 20);
        for text in ["", "\n\n\n\n", "untrusted comment: a\nAAAA\ntrusted comment: b\nAAAA", &long]
        {
            let found = verify(FILE, text, std::slice::from_ref(&ours.trusted));
            assert_eq!(found, Err(SignatureError::MalformedSignature), "{text:.20}");
        }
        let good = sign(&ours, FILE, &comment());
        for end in 0..good.trim_end().len() {
            let cut = good.get(..end).unwrap();
            assert!(verify(FILE, cut, std::slice::from_ref(&ours.trusted)).is_err(), "{end}");
        }
    }

    #[test]
    fn keys_are_read_from_a_line_or_a_file() {
        let ours = pair();
        let line = ours.trusted.as_str().to_owned();
        let file = format!("untrusted comment: minisign public key\n{line}\n");
        assert_eq!(TrustedKey::parse(&file).unwrap(), TrustedKey::parse(&line).unwrap());
        for bad in ["", "RWQ", "a\nb\nc", &format!("{line}\n{line}")] {
            assert_eq!(TrustedKey::parse(bad), Err(SignatureError::MalformedKey), "{bad}");
        }
    }
}
