//! Embeds what `trainyard-plugin new` writes: the templates, and the guest SDK as a package that
//! stands alone, with the versions that this workspace pins. Made from the workspace's own files at
//! each build, so that the copies cannot fall behind.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a build script stops the build by panicking"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Parts of the SDK for this repository's own tests; with them would come their dependencies.
const LEFT_OUT: [&str; 4] = [
    "src/testing/clusters.rs",
    "src/testing/properties.rs",
    "src/testing/properties/generate.rs",
    "src/testing/snapshots.rs",
];
const DEPENDENCIES_LEFT_OUT: [&str; 2] = ["insta", "proptest"];
const FEATURES_LEFT_OUT: [&str; 2] = ["properties", "snapshots"];
/// What the template in Rust names besides the SDK.
const OF_THE_TEMPLATE: [&str; 3] = ["schemars", "serde", "serde_json"];

fn main() {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let root = here.ancestors().nth(2).unwrap().to_owned();
    let workspace = read_toml(&root.join("Cargo.toml"));
    let versions = workspace["workspace"]["dependencies"].as_table().unwrap();
    let package = workspace["workspace"]["package"].as_table().unwrap();
    let sdk = read_toml(&root.join("plugins/sdk/Cargo.toml"));

    let mut out = String::new();
    write_files(&mut out, "TEMPLATES", &here.join("templates"), &[]);
    write_files(&mut out, "SDK", &root.join("plugins/sdk/src"), &LEFT_OUT);
    let manifest = stand_alone(&sdk, package, versions);
    writeln!(out, "pub(super) const SDK_MANIFEST: &str = {manifest:?};").unwrap();
    let toolchain = read_toml(&root.join("rust-toolchain.toml"));
    let pins: Vec<(&str, &str)> = [("rust-version", &package["rust-version"])]
        .into_iter()
        .chain([("channel", &toolchain["toolchain"]["channel"])])
        .chain(OF_THE_TEMPLATE.iter().map(|name| (*name, &versions[*name])))
        .map(|(name, value)| (name, version_of(value)))
        .collect();
    writeln!(out, "pub(super) const PINS: &[(&str, &str)] = &{pins:?};").unwrap();
    let lock = lock_entries(&read_toml(&root.join("Cargo.lock")), &sdk);
    writeln!(out, "pub(super) const LOCK: &[(&str, &str)] = &{lock:?};").unwrap();
    for watched in ["Cargo.toml", "Cargo.lock", "plugins/sdk", "rust-toolchain.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo:rerun-if-changed=templates");
    let path = PathBuf::from(std::env::var("OUT_DIR").unwrap()).join("embedded.rs");
    fs::write(path, out).unwrap();
}

fn read_toml(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Every file below a folder, by its path there.
fn write_files(out: &mut String, name: &str, root: &Path, left_out: &[&str]) {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            if path.is_dir() {
                // Traces of running a template's own tests.
                if !name.ends_with("__pycache__") {
                    folders.push(path);
                }
            } else if left_out.iter().all(|left| *left != format!("src/{name}")) {
                files.insert(name, path);
            }
        }
    }
    writeln!(out, "pub(super) const {name}: &[(&str, &str)] = &[").unwrap();
    for (name, path) in files {
        writeln!(out, "    ({name:?}, include_str!({:?})),", path.to_str().unwrap()).unwrap();
    }
    writeln!(out, "];").unwrap();
}

/// The SDK's manifest with everything that it inherits from the workspace in place.
fn stand_alone(sdk: &Table, package: &Table, versions: &Table) -> String {
    let mut sdk = sdk.clone();
    for (name, value) in sdk["package"].as_table_mut().unwrap() {
        if is_inherited(value) {
            *value = package[name].clone();
        }
    }
    let dependencies = sdk["dependencies"].as_table_mut().unwrap();
    dependencies.retain(|name, _| !DEPENDENCIES_LEFT_OUT.contains(&name));
    for (name, value) in dependencies.iter_mut() {
        if is_inherited(value) {
            let optional = value.get("optional").cloned();
            let mut pinned = match versions[name].clone() {
                Value::Table(table) => table,
                version => Table::from_iter([("version".to_owned(), version)]),
            };
            pinned.extend(optional.map(|optional| ("optional".to_owned(), optional)));
            *value = Value::Table(pinned);
        }
    }
    let features = sdk["features"].as_table_mut().unwrap();
    features.retain(|name, _| !FEATURES_LEFT_OUT.contains(&name));
    // Lints are this workspace's matter, and the SDK's own tests stay here.
    // What it leaves out must not look like a slip of its author's.
    let known: Table = "rust.unexpected_cfgs = { level = 'warn', \
                        check-cfg = ['cfg(feature, values(\"properties\", \"snapshots\"))'] }"
        .parse()
        .unwrap();
    sdk.insert("lints".to_owned(), Value::Table(known));
    sdk.remove("dev-dependencies");
    toml::to_string(&sdk).unwrap()
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

fn version_of(value: &Value) -> &str {
    value.as_str().or_else(|| value.get("version")?.as_str()).unwrap()
}

/// The locked packages that the SDK and the template need, each as it stands in `Cargo.lock`, so
/// that an author compiles the very versions that were tested here. Some may not be needed: Cargo
/// drops these.
fn lock_entries(lock: &Table, sdk: &Table) -> Vec<(String, String)> {
    let packages: Vec<&Table> =
        lock["package"].as_array().unwrap().iter().map(|p| p.as_table().unwrap()).collect();
    let text = |package: &Table, key: &str| package[key].as_str().unwrap().to_owned();
    let direct = sdk["dependencies"].as_table().unwrap().keys().map(String::as_str);
    let direct = direct.filter(|name| !DEPENDENCIES_LEFT_OUT.contains(name));
    let mut queue: VecDeque<String> = direct.chain(OF_THE_TEMPLATE).map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    while let Some(wanted) = queue.pop_front() {
        // `name`, or `name version` where several versions are locked.
        let (name, version) = wanted.split_once(' ').unwrap_or((&wanted, ""));
        let package = packages
            .iter()
            .find(|package| {
                text(package, "name") == name
                    && (version.is_empty() || text(package, "version") == version)
            })
            .unwrap_or_else(|| panic!("Cargo.lock has no {wanted}"));
        if !seen.insert((text(package, "name"), text(package, "version"))) {
            continue;
        }
        // In the order and the layout that Cargo writes.
        let mut entry = String::from("[[package]]\n");
        for key in ["name", "version", "source", "checksum"] {
            writeln!(entry, "{key} = {:?}", text(package, key)).unwrap();
        }
        let dependencies = package.get("dependencies").and_then(Value::as_array);
        if let Some(dependencies) = dependencies {
            entry.push_str("dependencies = [\n");
            for dependency in dependencies.iter().filter_map(Value::as_str) {
                writeln!(entry, " {dependency:?},").unwrap();
                queue.push_back(dependency.to_owned());
            }
            entry.push_str("]\n");
        }
        entries.push((text(package, "name"), entry));
    }
    entries.sort();
    entries
}
