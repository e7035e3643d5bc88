//! `trainyard plugins`: which versions there are, and which of them serve.

use api_types::{
    CanaryRequest, InterpreterList, InterpreterView, PinRequest, PluginDetail, PluginEventPage,
    PluginList, RouteView,
};
use reqwest::Method;
use serde_json::Value;

use super::{typed, written};
use crate::args::{Output, PluginCommand, Plugins, Version};
use crate::client::{Client, Failure, segment};
use crate::printer;

const PLUGINS: &str = "/api/v1/plugins";

/// Digits of a sha256 that tell versions apart for people.
const SHORT: usize = 12;

pub(super) async fn run(client: &Client, output: Output, plugins: &Plugins) -> Result<(), Failure> {
    let actor = plugins.actor.as_deref();
    let decide = async |method: Method, path: String, body: Option<String>| {
        let answer = client.decide(method, &path, body, actor).await?;
        show_route(output, &answer)
    };
    match &plugins.command {
        PluginCommand::List => list(client, output).await,
        PluginCommand::Show { name } => show(client, output, name).await,
        PluginCommand::Pin(Version { name, version }) => {
            let (version, sha256) = named(version);
            let body = written(&PinRequest { version, sha256 })?;
            decide(Method::PUT, format!("{}/pin", path(name)), Some(body)).await
        }
        PluginCommand::Unpin { name } => {
            decide(Method::DELETE, format!("{}/pin", path(name)), None).await
        }
        PluginCommand::Canary { name, stop: true, .. } => {
            decide(Method::DELETE, format!("{}/canary", path(name)), None).await
        }
        PluginCommand::Canary { name, version, percent, namespaces, stop: false } => {
            let (version, sha256) = named(version.as_deref().unwrap_or_default());
            let (percent, namespaces) = (*percent, namespaces.clone());
            let body = written(&CanaryRequest { version, sha256, percent, namespaces })?;
            decide(Method::PUT, format!("{}/canary", path(name)), Some(body)).await
        }
        PluginCommand::Promote { name } => {
            decide(Method::POST, format!("{}/promote", path(name)), None).await
        }
        PluginCommand::Rollback { name } => {
            decide(Method::POST, format!("{}/rollback", path(name)), None).await
        }
        PluginCommand::Release { name, sha256 } => {
            let path = format!("{}/versions/{}/release", path(name), segment(sha256));
            let answer = client.decide(Method::POST, &path, None, actor).await?;
            if output == Output::Json {
                printer::json(&answer);
            } else {
                printer::line(&format!("{name} {} is released", short(sha256)));
            }
            Ok(())
        }
        PluginCommand::Interpreters { name } => {
            let answer = client.get(&format!("{}/interpreters", path(name))).await?;
            if output == Output::Json {
                printer::json(&answer);
                return Ok(());
            }
            let list: InterpreterList = typed(&answer)?;
            list.interpreters.iter().for_each(show_interpreter);
            Ok(())
        }
        PluginCommand::InstallInterpreter { name, interpreter } => {
            let path = format!("{}/interpreters/{}/install", path(name), segment(interpreter));
            let answer = client.decide(Method::POST, &path, None, actor).await?;
            if output == Output::Json {
                printer::json(&answer);
            } else {
                show_interpreter(&typed(&answer)?);
            }
            Ok(())
        }
        PluginCommand::Events { name, limit, before } => {
            events(client, output, name.as_deref(), *limit, *before).await
        }
    }
}

fn show_interpreter(one: &InterpreterView) {
    let InterpreterView { name, api_version, kind, state, diff, .. } = one;
    printer::line(&format!("{name} for {api_version} {kind}: {state}"));
    if !diff.is_empty() {
        printer::line(diff.trim_end());
    }
}

fn path(name: &str) -> String {
    format!("{PLUGINS}/{}", segment(name))
}

