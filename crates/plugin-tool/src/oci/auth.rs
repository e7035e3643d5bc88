//! Credentials for a registry, from where `docker login` and its relatives keep them.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::Value;

/// How to introduce oneself to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    Anonymous,
    Basic { user: String, password: String },
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// The file, by the rules of docker and podman.
fn path() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("DOCKER_CONFIG") {
        return Some(PathBuf::from(dir).join("config.json"));
    }
    if let Some(file) = std::env::var_os("REGISTRY_AUTH_FILE") {
        return Some(PathBuf::from(file));
    }
    Some(std::env::home_dir()?.join(".docker").join("config.json"))
}

/// What is known for this host; anonymous if nothing is.
pub(crate) fn of(host: &str) -> Result<Credentials, String> {
    let Some(path) = path() else { return Ok(Credentials::Anonymous) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Credentials::Anonymous);
        }
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    // The error would quote the file, which is a secret.
    let config: Value =
        serde_json::from_str(&text).map_err(|_| format!("{} is not JSON", path.display()))?;
    find(&config, host).map_err(|why| format!("{}: {why}", path.display()))
}

fn find(config: &Value, host: &str) -> Result<Credentials, String> {
    let auths = config.get("auths").and_then(Value::as_object);
    let entry = auths.into_iter().flatten().find(|(name, _)| {
        let name = name.trim_start_matches("https://").trim_start_matches("http://");
        name.split('/').next() == Some(host)
    });
    let helped = config.get("credsStore").is_some()
        || config.get("credHelpers").and_then(|all| all.get(host)).is_some();
    let Some((_, entry)) = entry else {
        return if helped && config.get("credHelpers").and_then(|all| all.get(host)).is_some() {
            Err(format!("the credentials of {host} are in a helper program, which is not asked"))
        } else {
            Ok(Credentials::Anonymous)
        };
    };
    let text = |member: &str| entry.get(member).and_then(Value::as_str).filter(|t| !t.is_empty());
    if let Some(token) = text("registrytoken") {
        return Ok(Credentials::Token(token.to_owned()));
    }
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() });
    }
    match text("auth") {
        Some(auth) => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(auth).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) =
                pair.ok_or_else(|| format!("the entry of {host} cannot be read"))?;
            Ok(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
        }
        None if helped => {
            Err(format!("the credentials of {host} are in a helper program, which is not asked"))
        }
        None => Ok(Credentials::Anonymous),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_found_under_every_spelling_of_the_host() {
        let basic =
            |user: &str| Credentials::Basic { user: user.to_owned(), password: "p:w".to_owned() };
        for (name, entry, expected) in [
            ("r.example", json!({"auth": "YTpwOnc="}), basic("a")),
            ("https://r.example/v1/", json!({"username": "b", "password": "p:w"}), basic("b")),
            ("r.example", json!({"registrytoken": "t"}), Credentials::Token("t".to_owned())),
            ("other.example", json!({"auth": "YTpwOnc="}), Credentials::Anonymous),
        ] {
            let config = json!({"auths": {name: entry}});
            assert_eq!(find(&config, "r.example").unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn unreadable_entries_and_helpers_are_named_without_the_secret() {
        for config in [
            json!({"auths": {"r.example": {"auth": "###"}}}),
            json!({"auths": {"r.example": {"auth": "c2VjcmV0"}}}),
            json!({"auths": {"r.example": {}}, "credsStore": "desktop"}),
            json!({"credHelpers": {"r.example": "cloud"}}),
        ] {
            let why = find(&config, "r.example").unwrap_err();
            assert!(why.contains("r.example") && !why.contains("secret"), "{why}");
        }
    }
}
