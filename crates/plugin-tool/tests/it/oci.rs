//! Plugins in a folder, and in a real registry where one is installed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guests::Guest;
use crate::tool::{Run, run};

struct Place {
    dir: TempDir,
    file: String,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let file = Guest::good().write(dir.path(), "toy.wasm").to_str().unwrap().to_owned();
    Place { dir, file }
}

impl Place {
    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn layout(&self, tag: &str) -> String {
        format!("oci-layout:{}:{tag}", self.path("layout"))
    }

    /// Signs the plugin and returns the public key's file.
    fn sign(&self) -> String {
        let key = self.path("k.key");
        run(&["keygen", "--no-password", "--out", &key]).ends(0);
        run(&["sign", &self.file, "--key", &key]).ends(0);
        self.path("k.pub")
    }

    fn blob(&self, digest: &str) -> std::path::PathBuf {
        let name = digest.trim_start_matches("sha256:");
        self.dir.path().join("layout/blobs/sha256").join(name)
    }
}

fn pull(reference: &str, out: &str) -> Run {
    run(&["pull", reference, "--out", out, "--json"])
}

/// Pushes, pulls by tag and by digest, and verifies the signature that came along.
fn there_and_back(place: &Place, reference: &str) -> Value {
    let key = place.sign();
    let pushed = run(&["push", &place.file, reference, "--json"]).ends(0).json();
    assert_eq!(pushed["signed"], true);
    let out = place.path("pulled.wasm");
    let pulled = pull(reference, &out).ends(0).json();
    assert_eq!(pulled["digest"], pushed["digest"]);
    assert_eq!(fs::read(&out).unwrap(), fs::read(&place.file).unwrap());
    run(&["verify", &out, "--key", &key]).ends(0);

    let pinned = pushed["reference"].as_str().unwrap();
    fs::remove_file(&out).unwrap();
    run(&["pull", pinned, "--out", &out, "--require-digest"]).ends(0);
    let tagged = run(&["pull", reference, "--out", &out, "--require-digest"]).ends(1);
    assert!(tagged.stderr.contains("names a tag and no digest"), "{}", tagged.stderr);
    pushed
}

#[test]
fn plugin_goes_to_a_folder_and_back_with_its_signature() {
    let place = place();
    let pushed = there_and_back(&place, &place.layout("1.0.0"));
    let digest = pushed["digest"].as_str().unwrap();
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let manifest = read(&place.blob(digest));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1, "readers of others want one");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.0.0");
    let config = read(&place.blob(manifest["config"]["digest"].as_str().unwrap()));
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"][0], manifest["layers"][0]["digest"]);
    assert_eq!(read(&place.dir.path().join("layout/oci-layout"))["imageLayoutVersion"], "1.0.0");
    // The same plugin makes the same artifact, and a tag points to one.
    let again = run(&["push", &place.file, &place.layout("1.0.0"), "--json"]).ends(0).json();
    assert_eq!(again["digest"], pushed["digest"]);
    run(&["push", &place.file, &place.layout("latest")]).ends(0);
    let index = read(&place.dir.path().join("layout/index.json"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2, "{index:#}");
}

#[test]
fn changed_bytes_are_refused_wherever_they_stand() {
    let place = place();
    let reference = place.layout("1.0.0");
    let pushed = run(&["push", &place.file, &reference, "--json"]).ends(0).json();
    let out = place.path("pulled.wasm");
    let manifest_path = place.blob(pushed["digest"].as_str().unwrap());
    let manifest: Value = serde_json::from_slice(&fs::read(&manifest_path).unwrap()).unwrap();
    let layer = place.blob(manifest["layers"][0]["digest"].as_str().unwrap());

    let good = fs::read(&layer).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    fs::write(&layer, &bad).unwrap();
    let refused = pull(&reference, &out).ends(1);
    assert!(refused.stderr.contains("not what the manifest names"), "{}", refused.stderr);
    fs::write(&layer, [good.as_slice(), b"x"].concat()).unwrap();
    let refused = pull(&reference, &out).ends(1);
    assert!(refused.stderr.contains("is longer than"), "{}", refused.stderr);
    fs::write(&layer, &good).unwrap();

    fs::write(&manifest_path, manifest.to_string().replace("\"Toy\"", "\"Two\"")).unwrap();
    let refused = pull(&reference, &out).ends(1);
    assert!(refused.stderr.contains("the manifest has the digest"), "{}", refused.stderr);
    assert!(!Path::new(&out).exists(), "nothing that was refused is written");
}

