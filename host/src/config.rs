//! The settings: flag over environment over file over default. A key that nobody knows is an
//! error, so that a typo cannot pass silently.

mod load;
mod sections;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use load::{ConfigError, load};
pub use sections::{Admission, Database, Http, Karmada, Log, Plugins, Reconcile, Secret};

/// Everything that can be set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How the API is served.
    pub http: Http,
    /// Where jobs are kept.
    pub database: Database,
    /// Where jobs run.
    pub karmada: Karmada,
    /// What converts them.
    pub plugins: Plugins,
    /// What manifests may hold.
    pub admission: Admission,
    /// How the clusters are followed.
    pub reconcile: Reconcile,
    /// How the log is written.
    pub log: Log,
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The first setting that cannot be used, by name.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.http.validate()?;
        self.database.validate()?;
        self.karmada.validate()?;
        self.plugins.validate()?;
        self.reconcile.validate()
    }
}

/// Where a path of the settings is looked for when it is not absolute: the working directory.
fn default_path(name: &str) -> PathBuf {
    PathBuf::from(name)
}
