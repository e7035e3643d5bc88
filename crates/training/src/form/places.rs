//! Where the parts of a form stand in the form that was sent. Checks point into the nested form;
//! a user may have written another one, or named the hyperparameters after an alias.

use super::reader;

/// Translates pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    dialect: Dialect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Dialect {
    /// The member of `hyperparameters` that holds those of the algorithm.
    Nested { member: String },
    /// Pointers of the nested form, and of the form that was sent; the longest one that fits
    /// counts. What lies inside of `whole` has places of its own.
    Moved { moved: Vec<(String, String)>, whole: &'static [&'static str] },
}

impl Places {
    /// A nested form whose hyperparameters stand under this member.
    pub(super) fn nested(member: String) -> Self {
        Self { dialect: Dialect::Nested { member } }
    }

    /// A flat form, with the places that are not always the same.
    pub(super) fn flat(mut moved: Vec<(String, String)>) -> Self {
        moved.extend(FLAT.map(|(nested, flat)| (nested.to_owned(), flat.to_owned())));
        Self { dialect: Dialect::Moved { moved, whole: &FLAT_WHOLE } }
    }

    /// A form of a deployment, with the places that are not always the same.
    pub(super) fn deployment(mut moved: Vec<(String, String)>) -> Self {
        moved.extend(DEPLOYMENT.map(|(nested, sent)| (nested.to_owned(), sent.to_owned())));
        Self { dialect: Dialect::Moved { moved, whole: &DEPLOYMENT_WHOLE } }
    }

    /// The place in the form as it was sent. A place that this form does not have is the form as a
    /// whole.
    pub fn of(&self, pointer: &str) -> String {
        let group = pointer.strip_prefix("/hyperparameters/");
        let inside = group.map(|group| group.split_once('/').map_or("", |(_, inside)| inside));
        match &self.dialect {
            Dialect::Nested { member } => match inside {
                Some(inside) => {
                    join_path(&reader::join("/hyperparameters", member), &format!("/{inside}"))
                }
                None => pointer.to_owned(),
            },
            Dialect::Moved { moved, whole } => {
                // The name of the algorithm in between does not matter, and may be an alias.
                let pointer = match inside {
                    Some(inside) => join_path("/hyperparameters/*", &format!("/{inside}")),
                    None => pointer.to_owned(),
                };
                let below = |nested: &str| {
                    let rest = pointer.strip_prefix(nested)?;
                    (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
                };
                let found = moved
                    .iter()
                    .filter_map(|(nested, sent)| Some((nested.len(), sent, below(nested)?)))
                    .max_by_key(|(length, ..)| *length);
                found.map_or_else(String::new, |(_, sent, rest)| {
                    // What lies inside a single field of that form has no place of its own.
                    let inside = whole.contains(&sent.as_str());
                    if inside { format!("{sent}{rest}") } else { sent.clone() }
                })
            }
        }
    }
}

/// `inside` starts with a slash; alone it means nothing.
fn join_path(parent: &str, inside: &str) -> String {
    if inside == "/" { parent.to_owned() } else { format!("{parent}{inside}") }
}

/// Places that are the same in every flat form.
const FLAT: [(&str, &str); 13] = [
    ("/jobName", "/name"),
    ("/namespace", "/namespace"),
    ("/algorithm/imageUri", "/image"),
    ("/headImage", "/image"),
    ("/workerImage", "/image"),
    ("/entrypoint", "/command"),
    ("/resources/instanceCount", "/replicas"),
    ("/resources/instanceResources/gpuCount", "/gpuRequest"),
    ("/resources/volumeSizeGB", "/storageSize"),
    ("/hyperparameters/*", "/hyperparameters"),
    ("/customHyperparameters", "/hyperparameters"),
    ("/targetClusters", "/targetClusters"),
    ("/inputDataConfig", "/inputDataConfig"),
];

/// Fields of the flat form that have parts of their own.
const FLAT_WHOLE: [&str; 3] = ["/hyperparameters", "/targetClusters", "/inputDataConfig"];

/// Places that are the same in every form of a deployment.
const DEPLOYMENT: [(&str, &str); 8] = [
    ("/jobName", "/deploymentName"),
    ("/namespace", "/namespace"),
    ("/algorithm/imageUri", "/imageName"),
    ("/algorithm", "/algorithm"),
    ("/headImage", "/imageName"),
    ("/workerImage", "/imageName"),
    ("/entrypoint", "/command"),
    ("/resources", "/resources"),
];

/// Fields of the form of a deployment that have parts of their own.
const DEPLOYMENT_WHOLE: [&str; 2] = ["/command", "/ports"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_forms_keep_their_places_but_for_the_name_of_the_algorithm() {
        let places = Places::nested("tree/s".to_owned());
        for (pointer, expected) in [
            ("/hyperparameters/forest/eta", "/hyperparameters/tree~1s/eta"),
            ("/hyperparameters/forest", "/hyperparameters/tree~1s"),
            ("/hyperparameters", "/hyperparameters"),
            ("/inputDataConfig/0/bucket", "/inputDataConfig/0/bucket"),
            ("", ""),
        ] {
            assert_eq!(places.of(pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn flat_forms_are_pointed_into_where_the_user_wrote_it() {
        let moved = [
            ("/algorithm", "/jobType"),
            ("/resources/instanceResources/cpuCores", "/cpuLimit"),
            ("/hyperparameters/*/nproc", "/workersPerNode"),
        ];
        let moved = moved.map(|(nested, flat)| (nested.to_owned(), flat.to_owned()));
        let places = Places::flat(moved.to_vec());
        for (pointer, expected) in [
            ("/jobName", "/name"),
            ("/algorithm/algorithmName", "/jobType"),
            ("/algorithm/imageUri", "/image"),
            ("/resources/instanceResources/cpuCores", "/cpuLimit"),
            ("/hyperparameters/forest/eta", "/hyperparameters/eta"),
            ("/hyperparameters/forest/nproc", "/workersPerNode"),
            ("/hyperparameters/forest/nprocs", "/hyperparameters/nprocs"),
            ("/hyperparameters/forest/sizes/1", "/hyperparameters/sizes/1"),
            ("/hyperparameters/forest", "/hyperparameters"),
            ("/customHyperparameters/a~1b", "/hyperparameters/a~1b"),
            ("/targetClusters/1", "/targetClusters/1"),
            ("/inputDataConfig/0/bucket", "/inputDataConfig/0/bucket"),
            ("/outputDataConfig/artifactUri", ""),
            ("", ""),
        ] {
            assert_eq!(places.of(pointer), expected, "{pointer}");
        }
    }
}
