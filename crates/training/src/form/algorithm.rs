//! The algorithm of a form, and which of its hyperparameters belong to it.

use serde_json::Value;

use super::reader::{self, Fields};
use super::values;
use super::{Hyperparameters, Surroundings};

/// What `algorithm` says.
#[derive(Default)]
pub(super) struct Algorithm {
    pub(super) name: Option<String>,
    pub(super) image_uri: Option<String>,
}

/// Reads `algorithm`: an object, or just the name.
pub(super) fn read_algorithm(form: &Fields<'_>) -> Algorithm {
    let name_length = 63;
    if form.value("algorithm").is_none_or(Value::is_string) {
        let name = form.required_text("algorithm", name_length);
        return Algorithm { name, image_uri: None };
    }
    let Some(fields) = form.object("algorithm") else { return Algorithm::default() };
    fields.only(&["source", "algorithmName", "imageUri", "enableMetrics"]);
    fields.boolean("enableMetrics");
    let source = fields.choice("source", &["builtin", "container", "custom", "default"]);
    let image_uri = fields
        .text("imageUri", 512)
        .and_then(|image| fields.parsed("imageUri", values::image(image)));
    if source == Some("container") && fields.value("imageUri").is_none() {
        fields.mistake(
            "imageUri",
            "required",
            "`imageUri` is required when `source` is `container`.",
        );
    }
    Algorithm { name: fields.required_text("algorithmName", name_length), image_uri }
}

/// Finds the hyperparameters of the algorithm under any of its names. Those of other algorithms
/// may be there, too: the predecessor's web form keeps what the user typed before choosing another
/// one.
pub(super) fn read_hyperparameters(
    form: &Fields<'_>,
    algorithm: Option<&str>,
    around: &Surroundings<'_>,
) -> Option<Hyperparameters> {
    let empty = || Value::Object(serde_json::Map::new());
    let groups = match form.value("hyperparameters") {
        None => None,
        // Not an object: a mistake, and nothing to look at.
        Some(_) => Some(form.object("hyperparameters")?),
    };
    if let Some(groups) = &groups {
        check_groups(groups, algorithm);
    }
    let algorithm = algorithm?;
    let mut names = vec![algorithm.to_owned()];
    names.extend_from_slice(around.names_of(algorithm));
    let present = |name: &&String| groups.as_ref().is_some_and(|all| all.value(name).is_some());
    let member = names.iter().find(present).cloned();
    if member.is_none()
        && let Some(groups) = &groups
    {
        suggest_group(groups, algorithm);
    }
    let values = member
        .as_ref()
        .and_then(|member| groups.as_ref()?.value(member))
        .filter(|values| values.is_object());
    Some(Hyperparameters {
        algorithm: algorithm.to_owned(),
        values: values.cloned().unwrap_or_else(empty),
        member: member.unwrap_or_else(|| algorithm.to_owned()),
    })
}

fn check_groups(groups: &Fields<'_>, algorithm: Option<&str>) {
    let algorithm = algorithm.unwrap_or("<algorithm>");
    for name in groups.names() {
        if groups.value(name).is_some_and(|group| !group.is_object()) {
            groups.mistake(
                &reader::escape(name),
                "wrong-type",
                format!(
                    "Hyperparameters stand in an object named after their algorithm: \
                     `hyperparameters.{algorithm}.{name}`."
                ),
            );
        }
    }
}

/// An object whose name is nearly the algorithm's would be ignored without a word.
fn suggest_group(groups: &Fields<'_>, algorithm: &str) {
    for name in groups.names() {
        if reader::closest(name, std::iter::once(algorithm)).is_some() {
            groups.mistake(
                &reader::escape(name),
                "unknown-field",
                format!("The algorithm is `{algorithm}`. Did you mean `{algorithm}`?"),
            );
        }
    }
}
