//! `cargo xtask dev`: builds everything, then runs the host against a sandbox control plane.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::postgres::free_port;
use crate::setup::Repo;
use crate::{cmd, setup};

/// Where kubectl users expect an API server.
const KARMADA_PORT: u16 = 6443;

/// A start takes less than a second; a loaded machine that compiles plugins may need much more.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Each look is a line in the host's log.
const READY_POLL: Duration = Duration::from_millis(200);

#[derive(Args)]
pub(crate) struct DevArgs {
    /// Port of the HTTP API
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
    /// Keep the jobs of earlier runs. The sandbox forgets its objects at the end of a run, so jobs
    /// that had not ended are lost
    #[arg(long)]
    keep: bool,
    /// Stop as soon as the host is ready, to check the set-up
    #[arg(long)]
    exit_after_ready: bool,
}

pub(crate) fn run(repo: &Repo, args: &DevArgs) -> Result<()> {
    refuse_taken_port(args.port)?;
    setup::c_compiler()?;
    setup::wasm_targets(repo)?;
    setup::build_plugins(repo, &repo.plugins_dir())?;
    let mut build = cmd::cargo(&repo.root);
    build.args(["build", "--locked", "-p", "host", "-p", "karmada-sandbox", "-p", "cli"]);
    cmd::run(build.args(["-p", "plugin-tool", "--bins"]))?;

    let dir = repo.target.join("dev");
    if !args.keep && dir.exists() {
        std::fs::remove_dir_all(&dir)
            .with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Stack::start(repo, &dir, args.port)?.follow(repo, args.exit_after_ready)
}

/// The two processes; dropped in the order in which they must stop.
struct Stack {
    host: Process,
    sandbox: Process,
    api: SocketAddr,
    kubeconfig: PathBuf,
}

impl Stack {
    fn start(repo: &Repo, dir: &Path, port: u16) -> Result<Self> {
        let karmada = karmada_port()?;
        let kubeconfig = dir.join("karmada.kubeconfig");
        // The file of an earlier run must not look like this run's.
        std::fs::remove_file(&kubeconfig).ok();
        let mut command = Command::new(repo.bin_dir().join("karmada-sandbox"));
        command.arg("--listen").arg(format!("127.0.0.1:{karmada}"));
        command.arg("--kubeconfig-out").arg(&kubeconfig);
        let mut sandbox = Process::start("sandbox", &mut command)?;
        sandbox.wait_until(|| kubeconfig.exists() && TcpStream::connect(local(karmada)).is_ok())?;

        give_credentials(local(karmada))?;

        let api = local(port);
        let mut command = Command::new(repo.bin_dir().join("trainyard-host"));
        command.arg("serve").arg("--listen").arg(api.to_string());
        command.arg("--database-url");
        command.arg(format!("sqlite://{}", dir.join("trainyard.db").display()));
        command.arg("--karmada-kubeconfig").arg(&kubeconfig);
        command.arg("--plugins-dir").arg(repo.plugins_dir());
        command.arg("--cache-dir").arg(repo.target.join("plugin-cache"));
        // The developer's shell may hold settings for another host.
        command.env_remove("DATABASE_URL").env_remove("KARMADA_KUBECONFIG").env_remove("PORT");
        let mut host = Process::start("host", &mut command)?;
        host.wait_until(|| is_ready(api))?;
        Ok(Self { host, sandbox, api, kubeconfig })
    }

    fn follow(mut self, repo: &Repo, exit: bool) -> Result<()> {
        self.print_next_steps(repo);
        if exit {
            return Ok(());
        }
        while !cmd::interrupted() {
            self.host.fail_if_ended()?;
            self.sandbox.fail_if_ended()?;
            sleep(cmd::POLL);
        }
        eprintln!("\nStopping; once more to stop at once.");
        Ok(())
    }

    fn print_next_steps(&self, repo: &Repo) {
        let api = format!("http://{}", self.api);
        let cli = repo.bin_dir().join("trainyard");
        eprintln!(
            "\nTrainyard is ready: {api}\n\
             \n  submit a job   curl -i -H 'Content-Type: application/json' --data @tests/data/params.json {api}/api/v1/jobs\
             \n  see jobs       curl {api}/api/v1/jobs\
             \n  command line   {} --server {api} list\
             \n  control plane  kubectl --kubeconfig {} get rayjobs --all-namespaces\
             \n  add a plugin   drop a .wasm file into {}\
             \n\nThe logs follow. Ctrl-C stops both processes.\n",
            cli.display(),
            self.kubeconfig.display(),
            repo.plugins_dir().display(),
        );
    }
}

/// A child whose output is shown line by line, and which is stopped when dropped.
struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a group of its own, Ctrl-C does not reach it, and we stop the host before its cluster.
        let mut child = cmd::spawn(command.process_group(0))?;
        show_lines(name, child.stdout.take());
        show_lines(name, child.stderr.take());
        Ok(Self { name, child })
    }

    fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !ready() {
            cmd::fail_if_interrupted()?;
            self.fail_if_ended()?;
            if Instant::now() > deadline {
                bail!("{} is not ready after {} s", self.name, START_TIMEOUT.as_secs());
            }
            sleep(READY_POLL);
        }
        // Something else may have answered in its place.
        self.fail_if_ended()
    }

    fn fail_if_ended(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended: {status}; its last lines above say why", self.name);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = cmd::stop(&mut self.child) {
            eprintln!(
                "warning: {} (process {}) was not stopped: {error}",
                self.name,
                self.child.id()
            );
        }
    }
}

