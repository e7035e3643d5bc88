//! Text with a secret in it. Only [`SecretText::expose`] gives it away.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

const HIDDEN: &str = "***";

/// A URL or DSN that may hold a password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text with its secrets.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text without passwords: those between `:` and `@` of a URL, and those of a parameter
    /// whose name says so.
    pub fn redacted(&self) -> String {
        let text = match self.0.split_once("://") {
            None => self.0.clone(),
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                // A password may hold any of these characters, though it should not.
                let at = rest.rfind('@').filter(|at| *at < end || rest.contains(':'));
                let user = at.map(|at| rest.split_at(at));
                match user.and_then(|(user, rest)| Some((user.split_once(':')?.0, rest))) {
                    Some((user, rest)) => format!("{scheme}://{user}:{HIDDEN}{rest}"),
                    None => self.0.clone(),
                }
            }
        };
        hide_parameters(&text)
    }

    /// The passwords in it, as they stand and without their escapes, for those who must not show
    /// them.
    pub fn passwords(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some((_, rest)) = self.0.split_once("://") {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let at = rest.rfind('@').filter(|at| *at < end || rest.contains(':'));
            let user = at.and_then(|at| rest.get(..at));
            found.extend(user.and_then(|user| user.split_once(':')).map(|(_, word)| word));
        }
        for word in self.0.split(['?', '&', ' ', '\t']) {
            if let Some((name, value)) = word.split_once('=')
                && name.eq_ignore_ascii_case("password")
            {
                found.push(value.trim_matches('\''));
            }
        }
        let unescaped = found.iter().filter_map(|word| unescaped(word));
        let mut all: Vec<String> = unescaped.collect();
        all.extend(found.into_iter().map(str::to_owned));
        all.retain(|word| !word.is_empty());
        all.sort();
        all.dedup();
        all
    }
}

/// A text without its escapes, if they are right.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Hides `password=…` and its like, in a query as well as in a DSN of words.
fn hide_parameters(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.to_ascii_lowercase().find("password") {
        let (before, word) = rest.split_at(at);
        shown.push_str(before);
        let Some((name, value)) = word.split_once('=') else { break };
        let (shown_value, after) = if name.trim_end().len() == "password".len() {
            let value = value.trim_start();
            let end = match value.strip_prefix('\'') {
                Some(quoted) => quoted.find('\'').map_or(value.len(), |end| end + 2),
                None => value.find([' ', '&', '\t']).unwrap_or(value.len()),
            };
            (HIDDEN, value.split_at(end).1)
        } else {
            ("", value)
        };
        shown.push_str(name);
        shown.push('=');
        shown.push_str(shown_value);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.redacted(), f)
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::SecretText;

    #[test]
    fn passwords_are_hidden_in_urls_and_dsns() {
        for (text, shown) in [
            ("postgres://me:pw@db:5432/x", "postgres://me:***@db:5432/x"),
            ("postgres://me:p/w@x@db/x", "postgres://me:***@db/x"),
            ("postgres://me@db/x?password=pw&a=b", "postgres://me@db/x?password=***&a=b"),
            ("host=db password=pw user=me", "host=db password=*** user=me"),
            ("host=db password='p w' user=me", "host=db password=*** user=me"),
            ("host=db PASSWORD = pw", "host=db PASSWORD =***"),
            ("sqlite://trainyard.db", "sqlite://trainyard.db"),
            ("sqlite:///a@b/c.db", "sqlite:///a@b/c.db"),
        ] {
            let secret = SecretText::new(text);
            assert_eq!(secret.to_string(), shown);
            assert!(!format!("{secret:?}").contains("pw"), "{text}");
        }
    }

    #[test]
    fn passwords_are_found_with_and_without_their_escapes() {
        for (text, passwords) in [
            ("postgres://me:p%40ss@db/x", &["p%40ss", "p@ss"] as &[&str]),
            ("postgres://me@db/x?password=pw&a=b", &["pw"]),
            ("host=db password='pw' user=me", &["pw"]),
            ("postgres://me@db/x", &[]),
            ("sqlite:///a@b/c.db", &[]),
        ] {
            assert_eq!(SecretText::new(text).passwords(), passwords, "{text}");
        }
    }
}
