//! Names and identifiers, parsed once at the edge. A value of one of these types is valid by
//! construction, so nothing downstream checks it again.

use std::fmt;

use sha2::{Digest, Sha256};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidName {
    /// A whole sentence that says what would be right.
    pub message: String,
}

impl InvalidName {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Checks an RFC 1123 DNS label: lower-case letters, digits and hyphens, at most 63 characters.
fn check_dns_label(what: &str, text: &str) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::new(format!("{what} must not be empty.")));
    }
    let well_formed =
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
    if !well_formed {
        return Err(InvalidName::new(format!(
            "{what} must consist of lower-case letters, digits and hyphens, and start and end \
             with a letter or digit."
        )));
    }
    if text.len() > 63 {
        return Err(InvalidName::new(format!(
            "{what} has {} characters; at most 63 are allowed.",
            text.len()
        )));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Parses the text, or says what would be right.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                let check: fn(&str) -> Result<(), InvalidName> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// Identifies a job for ever: `<jobName>-<8 hex digits>`. Also a valid label value.
    JobId,
    "A job id",
    |text| check_dns_label("A job id", text)
);

name_type!(
    /// What the user calls the job; also the Kubernetes name of its workload.
    JobName,
    "The job name",
    |text| {
        check_dns_label("The job name", text)?;
        // Services made from it must start with a letter (RFC 1035), as KubeRay does.
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(InvalidName::new("The job name must start with a letter."));
        }
        Ok(())
    }
);

name_type!(
    /// A Kubernetes namespace that may hold jobs: never one of the cluster's own.
    Namespace,
    "The namespace",
    |text| {
        check_dns_label("The namespace", text)?;
        let reserved = text.starts_with("kube-") || text.starts_with("karmada-");
        if reserved {
            return Err(InvalidName::new(format!(
                "The namespace `{text}` belongs to the cluster; choose another one."
            )));
        }
        Ok(())
    }
);

name_type!(
    /// A member cluster registered with Karmada.
    ClusterName,
    "A cluster name",
    |text| check_dns_label("A cluster name", text)
);

impl JobId {
    /// Makes the id of a new job from its name and 32 random bits.
    ///
    /// A name longer than 54 characters is cut, so that the id stays a valid label value.
    pub fn from_name(name: &JobName, random: u32) -> Self {
        let head: String = name.as_str().chars().take(54).collect();
        Self(format!("{}-{random:08x}", head.trim_end_matches('-')))
    }
}

/// The sha-256 of some bytes: a plugin component, a schema, a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// Hashes the bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// Parses 64 lower-case hex digits.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let wrong = || InvalidName::new("A sha-256 digest has 64 lower-case hex digits.");
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// The sha-256 of a plugin's component file.
pub type PluginDigest = Sha256Digest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_names_are_dns_labels_that_start_with_a_letter() {
        for good in ["a", "train-1", &"a".repeat(63)] {
            assert!(JobName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a_b", "a/b", "1a", "a\nb", "a\"b", &"a".repeat(64)] {
            assert!(JobName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reserved_namespaces_are_refused() {
        assert!(Namespace::parse("kube-system").is_err());
        assert!(Namespace::parse("karmada-es-member1").is_err());
        assert!(Namespace::parse("team-a").is_ok());
        assert!(Namespace::parse("a/../../secrets").is_err());
    }

    #[test]
    fn job_id_is_a_valid_label_value_for_the_longest_name() {
        let name = JobName::parse("a".repeat(63)).unwrap();
        let id = JobId::from_name(&name, 0x1a2b_3c4d);
        assert!(id.as_str().len() <= 63 && id.as_str().ends_with("-1a2b3c4d"));
    }

    #[test]
    fn digest_survives_printing_and_parsing() {
        let digest = Sha256Digest::of("abc");
        assert_eq!(Sha256Digest::parse(&digest.to_string()).unwrap(), digest);
        assert!(Sha256Digest::parse("zz").is_err());
    }
}