/// Whether the user means a version or a sha256. No semantic version is made of 64 hex digits.
fn named(text: &str) -> (Option<String>, Option<String>) {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { (None, Some(text.to_ascii_lowercase())) } else { (Some(text.to_owned()), None) }
}

fn short(sha256: &str) -> String {
    sha256.chars().take(SHORT).collect()
}

fn rows(plugin: &PluginDetail) -> impl Iterator<Item = Vec<String>> {
    plugin.versions.iter().map(|version| {
        vec![
            plugin.name.clone(),
            version.version.clone(),
            version.state.to_string(),
            short(&version.sha256),
            version.file.clone().unwrap_or_default(),
            version.usage.calls.to_string(),
            version.reason.clone(),
        ]
    })
}

const HEADINGS: [&str; 7] = ["NAME", "VERSION", "STATE", "SHA256", "FILE", "CALLS", "REASON"];

async fn list(client: &Client, output: Output) -> Result<(), Failure> {
    let answer = client.get(PLUGINS).await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let list: PluginList = typed(&answer)?;
    printer::table(&HEADINGS, list.plugins.iter().flat_map(rows).collect());
    if !list.rejected.is_empty() {
        printer::line("");
        let rows = list.rejected.into_iter().map(|file| vec![file.file, file.reason]);
        printer::table(&["REJECTED FILE", "REASON"], rows.collect());
    }
    Ok(())
}

async fn show(client: &Client, output: Output, name: &str) -> Result<(), Failure> {
    let answer = client.get(&path(name)).await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let plugin: PluginDetail = typed(&answer)?;
    printer::table(&HEADINGS, rows(&plugin).collect());
    if let Some(route) = &plugin.route {
        printer::line("");
        lines(route);
    }
    if !plugin.kept.is_empty() {
        printer::line("");
        let rows = plugin
            .kept
            .into_iter()
            .map(|kept| vec![kept.version, kept.sha256, kept.bytes.to_string(), kept.first_seen]);
        printer::table(&["KEPT", "SHA256", "BYTES", "FIRST SEEN"], rows.collect());
    }
    Ok(())
}

fn show_route(output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        printer::json(answer);
    } else {
        lines(&typed(answer)?);
    }
    Ok(())
}

fn lines(route: &RouteView) {
    let pinned = route.pinned.as_deref().unwrap_or("no; the highest version serves");
    printer::line(&format!("{:<10} {pinned}", "pinned"));
    if let Some(canary) = &route.canary {
        let names = canary.namespaces.join(",");
        let share = format!("{} on {} % {names}", canary.sha256, canary.percent);
        printer::line(&format!("{:<10} {}", "canary", share.trim_end()));
    }
    if let Some(previous) = &route.previous {
        printer::line(&format!("{:<10} {previous}", "previous"));
    }
    printer::line(&format!("{:<10} {} by {}", "decided", route.updated_at, route.updated_by));
}

async fn events(
    client: &Client,
    output: Output,
    name: Option<&str>,
    limit: u32,
    before: Option<i64>,
) -> Result<(), Failure> {
    let of = name.map_or_else(|| PLUGINS.to_owned(), path);
    let before = before.map_or_else(String::new, |before| format!("&before={before}"));
    let answer = client.get(&format!("{of}/events?limit={limit}{before}")).await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let page: PluginEventPage = typed(&answer)?;
    let rows = page.items.into_iter().map(|event| {
        vec![event.id.to_string(), event.at, event.plugin, event.kind, event.actor, event.message]
    });
    printer::table(&["#", "AT", "PLUGIN", "EVENT", "ACTOR", "MESSAGE"], rows.collect());
    if let Some(next) = page.next {
        printer::talk(&format!("hint: `--before {next}` shows older ones"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn sha256_is_told_from_a_version() {
        assert_eq!(named("1.2.0"), (Some("1.2.0".to_owned()), None));
        let digest = "AB".repeat(32);
        assert_eq!(named(&digest), (None, Some("ab".repeat(32))));
    }
}
