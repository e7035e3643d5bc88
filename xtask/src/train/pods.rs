//! Runs pods as processes of this machine. Names of pods become loopback addresses with ports of
//! their own; paths of the image and of volumes become folders.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::bundle::Pod;
use crate::cmd;

const LOOPBACK: &str = "127.0.0.1";

/// Folder of claims and other volumes.
pub(super) const VOLUMES: &str = "volumes";

/// Where images keep their programs.
const IMAGE_FOLDERS: [&str; 2] = ["/app/", "/home/ray/"];

/// Processes that never meet would wait for one another for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// Lines of the log that an error shows.
const SHOWN_LINES: usize = 40;

/// Where the pods run.
pub(super) struct Machine<'a> {
    /// Holds `image`, the volumes and the logs.
    pub(super) root: &'a Path,
    /// The folder of the programs that the image installs.
    pub(super) path: PathBuf,
    /// Variables that hold the port on which a pod itself listens.
    pub(super) own_port: &'a [String],
}

impl Machine<'_> {
    /// Where paths in a pod are on this machine.
    fn places(&self, index: usize, pod: &Pod) -> BTreeMap<String, PathBuf> {
        let image = |path: &str| (path.to_owned(), self.root.join("image").join(&path[1..]));
        let mut places = BTreeMap::from(IMAGE_FOLDERS.map(image));
        for (number, mount) in pod.mounts.iter().enumerate() {
            let name = match &mount.claim {
                Some(claim) => claim.clone(),
                None => format!("pod-{index}-{number}"),
            };
            places.insert(mount.path.clone(), self.root.join(VOLUMES).join(name));
        }
        places
    }

    /// The folder behind a path in the first pod.
    pub(super) fn folder(&self, pods: &[Pod], path: &str) -> Result<PathBuf> {
        let pod = pods.first().context("there is no pod")?;
        Ok(local_paths(path, &self.places(0, pod)).into())
    }
}

/// A port that nothing listens on.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((LOOPBACK, 0))?.local_addr()?.port())
}

/// Starts all pods and waits until all have ended well.
pub(super) fn run(machine: &Machine<'_>, pods: &[Pod]) -> Result<()> {
    let ports = ports(pods)?;
    let mut processes = Vec::new();
    for (index, pod) in pods.iter().enumerate() {
        let log = machine.root.join(format!("pod-{index}.log"));
        match start(machine, pods, &ports, index, pod, &log) {
            Ok(child) => processes.push((child, log)),
            Err(error) => {
                stop(&mut processes);
                return Err(error);
            }
        }
    }
    let outcome = wait(&mut processes);
    stop(&mut processes);
    outcome
}

/// The port of each pod: the first keeps the one it declares, which others may name without its
/// host; the rest get free ones.
fn ports(pods: &[Pod]) -> Result<Vec<u16>> {
    let declared = pods.first().and_then(|pod| pod.ports.first());
    let Some(&declared) = declared else { return Ok(Vec::new()) };
    let others = pods.iter().skip(1).map(|_| free_port());
    std::iter::once(Ok(declared)).chain(others).collect()
}

fn start(
    machine: &Machine<'_>,
    pods: &[Pod],
    ports: &[u16],
    index: usize,
    pod: &Pod,
    log: &Path,
) -> Result<Child> {
    let root = machine.root;
    let places = machine.places(index, pod);
    for folder in places.values() {
        fs::create_dir_all(folder)?;
    }
    let rewrite = |text: &str| local_paths(&local_hosts(text, pods, ports), &places);
    let (program, args) = pod.command.split_first().context("the pod has no command")?;
    let home = root.join(format!("home-{index}"));
    fs::create_dir_all(&home)?;
    let output = fs::File::create(log)?;
    let mut command = Command::new(program);
    command
        .args(args.iter().map(|arg| rewrite(arg)))
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", machine.path.display()))
        .env("HOME", &home)
        // What is not in the pods must not come from this machine either.
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for (name, value) in &pod.env {
        command.env(name, rewrite(value));
    }
    if let Some(port) = ports.get(index) {
        command.envs(machine.own_port.iter().map(|name| (name, port.to_string())));
    }
    cmd::spawn(&mut command)
}

