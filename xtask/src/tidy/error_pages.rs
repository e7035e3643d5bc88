//! Each error code of the API has a page, and each page has a code.

use super::Violation;
use super::tree::Tree;

const DIR: &str = "docs/errors";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some((path, codes)) = error_codes(tree) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (line, code) in &codes {
        let page = format!("{DIR}/{code}.md");
        let title = format!("# `{code}`");
        match tree.text(&page) {
            None => found.push(Violation::at(
                &path,
                *line,
                format!("error code `{code}` has no page {page}"),
                format!("write one, by the rule in {DIR}/README.md"),
            )),
            Some(text) if text.lines().next() != Some(&title) => found.push(Violation::file(
                &page,
                "the page does not open with its code",
                format!("make the first line `{title}`"),
            )),
            Some(_) => {}
        }
    }
    for (name, file) in tree.below(DIR) {
        let code = name.trim_end_matches(".md");
        if name != "README.md" && !codes.iter().any(|(_, known)| known == code) {
            found.push(Violation::file(
                &file.path,
                "a page for an error code that does not exist",
                "remove the page, or correct its name",
            ));
        }
    }
    found
}

/// The file that defines the codes, and each code with the line of its variant.
fn error_codes(tree: &Tree) -> Option<(String, Vec<(usize, String)>)> {
    tree.below("crates/api-types/src").find_map(|(_, file)| {
        let codes = variants(&file.text, "pub enum ErrorCode {");
        (!codes.is_empty()).then(|| (file.path.clone(), codes))
    })
}

/// The variants of an enum without fields, in kebab-case.
fn variants(text: &str, start: &str) -> Vec<(usize, String)> {
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| line.trim() != start);
    lines.next();
    lines
        .take_while(|(_, line)| line.trim() != "}")
        .filter_map(|(number, line)| {
            let name = line.trim().split([',', ' ', '=']).next()?;
            let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric());
            is_name.then(|| (number + 1, kebab_case(name)))
        })
        .collect()
}

fn kebab_case(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &str = "//! It is.\npub enum ErrorCode {\n    /// Not there.\n    NotFound,\n    \
                         #[serde(rename = \"x\")]\n    PluginFault,\n}\n";

    fn what(pages: &[(&str, &str)]) -> Vec<String> {
        let mut files = vec![("crates/api-types/src/problem.rs", CODES)];
        files.extend(pages);
        check(&Tree::of(&files)).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn a_code_without_page_is_found() {
        assert_eq!(
            what(&[("docs/errors/not-found.md", "# `not-found`\n")]),
            ["error code `plugin-fault` has no page docs/errors/plugin-fault.md"]
        );
    }

    #[test]
    fn a_page_without_code_is_found() {
        let pages = [
            ("docs/errors/README.md", "# Pages\n"),
            ("docs/errors/not-found.md", "# `not-found`\n"),
            ("docs/errors/plugin-fault.md", "# Something\n"),
            ("docs/errors/old.md", "# `old`\n"),
        ];
        assert_eq!(
            what(&pages),
            [
                "the page does not open with its code",
                "a page for an error code that does not exist"
            ]
        );
    }

    #[test]
    fn without_codes_there_is_nothing_to_say() {
        assert!(check(&Tree::of(&[])).is_empty());
    }
}
