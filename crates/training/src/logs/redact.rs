//! Takes secrets out of lines before anybody reads them.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

/// What stands where a secret stood.
const HIDDEN: &str = "***";

/// Shorter values are words of everyday, and hiding them would spoil every log.
const SHORTEST_SECRET: usize = 6;

/// Largest compiled pattern in bytes: a mistake in a setting must not take the host's memory.
const LARGEST_PATTERN: usize = 1 << 20;

/// Knows what must not be shown.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
    patterns: Vec<Regex>,
}

impl Redactor {
    /// Hides every occurrence of these values, if they have six characters or more, and whatever
    /// the regular expressions match; if one has groups, what its groups match.
    ///
    /// # Errors
    /// The index of the first pattern that is none, and what is wrong with it.
    pub fn new(
        secrets: impl IntoIterator<Item = String>,
        patterns: &[String],
    ) -> Result<Self, (usize, String)> {
        let mut secrets: Vec<String> =
            secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
        // A secret that holds another one goes first, or its rest would stay.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        let compile = |(index, pattern): (usize, &String)| {
            RegexBuilder::new(pattern)
                .size_limit(LARGEST_PATTERN)
                .build()
                .map_err(|error| (index, error.to_string()))
        };
        let patterns = patterns.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { secrets, patterns })
    }

    /// The line without what it must not show.
    pub fn clean<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(line);
        for secret in &self.secrets {
            if clean.contains(secret.as_str()) {
                clean = Cow::Owned(clean.replace(secret.as_str(), HIDDEN));
            }
        }
        for pattern in &self.patterns {
            if let Some(hidden) = hide(pattern, &clean) {
                clean = Cow::Owned(hidden);
            }
        }
        clean
    }
}

/// Hides what a pattern means; `None` if it matches nothing.
fn hide(pattern: &Regex, line: &str) -> Option<String> {
    let mut shown = String::new();
    let mut end = 0;
    for found in pattern.captures_iter(line) {
        let groups: Vec<_> = found.iter().skip(1).flatten().collect();
        let whole = if groups.is_empty() { found.get(0).into_iter().collect() } else { groups };
        for part in whole {
            // Groups within groups: the outer one was hidden already.
            if part.start() < end || part.is_empty() {
                continue;
            }
            shown.push_str(line.get(end..part.start()).unwrap_or_default());
            shown.push_str(HIDDEN);
            end = part.end();
        }
    }
    if end == 0 {
        return None;
    }
    shown.push_str(line.get(end..).unwrap_or_default());
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_matches_are_hidden_wherever_they_stand() {
        let secrets = ["hunter22".to_owned(), "hunter22-long".to_owned(), "short".to_owned()];
        let patterns = [r"AKIA[0-9A-Z]{4}".to_owned(), r"token=(\w+)(?: or (\w+))?".to_owned()];
        let redactor = Redactor::new(secrets, &patterns).unwrap();
        for (line, clean) in [
            ("nothing here", "nothing here"),
            ("pw hunter22, hunter22", "pw ***, ***"),
            ("pw hunter22-long", "pw ***"),
            ("a short word", "a short word"),
            ("AKIA12AB and AKIA34CD!", "*** and ***!"),
            ("token=abc or def; é", "token=*** or ***; é"),
            ("", ""),
        ] {
            assert_eq!(redactor.clean(line), clean);
        }
    }

    #[test]
    fn wrong_patterns_are_named() {
        let patterns = ["fine".to_owned(), "(".to_owned()];
        assert_eq!(Redactor::new([], &patterns).unwrap_err().0, 1);
        assert!(Redactor::new([], &["(\\w{1000}){1000}".to_owned()]).is_err());
    }
}
