//! `diff`: what a new version of a plugin means for those who use the old one, and whether its
//! version number says so.

mod level;
mod outputs;
mod schema;

use std::path::PathBuf;

use anyhow::Context;
use semver::Version;
use serde_json::{Value, json};
use training::ports::PluginInfo;

use self::level::{Change, Level};
use crate::candidate::{Candidate, Setup};
use crate::{Outcome, Wrong};

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component that is in use.
    old: PathBuf,
    /// The component that is to replace it.
    new: PathBuf,
    /// Prints the comparison as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> Outcome<()> {
    let mut loaded = Vec::new();
    for file in [&args.old, &args.new] {
        match Candidate::load(file, &Setup::plain(None)).await? {
            Ok(candidate) => loaded.push(candidate),
            Err(wrong) => return Ok(Err(wrong)),
        }
    }
    let (Some(new), Some(old)) = (loaded.pop(), loaded.pop()) else { return Ok(Ok(())) };
    let mut changes = descriptions(old.info(), new.info());
    let (outputs, consequences) = outputs::compare(&old, &new).await;
    changes.extend(consequences);
    if changes.is_empty() && old.info().digest != new.info().digest {
        changes.push(Change {
            level: Level::Patch,
            pointer: String::new(),
            reason: "The component is another one; nothing that can be seen from here changed."
                .to_owned(),
        });
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.level));
    let needed = changes.iter().map(|change| change.level).max().unwrap_or(Level::None);
    let version = |info: &PluginInfo| {
        Version::parse(&info.version).context("a version that was loaded is not one")
    };
    let (old_version, new_version) = (version(old.info())?, version(new.info())?);
    let declared = Level::declared(&old_version, &new_version);
    let sufficient = declared >= needed;
    if args.json {
        let identity = |info: &PluginInfo| json!({"name": info.name, "version": info.version, "digest": info.digest.to_string()});
        let changes: Vec<Value> = changes
            .iter()
            .map(|change| {
                json!({
                    "level": change.level.as_str(),
                    "pointer": change.pointer,
                    "reason": change.reason,
                })
            })
            .collect();
        let outputs: Vec<Value> = outputs.iter().map(outputs::OutputChange::to_json).collect();
        let whole = json!({
            "old": identity(old.info()),
            "new": identity(new.info()),
            "needed": needed.as_str(),
            "declared": declared.as_str(),
            "sufficient": sufficient,
            "changes": changes,
            "outputs": outputs,
        });
        data_line!("{whole:#}");
    } else {
        for change in &changes {
            data_line!("{:<6}{}: {}", change.level.as_str(), change.pointer, change.reason);
        }
        for output in outputs.iter().filter(|output| !output.diff.is_empty()) {
            data_line!(
                "\n{} of example {}\n{}",
                output.object,
                output.form,
                output.diff.trim_end()
            );
        }
        data_line!(
            "needed: {}; {} to {} declares: {}",
            needed.as_str(),
            old_version,
            new_version,
            declared.as_str()
        );
    }
    if sufficient {
        return Ok(Ok(()));
    }
    Ok(Err(Wrong(vec![
        format!(
            "the change is {}, but the step from {old_version} to {new_version} declares {}",
            needed.as_str(),
            declared.as_str()
        ),
        format!(
            "hint: give the new version the number {} or a higher one",
            needed.next(&old_version)
        ),
    ])))
}

/// Everything that two descriptions say differently.
fn descriptions(old: &PluginInfo, new: &PluginInfo) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |level, pointer: &str, reason: String| {
        changes.push(Change { level, pointer: pointer.to_owned(), reason });
    };
    if old.name != new.name {
        let reason = format!("The plugin `{}` is now named `{}`.", old.name, new.name);
        add(Level::Major, "/name", reason);
    }
    if old.algorithm() != new.algorithm() {
        let reason = format!(
            "The canonical algorithm `{}` is now `{}`; stored jobs carry the old name.",
            old.algorithm(),
            new.algorithm()
        );
        add(Level::Major, "/algorithms/0", reason);
    }
    for name in old.algorithms.iter().filter(|name| !new.algorithms.contains(name)) {
        add(Level::Major, "/algorithms", format!("The algorithm `{name}` is no longer served."));
    }
    for name in new.algorithms.iter().filter(|name| !old.algorithms.contains(name)) {
        add(Level::Minor, "/algorithms", format!("The algorithm `{name}` is served, too."));
    }
    if (&old.title, &old.summary) != (&new.title, &new.summary) {
        add(Level::Patch, "/summary", "Title or summary read differently.".to_owned());
    }
    if old.examples != new.examples {
        add(Level::Patch, "/examples", "The examples are others.".to_owned());
    }
    for kind in &old.kinds {
        let name = format!("{} {}", kind.api_version, kind.kind);
        let same = |other: &&training::ports::PluginKind| {
            other.api_version == kind.api_version && other.kind == kind.kind
        };
        let Some(other) = new.kinds.iter().find(same) else {
            let reason = format!("{name} is no longer declared; jobs that have one lose it.");
            add(Level::Major, "/kinds", reason);
            continue;
        };
        if (&kind.plural, kind.workload) != (&other.plural, other.workload) {
            add(Level::Major, "/kinds", format!("{name} is declared as something else."));
        }
        let (was, is) = (kind.max_name_length, other.max_name_length);
        if is < was {
            let reason = format!("A {name} takes names of {is} characters instead of {was}.");
            add(Level::Major, "/kinds", reason);
        } else if is > was {
            add(Level::Minor, "/kinds", format!("A {name} takes names of {is} characters."));
        }
    }
    for kind in &new.kinds {
        let known = old
            .kinds
            .iter()
            .any(|other| other.api_version == kind.api_version && other.kind == kind.kind);
        if !known {
            let reason = format!(
                "{} {} is declared, too; hosts must allow it.",
                kind.api_version, kind.kind
            );
            add(Level::Minor, "/kinds", reason);
        }
    }
    // The runtime has parsed them before.
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    changes.extend(schema::compare(
        &parse(&old.schema),
        &parse(&new.schema),
        "/hyperparameters-schema",
        Level::Major,
    ));
    // An operator's settings win over defaults, and a newer image is why there are new versions.
    changes.extend(schema::compare(
        &parse(&old.settings_schema),
        &parse(&new.settings_schema),
        "/settings-schema",
        Level::Minor,
    ));
    changes
}
