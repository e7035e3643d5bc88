//! Free additions of the user (`customHyperparameters`) and how they become environment
//! variables: keys upper-cased, values printed as JSON prints them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::Text;

/// Keys and untouched JSON values, in the user's order, duplicates included.
#[derive(Debug, Default)]
pub struct CustomHyperparameters<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'a> CustomHyperparameters<'a> {
    /// Every entry, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    /// All of it as one compact JSON object, for training programs that read it themselves.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        for (key, value) in self.iter() {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&serde_json::Value::from(key).to_string());
            out.push(':');
            out.push_str(&compact(value.get()));
        }
        out.push('}');
        out
    }

    /// True if the user added nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for CustomHyperparameters<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = CustomHyperparameters<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(CustomHyperparameters(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// Upper case, with `-` and `.` turned into `_`: `scale.pos-weight` becomes `SCALE_POS_WEIGHT`.
pub fn env_name(key: &str) -> String {
    key.chars().map(|c| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_uppercase() }).collect()
}

/// Whether a shell and every container runtime take this as the name of a variable.
pub fn is_env_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
}

/// The text of a variable for a JSON value. Strings lose their quotes, null is empty, numbers and
/// booleans stay as written, an array of such values is joined with commas, and anything deeper
/// is compact JSON.
pub fn env_value(value: &RawValue) -> Cow<'_, str> {
    let json = value.get();
    if let Some(scalar) = scalar(json) {
        return scalar;
    }
    let joined = serde_json::from_str::<Vec<&RawValue>>(json)
        .ok()
        .and_then(|items| items.into_iter().map(|item| scalar(item.get())).collect())
        .map(|items: Vec<_>| items.join(","));
    Cow::Owned(joined.unwrap_or_else(|| compact(json)))
}

fn scalar(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first()? {
        b'n' => Some(Cow::Borrowed("")),
        b'"' => match serde_json::from_str::<&str>(json) {
            Ok(text) => Some(Cow::Borrowed(text)),
            Err(_) => serde_json::from_str::<String>(json).ok().map(Cow::Owned),
        },
        b'[' | b'{' => None,
        _ => Some(Cow::Borrowed(json)),
    }
}

/// Drops white space outside of strings. Works on the text, because a parsed number could print
/// differently from what the user wrote.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(json: &str) -> String {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        env_value(raw).into_owned()
    }

    #[test]
    fn values_print_as_json_prints_them() {
        for (json, expected) in [
            ("64", "64"),
            ("0.001", "0.001"),
            ("1000000", "1000000"),
            ("1e-7", "1e-7"),
            ("9007199254740993", "9007199254740993"),
            ("true", "true"),
            ("null", ""),
            (r#""plain""#, "plain"),
            (r#""a \"quote\" and \u00e9\n""#, "a \"quote\" and é\n"),
            (r#"[1, "x", null, true]"#, "1,x,,true"),
            ("[]", ""),
            (r"[1, [2,  3]]", "[1,[2,3]]"),
            (
                r#"{ "k" : 1.50, "s": "a \" b\\" , "t": " " }"#,
                r#"{"k":1.50,"s":"a \" b\\","t":" "}"#,
            ),
        ] {
            assert_eq!(value_of(json), expected, "{json}");
        }
    }

    #[test]
    fn everything_is_one_object_in_the_users_order() {
        let text = r#"{ "z\"": [1, 2], "a": { "k": "x y" }, "n": 1.50 }"#;
        let custom: CustomHyperparameters<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(custom.to_json(), r#"{"z\"":[1,2],"a":{"k":"x y"},"n":1.50}"#);
        assert_eq!(CustomHyperparameters::default().to_json(), "{}");
    }

    #[test]
    fn keys_become_names_of_variables() {
        assert_eq!(env_name("my-key.v2"), "MY_KEY_V2");
        assert!(is_env_name("_A1"));
        for bad in ["", "1A", "A B", "Ä", "A=B", "A\n"] {
            assert!(!is_env_name(bad), "{bad:?}");
        }
    }
}
