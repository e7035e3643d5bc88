//! Reads typed members of a JSON object. A mistake is recorded with its pointer and reading goes
//! on, so that one answer holds all of them. `null` counts as absent everywhere.

use std::cell::RefCell;
use std::fmt::Display;

use serde_json::{Map, Value};

use crate::ports::FieldError;

/// Nobody reads more, and each may quote a part of the form.
const MAX_MISTAKES: usize = 100;
/// Longest string anywhere in a form, in bytes.
const MAX_TEXT: usize = 16 << 10;

/// Collects what is wrong.
#[derive(Default)]
pub(crate) struct Mistakes(RefCell<Vec<FieldError>>);

impl Mistakes {
    pub(crate) fn into_errors(self) -> Vec<FieldError> {
        self.0.into_inner()
    }

    pub(crate) fn add(&self, pointer: String, code: &str, detail: impl Into<String>) {
        let mut errors = self.0.borrow_mut();
        // A text with a control character has been reported as such; that its form is wrong, too,
        // says nothing new.
        let known = errors.iter().any(|error| error.pointer == pointer);
        if errors.len() < MAX_MISTAKES && !known {
            errors.push(FieldError::new(pointer, code, detail));
        }
    }

    /// Refuses control characters and enormous texts, wherever they stand: values end up in
    /// manifests, logs and terminals. Only custom hyperparameters, which are in the member `free`,
    /// may have several lines, because nothing but the training program reads them.
    pub(crate) fn check_texts(&self, form: &Value, free: &str) {
        self.check_text_below(form, "", free, false);
    }

    fn check_text_below(&self, value: &Value, at: &str, free: &str, lines: bool) {
        match value {
            Value::String(text) => self.check_text(text, at, "The text", lines),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.check_text_below(item, &format!("{at}/{index}"), free, lines);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    let lines = lines || (at.is_empty() && key == free);
                    let at = format!("{at}/{}", escape(key));
                    self.check_text(key, &at, "The name of the field", false);
                    self.check_text_below(member, &at, free, lines);
                }
            }
            _ => {}
        }
    }

    fn check_text(&self, text: &str, at: &str, what: &str, lines: bool) {
        // Line and paragraph separators end a line for YAML 1.1 readers.
        let odd = |c: &char| {
            let line = matches!(c, '\n' | '\t');
            (c.is_control() && !(lines && line))
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        };
        if let Some(odd) = text.chars().find(odd) {
            self.add(
                at.to_owned(),
                "control-character",
                format!("{what} holds the control character U+{:04X}.", u32::from(odd)),
            );
        } else if text.len() > MAX_TEXT {
            self.add(
                at.to_owned(),
                "too-long",
                format!("{what} has {} bytes; at most {MAX_TEXT} are allowed.", text.len()),
            );
        }
    }
}

/// One object of the form.
pub(crate) struct Fields<'a> {
    members: &'a Map<String, Value>,
    at: String,
    mistakes: &'a Mistakes,
}

impl<'a> Fields<'a> {
    /// Takes a value as an object.
    pub(crate) fn open(value: &'a Value, at: &str, mistakes: &'a Mistakes) -> Option<Self> {
        let Value::Object(members) = value else {
            mistakes.add(at.to_owned(), "wrong-type", wrong_type("an object", value));
            return None;
        };
        Some(Self { members, at: at.to_owned(), mistakes })
    }

    /// Records a mistake about a member, or about something below it: `targetClusters/0`.
    pub(crate) fn mistake(&self, below: &str, code: &str, detail: impl Into<String>) {
        let pointer =
            if below.is_empty() { self.at.clone() } else { format!("{}/{below}", self.at) };
        self.mistakes.add(pointer, code, detail);
    }

    /// Where a member stands in the form.
    pub(crate) fn pointer(&self, member: &str) -> String {
        join(&self.at, member)
    }

