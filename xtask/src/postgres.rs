//! A throw-away PostgreSQL server: made in a temporary folder, stopped and removed when dropped.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::cmd;

/// What a crash of the machine may cost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The data: nothing waits for the disk. For tests.
    Fast,
    /// Nothing: the server's own settings. For measurements.
    Durable,
}

/// Another user of this machine, as numbers.
#[derive(Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

impl User {
    fn find(name: &str) -> Result<Self> {
        let number = |what| -> Result<u32> {
            let text = cmd::output(Command::new("id").args([what, name])).with_context(|| {
                format!("PostgreSQL does not run as root, and there is no user `{name}` to run it")
            })?;
            Ok(text.trim().parse()?)
        };
        Ok(Self { id: number("-u")?, group: number("-g")? })
    }
}

/// A running server.
pub(crate) struct Postgres {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    /// The server refuses to run as root; then it runs as this user.
    user: Option<User>,
}

impl Postgres {
    /// Finds or installs the binaries, makes a cluster, and starts it on a free loopback port.
    pub(crate) fn start(durability: Durability) -> Result<Self> {
        let bin = find_or_install()?;
        let dir = tempfile::Builder::new()
            .prefix("trainyard-pg-")
            .tempdir()
            .context("cannot create a folder for PostgreSQL")?;
        let user = if is_root()? { Some(User::find("postgres")?) } else { None };
        if let Some(user) = user {
            std::os::unix::fs::chown(dir.path(), Some(user.id), Some(user.group))?;
        }
        let mut server = Self { bin, dir, port: 0, user };
        server.init()?;
        server.launch(durability)?;
        eprintln!("PostgreSQL listens on 127.0.0.1:{}", server.port);
        Ok(server)
    }

    /// For `sqlx` and `psql`; the user is a superuser without password, on loopback only.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn init(&self) -> Result<()> {
        let data = self.data();
        cmd::output(self.tool("initdb").args(["--auth=trust", "--username=postgres"]).args([
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--pgdata",
            path(&data)?,
        ]))
        .map(drop)
    }

    fn launch(&mut self, durability: Durability) -> Result<()> {
        // Another process may take the port between our look and the server's start.
        let mut last = None;
        for _ in 0..3 {
            cmd::fail_if_interrupted()?;
            self.port = free_port()?;
            match self.try_launch(durability) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        let tail = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(last.context("no attempt")?.context(format!("PostgreSQL does not start:\n{tail}")))
    }

    fn try_launch(&self, durability: Durability) -> Result<()> {
        let (data, log) = (self.data(), self.log());
        let options = server_options(self.port, self.dir.path(), durability);
        cmd::output(
            self.tool("pg_ctl").args(["start", "--wait", "--silent", "--timeout=60"]).args([
                "--pgdata",
                path(&data)?,
                "--log",
                path(&log)?,
                "--options",
                &options,
            ]),
        )
        .map(drop)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        if let Some(user) = self.user {
            command.uid(user.id).gid(user.group);
        }
        // The server's user may not enter the folder we were called in.
        command.current_dir(self.dir.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if !self.data().join("postmaster.pid").exists() {
            return;
        }
        let data = self.data();
        // Nobody needs the data any more, so the server need not write it.
        let mut stop = self.tool("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--wait", "--silent", "--pgdata"]).arg(data);
        if let Err(error) = cmd::output(&mut stop) {
            eprintln!("warning: PostgreSQL on port {} was not stopped: {error:#}", self.port);
        }
    }
}

fn server_options(port: u16, dir: &Path, durability: Durability) -> String {
    // A socket's path may have 107 bytes; the server adds `/.s.PGSQL.<port>.lock`.
    let sockets = Some(dir).filter(|dir| dir.as_os_str().len() < 80).and_then(Path::to_str);
    let mut options = vec![
        format!("-p {port} -h 127.0.0.1 -k '{}'", sockets.unwrap_or_default()),
        // Every test owns a database and a pool of connections.
        "-c max_connections=400".to_owned(),
        "-c timezone=UTC".to_owned(),
    ];
    if durability == Durability::Fast {
        for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off"] {
            options.push(format!("-c {setting}"));
        }
    }
    options.join(" ")
}

