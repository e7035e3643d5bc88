//! Puts the four sources together.

use std::path::PathBuf;

use toml::{Table, Value};

use super::{Config, Flags};

/// How the environment names any key: `TRAINYARD__HTTP__MAX_REQUESTS`.
const PREFIX: &str = "TRAINYARD__";

/// The environment of the process, or of a test.
pub type Environment = Vec<(String, String)>;

/// A configuration, and what its author should know.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Whole sentences.
    pub warnings: Vec<String>,
}

/// Why there is no configuration. Each message says where the mistake is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: {}", path.display(), message)]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why, without the text of the file, which may hold a secret.
        message: String,
    },
    /// A value has the wrong type or cannot be parsed.
    #[error("{0}")]
    Value(String),
    /// Values that cannot work.
    #[error("the configuration cannot work: {}", .0.join("; "))]
    Wrong(Vec<String>),
}

/// Reads the file, lays environment and flags over it, and checks the result.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let mut table = match &flags.config {
        None => Table::new(),
        Some(path) => read(path)?,
    };
    let variable = |name: &str| {
        let found = environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    for (name, key) in [
        ("DATABASE_URL", ["database", "url"]),
        ("KARMADA_KUBECONFIG", ["karmada", "kubeconfig"]),
        ("RUST_LOG", ["log", "filter"]),
    ] {
        if let Some(value) = variable(name) {
            set(&mut table, &key, Value::String(value.to_owned()));
        }
    }
    if let Some(text) = variable("JOB_MONITOR_INTERVAL") {
        let seconds = seconds(text).ok_or_else(|| {
            ConfigError::Value(format!(
                "JOB_MONITOR_INTERVAL: `{text}` is not a duration like `10s`"
            ))
        })?;
        set(&mut table, &["reconcile", "interval_seconds"], Value::Integer(seconds));
    }
    if variable("MGMT_KUBECONFIG").is_some() || flags.mgmt_kubeconfig.is_some() {
        warnings.push("The management kubeconfig is ignored: nothing needs it.".to_owned());
    }
    overlay(&mut table, environment)?;
    let port = match (flags.port, variable("PORT")) {
        (Some(port), _) => Some(port),
        (None, Some(text)) => Some(
            text.parse()
                .map_err(|_| ConfigError::Value(format!("PORT: `{text}` is not a port number")))?,
        ),
        (None, None) => None,
    };
    overlay_flags(&mut table, flags);

    let mut config: Config =
        serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            ConfigError::Value(format!("{path}: {}", inner.message()))
        })?;
    if let Some(port) = port.filter(|_| flags.listen.is_none()) {
        config.listen.set_port(port);
    }
    let wrong = config.check();
    if wrong.is_empty() { Ok(Loaded { config, warnings }) } else { Err(ConfigError::Wrong(wrong)) }
}

fn read(path: &PathBuf) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Unreadable { path: path.clone(), cause })?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.lines().count().max(1));
        let message = format!("line {line}: {}", error.message());
        ConfigError::Syntax { path: path.clone(), message }
    })
}

/// Lays every `TRAINYARD__…` variable over the table. The default configuration tells which type a
/// key has; a key that it does not know is left to the final reading, which refuses it.
fn overlay(table: &mut Table, environment: &Environment) -> Result<(), ConfigError> {
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    for (name, text) in environment {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let key = key.to_ascii_lowercase();
        let path: Vec<&str> = key.split("__").collect();
        let known = path
            .iter()
            .skip(1)
            .fold(path.first().and_then(|first| defaults.get(*first)), |value, part| {
                value.and_then(|value| value.get(*part))
            });
        let wrong = |what: &str| ConfigError::Value(format!("{name}: it must be {what}"));
        let value = match known {
            Some(Value::Integer(_)) => {
                Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?)
            }
            Some(Value::Boolean(_)) => {
                Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?)
            }
            Some(Value::Array(_)) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
            }
            _ => Value::String(text.clone()),
        };
        set(table, &path, value);
    }
    Ok(())
}

fn overlay_flags(table: &mut Table, flags: &Flags) {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    for (value, key) in [
        (flags.listen.map(|listen| listen.to_string()), &["listen"] as &[&str]),
        (flags.database_url.clone(), &["database", "url"]),
        (path(&flags.karmada_kubeconfig), &["karmada", "kubeconfig"]),
        (flags.karmada_context.clone(), &["karmada", "context"]),
        (path(&flags.plugins_dir), &["plugins", "dir"]),
        (path(&flags.cache_dir), &["plugins", "cache_dir"]),
    ] {
        if let Some(value) = value {
            set(table, key, Value::String(value));
        }
    }
}

/// Sets a value at a path. Something else than a table on the way is replaced: it would be refused
/// anyway.
fn set(table: &mut Table, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert((*first).to_owned(), value);
        return;
    }
    let below = table.entry(*first).or_insert_with(|| Value::Table(Table::new()));
    if !below.is_table() {
        *below = Value::Table(Table::new());
    }
    if let Value::Table(below) = below {
        set(below, rest, value);
    }
}

/// `10`, `10s`, `2m`, `1h`; less than a second counts as one.
fn seconds(text: &str) -> Option<i64> {
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    let text = text.trim();
    if let Some(millis) = text.strip_suffix("ms") {
        return number(millis).map(|millis| (millis / 1000).max(1));
    }
    for (unit, factor) in [("s", 1), ("m", 60), ("h", 3600)] {
        if let Some(count) = text.strip_suffix(unit) {
            return number(count).map(|count| count * factor);
        }
    }
    number(text)
}
