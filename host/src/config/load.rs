//! Puts the layers together.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Config;
use crate::args::Overrides;

/// `TRAINYARD__HTTP__LISTEN` sets `http.listen`.
const PREFIX: &str = "TRAINYARD__";

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the settings file `{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the settings file `{path}` is not TOML: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// What the reader says.
        message: String,
    },
    /// A setting is unknown or cannot be used.
    #[error("setting `{name}`: {message}")]
    Unusable {
        /// Its dotted name, or as much of it as is known.
        name: String,
        /// What would be right.
        message: String,
    },
}

impl ConfigError {
    pub(super) fn unusable(name: &str, message: impl Into<String>) -> Self {
        Self::Unusable { name: name.to_owned(), message: message.into() }
    }
}

/// Reads file, environment and flags, and checks the result.
///
/// `env` is the environment; a parameter, so that tests need not change the process.
///
/// # Errors
/// See [`ConfigError`].
pub fn load(
    overrides: &Overrides,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut tree = match &overrides.config {
        Some(path) => read_file(path)?,
        None => json!({}),
    };
    for (name, value) in env {
        if let Some(path) = name.strip_prefix(PREFIX) {
            let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            set(&mut tree, &path, scalar(&value));
        }
    }
    apply(&mut tree, overrides)?;
    let config: Config = serde_json::from_value(tree)
        .map_err(|error| ConfigError::unusable("", error.to_string()))?;
    config.validate()?;
    Ok(config)
}

fn read_file(path: &Path) -> Result<Value, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
    toml::from_str(&text)
        .map_err(|error| ConfigError::Malformed { path: shown, message: error.to_string() })
}

/// A number, a boolean or a list if it looks like one, else the text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
            value
        }
        _ => Value::from(text),
    }
}

/// Sets a value deep in a tree, making the objects on the way.
fn set(tree: &mut Value, path: &[&str], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = tree;
    for parent in parents {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else { return };
        at = members.entry(*parent).or_insert_with(|| json!({}));
    }
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Value::Object(members) = at {
        members.insert((*last).to_owned(), value);
    }
}

fn apply(tree: &mut Value, overrides: &Overrides) -> Result<(), ConfigError> {
    let path = |path: &Path| Value::from(path.display().to_string());
    let mut put = |name: &[&str], value: Option<Value>| {
        if let Some(value) = value {
            set(tree, name, value);
        }
    };
    let every_interface = |port: u16| Value::from(format!("0.0.0.0:{port}"));
    put(&["http", "listen"], overrides.port.map(every_interface));
    put(&["http", "listen"], overrides.listen.map(|listen| Value::from(listen.to_string())));
    put(&["database", "url"], overrides.database_url.clone().map(Value::from));
    put(&["karmada", "kubeconfig"], overrides.karmada_kubeconfig.as_deref().map(path));
    put(&["karmada", "context"], overrides.karmada_context.clone().map(Value::from));
    put(&["plugins", "dir"], overrides.plugins_dir.as_deref().map(path));
    put(&["plugins", "cache_dir"], overrides.cache_dir.as_deref().map(path));
    if let Some(text) = &overrides.job_monitor_interval {
        put(&["reconcile", "interval_ms"], Some(Value::from(interval_ms(text)?)));
    }
    if let Some(format) = overrides.log_format {
        put(&["log", "format"], serde_json::to_value(format).ok());
    }
    Ok(())
}

/// Reads `1s`, `500ms`, `2m`, or a plain number of seconds.
fn interval_ms(text: &str) -> Result<u64, ConfigError> {
    let wrong = || ConfigError::unusable("JOB_MONITOR_INTERVAL", "must be like `1s` or `500ms`");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(overrides: &Overrides, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        load(overrides, env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn flag_wins_over_environment_and_that_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "[http]\nmax_in_flight = 7\nmax_body_bytes = 9\n[plugins.settings.x]\nimage = \"a\"\n",
        )
        .unwrap();
        let overrides = Overrides {
            config: Some(file.path().to_owned()),
            listen: Some("127.0.0.1:1".parse().unwrap()),
            ..Overrides::default()
        };
        let env = [("TRAINYARD__HTTP__MAX_IN_FLIGHT", "8"), ("TRAINYARD__HTTP__LISTEN", "[::1]:2")];
        let config = run(&overrides, &env).unwrap();
        assert_eq!(config.http.max_in_flight, 8);
        assert_eq!(config.http.max_body_bytes, 9);
        assert_eq!(config.http.listen, "127.0.0.1:1".parse().unwrap());
        assert_eq!(config.plugins.settings["x"]["image"], "a");
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = run(&Overrides::default(), &[("TRAINYARD__HTTP__LISTNE", "x")]).unwrap_err();
        assert!(error.to_string().contains("listne"), "{error}");
    }

    #[test]
    fn old_environment_names_work() {
        let overrides = Overrides {
            port: Some(9),
            job_monitor_interval: Some("500ms".to_owned()),
            database_url: Some("postgresql://u:p@h/d?password=q".to_owned()),
            ..Overrides::default()
        };
        let config = run(&overrides, &[]).unwrap();
        assert_eq!(config.http.listen, "0.0.0.0:9".parse().unwrap());
        assert_eq!(config.reconcile.interval_ms, 500);
        let shown = format!("{:?}", config.database);
        assert!(shown.contains("postgresql://h/d") && !shown.contains('p') | !shown.contains("u:p"));
        assert!(!serde_json::to_string(&config).unwrap().contains("u:p"));
    }

    #[test]
    fn unusable_values_name_their_setting() {
        for (name, value, word) in [
            ("TRAINYARD__DATABASE__URL", "mysql://x", "database.url"),
            ("TRAINYARD__RECONCILE__INTERVAL_MS", "0", "reconcile.interval_ms"),
        ] {
            let error = run(&Overrides::default(), &[(name, value)]).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        let overrides =
            Overrides { job_monitor_interval: Some("soon".to_owned()), ..Overrides::default() };
        assert!(run(&overrides, &[]).is_err());
    }
}
