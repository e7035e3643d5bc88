//! `PyTorchJob` and `TFJob` of the training operator: groups of pods that it tells of one another.

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

use super::meta::Metadata;
use super::pod::PodTemplate;
use super::run_policy::{Group, RunPolicy};
use crate::Kind;

const API_VERSION: &str = "kubeflow.org/v1";
/// Longest name in characters: the operator appends `-<group>-<number>`, and the results are the
/// names of pods and Services.
const MAX_NAME_LENGTH: u32 = 45;

/// A program in PyTorch. The first pod is the group `Master`.
#[derive(Debug)]
pub struct PyTorchJob<'a>(TrainingJob<'a>);

/// A program in TensorFlow.
#[derive(Debug)]
pub struct TfJob<'a>(TrainingJob<'a>);

#[derive(Debug)]
struct TrainingJob<'a> {
    metadata: Metadata<'a>,
    run_policy: RunPolicy,
    groups: Vec<(&'static str, Group<'a>)>,
    /// A member of the specification that only this kind has.
    own: Option<(&'static str, String)>,
}

impl<'a> PyTorchJob<'a> {
    /// The container whose environment the operator fills.
    pub const CONTAINER: &'static str = "pytorch";
    /// Name of the port at which the pods meet.
    pub const PORT: &'static str = "pytorchjob-port";
    /// Longest name in characters.
    pub const MAX_NAME_LENGTH: u32 = MAX_NAME_LENGTH;

    /// So many pods, the first of which leads: when it ends, so do the others.
    pub fn new(
        metadata: Metadata<'a>,
        instances: u32,
        processes: u32,
        max_runtime_seconds: Option<u64>,
        template: impl Fn() -> PodTemplate<'a>,
    ) -> Self {
        let mut groups = vec![("Master", Group::new(1, template()))];
        if instances > 1 {
            groups.push(("Worker", Group::new(instances - 1, template())));
        }
        let run_policy = RunPolicy::new(max_runtime_seconds);
        let own = Some(("nprocPerNode", processes.to_string()));
        Self(TrainingJob { metadata, run_policy, groups, own })
    }

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        Kind::workload(API_VERSION, "PyTorchJob", "pytorchjobs", MAX_NAME_LENGTH)
    }
}

/// The groups of a [`TfJob`], by what their pods do.
#[derive(Debug, Default)]
pub struct TfGroups<'a> {
    /// The pod that coordinates; absent where workers do with none.
    pub chief: Option<PodTemplate<'a>>,
    /// Pods that train.
    pub workers: Option<(u32, PodTemplate<'a>)>,
    /// Pods that keep the model.
    pub servers: Option<(u32, PodTemplate<'a>)>,
}

impl<'a> TfJob<'a> {
    /// The container whose environment the operator fills.
    pub const CONTAINER: &'static str = "tensorflow";
    /// Name of the port on which every pod listens.
    pub const PORT: &'static str = "tfjob-port";
    /// Longest name in characters.
    pub const MAX_NAME_LENGTH: u32 = MAX_NAME_LENGTH;

    /// A job that has succeeded when its chief has, or without one when all its workers have.
    pub fn new(
        metadata: Metadata<'a>,
        max_runtime_seconds: Option<u64>,
        groups: TfGroups<'a>,
    ) -> Self {
        let own = groups.chief.is_none().then(|| ("successPolicy", "AllWorkers".to_owned()));
        let groups = [
            ("Chief", groups.chief.map(|template| (1, template))),
            ("Worker", groups.workers),
            ("PS", groups.servers),
        ];
        let groups = groups
            .into_iter()
            .filter_map(|(name, group)| group.map(|(count, pod)| (name, Group::new(count, pod))))
            .collect();
        let run_policy = RunPolicy::new(max_runtime_seconds);
        Self(TrainingJob { metadata, run_policy, groups, own })
    }

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        Kind::workload(API_VERSION, "TFJob", "tfjobs", MAX_NAME_LENGTH)
    }
}

impl Serialize for PyTorchJob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write("PyTorchJob", "pytorchReplicaSpecs", serializer)
    }
}

impl Serialize for TfJob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write("TFJob", "tfReplicaSpecs", serializer)
    }
}

impl TrainingJob<'_> {
    fn write<S: Serializer>(
        &self,
        kind: &'static str,
        groups: &'static str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("TrainingJob", 4)?;
        object.serialize_field("apiVersion", API_VERSION)?;
        object.serialize_field("kind", kind)?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &Spec { job: self, groups })?;
        object.end()
    }
}

struct Spec<'s, 'a> {
    job: &'s TrainingJob<'a>,
    groups: &'static str,
}

impl Serialize for Spec<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut spec = serializer.serialize_map(None)?;
        if let Some((name, value)) = &self.job.own {
            spec.serialize_entry(name, value)?;
        }
        spec.serialize_entry("runPolicy", &self.job.run_policy)?;
        spec.serialize_entry(self.groups, &Groups(&self.job.groups))?;
        spec.end()
    }
}

struct Groups<'s, 'a>(&'s [(&'static str, Group<'a>)]);

impl Serialize for Groups<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, group)| (name, group)))
    }
}
