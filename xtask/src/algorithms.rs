//! `docs/algorithms` is generated: a page for each converter of this repository, written from what
//! the component itself says, so that a page cannot disagree with the form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::setup::Repo;
use crate::{cmd, setup};

/// The parameters of a schema without groups.
const NO_GROUP: &str = "Parameters";

pub(crate) fn run(repo: &Repo, check: bool) -> Result<()> {
    setup::wasm_targets(repo)?;
    setup::build_workspace(repo)?;
    let plugins = setup::build_plugins(repo, &repo.plugins_dir())?;
    let mut pages = BTreeMap::new();
    let mut index = String::from(
        "# Algorithms\n\nWhat a form can name, written by `cargo xtask algorithms` from the plugins \
         themselves. `GET /api/v1/algorithms` answers the same of a running host.\n\n\
         | algorithm | other names | what it does |\n|---|---|---|\n",
    );
    for plugin in plugins {
        let inspected = inspect(repo, &plugin)?;
        let names = texts(&inspected["algorithms"]);
        let (algorithm, aliases) = names.split_first().context("a plugin serves something")?;
        let summary = text(&inspected["summary"]);
        writeln!(index, "| [{algorithm}]({algorithm}.md) | {} | {summary} |", codes(aliases))?;
        pages.insert(format!("{algorithm}.md"), page(&inspected)?);
    }
    pages.insert("README.md".to_owned(), index);
    let dir = repo.root.join("docs/algorithms");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !pages.contains_key(&name) {
            outdated(check, &path, || std::fs::remove_file(&path))?;
        }
    }
    for (name, page) in pages {
        let path = dir.join(name);
        if std::fs::read_to_string(&path).unwrap_or_default() != page {
            outdated(check, &path, || std::fs::write(&path, &page))?;
        }
    }
    Ok(())
}