/// Names of pods, with their ports where they have one.
fn local_hosts(text: &str, pods: &[Pod], ports: &[u16]) -> String {
    let mut text = text.to_owned();
    let declared = ports.first().map(u16::to_string).unwrap_or_default();
    // From the last on: `a-1` would be found in `a-10`.
    for (index, pod) in pods.iter().enumerate().rev() {
        let Some(host) = &pod.host else { continue };
        if let Some(port) = ports.get(index) {
            text = text.replace(&format!("{host}:{declared}"), &format!("{LOOPBACK}:{port}"));
        }
        text = text.replace(host.as_str(), LOOPBACK);
    }
    text
}

/// Paths in the pods. Longer ones first: a volume may lie in a folder of the image.
fn local_paths(text: &str, places: &BTreeMap<String, PathBuf>) -> String {
    for (from, to) in places.iter().rev() {
        let exact = from.trim_end_matches('/');
        let to = to.display().to_string();
        if text == exact {
            return to;
        }
        let address = format!("file://{exact}/");
        if text.contains(&address) {
            return text.replace(&address, &format!("file://{to}/"));
        }
        if text.contains("://") {
            continue;
        }
        let start = format!("{exact}/");
        if text.starts_with(&start) || text.contains(&format!(" {start}")) {
            return text.replace(&start, &format!("{to}/"));
        }
    }
    text.to_owned()
}

fn wait(processes: &mut [(Child, PathBuf)]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        cmd::fail_if_interrupted()?;
        let mut running = false;
        for (index, (child, log)) in processes.iter_mut().enumerate() {
            match child.try_wait()? {
                None => running = true,
                Some(status) if status.success() => {}
                Some(status) => bail!("pod {index} failed: {status}\n{}", tail(log)),
            }
        }
        if !running {
            return Ok(());
        }
        if Instant::now() > deadline {
            let logs: Vec<String> = processes.iter().map(|(_, log)| tail(log)).collect();
            bail!("not over after {} s:\n{}", PATIENCE.as_secs(), logs.join("\n---\n"));
        }
        sleep(cmd::POLL);
    }
}

fn stop(processes: &mut [(Child, PathBuf)]) {
    for (child, _) in processes {
        cmd::stop(child).ok();
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(index: usize) -> Pod {
        let host = Some(format!("j-{index}.j-pods"));
        Pod { host, command: Vec::new(), env: Vec::new(), mounts: Vec::new(), ports: vec![7] }
    }

    #[test]
    fn pods_find_one_another_on_this_machine() {
        let pods: Vec<Pod> = (0..11).map(pod).collect();
        let ports: Vec<u16> = [7].into_iter().chain(101..111).collect();
        for (text, local) in [
            ("j-0.j-pods:7,j-1.j-pods:7", "127.0.0.1:7,127.0.0.1:101"),
            ("j-10.j-pods:7", "127.0.0.1:110"),
            ("j-0.j-pods", "127.0.0.1"),
            ("7", "7"),
        ] {
            assert_eq!(local_hosts(text, &pods, &ports), local);
        }
    }

    #[test]
    fn paths_of_pods_become_folders() {
        let places = [("/app/", "/t/image"), ("/home/ray/", "/t/ray"), ("/home/ray/out", "/t/v")];
        let places = places.map(|(from, to)| (from.to_owned(), PathBuf::from(to))).into();
        for (text, local) in [
            ("python /app/a.py", "python /t/image/a.py"),
            ("/home/ray/out", "/t/v"),
            ("/home/ray/out/b", "/t/v/b"),
            ("python /home/ray/a.py", "python /t/ray/a.py"),
            ("s3://bucket/app/a", "s3://bucket/app/a"),
            ("[\"file:///home/ray/out/a\"]", "[\"file:///t/v/a\"]"),
            ("/apple", "/apple"),
        ] {
            assert_eq!(local_paths(text, &places), local, "{text}");
        }
    }

    #[test]
    fn a_pod_that_fails_is_shown_with_its_log_and_ends_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let with = |line: &str| {
            let command = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
            Pod { command, ports: Vec::new(), ..pod(0) }
        };
        let machine = Machine { root: dir.path(), path: PathBuf::from("/bin"), own_port: &[] };
        let error = run(&machine, &[with("sleep 600"), with("echo why; exit 3")]).unwrap_err();
        assert!(error.to_string().ends_with("why"), "{error}");
        run(&machine, &[with("true")]).unwrap();
    }
}
