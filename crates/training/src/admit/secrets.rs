//! Secrets travel by reference. A literal value under a name that says "secret" is refused wherever
//! a plugin can put one: variables, arguments, members of a spec, data of a ConfigMap, and YAML or
//! JSON inside a text. A name is a hint and no proof, so this catches slips; what a plugin never
//! gets to see it cannot write.
//!
//! No message of this file quotes a value.

use serde_json::{Map, Value};

use super::report::{Report, below, each_object, given, quoted};
use crate::job::JobSpec;
use crate::manifest::ObjectRef;
use crate::ports::FieldError;

const CODE: &str = "secret-literal";
/// Anywhere in a name, whatever stands between the letters.
const SECRET_WORDS: [&str; 7] =
    ["SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "ACCESSKEY", "PRIVATEKEY"];
/// Words before `TOKEN` that make it one of a text, not of an account: `pad_token`, `max_token`.
const TEXT_TOKENS: [&str; 11] =
    ["PAD", "EOS", "BOS", "UNK", "MASK", "SEP", "CLS", "STOP", "SPECIAL", "MAX", "MIN"];
/// Last words of names that say where a secret is, not what it is.
const PLACES: [&str; 4] = ["FILE", "NAME", "PATH", "REF"];
/// Ends of the names of texts that hold a document.
const DOCUMENTS: [&str; 4] = ["yaml", "yml", "json", "runtimeenv"];
/// Deepest document that is looked into, as for a manifest.
const MAX_DEPTH: usize = 64;

/// Whether a name promises a secret: `S3_SECRET_KEY`, `redis-password`, `hfToken`.
pub(super) fn names_a_secret(name: &str) -> bool {
    let words = words(name);
    if words.last().is_some_and(|last| PLACES.contains(&last.as_str())) {
        return false;
    }
    let joined = words.concat();
    let token = words.iter().enumerate().any(|(index, word)| {
        let before = index.checked_sub(1).and_then(|before| words.get(before));
        match word.strip_suffix("TOKEN") {
            Some("") => !before.is_some_and(|before| TEXT_TOKENS.contains(&before.as_str())),
            Some(before) => !TEXT_TOKENS.contains(&before),
            None => false,
        }
    });
    token || SECRET_WORDS.iter().any(|word| joined.contains(word))
}

/// `s3SecretKey`, `S3_SECRET_KEY` and `s3-secret-key` are all S3, SECRET, KEY.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_lower = false;
    for c in name.chars() {
        let starts = before_lower && c.is_ascii_uppercase();
        if (starts || !c.is_ascii_alphanumeric()) && words.last().is_some_and(|w| !w.is_empty()) {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_uppercase());
        }
        before_lower = c.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text could be the secret itself. `$(NAME)` and `${NAME}` stand for a variable.
fn is_literal(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('$') && !matches!(text, "true" | "false")
}

/// The name under which a command carries a secret: `--password=x`, `--api-key x`, `TOKEN=x`.
fn in_command(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace().map(unquoted).peekable();
    while let Some(word) = words.next() {
        let name = word.trim_start_matches('-');
        if let Some((name, value)) = name.split_once('=') {
            if names_a_secret(name) && is_literal(unquoted(value)) {
                return Some(name);
            }
        } else if name.len() < word.len()
            && names_a_secret(name)
            && words.peek().is_some_and(|next| !next.starts_with('-') && is_literal(next))
        {
            return Some(name);
        }
    }
    None
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\'', ','])
}

/// Whether a URL in the text carries a password: `https://user:password@host`.
fn has_url_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let authority = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        password.is_some_and(|(_, password)| is_literal(password))
    })
}

fn refuse(report: &mut Report, at: impl Into<String>, name: &str) {
    let detail = format!("The value of {} must come from a Secret by reference.", quoted(name));
    report.refuse(at, CODE, detail);
}

/// Checks everything at and below a spec.
pub(super) fn check(spec: &Value, at: &str, report: &mut Report) {
    each_object(spec, at, &mut |members, at| check_members(members, at, report));
}

fn check_members(members: &Map<String, Value>, at: &str, report: &mut Report) {
    let text = |key: &str| members.get(key).and_then(Value::as_str);
    // A variable, or a header.
    if let (Some(name), Some(value)) = (text("name"), text("value"))
        && is_literal(value)
        && (names_a_secret(name) || has_url_password(value))
    {
        refuse(report, format!("{at}/value"), name);
    }
    for (key, value) in members {
        let at = below(at, key);
        match (key.as_str(), value) {
            ("args" | "command", Value::Array(items)) => {
                // One after the other, because a flag and its value may be two items.
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                check_command(&texts.join("\n"), &at, report);
            }
            ("args" | "command" | "entrypoint", Value::String(text)) => {
                check_command(text, &at, report);
            }
            // `name` beside `value` is looked at above.
            ("name" | "value", _) => {}
            (_, Value::String(text)) => check_text(key, text, &at, report),
            _ => {}
        }
    }
}

fn check_command(text: &str, at: &str, report: &mut Report) {
    if let Some(name) = in_command(text) {
        refuse(report, at, name);
    } else if has_url_password(text) {
        refuse(report, at, "the password in a URL");
    }
}

