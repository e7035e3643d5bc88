//! The schemas of real clusters, as data of others in a folder that the caller names: custom
//! resources in `crd`, the OpenAPI documents of Kubernetes in `openapi`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// Deeper than any kind goes; a schema that leads into itself would never end.
const DEEPEST: usize = 48;

/// The folder, or nothing with a loud line where there is none.
pub(super) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRAINYARD_SCHEMAS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!(
            "SKIPPED: TRAINYARD_SCHEMAS names no folder with the schemas of clusters, so nothing \
             is compared with them"
        );
    }
    folder
}

/// One step into an object of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a member that the schema names.
    Member(String),
    /// Into the items of a list.
    Item,
    /// Into the values of a map, whose keys are anybody's.
    Any,
}

/// An object somewhere in a kind, and the type of each member that its schema names.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) path: Vec<Step>,
    pub(super) members: BTreeMap<String, String>,
}

impl Node {
    /// Whether the path ends with items of a list of this name.
    pub(super) fn is_item_of(&self, list: &str) -> bool {
        matches!(self.path.as_slice(), [.., Step::Member(name), Step::Item] if name == list)
    }

    /// Whether the path ends with a member of this name.
    pub(super) fn is_member(&self, member: &str) -> bool {
        matches!(self.path.last(), Some(Step::Member(name)) if name == member)
    }

    /// A pod's specification, by its lists of containers.
    pub(super) fn is_pod(&self) -> bool {
        ["containers", "initContainers"].iter().any(|list| self.members.contains_key(*list))
    }

    /// The path as RFC 6901 has it, in an object that [`Node::holding`] makes.
    pub(super) fn pointer(&self) -> String {
        let step = |step: &Step| match step {
            Step::Member(name) => format!("/{name}"),
            Step::Item => "/0".to_owned(),
            Step::Any => "/any".to_owned(),
        };
        self.path.iter().map(step).collect()
    }

    /// An object that holds this value here, and nothing else.
    pub(super) fn holding(&self, value: Value) -> Value {
        self.path.iter().rev().fold(value, |inner, step| match step {
            Step::Member(name) => Value::Object([(name.clone(), inner)].into_iter().collect()),
            Step::Item => Value::Array(vec![inner]),
            Step::Any => Value::Object([("any".to_owned(), inner)].into_iter().collect()),
        })
    }
}

/// Everything below the top of the wanted kinds, each as `apiVersion/Kind`.
pub(super) fn nodes(folder: &std::path::Path, wanted: &[String]) -> BTreeMap<String, Vec<Node>> {
    let mut found = BTreeMap::new();
    for file in ["crd", "openapi"].into_iter().flat_map(|name| files(&folder.join(name))) {
        let text = std::fs::read_to_string(&file).expect("a schema");
        // Reading takes long, and half of the files are about other kinds.
        let mentions = |kind: &String| {
            let word = kind.rsplit('/').next().unwrap_or_default();
            text.contains(&format!("kind: {word}\n")) || text.contains(&format!("\"{word}\""))
        };
        if !wanted.iter().any(mentions) {
            continue;
        }
        let document: Value = match file.extension().and_then(|end| end.to_str()) {
            Some("json") => serde_json::from_str(&text).expect("JSON"),
            _ => serde_saphyr::from_str(&text).expect("YAML"),
        };
        for (kind, schema) in kinds(&document) {
            if wanted.contains(&kind) {
                let mut nodes = Vec::new();
                walk(&document, schema, &mut Vec::new(), &mut nodes);
                found.insert(kind, nodes);
            }
        }
    }
    found
}

fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| {
        panic!("{} cannot be read: {error}", folder.display());
    });
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The kinds of a document, with their schemas.
fn kinds(document: &Value) -> Vec<(String, &Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &document["spec"];
    let (group, kind) = (text(&spec["group"]), text(&spec["names"]["kind"]));
    let custom = spec["versions"].as_array().into_iter().flatten().map(|version| {
        let name = text(&version["name"]);
        (format!("{group}/{name}/{kind}"), &version["schema"]["openAPIV3Schema"])
    });
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let built_in = schemas.flat_map(|(_, schema)| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
        kinds.map(move |each| {
            let parts = [text(&each["group"]), text(&each["version"]), text(&each["kind"])];
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            (parts.join("/"), schema)
        })
    });
    custom.chain(built_in).collect()
}

/// A schema without the references and wrappers around it.
fn resolved<'s>(document: &'s Value, mut schema: &'s Value) -> &'s Value {
    loop {
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.trim_start_matches('#');
            schema = document.pointer(pointer).expect("a reference leads somewhere");
        } else if let (None, Some([only])) =
            (schema.get("properties"), schema["allOf"].as_array().map(Vec::as_slice))
        {
            schema = only;
        } else {
            return schema;
        }
    }
}

fn walk(document: &Value, schema: &Value, path: &mut Vec<Step>, nodes: &mut Vec<Node>) {
    assert!(path.len() <= DEEPEST, "a schema leads into itself: {path:?}");
    let schema = resolved(document, schema);
    let members = schema["properties"].as_object();
    // What clusters write, and what every host writes itself.
    let ours = |name: &str| {
        path.is_empty() && ["apiVersion", "kind", "metadata", "status"].contains(&name)
    };
    let members: Vec<(&String, &Value)> =
        members.into_iter().flatten().filter(|(name, _)| !ours(name)).collect();
    if !members.is_empty() {
        let of = |schema: &Value| {
            resolved(document, schema)["type"].as_str().unwrap_or_default().to_owned()
        };
        let members = members.iter().map(|(name, schema)| ((*name).clone(), of(schema))).collect();
        nodes.push(Node { path: path.clone(), members });
    }
    let mut enter = |step: Step, schema: &Value| {
        path.push(step);
        walk(document, schema, path, nodes);
        path.pop();
    };
    for (name, schema) in members {
        enter(Step::Member(name.clone()), schema);
    }
    if schema["items"].is_object() {
        enter(Step::Item, &schema["items"]);
    }
    if schema["additionalProperties"].is_object() {
        enter(Step::Any, &schema["additionalProperties"]);
    }
}
