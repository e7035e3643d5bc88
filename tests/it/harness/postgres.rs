//! A PostgreSQL server of one test's own, which the test may restart. It is made with the programs
//! of the server that all tests share.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use sqlx::{Connection as _, Executor as _};

use super::Database;

/// A running server; stopped and removed when dropped.
pub(crate) struct PostgresServer {
    bin: PathBuf,
    dir: tempfile::TempDir,
    port: u16,
    /// The server refuses to run as root; then it runs as this user and group.
    user: Option<(u32, u32)>,
}

impl PostgresServer {
    /// Makes and starts a server, or says loudly that there are no programs for it.
    pub(crate) async fn start() -> Option<Self> {
        let bin = Self::programs().await?;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let user = (number(&["-u"]) == 0)
            .then(|| (number(&["-u", "postgres"]), number(&["-g", "postgres"])));
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(dir.path(), Some(user), Some(group)).expect("a new owner");
        }
        let server = Self { bin, dir, port: super::process::free_port(), user };
        let mut init = server.program("initdb");
        init.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
        run(init.args(["--no-sync", "--pgdata"]).arg(server.data()));
        server.launch();
        Some(server)
    }

    /// The server of the run knows where its programs are; on another machine they are not.
    async fn programs() -> Option<PathBuf> {
        let Ok(shared) = std::env::var("TRAINYARD_TEST_POSTGRES_URL") else {
            assert!(std::env::var_os("CI").is_none(), "TRAINYARD_TEST_POSTGRES_URL is not set");
            eprintln!("SKIPPED: no PostgreSQL; run `cargo xtask test`, which starts one");
            return None;
        };
        let mut connection = sqlx::PgConnection::connect(&shared).await.expect("the test server");
        let bin: String = sqlx::query_scalar("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            .fetch_one(&mut connection)
            .await
            .expect("a superuser's view");
        let bin = PathBuf::from(bin);
        if bin.join("initdb").is_file() {
            return Some(bin);
        }
        eprintln!("SKIPPED: the programs of the server of the tests are on another machine");
        None
    }

    /// Its database, for a host.
    pub(crate) fn database(&self) -> Database {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        Database::Postgres { admin: url.clone(), url, name: "postgres".to_owned() }
    }

    /// Starts the server again after [`PostgresServer::crash`].
    pub(crate) fn launch(&self) {
        // Every answered commit is in the system's hands: the server dies here, the machine does
        // not.
        let options = format!("-p {} -h 127.0.0.1 -k '' -c fsync=off", self.port);
        let mut start = self.program("pg_ctl");
        start.args(["start", "--wait", "--silent", "--options", &options, "--pgdata"]);
        run(start.arg(self.data()).arg("--log").arg(self.dir.path().join("log")));
    }

    /// Ends the server in the middle of whatever it does; the next start recovers.
    pub(crate) fn crash(&self) {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--wait", "--silent", "--pgdata"]);
        run(stop.arg(self.data()));
    }

    /// Cuts every connection of our hosts, whatever they are doing.
    pub(crate) async fn cut_connections(&self) {
        let Database::Postgres { url, .. } = self.database() else { return };
        let mut connection = sqlx::PgConnection::connect(&url).await.expect("the test's server");
        connection
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'trainyard'",
            )
            .await
            .expect("a superuser may");
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        // The server's user may not enter the directory of the test.
        command.current_dir(self.dir.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.crash();
        }
    }
}

fn number(args: &[&str]) -> u32 {
    let output = Command::new("id").args(args).output().expect("`id` runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("the number of a user")
}

fn run(command: &mut Command) {
    // The server inherits what `pg_ctl` has, so nothing of it may be a pipe that is waited for.
    let status = command.stdout(std::process::Stdio::null()).status().expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
}
