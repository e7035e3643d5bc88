//! Ray's `runtimeEnvYAML`, written by a YAML library. Every value, and every name a user chose,
//! must come back as the string it was under YAML 1.1 and 1.2 alike: KubeRay reads it with a Go
//! library, Ray with a Python one, and they disagree about `on`, `1e5`, `0o7` and `1_000`.

use std::cell::RefCell;

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_saphyr::SerializerOptions;

use crate::Failure;
use crate::answer::internal;
use crate::format::{push_g10, push_integer};

/// The sample form needs 1.3 KiB.
const YAML_BYTES: usize = 2 * 1024;

/// Where variables are written to. Numbers are printed into one buffer that is used again.
pub struct Variables<'a> {
    sink: &'a mut dyn FnMut(&str, &str) -> bool,
    number: String,
}

impl Variables<'_> {
    /// One variable with a text.
    pub fn text(&mut self, name: &str, value: &str) {
        (self.sink)(name, value);
    }

    /// One variable with a whole number.
    pub fn integer(&mut self, name: &str, value: impl Into<i64>) {
        self.number.clear();
        push_integer(&mut self.number, value.into());
        (self.sink)(name, &self.number);
    }

    /// One variable with ten significant digits.
    pub fn float(&mut self, name: &str, value: f64) {
        self.number.clear();
        push_g10(&mut self.number, value);
        (self.sink)(name, &self.number);
    }
}

/// Calls `list` with a place for variables and returns the YAML document that holds them in the
/// order they came.
pub fn to_yaml(list: impl Fn(&mut Variables<'_>)) -> Result<String, Failure> {
    document_to_yaml(&Document { env_vars: Map(list) })
}

/// The same for a whole document, such as one with packages.
pub fn document_to_yaml(document: &impl Serialize) -> Result<String, Failure> {
    let mut options = SerializerOptions::default();
    // Quoted values leave no reader a choice of type.
    options.quote_all = true;
    let mut yaml = String::with_capacity(YAML_BYTES);
    serde_saphyr::to_fmt_writer_with_options(&mut yaml, document, options)
        .map_err(|e| internal(&format!("cannot write the runtime environment: {e}")))?;
    Ok(yaml)
}

/// The variables as pairs. For tests and for checks of names.
pub fn to_pairs(list: impl Fn(&mut Variables<'_>)) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    list(&mut Variables {
        sink: &mut |name, value| {
            pairs.push((name.to_owned(), value.to_owned()));
            true
        },
        number: String::new(),
    });
    pairs
}

#[derive(Serialize)]
struct Document<M> {
    env_vars: M,
}

struct Map<F>(F);

impl<F: Fn(&mut Variables<'_>)> Serialize for Map<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let failed = RefCell::new(None);
        (self.0)(&mut Variables {
            sink: &mut |name, value| {
                let written = map.serialize_entry(name, value);
                let ok = written.is_ok();
                if let Err(error) = written {
                    failed.borrow_mut().get_or_insert(error);
                }
                ok
            },
            number: String::with_capacity(32),
        });
        match failed.into_inner() {
            Some(error) => Err(S::Error::custom(error)),
            None => map.end(),
        }
    }
}