/// A text under a name: a secret itself, or a document that may hold one.
fn check_text(name: &str, text: &str, at: &str, report: &mut Report) {
    // By convention `authSecret` holds the name of a Secret, and `secret` does in old volumes.
    let names_an_object = words(name).last().is_some_and(|last| last == "SECRET");
    let lower = name.to_ascii_lowercase();
    if names_a_secret(name) && !names_an_object && is_literal(text) {
        refuse(report, at, name);
    } else if DOCUMENTS.iter().any(|end| lower.ends_with(end)) {
        // What is no document is no place for a name either.
        match read_document(text) {
            Some(document) => check_document(&document, at, 1, report),
            None => {
                let detail = "The text is not YAML or JSON without aliases, though its name says \
                              so.";
                report.refuse(at, "unreadable-document", detail);
            }
        }
    }
}

/// Aliases are refused: a few hundred bytes of them grow to a million values, and nothing that a
/// plugin writes needs them.
fn read_document(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Null);
    }
    let mut options = serde_saphyr::Options::default();
    options.alias_limits.max_total_replayed_events = 0;
    options.alias_limits.max_alias_expansions_per_anchor = 0;
    serde_saphyr::from_str_with_options(text, options).ok()
}

/// A document inside a text: pointers lead to the text, names to the place in it.
fn check_document(value: &Value, at: &str, depth: usize, report: &mut Report) {
    if depth > MAX_DEPTH {
        report.refuse(at, "too-deep", "The document in this text is nested too deep.");
        return;
    }
    match value {
        Value::Array(items) => {
            for item in items {
                check_document(item, at, depth + 1, report);
            }
        }
        Value::Object(members) => {
            let text = |key: &str| members.get(key).and_then(Value::as_str);
            if let (Some(name), Some(value)) = (text("name"), text("value"))
                && is_literal(value)
                && names_a_secret(name)
            {
                refuse(report, at, name);
            }
            for (name, value) in members {
                let literal = match value {
                    Value::String(text) => is_literal(text),
                    Value::Number(_) => true,
                    _ => false,
                };
                let url = value.as_str().is_some_and(has_url_password);
                if literal && (names_a_secret(name) || url) {
                    refuse(report, at, name);
                } else {
                    check_document(value, at, depth + 1, report);
                }
            }
        }
        _ => {}
    }
}

/// The `data` of an object that is nothing but data.
pub(super) fn check_data(
    document: &Map<String, Value>,
    object: &ObjectRef,
    at: &str,
    report: &mut Report,
) {
    let Some(data) = given(document, "data") else { return };
    let at = format!("{at}/data");
    if object.kind == "Secret" {
        report.refuse(at, CODE, "A plugin may not write a Secret; refer to one by its name.");
        return;
    }
    let Value::Object(data) = data else {
        report.refuse(at, "type", "`data` is an object of texts.");
        return;
    };
    for (name, value) in data {
        let at = below(&at, name);
        let valid = (1..=253).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !valid {
            report.refuse(at, "invalid-name", "A key has letters, digits, `-`, `_` and `.`.");
            continue;
        }
        match value.as_str() {
            Some(text) if names_a_secret(name) && is_literal(text) => refuse(report, at, name),
            Some(text) => check_text(name, text, &at, report),
            None => report.refuse(at, "type", "The values of `data` are texts."),
        }
    }
}

/// What a form itself would put into a manifest as a literal. Found before its plugin runs, so that
/// the user is told and not the plugin blamed.
pub(crate) fn in_form(spec: &JobSpec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (name, value) in &spec.custom_hyperparameters {
        let literal = value.as_str().is_some_and(is_literal);
        let url = value.as_str().is_some_and(has_url_password);
        if literal && (names_a_secret(name) || url) {
            let detail = "The value would stand in the job's record and manifests. Put it into a \
                          Secret in the job's namespace that the training program reads.";
            errors.push(FieldError::new(below("/customHyperparameters", name), CODE, detail));
        }
    }
    let entrypoint = spec.entrypoint.as_deref().unwrap_or_default();
    if in_command(entrypoint).is_some() || has_url_password(entrypoint) {
        let detail = "The command holds a secret, which would stand in the job's record and \
                      manifests. Let the training program read it from a Secret.";
        errors.push(FieldError::new("/entrypoint", CODE, detail));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_of_other_things() {
        for name in [
            "S3_SECRET_KEY",
            "AWS_ACCESS_KEY_ID",
            "PASSWORD",
            "redis-password",
            "dbPassword",
            "HF_TOKEN",
            "hfToken",
            "AUTHTOKEN",
            "api-key",
            "apiKey",
            "WANDB_API_KEY",
            "PRIVATE_KEY",
            "TOKEN",
            "secret",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "",
            "TOKENIZER",
            "tokenizer_path",
            "NUM_TOKENS",
            "pad_token",
            "eosToken",
            "PADTOKEN",
            "max_token",
            "PASSWORD_FILE",
            "secretName",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "KEY",
            "MONKEY",
            "passes",
            "ACCESS",
            "key",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn commands_are_searched_for_flags_assignments_and_urls() {
        for text in [
            "train --password=x",
            "train --api-key abc",
            "env TOKEN=abc train",
            "--dbPassword='x'",
            "--token\nabc",
        ] {
            assert!(in_command(text).is_some(), "{text}");
        }
        for text in [
            "train --tokenizer bert",
            "--password=$(PASSWORD)",
            "--password $PASSWORD",
            "--password --verbose",
            "--password",
            "--password-file /x",
            "--password=",
            "a=b",
        ] {
            assert!(in_command(text).is_none(), "{text}");
        }
        assert!(has_url_password("see postgres://me:pw@db/x"));
        for text in ["https://host/a:b@c", "https://me@host", "postgres://me:$(PW)@db", "a:b@c"] {
            assert!(!has_url_password(text), "{text}");
        }
    }
}
