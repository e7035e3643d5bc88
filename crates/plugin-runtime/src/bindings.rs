//! The contract's types as wasmtime sees them: the only `bindgen!` of the host. Nothing outside
//! this crate sees them; [`crate::answer`] turns them into the domain's types.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "plugin",
        exports: { default: async },
        // Answers travel from a runner to the host.
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

pub(crate) use generated::exports::trainyard::converter::converter::{
    Description, Failure, Finding, Plan, Report,
};
pub(crate) use generated::trainyard::converter::log::{Host as LogHost, Level, add_to_linker};
pub(crate) use generated::trainyard::converter::types;

/// The interface that a plugin exports. A guest of any later 1.x exports it under its own number
/// and is found all the same.
pub(crate) const CONVERTER: &str = "trainyard:converter/converter@1.0.0";
/// The prefix of the interface that a plugin may import.
pub(crate) const LOG_PREFIX: &str = "trainyard:converter/log@1.";
/// The prefix of the interface that holds types only.
pub(crate) const TYPES_PREFIX: &str = "trainyard:converter/types@1.";