/// A library for tests of hosts whose clocks are wrong. Without it these are skipped.
pub(crate) fn install_faketime() {
    let there = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .iter()
        .any(|place| Path::new(&format!("/usr/lib/{place}/faketime")).is_dir());
    if there || !is_root().unwrap_or(false) || cmd::find_program("apt-get").is_none() {
        return;
    }
    eprintln!("No libfaketime found: installing it.");
    let apt = |args: &[&str]| {
        cmd::run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(args))
    };
    let install = ["install", "-y", "-q", "--no-install-recommends", "faketime"];
    if let Err(error) = apt(&["update", "-q"]).and_then(|()| apt(&install)) {
        eprintln!("It cannot be installed, and tests that need it are skipped: {error:#}");
    }
}

fn find_or_install() -> Result<PathBuf> {
    if let Some(bin) = find() {
        return Ok(bin);
    }
    let remedy = "install PostgreSQL (Debian: apt-get install postgresql), or name a server in \
                  TRAINYARD_TEST_POSTGRES_URL";
    if !is_root()? || cmd::find_program("apt-get").is_none() {
        bail!("no PostgreSQL found; {remedy}");
    }
    eprintln!("No PostgreSQL found: installing it, this takes a minute.");
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    cmd::run(apt().args(["update", "-q"])).context(remedy)?;
    cmd::run(apt().args(["install", "-y", "-q", "--no-install-recommends", "postgresql"]))
        .context(remedy)?;
    find().with_context(|| format!("still no PostgreSQL; {remedy}"))
}

/// The folder with the server's binaries: Debian keeps them out of `PATH`.
fn find() -> Option<PathBuf> {
    let on_path = cmd::find_program("initdb").and_then(|file| file.canonicalize().ok());
    if let Some(bin) = on_path.as_deref().and_then(Path::parent).filter(|bin| is_complete(bin)) {
        return Some(bin.to_owned());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| is_complete(bin))
        .max_by_key(|bin| version(bin))
}

fn is_complete(bin: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].into_iter().all(|name| bin.join(name).is_file())
}

/// 15 for `…/15/bin`; as a number, because "9" sorts after "15" as text.
fn version(bin: &Path) -> u32 {
    let name = bin.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    name.and_then(|name| name.split('.').next()?.parse().ok()).unwrap_or(0)
}

fn is_root() -> Result<bool> {
    Ok(cmd::output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// A loopback port nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_and_leaves_nothing_behind() {
        let Some(bin) = find() else {
            eprintln!("SKIPPED: no PostgreSQL on this machine");
            return;
        };
        let server = Postgres::start(Durability::Fast).unwrap();
        let mut psql = Command::new(bin.join("psql"));
        psql.args([&server.url(), "--no-psqlrc", "--tuples-only", "--command", "SHOW fsync"]);
        assert_eq!(cmd::output(&mut psql).unwrap().trim(), "off");

        let (dir, port) = (server.dir.path().to_owned(), server.port);
        drop(server);
        assert!(!dir.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn only_a_server_for_tests_is_careless() {
        let dir = Path::new("/tmp/x");
        assert!(server_options(1, dir, Durability::Fast).contains("fsync=off"));
        assert!(!server_options(1, dir, Durability::Durable).contains("off"));
    }

    #[test]
    fn a_long_folder_gets_no_socket() {
        let dir = PathBuf::from(format!("/tmp/{}", "x".repeat(90)));
        assert!(server_options(1, &dir, Durability::Fast).contains("-k ''"));
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(version(Path::new("/p/15/bin")) > version(Path::new("/p/9.6/bin")));
    }
}