fn outdated(check: bool, path: &Path, mend: impl Fn() -> std::io::Result<()>) -> Result<()> {
    if check {
        bail!("{} is not what its plugin says; run: cargo xtask algorithms", path.display());
    }
    mend().with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn inspect(repo: &Repo, plugin: &Path) -> Result<Value> {
    let mut tool = Command::new(repo.bin_dir().join("trainyard-plugin"));
    let printed = cmd::output(tool.arg("inspect").arg(plugin).arg("--json"))?;
    serde_json::from_str(&printed).with_context(|| format!("what {} says", plugin.display()))
}

fn page(plugin: &Value) -> Result<String> {
    let names = texts(&plugin["algorithms"]);
    let mut page = String::new();
    writeln!(page, "# {}\n", text(&plugin["title"]))?;
    writeln!(page, "{}\n", text(&plugin["summary"]))?;
    writeln!(page, "A form names it {}.", codes(&names))?;
    let workloads: Vec<String> = items(&plugin["kinds"])
        .filter(|kind| kind["workload"] == true)
        .map(|kind| format!("a {} (`{}`)", text(&kind["kind"]), text(&kind["apiVersion"])))
        .collect();
    writeln!(page, "It runs as {}.\n", workloads.join(" or "))?;
    page.push_str("## Smallest form\n\n");
    if let Some(example) = items(&plugin["examples"]).next() {
        let example = match example.as_str() {
            Some(written) => serde_json::from_str(written)?,
            None => example.clone(),
        };
        writeln!(page, "```json\n{example:#}\n```\n")?;
    }
    parameters(&mut page, &plugin["hyperparametersSchema"])?;
    page.push_str("## Settings of the operator\n\nBelow `[plugins.settings.");
    writeln!(page, "{}]` in the host's configuration.\n", text(&plugin["name"]))?;
    table(&mut page, &plugin["settingsSchema"], &mut members(&plugin["settingsSchema"]))?;
    Ok(page)
}

/// The hyperparameters, group by group in the order of the schema.
fn parameters(page: &mut String, schema: &Value) -> Result<()> {
    let mut groups: Vec<&str> = Vec::new();
    for (_, parameter) in members(schema) {
        let group = parameter["x-group"].as_str().unwrap_or(NO_GROUP);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    page.push_str("## Hyperparameters\n\n");
    if groups.is_empty() {
        page.push_str("None.\n\n");
    }
    for group in groups {
        if group != NO_GROUP {
            writeln!(page, "### {group}\n")?;
        }
        let of_it = |(_, parameter): &(&String, &Value)| {
            parameter["x-group"].as_str().unwrap_or(NO_GROUP) == group
        };
        table(page, schema, &mut members(schema).filter(of_it))?;
    }
    Ok(())
}

fn table<'a>(
    page: &mut String,
    schema: &Value,
    rows: &mut dyn Iterator<Item = (&'a String, &'a Value)>,
) -> Result<()> {
    page.push_str("| name | default | values | meaning |\n|---|---|---|---|\n");
    for (name, parameter) in rows {
        let required = items(&schema["required"]).any(|required| required == name);
        let default = match parameter.get("default") {
            _ if required => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(default) => format!("`{default}`"),
        };
        let meaning = text(&parameter["description"]);
        let aliases = parameter["x-alias-defaults"].as_object().into_iter().flatten();
        let aliases: String =
            aliases.map(|(alias, default)| format!(" As `{alias}`: `{default}`.")).collect();
        writeln!(
            page,
            "| `{name}` | {} | {} | {}{}{} |",
            cell(&default),
            cell(&values(schema, parameter)),
            cell(&meaning),
            cell(&aliases),
            condition(parameter)
        )?;
    }
    page.push('\n');
    Ok(())
}

/// What a parameter may be, in a few words.
fn values(schema: &Value, parameter: &Value) -> String {
    if let Some(path) = parameter["$ref"].as_str() {
        let target = schema.pointer(path.trim_start_matches('#'));
        return target.map(|target| values(schema, target)).unwrap_or_default();
    }
    if let Some(choices) = parameter["enum"].as_array() {
        let shown = choices.iter().filter(|choice| !choice.is_null());
        return shown.map(|choice| format!("`{}`", text(choice))).collect::<Vec<_>>().join(", ");
    }
    if let Some(constant) = parameter.get("const") {
        return format!("`{constant}`");
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(ways) = parameter[several].as_array() {
            let ways = ways.iter().map(|way| values(schema, way));
            return ways.filter(|way| !way.is_empty()).collect::<Vec<_>>().join(" or ");
        }
    }
    let kinds = match &parameter["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds = kinds.iter().map(text).filter(|kind| kind != "null");
            kinds.collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    };
    let of = match &parameter["items"] {
        Value::Object(_) => format!(" of {}", values(schema, &parameter["items"])),
        _ => String::new(),
    };
    let unit = parameter["x-unit"].as_str().map(|unit| format!(" {unit}")).unwrap_or_default();
    format!("{kinds}{of}{}{unit}", bounds(parameter))
}

fn bounds(parameter: &Value) -> String {
    let bound = |key: &str, word: &str| {
        let number = parameter.get(key)?;
        // The largest number of a type is no rule that anybody needs to read.
        let endless = number.as_f64().is_some_and(|number| number >= f64::from(i32::MAX));
        (!endless).then(|| format!(" {word} {number}"))
    };
    [
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
        ("maxItems", "at most"),
    ]
    .into_iter()
    .filter_map(|(key, word)| bound(key, word))
    .collect()
}

/// When a form shows a parameter.
fn condition(parameter: &Value) -> String {
    let Some(conditions) = parameter["x-visible-when"].as_object() else { return String::new() };
    let words: Vec<String> = conditions
        .iter()
        .map(|(name, wanted)| {
            let wanted = match wanted {
                Value::Array(several) => codes(&several.iter().map(text).collect::<Vec<_>>()),
                one => format!("`{}`", text(one)),
            };
            format!("`{name}` is {wanted}")
        })
        .collect();
    format!(" Only if {}.", words.join(" and "))
}

fn members(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn texts(list: &Value) -> Vec<String> {
    items(list).map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn codes(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
