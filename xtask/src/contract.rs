//! `docs/contract.md` is generated: the reference of the plugin contract, from the contract itself,
//! so that a reader never sees another one than the host implements.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wit_parser::{Docs, Function, Interface, Resolve, Type, TypeDef, TypeDefKind};

use crate::setup::Repo;

/// Where the reference stands.
pub(crate) const PAGE: &str = "docs/contract.md";

/// Writes the page, or says that it is not what the contract says.
pub(crate) fn run(repo: &Repo, check: bool) -> Result<()> {
    let path = repo.root.join(PAGE);
    let generated = generate(&repo.root)?;
    if std::fs::read_to_string(&path).is_ok_and(|written| written == generated) {
        return Ok(());
    }
    if check {
        bail!("{PAGE} is not what wit/converter.wit says; write it with: cargo xtask contract");
    }
    std::fs::write(&path, generated).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// The whole page.
pub(crate) fn generate(root: &Path) -> Result<String> {
    let mut resolve = Resolve::default();
    let id = resolve.push_file(root.join("wit/converter.wit"))?;
    let package = resolve.packages.get(id).context("the contract is a package")?;
    let mut page = format!(
        "# The plugin contract: `{}`\n\n<!-- Generated from wit/converter.wit: cargo xtask contract -->\n\n",
        package.name
    );
    page.push_str("How a plugin is written step by step: [Write a plugin](write-a-plugin.md). What stays as it is:\n");
    page.push_str("[stability](stability.md).\n\n");
    paragraphs(&mut page, &package.docs, 1);
    for id in package.worlds.values() {
        let world = resolve.worlds.get(*id).context("a world")?;
        writeln!(page, "## World `{}`\n", world.name)?;
        paragraphs(&mut page, &world.docs, 2);
    }
    for id in package.interfaces.values() {
        let interface = resolve.interfaces.get(*id).context("an interface")?;
        describe(&mut page, &resolve, interface)?;
    }
    Ok(page.trim_end().to_owned() + "\n")
}

fn describe(page: &mut String, resolve: &Resolve, interface: &Interface) -> Result<()> {
    writeln!(page, "## Interface `{}`\n", interface.name.as_deref().unwrap_or_default())?;
    paragraphs(page, &interface.docs, 2);
    for function in interface.functions.values() {
        writeln!(page, "### `{}`\n", signature(resolve, function))?;
        paragraphs(page, &function.docs, 3);
    }
    for id in interface.types.values() {
        let definition = resolve.types.get(*id).context("a type")?;
        // What is only taken over from another interface is described there.
        let taken_over = matches!(definition.kind, TypeDefKind::Type(Type::Id(_)));
        if !taken_over {
            type_section(page, resolve, definition)?;
        }
    }
    Ok(())
}

fn type_section(page: &mut String, resolve: &Resolve, definition: &TypeDef) -> Result<()> {
    let name = definition.name.as_deref().unwrap_or_default();
    writeln!(page, "### {} `{name}`\n", definition.kind.as_str())?;
    paragraphs(page, &definition.docs, 3);
    let rows: Vec<(String, &Docs)> = match &definition.kind {
        TypeDefKind::Record(record) => {
            let field = |field: &wit_parser::Field| {
                format!("`{}: {}`", field.name, text(resolve, &field.ty))
            };
            record.fields.iter().map(|each| (field(each), &each.docs)).collect()
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| match &case.ty {
                Some(of) => format!("`{}({})`", case.name, text(resolve, of)),
                None => format!("`{}`", case.name),
            };
            variant.cases.iter().map(|each| (case(each), &each.docs)).collect()
        }
        TypeDefKind::Enum(cases) => {
            cases.cases.iter().map(|case| (format!("`{}`", case.name), &case.docs)).collect()
        }
        _ => return Ok(()),
    };
    page.push_str("| member | meaning |\n|---|---|\n");
    for (member, docs) in rows {
        let meaning = docs.contents.as_deref().unwrap_or_default();
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(page, "| {member} | {} |", meaning.replace('|', "\\|"))?;
    }
    page.push('\n');
    Ok(())
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters: Vec<String> = function
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, text(resolve, &param.ty)))
        .collect();
    let result = function.result.as_ref();
    let result = result.map(|of| format!(" -> {}", text(resolve, of))).unwrap_or_default();
    format!("{}: func({}){result}", function.name, parameters.join(", "))
}

/// A type as the contract writes it.
fn text(resolve: &Resolve, of: &Type) -> String {
    let Type::Id(id) = of else {
        return format!("{of:?}").to_lowercase();
    };
    let Some(definition) = resolve.types.get(*id) else { return "?".to_owned() };
    if let Some(name) = &definition.name {
        return name.clone();
    }
    match &definition.kind {
        TypeDefKind::List(of) => format!("list<{}>", text(resolve, of)),
        TypeDefKind::Option(of) => format!("option<{}>", text(resolve, of)),
        TypeDefKind::Tuple(tuple) => {
            let parts: Vec<String> = tuple.types.iter().map(|of| text(resolve, of)).collect();
            format!("tuple<{}>", parts.join(", "))
        }
        TypeDefKind::Result(of) => {
            let part =
                |of: &Option<Type>| of.as_ref().map_or("_".to_owned(), |of| text(resolve, of));
            format!("result<{}, {}>", part(&of.ok), part(&of.err))
        }
        other => other.as_str().to_owned(),
    }
}

/// Documentation as it stands, its headings below ours.
fn paragraphs(page: &mut String, docs: &Docs, level: usize) {
    let Some(contents) = &docs.contents else { return };
    let mut code = false;
    for line in contents.lines() {
        code ^= line.trim_start().starts_with("```");
        let heading = !code && line.starts_with('#');
        let deeper = if heading { "#".repeat(level) } else { String::new() };
        page.push_str(&deeper);
        page.push_str(line);
        page.push('\n');
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_what_the_contract_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let written = std::fs::read_to_string(root.join(PAGE)).unwrap_or_default();
        assert_eq!(written, generate(root).unwrap(), "write it with: cargo xtask contract");
    }

    #[test]
    fn page_names_every_function_and_type() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let page = generate(root).unwrap();
        for word in [
            "`convert: func(job: json) -> result<plan, failure>`",
            "record `report`",
            "`user-code`",
        ] {
            assert!(page.contains(word), "{word} is missing:\n{page}");
        }
    }
}
