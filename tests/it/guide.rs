//! "Write a plugin in ten minutes", typed: every block of the guide that shows a prompt runs, in
//! order, in one shell, against a real host; and the output that the guide shows must come.

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
    // A clone, as far as the guide looks at it.
    let clone = tempfile::tempdir().unwrap();
    let bin = program("trainyard").parent().unwrap().to_owned();
    std::fs::create_dir(clone.path().join("target")).unwrap();
    std::os::unix::fs::symlink(&bin, clone.path().join("target/debug")).unwrap();
    std::os::unix::fs::symlink(&plugins, clone.path().join("target/plugins")).unwrap();
    assert!(program("trainyard-plugin").exists());

    let guide = std::fs::read_to_string(repo().join("docs/write-a-plugin.md")).unwrap();
    let blocks = blocks(&guide);
    assert!(blocks.len() >= 8, "{blocks:?}");
    let mut script = String::from("set -eu\nexec 2>&1\n");
    for (number, block) in blocks.iter().enumerate() {
        script.push_str(&format!("echo '@@ {number}'\n{}\n", block.commands.join("\n")));
    }
    let script = script.replace(HOST, &app.host.url);
    let target = bin.parent().unwrap().join("authoring-rust");
    let (output, status) = type_in(&script, clone.path(), &app.host.url, &target).await;
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
