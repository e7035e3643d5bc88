//! A macro for closed sets of words.

/// Declares an enum of words. Reading, writing, the JSON Schema and [`str`] all come from the one
/// list, and the schema is a plain `enum`, which every form can draw.
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`.")] $(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every word, in the order of the form.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as users write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
            where
                S: $crate::serde::Serializer,
            {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
            where
                D: $crate::serde::Deserializer<'de>,
            {
                struct Word;

                impl $crate::serde::de::Visitor<'_> for Word {
                    type Value = $name;

                    fn expecting(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        f.write_str(concat!("one of", $(" `", $word, "`",)+))
                    }

                    fn visit_str<E>(self, word: &str) -> Result<$name, E>
                    where
                        E: $crate::serde::de::Error,
                    {
                        match word {
                            $($word => Ok($name::$variant),)+
                            _ => Err(E::invalid_value($crate::serde::de::Unexpected::Str(word), &self)),
                        }
                    }
                }

                deserializer.deserialize_str(Word)
            }
        }

        impl $crate::schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed(stringify!($name))
            }

            fn json_schema(_: &mut $crate::schemars::SchemaGenerator) -> $crate::schemars::Schema {
                $crate::schemars::json_schema!({ "type": "string", "enum": Self::WORDS })
            }
        }
    };
}
