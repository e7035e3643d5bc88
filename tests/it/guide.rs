//! "Write a plugin in ten minutes", typed: every block of the guide that shows a prompt runs, in
//! order, in one shell, in a clone of this repository, against a real host; and the output that the
//! guide shows must come.

use std::path::Path;
use std::process::Command;

use crate::harness::{Setup, plugins_dir, program, repo};

/// What the guide calls the host.
const HOST: &str = "http://127.0.0.1:8080";

/// One block: what is typed, and what the guide shows of the answer.
#[derive(Debug, Default)]
struct Block {
    commands: Vec<String>,
    shown: Vec<String>,
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in guide.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
            if inside {
                blocks.push(Block::default());
            }
        } else if let (true, Some(block)) = (inside, blocks.last_mut()) {
            match line.strip_prefix("$ ") {
                Some(command) => block.commands.push(command.to_owned()),
                None => block.shown.push(line.to_owned()),
            }
        }
    }
    blocks
}

/// Whether the lines come in this order; `…` stands for any text, alone for any lines.
fn shows(output: &str, shown: &[String]) -> Result<(), String> {
    let mut lines = output.lines();
    for pattern in shown.iter().filter(|line| *line != "…") {
        let fits = |line: &str| {
            let mut rest = line;
            pattern.split('…').all(|part| match rest.find(part) {
                Some(at) => {
                    rest = &rest[at + part.len()..];
                    true
                }
                None => false,
            })
        };
        if !lines.any(fits) {
            return Err(pattern.clone());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_newcomer_follows_the_guide_to_a_job_that_ran() {
    let setup = Setup::sqlite().own_plugins();
    let plugins = setup.plugins_dir();
    for entry in std::fs::read_dir(plugins_dir()).unwrap() {
        let built = entry.unwrap().path();
        std::fs::copy(&built, plugins.join(built.file_name().unwrap())).unwrap();
    }
    let app = setup.start().await;
    let home = tempfile::tempdir().unwrap();
    let clone = home.path().join("trainyard");
    clone_into(&clone, home.path());
    // What `cargo xtask dev` leaves in it.
    let bin = program("trainyard").parent().unwrap().to_owned();
    std::fs::create_dir(clone.join("target")).unwrap();
    std::os::unix::fs::symlink(&bin, clone.join("target/debug")).unwrap();
    std::os::unix::fs::symlink(&plugins, clone.join("target/plugins")).unwrap();
    assert!(program("trainyard-plugin").exists());

    let guide = std::fs::read_to_string(clone.join("docs/write-a-plugin.md")).unwrap();
    for link in links(&guide) {
        assert!(clone.join("docs").join(link).exists(), "the guide leads to `{link}`");
    }
    let blocks = blocks(&guide);
    assert!(blocks.len() >= 8, "{blocks:?}");
    let mut script = String::from("set -eu\nexec 2>&1\n");
    for (number, block) in blocks.iter().enumerate() {
        script.push_str(&format!("echo '@@ {number}'\n{}\n", block.commands.join("\n")));
    }
    let script = script.replace(HOST, &app.host.url);
    let target = bin.parent().unwrap().join("authoring-rust");
    let (output, status) = type_in(&script, &clone, &app.host.url, &target).await;
    assert!(status, "the guide fails:\n{output}\n--- host ---\n{}", app.host.log());
    let mut answers = output.split("@@ ").skip(1);
    for (number, block) in blocks.iter().enumerate() {
        let answer = answers.next().unwrap_or_default();
        if let Err(line) = shows(answer, &block.shown) {
            panic!("block {number} never shows `{line}`:\n{answer}");
        }
    }
    let jobs = app.get("/api/v1/jobs").await.body;
    let job = &jobs.as_array().expect("a list")[0];
    assert_eq!((&job["jobName"], &job["phase"]), (&"gradient-minimal".into(), &"Succeeded".into()));
}

/// Runs `git`; a checkout may belong to somebody else.
fn git(dir: &Path, home: &Path, args: &[&str]) -> Vec<u8> {
    let settings = home.join("gitconfig");
    std::fs::write(&settings, "[safe]\n\tdirectory = *\n").unwrap();
    let mut command = Command::new("git");
    command.current_dir(dir).args(args).env("GIT_CONFIG_GLOBAL", settings);
    // Those of a hook that runs the tests would name another repository.
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        command.env_remove(name);
    }
    let output = command.output().expect("git is installed");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Clones this repository, and brings the clone up to what is not committed yet: the guide under
/// test is the one that is being written.
fn clone_into(clone: &Path, home: &Path) {
    let source = repo().canonicalize().unwrap();
    let (from, to) = (source.display().to_string(), clone.display().to_string());
    git(home, home, &["clone", "--quiet", &from, &to]);
    let listed = ["ls-files", "-z", "--modified", "--others", "--exclude-standard"];
    let changed = String::from_utf8(git(&source, home, &listed)).expect("names in UTF-8");
    for name in changed.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (source.join(name), clone.join(name));
        if from.is_file() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        } else if to.is_file() {
            std::fs::remove_file(to).unwrap();
        }
    }
    let tracked = String::from_utf8(git(clone, home, &["ls-files", "-z"])).unwrap();
    assert!(tracked.split('\0').any(|name| name == "wit/converter.wit"), "a whole clone");
}

/// The files of this repository that a page links to.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.map(|target| target.split('#').next().unwrap_or_default());
    files.filter(|file| !file.is_empty() && !file.contains("://")).collect()
}

async fn type_in(script: &str, clone: &Path, url: &str, target: &Path) -> (String, bool) {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(script)
        .current_dir(clone)
        .env("TRAINYARD_SERVER", url)
        // Compiling the dependencies of a plugin anew in each run would take minutes.
        .env("CARGO_TARGET_DIR", target);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_") && !["CARGO_HOME", "CARGO_TARGET_DIR"].contains(&&*name) {
            shell.env_remove(name);
        }
    }
    let output = tokio::task::spawn_blocking(move || shell.output().expect("a shell"));
    let output = output.await.expect("it ends");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}
