//! Which of our algorithms a document means, and what its image starts.

use std::sync::Arc;

use super::Import;
use crate::form::reader::Fields;
use crate::form::shell;
use crate::ports::{FieldError, PluginInfo};

const AT: &str = "/AlgorithmSpecification";

/// Reads `AlgorithmSpecification`, and finds the plugin: the one that was asked for, or that the
/// image names. `Ok(None)` is an algorithm that was asked for and that nothing serves; the form
/// names it, and its check says so.
pub(super) fn read(
    document: &Fields<'_>,
    wanted: Option<&str>,
    import: &mut Import<'_>,
) -> Result<Option<Arc<PluginInfo>>, FieldError> {
    let specification = document.object("AlgorithmSpecification");
    let image = specification.as_ref().and_then(|all| all.text("TrainingImage", 512));
    if let Some(image) = &image {
        import.set(&["algorithm", "imageUri"], image.as_str());
        if is_of_aws(image) {
            let reason = "It is the job's image now. It needs credentials of its registry, and \
                          may rely on `/opt/ml`, which only SageMaker fills. Without `imageUri` \
                          the job gets the algorithm's own image.";
            import.report(format!("{AT}/TrainingImage"), reason);
        }
    }
    if let Some(specification) = &specification {
        read_start(specification, import);
        read_rest(specification, import);
    }
    let chosen = match wanted {
        Some(name) => {
            import.set(&["algorithm", "algorithmName"], name);
            return Ok(serving(import.plugins, name));
        }
        None => chosen_by(image.as_deref(), import.plugins),
    };
    let chosen =
        chosen.map_err(|detail| FieldError::new("/algorithm/algorithmName", "required", detail))?;
    import.set(&["algorithm", "algorithmName"], chosen.algorithm());
    Ok(Some(chosen))
}

fn serving(plugins: &[Arc<PluginInfo>], name: &str) -> Option<Arc<PluginInfo>> {
    plugins.iter().find(|plugin| plugin.algorithms.iter().any(|known| known == name)).cloned()
}

/// The one plugin with a name that the image's repository contains, or why there is none.
fn chosen_by(image: Option<&str>, plugins: &[Arc<PluginInfo>]) -> Result<Arc<PluginInfo>, String> {
    let known: Vec<&str> = plugins.iter().map(|plugin| plugin.algorithm()).collect();
    let known = known.join(", ");
    let Some(image) = image else {
        return Err(format!("There is no image to tell the algorithm by. Name one of: {known}."));
    };
    let repository = words(repository(image));
    let named = |plugin: &&Arc<PluginInfo>| {
        plugin.algorithms.iter().any(|name| contains(&repository, &words(name)))
    };
    let mut found = plugins.iter().filter(named);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(Arc::clone(only)),
        (Some(first), Some(second)) => Err(format!(
            "The image `{image}` may mean `{}` or `{}`. Name one of: {known}.",
            first.algorithm(),
            second.algorithm()
        )),
        (None, _) => Err(format!("The image `{image}` names no algorithm. Name one of: {known}.")),
    }
}

/// An image without its registry, tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let path = match image.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => rest,
        _ => image,
    };
    path.rsplit_once(':').map_or(path, |(path, _)| path)
}

/// `sagemaker-xgboost` are two words, so that `ray` is not found in `array`.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

fn contains(all: &[String], part: &[String]) -> bool {
    !part.is_empty() && all.windows(part.len()).any(|window| window == part)
}

fn is_of_aws(image: &str) -> bool {
    image.split('/').next().is_some_and(|registry| registry.contains(".dkr.ecr."))
}

/// What the container starts, as the one line that a form has.
fn read_start(specification: &Fields<'_>, import: &mut Import<'_>) {
    let texts = |member| {
        let texts = specification.texts(member, 100, 256);
        texts.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    let (command, arguments) = (texts("ContainerEntrypoint"), texts("ContainerArguments"));
    if !command.is_empty() {
        import.set(&["entrypoint"], shell::line(&[command, arguments].concat()));
    } else if !arguments.is_empty() {
        let reason = "They are arguments of what the image starts, which the document does not \
                      say. Write the whole line as `entrypoint`.";
        import.report(format!("{AT}/ContainerArguments"), reason);
    }
}

fn read_rest(specification: &Fields<'_>, import: &mut Import<'_>) {
    if let Some(mode) = specification.text("TrainingInputMode", 32)
        && mode != "File"
    {
        import.report(format!("{AT}/TrainingInputMode"), super::data::mode_reason(&mode));
    }
    let reason = "Algorithms of a marketplace are not here; name one that `trainyard algorithms` \
                  lists.";
    import.report_member(specification, AT, "AlgorithmName", reason);
    let reason = "No metrics are read from the log.";
    import.report_member(specification, AT, "MetricDefinitions", reason);
    import.report_member(specification, AT, "EnableSageMakerMetricsTimeSeries", reason);
    let reason = "Credentials of a registry are an image pull secret of the cluster.";
    import.report_member(specification, AT, "TrainingImageConfig", reason);
    import.report_others(
        specification,
        AT,
        &[
            "TrainingImage",
            "TrainingInputMode",
            "AlgorithmName",
            "MetricDefinitions",
            "EnableSageMakerMetricsTimeSeries",
            "TrainingImageConfig",
            "ContainerEntrypoint",
            "ContainerArguments",
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_registry_tag_and_digest() {
        for (image, expected) in [
            ("a.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1", "sagemaker-xgboost"),
            ("localhost:5000/team/train:1", "team/train"),
            ("pytorch/pytorch@sha256:abc", "pytorch/pytorch"),
            ("xgboost", "xgboost"),
        ] {
            assert_eq!(repository(image), expected);
        }
        assert!(contains(&words("torch-MPI-training"), &words("torch-mpi")));
        assert!(!contains(&words("arrays"), &words("ray")));
    }
}
