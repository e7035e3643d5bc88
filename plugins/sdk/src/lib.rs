//! Guest side of the converter contract: the trait a plugin implements, the macro that exports
//! it, and builders for the manifests it emits. A plugin sees this crate and serde, nothing else.
//!
//! ```
//! use plugin_sdk::{Converter, Description, Failure, Job, Plan, Report, RunState, Workload};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Hyperparameters {}
//! #[derive(Default, serde::Deserialize, schemars::JsonSchema)]
//! struct Settings {}
//! struct Nothing;
//!
//! impl Converter for Nothing {
//!     type Hyperparameters = Hyperparameters;
//!     type Settings = Settings;
//!
//!     fn describe() -> Description {
//!         Description {
//!             name: "nothing",
//!             version: "1.0.0",
//!             algorithms: &["nothing"],
//!             title: "Nothing",
//!             summary: "Does nothing.",
//!             kinds: vec![],
//!             examples: &[],
//!         }
//!     }
//!
//!     fn convert(_: &Job<'_, Hyperparameters, Settings>) -> Result<Plan, Failure> {
//!         Err(Failure::Unsupported("There is nothing to run.".into()))
//!     }
//!
//!     fn interpret(_: &Workload) -> Report {
//!         Report::new(RunState::Unknown, "Unknown", "Nothing is known.")
//!     }
//! }
//! # #[cfg(target_arch = "wasm32")]
//! plugin_sdk::export_converter!(Nothing);
//! ```

#[cfg(target_arch = "wasm32")]
mod allocator;
mod answer;
#[doc(hidden)]
pub mod bindings;
mod choice;
pub mod custom;
pub mod data;
mod findings;
pub mod format;
#[doc(hidden)]
pub mod guest;
mod interpreter;
mod job;
pub mod log;
pub mod manifest;
pub mod number;
pub mod runtime_env;
pub mod schema;
pub mod secrets;
pub mod status;
mod suspend;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod trainer;
mod workload;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use crate::bindings::trainyard::converter::types::{
    Failure, FailureClass, Finding, Kind, LogTarget, Manifest, Plan, Report, RunState,
};
pub use crate::custom::CustomHyperparameters;
pub use crate::findings::{Findings, segment};
pub use crate::interpreter::{Interpreter, Operation};
pub use crate::job::{Channel, ChannelType, Job, Provider, Resources};
pub use crate::suspend::SuspendField;
pub use crate::text::Text;
pub use crate::workload::{Condition, Workload};
#[doc(hidden)]
pub use {schemars, serde, wit_bindgen::rt};

// The generated bindings name this crate by its path from a plugin, and are compiled here too.
extern crate self as plugin_sdk;

/// What the plugin says about itself. The two schemas are derived from the associated types of
/// [`Converter`], so they cannot disagree with what the plugin reads.
#[derive(Debug)]
pub struct Description {
    /// Lower-case letters, digits and hyphens, at most 40.
    pub name: &'static str,
    /// Semantic version.
    pub version: &'static str,
    /// Canonical name first, then aliases.
    pub algorithms: &'static [&'static str],
    /// Short human name.
    pub title: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Every kind that `convert` may emit.
    pub kinds: Vec<Kind>,
    /// Complete forms as JSON, smallest first.
    pub examples: &'static [&'static str],
}

/// A converter: pure functions from a job to manifests and from a status to a report. The host
/// makes a fresh instance for every call, so nothing can be kept between calls.
pub trait Converter {
    /// `hyperparameters.<algorithm>`. Its JSON Schema is what users see; a member that is absent
    /// takes the same default there and here when the type has `#[serde(default)]`.
    type Hyperparameters: DeserializeOwned + JsonSchema;
    /// What operators may change. Every member needs a default.
    type Settings: DeserializeOwned + JsonSchema + Default;

    /// Called once when the file is loaded. Must not depend on anything.
    fn describe() -> Description;

    /// How Karmada reads those of the kinds that it does not know, or knows in part. An
    /// administrator sees each beside what the control plane has, and installs it or not. By
    /// default [`Interpreter::of`] all kinds.
    fn interpreters() -> Vec<Interpreter> {
        Interpreter::of(&Self::describe().kinds)
    }

    /// Where those of the kinds that can be held back have the field for it. By default the fields
    /// of all kinds that this crate has builders for; a kind that is not named cannot be held back.
    fn suspend_fields() -> Vec<SuspendField> {
        suspend::known(&Self::describe().kinds)
    }

    /// Called before [`Converter::convert`]: checks what a schema cannot say and returns every
    /// problem. An empty list promises that `convert` will succeed.
    fn validate(job: &Job<'_, Self::Hyperparameters, Self::Settings>) -> Vec<Finding> {
        let _ = job;
        Vec::new()
    }

    /// Turns a validated job into manifests, exactly one of them with role `workload`.
    fn convert(job: &Job<'_, Self::Hyperparameters, Self::Settings>) -> Result<Plan, Failure>;

    /// Reads the workload's status. Called for each change, and for objects that any version of
    /// the operator may have written: must not panic.
    fn interpret(workload: &Workload) -> Report;
}

/// Makes the type's [`Converter`] the exports of this component. Outside WebAssembly it does
/// nothing, so that several converters link into one native test or benchmark.
#[macro_export]
macro_rules! export_converter {
    ($converter:ident) => {
        #[cfg(target_arch = "wasm32")]
        mod component {
            struct Component;

            impl $crate::bindings::exports::trainyard::converter::converter::Guest for Component {
                fn describe() -> $crate::guest::Described {
                    $crate::guest::describe::<super::$converter>()
                }

                fn validate(job: String) -> Vec<$crate::Finding> {
                    $crate::guest::validate::<super::$converter>(&job)
                }

                fn convert(job: String) -> Result<$crate::Plan, $crate::Failure> {
                    $crate::guest::convert::<super::$converter>(&job)
                }

                fn interpret(object: String) -> $crate::Report {
                    $crate::guest::interpret::<super::$converter>(&object)
                }
            }

            $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        }
    };
}
