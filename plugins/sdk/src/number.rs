//! Whole numbers as JSON Schema understands them: `100.0` and `1e2` are integers, `0.5` is not.
//! Without this a form could pass its schema and still be refused by the plugin.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A number of things, or `auto`: as many as fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The plugin decides.
    Auto,
    /// At least 1.
    Fixed(u32),
}

impl Count {
    const MAX: u32 = 99_999;

    /// The number, or `auto` if it is left to the plugin.
    pub fn or(self, auto: u32) -> u32 {
        match self {
            Self::Auto => auto,
            Self::Fixed(count) => count,
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(count) => serializer.serialize_u32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AutoOrCount;

        impl Visitor<'_> for AutoOrCount {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`auto` or a whole number from 1 to {}", Count::MAX)
            }

            /// Clients of flat forms send numbers as texts.
            fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
                if text == "auto" {
                    return Ok(Count::Auto);
                }
                match text.parse::<u32>() {
                    Ok(count) if !text.starts_with(['+', '0']) => self.visit_u64(count.into()),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
                let count = u32::try_from(number).ok().filter(|n| (1..=Count::MAX).contains(n));
                let invalid = || E::invalid_value(Unexpected::Unsigned(number), &self);
                count.map(Count::Fixed).ok_or_else(invalid)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
                Whole.visit_f64(number).and_then(|n| self.visit_u64(n.into()))
            }
        }

        deserializer.deserialize_any(AutoOrCount)
    }
}

impl JsonSchema for Count {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^(auto|[1-9][0-9]{0,4})$",
            "minimum": 1,
            "maximum": Self::MAX,
        })
    }
}

/// For `#[serde(deserialize_with = "plugin_sdk::number::whole")]`.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_any(Whole)
}

/// The same for a member that may be null.
pub fn whole_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_option(WholeOrNull)
}

/// The same for a number that may be below zero.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    deserializer.deserialize_any(Integer)
}

struct Integer;

impl Visitor<'_> for Integer {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", i32::MIN, i32::MAX)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i32, E> {
        let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
        if number.fract() == 0.0 && range.contains(&number) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked to be whole and in range"
            )]
            return Ok(number as i32);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to {}", u32::MAX)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
        u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u32, E> {
        if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be whole and in range"
            )]
            return Ok(number as u32);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

struct WholeOrNull;

impl<'de> Visitor<'de> for WholeOrNull {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "null or a whole number from 0 to {}", u32::MAX)
    }

    fn visit_none<E: Error>(self) -> Result<Option<u32>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<u32>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u32>, D::Error> {
        whole(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<u32> {
        whole(&mut serde_json::Deserializer::from_str(json)).ok()
    }

    #[test]
    fn counts_are_numbers_or_texts_or_left_open() {
        let read = |json: &str| serde_json::from_str::<Count>(json).ok();
        for (json, expected) in [
            ("\"auto\"", Some(Count::Auto)),
            ("4", Some(Count::Fixed(4))),
            ("4.0", Some(Count::Fixed(4))),
            ("\"4\"", Some(Count::Fixed(4))),
            ("0", None),
            ("\"04\"", None),
            ("1.5", None),
            ("100000", None),
            ("null", None),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
        assert_eq!((Count::Auto.or(3), Count::Fixed(2).or(3)), (3, 2));
    }

    #[test]
    fn integers_below_zero_are_read_the_same_way() {
        let read = |json: &str| integer(&mut serde_json::Deserializer::from_str(json)).ok();
        for (json, expected) in [
            ("-1", Some(-1)),
            ("-1.0", Some(-1)),
            ("-0.0", Some(0)),
            ("7", Some(7)),
            ("2147483648", None),
            ("-2147483649", None),
            ("-0.5", None),
            ("null", None),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
    }

    #[test]
    fn integers_are_what_json_schema_calls_integers() {
        for (json, expected) in [
            ("0", Some(0)),
            ("100.0", Some(100)),
            ("1e2", Some(100)),
            ("-0.0", Some(0)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("0.5", None),
            ("-1", None),
            ("1e300", None),
            ("\"1\"", None),
            ("null", None),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
    }
}
