//! What confines a runner, as the runner found it: which walls the system gave it, and what it could
//! still do behind them when it tried.

use serde::{Deserialize, Serialize};

/// The walls around one runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Walls {
    /// Namespaces of its own: no network, no other processes' objects.
    pub namespaces: bool,
    /// A root directory with nothing in it but compiled code.
    pub root: bool,
    /// Landlock: no file can be opened but to read compiled code.
    pub landlock: bool,
    /// A list of the system calls that are possible.
    pub seccomp: bool,
    /// It tried in vain to open files that everybody can read.
    pub no_files: bool,
    /// It tried in vain to open a socket.
    pub no_network: bool,
    /// It tried in vain to start a program.
    pub no_programs: bool,
}

impl Walls {
    /// Whether an intruder finds every way shut, whatever it is that shuts it.
    pub fn hold(&self) -> bool {
        self.no_files && self.no_network && self.no_programs
    }

    /// Says which walls stand, and loudly which do not.
    pub(crate) fn report(self) {
        let names = |walls: &[(&'static str, bool)], stands: bool| -> String {
            let named = walls.iter().filter(|wall| wall.1 == stands).map(|wall| wall.0);
            named.collect::<Vec<_>>().join(", ")
        };
        let walls = [
            ("namespaces", self.namespaces),
            ("a root directory of their own", self.root),
            ("Landlock", self.landlock),
            ("seccomp", self.seccomp),
        ];
        let ways = [
            ("open files", self.no_files),
            ("open sockets", self.no_network),
            ("start programs", self.no_programs),
        ];
        let (there, missing) = (names(&walls, true), names(&walls, false));
        tracing::info!("Plugin runners are confined by {there}");
        if !missing.is_empty() {
            tracing::warn!("This system does not give plugin runners {missing}");
        }
        if !self.hold() {
            tracing::error!(
                "Plugin runners can {}: a plugin that breaks out of its sandbox could, too",
                names(&ways, false)
            );
        }
    }
}
