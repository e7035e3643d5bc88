//! The host's rules for manifests, from the `[admission]` section of its settings file.

use std::path::Path;

use serde::Deserialize;
use training::admit::{PodSecurity, Policy};

use crate::Wrong;

/// A settings file of the host; everything but one section is somebody else's.
#[derive(Deserialize)]
struct Settings {
    admission: Option<Admission>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Admission {
    allowed_images: Option<Vec<String>>,
    allowed_kinds: Option<Vec<String>>,
    pod_security: Option<Level>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Restricted,
    Baseline,
}

/// Reads the rules; without a file they are the defaults.
pub(crate) fn read(path: Option<&Path>) -> Result<Policy, Wrong> {
    let Some(path) = path else { return Ok(Policy::default()) };
    let wrong = |why: String| Wrong(vec![format!("{}: {why}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(wrong)
}

fn parse(text: &str) -> Result<Policy, String> {
    let settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
    let Some(given) = settings.admission else {
        return Err("it has no section [admission]".to_owned());
    };
    let default = Policy::default();
    Ok(Policy {
        allowed_images: given.allowed_images.unwrap_or(default.allowed_images),
        allowed_kinds: given.allowed_kinds.unwrap_or(default.allowed_kinds),
        pod_security: match given.pod_security {
            Some(Level::Baseline) => PodSecurity::Baseline,
            Some(Level::Restricted) => PodSecurity::Restricted,
            None => default.pod_security,
        },
        ..default
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_file_of_a_host_is_read_and_slips_are_named() {
        let text = "[database]\nurl = \"x\"\n[admission]\npod_security = \"baseline\"\n\
                    allowed_images = [\"registry.example/\"]\n";
        let policy = parse(text).unwrap();
        assert_eq!(policy.pod_security, PodSecurity::Baseline);
        assert_eq!(policy.allowed_images, ["registry.example/"]);
        assert_eq!(policy.allowed_kinds, Policy::default().allowed_kinds);
        assert!(parse("[admission]\nalowed_images = []").unwrap_err().contains("alowed_images"));
        assert!(parse("[database]").unwrap_err().contains("[admission]"));
    }
}
