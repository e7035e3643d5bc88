//! What a component must look like from outside. A plugin that could read a clock or a file would
//! be a hole in the sandbox; the host would find it late, the build finds it now.

use wit_component::DecodedWasm;

use crate::BuildError;

/// What a plugin may import. `types` holds no functions.
const ALLOWED_IMPORTS: [&str; 2] = ["trainyard:converter/log@1.", "trainyard:converter/types@1."];
/// What it must export; hosts of the same major version find it by this name.
const EXPORT: &str = "trainyard:converter/converter@1.";

/// Hosts refuse larger files. An interpreter of Python takes 18 MiB of it.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;

/// The names of what a component imports and exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// At most `log` and `types`.
    pub imports: Vec<String>,
    /// `converter` among them.
    pub exports: Vec<String>,
}

/// Checks size, imports and exports.
pub fn check(component: &[u8]) -> Result<Contract, BuildError> {
    let breach = |why: String| Err(BuildError::Contract(why));
    if component.len() > MAX_COMPONENT_BYTES {
        return breach(format!(
            "it has {} bytes; hosts take at most {MAX_COMPONENT_BYTES}",
            component.len()
        ));
    }
    let (resolve, world) = match wit_component::decode(component) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => {
            return breach("it is a WIT package, not a component".to_owned());
        }
        Err(error) => return breach(format!("it is not a component: {error:#}")),
    };
    let Some(world) = resolve.worlds.get(world) else {
        return breach("it has no world".to_owned());
    };
    let imports: Vec<String> =
        world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    let exports: Vec<String> =
        world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    let forbidden: Vec<&str> = imports
        .iter()
        .map(String::as_str)
        .filter(|name| !ALLOWED_IMPORTS.iter().any(|allowed| name.starts_with(allowed)))
        .collect();
    if !forbidden.is_empty() {
        return breach(format!(
            "it imports {}, and the sandbox offers nothing but `log`: no clock, no random, no \
             files, no network",
            forbidden.join(", ")
        ));
    }
    if !exports.iter().any(|name| name.starts_with(EXPORT)) {
        return breach(format!("it does not export `{EXPORT}0.0`"));
    }
    Ok(Contract { imports, exports })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_no_component() {
        let error = check(b"(component)").unwrap_err().to_string();
        assert!(error.contains("not a component"), "{error}");
        let error = check(&vec![0; MAX_COMPONENT_BYTES + 1]).unwrap_err().to_string();
        assert!(error.contains(&format!("at most {MAX_COMPONENT_BYTES}")), "{error}");
    }

    #[test]
    fn a_component_without_the_export_is_refused() {
        // The preamble of an empty component.
        let error = check(b"\0asm\x0d\0\x01\0").unwrap_err().to_string();
        assert!(error.contains("does not export"), "{error}");
    }
}