fn show_lines(name: &'static str, stream: Option<impl Read + Send + 'static>) {
    let Some(stream) = stream else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(std::result::Result::ok) {
            eprintln!("{name:>8} | {}", String::from_utf8_lossy(&line).trim_end());
        }
    });
}

/// Puts the Secret with the storage credentials, which pods refer to by name and wait for, into
/// each member. In production whoever owns the namespaces does that.
fn give_credentials(sandbox: SocketAddr) -> Result<()> {
    let secret = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "trainyard-s3", "namespace": "default"},
        "stringData": {"access-key": "sandbox", "secret-key": "sandbox"},
    });
    for member in ["member1", "member2"] {
        let path = format!(
            "/apis/cluster.karmada.io/v1alpha1/clusters/{member}/proxy/api/v1/namespaces/default/secrets"
        );
        let body = secret.to_string();
        let mut stream = TcpStream::connect(sandbox)?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: sandbox\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 201") {
            let line = answer.lines().next().unwrap_or("nothing");
            bail!("the sandbox did not take the credentials for {member}: {line}");
        }
    }
    Ok(())
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn refuse_taken_port(port: u16) -> Result<()> {
    TcpListener::bind(local(port)).map(drop).with_context(|| {
        format!("port {port} is in use; stop what listens there, or choose one: cargo xtask dev --port 8081")
    })
}

/// The well-known port, or any other: kubectl users read the kubeconfig anyway.
fn karmada_port() -> Result<u16> {
    match TcpListener::bind(local(KARMADA_PORT)) {
        Ok(_) => Ok(KARMADA_PORT),
        Err(_) => free_port(),
    }
}

/// Whether `GET /readyz` answers 200.
fn is_ready(api: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(api)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.split(' ').nth(1) == Some("200"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one request with this status line.
    fn server(status: &'static str) -> SocketAddr {
        let listener = TcpListener::bind(local(0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        address
    }

    #[test]
    fn only_200_is_ready() {
        assert!(is_ready(server("200 OK")));
        assert!(!is_ready(server("503 Service Unavailable")));
        assert!(!is_ready(local(1)));
    }

    #[test]
    fn a_taken_port_names_the_way_out() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = refuse_taken_port(port).unwrap_err().to_string();
        assert!(error.contains("--port"), "{error}");
    }

    #[test]
    fn a_process_that_ends_is_an_error_not_a_wait() {
        let mut process = Process::start("x", Command::new("sh").args(["-c", "exit 4"])).unwrap();
        let error = process.wait_until(|| false).unwrap_err().to_string();
        assert!(error.starts_with("x ended: exit status: 4"), "{error}");
    }
}