#[test]
fn unsigned_plugin_and_wrong_references_are_told() {
    let place = place();
    let pushed = run(&["push", &place.file, &place.layout("1.0.0")]).ends(0);
    assert!(pushed.stderr.contains("note: it carries no signature"), "{}", pushed.stderr);
    for bad in ["toy:1", "oci-layout:", "oci://localhost"] {
        let refused = run(&["push", &place.file, bad]).ends(1);
        assert!(refused.stderr.contains("hint: write it like"), "{}", refused.stderr);
    }
    let missing = pull(&place.layout("2.0.0"), &place.path("x.wasm")).ends(1);
    assert!(missing.stderr.contains("has no tag `2.0.0`"), "{}", missing.stderr);
}

/// Debian's `docker-registry`, on a port of its own, without a network.
struct Registry {
    child: Child,
    host: String,
    _dir: TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None` where it is not installed. `users` are the lines of an htpasswd file.
fn registry(users: Option<&str>) -> Option<Registry> {
    let program = ["/usr/bin/docker-registry", "/usr/local/bin/docker-registry"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let Some(program) = program else {
        eprintln!("SKIPPED: docker-registry is not installed (apt-get install docker-registry)");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut config = json!({
        "version": 0.1,
        "log": {"level": "info", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": data}},
        "http": {"addr": "127.0.0.1:0"},
    });
    if let Some(users) = users {
        let path = dir.path().join("htpasswd");
        fs::write(&path, users).unwrap();
        config["auth"] = json!({"htpasswd": {"realm": "test", "path": path}});
    }
    let path = dir.path().join("config.yml");
    fs::write(&path, config.to_string()).unwrap();
    let mut child = Command::new(program)
        .args(["serve", path.to_str().unwrap()])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It says on which port it listens.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let host = lines.find_map(|line| {
        let line = line.unwrap();
        let at = line.find("listening on ")? + "listening on ".len();
        Some(line[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect())
    });
    // Reads on, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    let host: String = host.unwrap_or_else(|| panic!("the registry ended at once"));
    Some(Registry { child, host, _dir: dir })
}

#[test]
fn plugin_goes_to_a_registry_and_back_with_its_signature() {
    let Some(registry) = registry(None) else { return };
    let place = place();
    let reference = format!("oci://{}/plugins/toy:1.0.0", registry.host);
    let pushed = there_and_back(&place, &reference);
    // The folder and the registry hold the same artifact.
    let layout = run(&["push", &place.file, &place.layout("1.0.0"), "--json"]).ends(0).json();
    assert_eq!(layout["digest"], pushed["digest"]);
    let missing = format!("oci://{}/plugins/toy:2.0.0", registry.host);
    let missing = pull(&missing, &place.path("x.wasm")).ends(1);
    assert!(missing.stderr.contains("has no artifact `2.0.0`"), "{}", missing.stderr);
}

#[test]
fn registry_that_wants_a_password_gets_the_one_of_docker() {
    // The password is `secret`.
    let users = "ada:$2y$05$SbO99QkPhHrhdNrstDN7/eOBnfgDPt2xw2MXUVzcDtgAwFzrQm1V2\n";
    let Some(registry) = registry(Some(users)) else { return };
    let place = place();
    let reference = format!("oci://{}/toy:1", registry.host);
    let with_login = |auth: &str| {
        let dir = place.path("docker");
        fs::create_dir_all(&dir).unwrap();
        let config = json!({"auths": {registry.host.clone(): {"auth": auth}}});
        fs::write(format!("{dir}/config.json"), config.to_string()).unwrap();
        let mut command = crate::tool::command(&["push", &place.file, &reference]);
        command.env("DOCKER_CONFIG", dir);
        crate::tool::finish(command)
    };
    let refused = with_login("YWRhOmZhbHNjaA==").ends(2);
    assert!(refused.stderr.contains("it answered 401"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("falsch"), "{}", refused.stderr);
    with_login("YWRhOnNlY3JldA==").ends(0);
}
