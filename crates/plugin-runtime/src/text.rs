//! Makes texts of a guest safe to log, to store and to show.

use crate::limits::POINTER_CHARS;

/// A text for people: control characters gone, line breaks turned into spaces, at most `bytes`.
pub(crate) fn clean(text: &str, bytes: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(bytes));
    for c in text.chars() {
        let c = match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if hidden(c) => continue,
            c => c,
        };
        if clean.len() + c.len_utf8() > bytes {
            // The mark may stand beyond the bound; the bound is about size, not about exactness.
            clean.push('…');
            break;
        }
        clean.push(c);
    }
    clean.trim().to_owned()
}

/// A log line: control characters escaped, so that it stays one line, at most `bytes`.
pub(crate) fn escape(text: &str, bytes: usize) -> String {
    let mut line = String::with_capacity(text.len().min(bytes));
    for c in text.chars() {
        if line.len() >= bytes {
            line.push('…');
            break;
        }
        if hidden(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// The pointer if it is a valid RFC 6901 pointer of bearable length, otherwise the whole form.
pub(crate) fn pointer(text: &str) -> String {
    if is_pointer(text) { text.to_owned() } else { String::new() }
}

/// Control characters, and those that reorder or hide the text around them.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn is_pointer(text: &str) -> bool {
    let rooted = text.is_empty() || text.starts_with('/');
    let escaped =
        text.split('~').skip(1).all(|after| after.starts_with('0') || after.starts_with('1'));
    rooted && escaped && text.chars().count() <= POINTER_CHARS && !text.chars().any(hidden)
}

/// A machine word: lower-case letters, digits and hyphens, otherwise `invalid`.
pub(crate) fn code(text: &str) -> String {
    let good = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good { text.to_owned() } else { "invalid".to_owned() }
}

/// A CamelCase reason: letters and digits, at most 128, otherwise empty.
pub(crate) fn reason(text: &str) -> String {
    let good = text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if good { text.to_owned() } else { String::new() }
}

/// Whether brackets nest at most `limit` deep. Cheaper than parsing, and safe on any bytes.
pub(crate) fn nests_within(json: &str, limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_control_characters_and_length() {
        assert_eq!(clean("a\u{1b}[31m\nb\u{202e}c", 100), "a[31m bc");
        assert_eq!(clean(&"ä".repeat(10), 5), "ää…");
        assert_eq!(escape("a\nb\u{7}", 100), "a\\nb\\u{7}");
    }

    #[test]
    fn only_rfc_6901_pointers_pass() {
        for good in ["", "/a", "/a~1b/0", "/"] {
            assert_eq!(pointer(good), good);
        }
        for bad in ["a", "/a~2", "/~", "/a\n", &format!("/{}", "x".repeat(600))] {
            assert_eq!(pointer(bad), "");
        }
    }

    #[test]
    fn nesting_ignores_brackets_in_strings() {
        assert!(nests_within(r#"{"a":"[[[[","b":["\"["]}"#, 2));
        assert!(!nests_within("[[[1]]]", 2));
    }
}
