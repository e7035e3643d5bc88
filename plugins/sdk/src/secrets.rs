//! Literals that look like secrets. The host refuses manifests that hold one; a plugin that finds
//! it first can point at the field that the user has to change.

/// Anywhere in a name, whatever stands between the letters.
const SECRET_WORDS: [&str; 7] =
    ["SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "ACCESSKEY", "PRIVATEKEY"];
/// Last words of names that say where a secret is, not what it is.
const PLACES: [&str; 4] = ["FILE", "NAME", "PATH", "REF"];

/// Whether a variable of this name may not have this text: `HF_TOKEN` and `abc`, or any name and a
/// URL with a password in it.
pub fn is_secret(name: &str, text: &str) -> bool {
    is_literal(text) && names_a_secret(name) || has_url_password(text)
}

/// Whether a command line carries a secret: `--password=x`, `--api-key x`, `TOKEN=x`.
pub fn in_command(line: &str) -> bool {
    let mut words = line.split_whitespace().map(unquoted).peekable();
    while let Some(word) = words.next() {
        let name = word.trim_start_matches('-');
        let found = match name.split_once('=') {
            Some((name, value)) => names_a_secret(name) && is_literal(unquoted(value)),
            None => {
                let flag = name.len() < word.len() && names_a_secret(name);
                flag && words.peek().is_some_and(|next| !next.starts_with('-') && is_literal(next))
            }
        };
        if found {
            return true;
        }
    }
    has_url_password(line)
}

fn names_a_secret(name: &str) -> bool {
    let words = words(name);
    if words.last().is_some_and(|last| PLACES.contains(&last.as_str())) {
        return false;
    }
    let joined = words.concat();
    // Those of a text are refused as well where the host lets them pass: few, and easily renamed.
    words.iter().any(|word| word.ends_with("TOKEN"))
        || SECRET_WORDS.iter().any(|word| joined.contains(word))
}

/// `s3SecretKey`, `S3_SECRET_KEY` and `s3-secret-key` are all S3, SECRET, KEY.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        let starts = after_lower && c.is_ascii_uppercase();
        if starts || !c.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_uppercase());
        }
        after_lower = c.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text could be the secret itself. `$(NAME)` and `${NAME}` stand for a variable.
fn is_literal(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('$') && !matches!(text, "true" | "false")
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\'', ','])
}

/// Whether a URL in the text carries a password: `https://user:password@host`.
fn has_url_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let authority = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        let user = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        user.is_some_and(|(_, password)| is_literal(password))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_other_texts() {
        for (name, text) in [
            ("HF_TOKEN", "abc"),
            ("wandbApiKey", "abc"),
            ("S3_SECRET_KEY", "abc"),
            ("DB", "postgres://me:pw@db/x"),
        ] {
            assert!(is_secret(name, text), "{name}={text}");
        }
        for (name, text) in [
            ("HF_TOKEN", ""),
            ("HF_TOKEN", "$(OTHER)"),
            ("PASSWORD_FILE", "/x"),
            ("TOKENIZERS_PARALLELISM", "1"),
            ("DB", "postgres://me@db/x"),
        ] {
            assert!(!is_secret(name, text), "{name}={text}");
        }
    }

    #[test]
    fn commands_are_searched_for_flags_assignments_and_urls() {
        for line in ["t --password=x", "t --api-key abc", "env TOKEN=x t", "git a://b:c@d"] {
            assert!(in_command(line), "{line}");
        }
        for line in ["t --tokenizer bert", "t --password $P", "t --password", "a=b"] {
            assert!(!in_command(line), "{line}");
        }
    }
}
