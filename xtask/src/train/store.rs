//! The object store that trainings read from and write to, and a plain web server with the same
//! tables: `xtask/train/store.py` as a process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};

use super::python::Environment;
use crate::cmd;

/// A running server, stopped when dropped.
pub(super) struct Store<'a> {
    pub(super) endpoint: String,
    /// Address of the web server.
    pub(super) web: String,
    environment: &'a Environment,
    script: PathBuf,
    process: Child,
}

impl<'a> Store<'a> {
    pub(super) fn start(environment: &'a Environment, script: &Path) -> Result<Self> {
        let mut command = environment.python();
        command.arg(script).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        // It logs each request.
        command.stderr(Stdio::null());
        let mut process = cmd::spawn(&mut command)?;
        let mut addresses = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut addresses)?;
        }
        let (endpoint, web) = addresses.trim().split_once(' ').unwrap_or_default();
        let store = Self {
            endpoint: endpoint.to_owned(),
            web: web.to_owned(),
            environment,
            script: script.to_owned(),
            process,
        };
        ensure!(
            store.endpoint.starts_with("http://"),
            "the object store did not start; to see why: python {} serve",
            script.display()
        );
        Ok(store)
    }

    /// Copies everything below a prefix into a folder; a prefix that is an object, to that path.
    pub(super) fn fetch(&self, bucket: &str, prefix: &str, to: &Path) -> Result<()> {
        let mut command = self.environment.python();
        command.arg(&self.script).args(["fetch", &self.endpoint, bucket, prefix]).arg(to);
        cmd::output(&mut command).context("cannot read from the object store")?;
        Ok(())
    }
}

impl Drop for Store<'_> {
    fn drop(&mut self) {
        cmd::stop(&mut self.process).ok();
    }
}
