//! Label and field selectors of list and watch requests, parsed once and matched per object.

use serde_json::Value;

use super::resources::Resource;
use crate::json::Tree as _;
use crate::status::{ApiError, ApiResult};

#[derive(Debug, Clone, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Both selectors of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    /// Field path, whether it must equal (or differ from) the value.
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    pub(crate) fn parse(res: &Resource, labels: &str, fields: &str) -> ApiResult<Self> {
        let labels = split_outside_parentheses(labels)
            .into_iter()
            .filter(|part| !part.trim().is_empty())
            .map(requirement)
            .collect::<Result<_, _>>()
            .map_err(|part: String| {
                ApiError::bad_request(format!("unable to parse requirement: {part}"))
            })?;
        let mut parsed = Vec::new();
        for part in fields.split(',').filter(|part| !part.is_empty()) {
            let (field, equal, value) = field_term(part)?;
            if !supported(res, field) {
                return Err(ApiError::bad_request(format!("field label not supported: {field}")));
            }
            parsed.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Self { labels, fields: parsed })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.at(&["metadata", "labels"]);
        self.labels.iter().all(|requirement| requirement.matches(labels))
            && self.fields.iter().all(|(field, equal, wanted)| {
                let pointer = format!("/{}", field.replace('.', "/"));
                (crate::json::text(object, &pointer) == wanted) == *equal
            })
    }
}

/// Matches a `metav1.LabelSelector`; absent or empty matches everything.
pub(crate) fn label_selector_matches(selector: &Value, labels: &Value) -> bool {
    let exact = selector.at(&["matchLabels"]).as_object();
    let equal =
        exact.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.at(&[key]) == value));
    equal
        && crate::json::list(selector, "/matchExpressions").iter().all(|term| {
            let key = crate::json::text(term, "/key").to_owned();
            let values = crate::json::list(term, "/values")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            match crate::json::text(term, "/operator") {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                _ => Requirement::Absent(key),
            }
            .matches(labels)
        })
}

impl Requirement {
    fn matches(&self, labels: &Value) -> bool {
        let among = |key: &String, values: &Vec<String>| {
            labels
                .at(&[key])
                .as_str()
                .is_some_and(|found| values.iter().any(|value| value == found))
        };
        match self {
            Self::In(key, values) => among(key, values),
            Self::NotIn(key, values) => !among(key, values),
            Self::Exists(key) => labels.at(&[key]).is_string(),
            Self::Absent(key) => !labels.at(&[key]).is_string(),
        }
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut depth = 0_usize;
    let mut at = 0;
    for (here, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let (part, tail) = rest.split_at(here - at);
                parts.push(part);
                rest = tail.get(1..).unwrap_or_default();
                at = here + 1;
            }
            _ => {}
        }
    }
    parts.push(rest);
    parts
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let part = part.trim();
    let set = |text: &str| -> Vec<String> {
        text.trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect()
    };
    let one = |key: &str, value: &str| (key.trim().to_owned(), vec![value.trim().to_owned()]);
    if let Some((key, values)) = part.split_once(" notin ") {
        Ok(Requirement::NotIn(key.trim().to_owned(), set(values)))
    } else if let Some((key, values)) = part.split_once(" in ") {
        Ok(Requirement::In(key.trim().to_owned(), set(values)))
    } else if let Some((key, value)) = part.split_once("!=") {
        let (key, values) = one(key, value);
        Ok(Requirement::NotIn(key, values))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        let (key, values) = one(key, value);
        Ok(Requirement::In(key, values))
    } else if let Some(key) = part.strip_prefix('!') {
        Ok(Requirement::Absent(key.trim().to_owned()))
    } else if part.contains(char::is_whitespace) {
        Err(part.to_owned())
    } else {
        Ok(Requirement::Exists(part.to_owned()))
    }
}

fn field_term(part: &str) -> ApiResult<(&str, bool, &str)> {
    if let Some((field, value)) = part.split_once("!=") {
        Ok((field, false, value))
    } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        Ok((field, true, value))
    } else {
        Err(ApiError::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'")))
    }
}

fn supported(res: &Resource, field: &str) -> bool {
    const POD: [&str; 6] = [
        "status.phase",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.podIP",
    ];
    if field == "metadata.name" {
        return true;
    }
    match (res.plural, field) {
        (_, "metadata.namespace") => res.namespaced,
        ("pods", field) => POD.contains(&field),
        ("events", field) => {
            field.starts_with("involvedObject.") || ["type", "reason", "source"].contains(&field)
        }
        ("namespaces", "status.phase")
        | ("secrets", "type")
        | ("nodes", "spec.unschedulable")
        | ("jobs", "status.successful") => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::resources, *};

    #[test]
    fn label_selectors_follow_the_kubernetes_grammar() {
        let pod = json!({"metadata": {"name": "p", "labels": {"app": "x", "tier": "gpu"}}});
        for (selector, expected) in [
            ("", true),
            ("app=x", true),
            ("app==x,tier=gpu", true),
            ("app!=x", false),
            ("other!=x", true),
            ("app in (x,y),tier notin (cpu)", true),
            ("app", true),
            ("!app", false),
            ("!other", true),
        ] {
            let parsed = Selector::parse(&resources::POD, selector, "").unwrap();
            assert_eq!(parsed.matches(&pod), expected, "{selector}");
        }
    }

    #[test]
    fn unknown_field_labels_are_refused() {
        assert!(Selector::parse(&resources::RAY_JOB, "", "status.jobStatus=RUNNING").is_err());
        assert!(Selector::parse(&resources::POD, "", "status.phase=Running").is_ok());
    }
}