    /// Every member's name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.members.keys().map(String::as_str)
    }

    /// The member, if it is there and not `null`.
    pub(crate) fn value(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    /// A string with at most `most` bytes. An empty one counts as absent: older clients send it
    /// for every field they know.
    pub(crate) fn text(&self, member: &str, most: usize) -> Option<String> {
        let text = self.as_text(member, self.value(member)?, most)?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The same, but its absence is a mistake.
    pub(crate) fn required_text(&self, member: &str, most: usize) -> Option<String> {
        let before = self.value(member);
        let text = self.text(member, most);
        if text.is_none() && before.is_none_or(|value| value.as_str() == Some("")) {
            self.mistake(member, "required", format!("`{member}` is required."));
        }
        text
    }

    fn as_text(&self, below: &str, value: &'a Value, most: usize) -> Option<&'a str> {
        let Some(text) = value.as_str() else {
            self.mistake(below, "wrong-type", wrong_type("a string", value));
            return None;
        };
        if text.len() > most {
            let length = text.len();
            self.mistake(
                below,
                "too-long",
                format!("It has {length} bytes; at most {most} are allowed."),
            );
            return None;
        }
        Some(text)
    }

    /// A list of non-empty strings, each with its place.
    pub(crate) fn texts(
        &self,
        member: &str,
        most_items: usize,
        most: usize,
    ) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (below, value) in self.list(member, most_items) {
            match self.as_text(&below, value, most) {
                Some("") => self.mistake(&below, "empty", "It must not be empty."),
                Some(text) => texts.push((below, text.to_owned())),
                None => {}
            }
        }
        texts
    }

    /// A list, each item with its place.
    pub(crate) fn list(&self, member: &str, most: usize) -> Vec<(String, &'a Value)> {
        let Some(value) = self.value(member) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.mistake(member, "wrong-type", wrong_type("a list", value));
            return Vec::new();
        };
        if items.len() > most {
            let length = items.len();
            self.mistake(
                member,
                "too-many",
                format!("It has {length} items; at most {most} are allowed."),
            );
        }
        let items = items.iter().take(most).enumerate();
        items.map(|(index, item)| (format!("{member}/{index}"), item)).collect()
    }

    /// An item of [`Self::list`] as an object.
    pub(crate) fn item(&self, below: &str, value: &'a Value) -> Option<Self> {
        Self::open(value, &format!("{}/{below}", self.at), self.mistakes)
    }

    /// A whole number in the given range. `100.0` is refused as it always was.
    pub(crate) fn integer(&self, member: &str, least: i64, most: i64) -> Option<i64> {
        let value = self.value(member)?;
        if !value.is_number() || value.is_f64() {
            self.mistake(member, "wrong-type", wrong_type("a whole number", value));
            return None;
        }
        // A number beyond i64 is an unsigned one, and out of every range.
        let number = value.as_i64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.mistake(
                member,
                "out-of-range",
                format!("It is {value}, but must be at least {least} and at most {most}."),
            );
        }
        number
    }

    /// A whole number that counts something.
    pub(crate) fn size(&self, member: &str, least: u32, most: u32) -> Option<u32> {
        let number = self.integer(member, i64::from(least), i64::from(most))?;
        u32::try_from(number).ok()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, member: &str) -> Option<bool> {
        let value = self.value(member)?;
        let boolean = value.as_bool();
        if boolean.is_none() {
            self.mistake(member, "wrong-type", wrong_type("true or false", value));
        }
        boolean
    }

    /// One of some words; an empty string counts as absent.
    pub(crate) fn choice(&self, member: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(member, 253)?;
        let choice = words.iter().find(|word| **word == text).copied();
        if choice.is_none() {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            self.mistake(
                member,
                "unknown-value",
                format!("It must be one of {}.", words.join(", ")),
            );
        }
        choice
    }

    /// A member that is an object of its own.
    pub(crate) fn object(&self, member: &str) -> Option<Self> {
        let at = format!("{}/{}", self.at, escape(member));
        Self::open(self.value(member)?, &at, self.mistakes)
    }

    /// A member that is an object with any members.
    pub(crate) fn map(&self, member: &str) -> Option<&'a Map<String, Value>> {
        self.object(member).map(|fields| fields.members)
    }

    /// Takes a parsed value, or records what is wrong with it.
    pub(crate) fn parsed<T>(&self, below: &str, parsed: Result<T, impl Display>) -> Option<T> {
        parsed.map_err(|wrong| self.mistake(below, "invalid-value", wrong.to_string())).ok()
    }

    /// Refuses every member that is not one of these: a typo must not vanish.
    pub(crate) fn only(&self, known: &[&str]) {
        for name in self.names().filter(|name| !known.contains(name)) {
            let hint = closest(name, known.iter().copied())
                .map_or_else(String::new, |near| format!(" Did you mean `{near}`?"));
            self.mistake(
                &escape(name),
                "unknown-field",
                format!("There is no field `{name}` here.{hint}"),
            );
        }
    }
}

/// Two parts of a pointer, the second as a user wrote it.
pub(crate) fn join(parent: &str, name: &str) -> String {
    format!("{parent}/{}", escape(name))
}

/// A member's name as a part of an RFC 6901 pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn wrong_type(wanted: &str, value: &Value) -> String {
    let got = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(boolean) => boolean.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("It must be {wanted}, not {got}.")
}

/// The known name that was probably meant: the same but for case and separators, or two letters
/// off.
pub(crate) fn closest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect()
    };
    let name = plain(name);
    known
        .map(|known| (strsim::levenshtein(&name, &plain(known)), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= 2 && *distance * 3 < known.len())
        .map(|(_, known)| known)
}
