//! The table of resources the sandbox serves. A resource that is not here answers 404 in plain
//! text, as an API server without its CRD does.

use std::{cmp::Ordering, hash::Hash, hash::Hasher};

/// One served resource.
#[derive(Debug)]
pub(crate) struct Resource {
    id: u8,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) short: &'static [&'static str],
    pub(crate) namespaced: bool,
    /// Has a `/status` subresource: the two halves are written through different paths.
    pub(crate) status: bool,
    /// Carries `metadata.generation`.
    pub(crate) generation: bool,
    /// Defined by a CRD: no strategic merge patch, `PUT` needs a resource version.
    pub(crate) custom: bool,
    /// Served by the control plane only.
    pub(crate) control_only: bool,
}

/// Every resource is a static of this module, so a reference is an identity.
pub(crate) type Res = &'static Resource;

impl Resource {
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `rayjobs.ray.io`, or `pods` for the core group.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    pub(crate) fn singular(&self) -> String {
        self.kind.to_lowercase()
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Resource {}
impl PartialOrd for Resource {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Resource {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}
impl Hash for Resource {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

macro_rules! resources {
    ($($id:literal $name:ident $api:literal $version:literal $plural:literal $kind:literal
       $short:tt [$($flag:ident)*];)*) => {
        $(
            pub(crate) static $name: Resource = {
                #[allow(unused_mut, clippy::allow_attributes, reason = "some rows set no flag")]
                let mut row = Resource {
                    id: $id, group: $api, version: $version, plural: $plural, kind: $kind,
                    short: &$short, namespaced: true, status: false, generation: false,
                    custom: false, control_only: false,
                };
                $(resources!(@flag row $flag);)*
                row
            };
        )*
        /// Every served resource.
        pub(crate) static ALL: &[Res] = &[$(&$name),*];
    };
    (@flag $row:ident cluster) => { $row.namespaced = false; };
    (@flag $row:ident status) => { $row.status = true; };
    (@flag $row:ident generation) => { $row.generation = true; };
    (@flag $row:ident custom) => { $row.custom = true; $row.generation = true; };
    (@flag $row:ident control) => { $row.control_only = true; };
}

resources! {
    0 NAMESPACE "" "v1" "namespaces" "Namespace" ["ns"] [cluster status];
    1 NODE "" "v1" "nodes" "Node" ["no"] [cluster status];
    2 SECRET "" "v1" "secrets" "Secret" [] [];
    3 CONFIG_MAP "" "v1" "configmaps" "ConfigMap" ["cm"] [];
    4 PVC "" "v1" "persistentvolumeclaims" "PersistentVolumeClaim" ["pvc"] [status];
    5 SERVICE "" "v1" "services" "Service" ["svc"] [status];
    6 SERVICE_ACCOUNT "" "v1" "serviceaccounts" "ServiceAccount" ["sa"] [];
    7 EVENT "" "v1" "events" "Event" ["ev"] [];
    8 POD "" "v1" "pods" "Pod" ["po"] [status generation];
    9 JOB "batch" "v1" "jobs" "Job" [] [status generation];
    10 DEPLOYMENT "apps" "v1" "deployments" "Deployment" ["deploy"] [status generation];
    11 INGRESS "networking.k8s.io" "v1" "ingresses" "Ingress" ["ing"] [status generation];
    12 CRD "apiextensions.k8s.io" "v1" "customresourcedefinitions" "CustomResourceDefinition"
        ["crd", "crds"] [cluster status generation];
    13 RAY_JOB "ray.io" "v1" "rayjobs" "RayJob" [] [status custom];
    14 RAY_CLUSTER "ray.io" "v1" "rayclusters" "RayCluster" [] [status custom];
    15 JOB_SET "jobset.x-k8s.io" "v1alpha2" "jobsets" "JobSet" [] [status custom];
    16 PYTORCH_JOB "kubeflow.org" "v1" "pytorchjobs" "PyTorchJob" [] [status custom];
    17 TRAIN_JOB "trainer.kubeflow.org" "v1alpha1" "trainjobs" "TrainJob" [] [status custom];
    18 POLICY "policy.karmada.io" "v1alpha1" "propagationpolicies" "PropagationPolicy" ["pp"]
        [custom control];
    19 CLUSTER_POLICY "policy.karmada.io" "v1alpha1" "clusterpropagationpolicies"
        "ClusterPropagationPolicy" ["cpp"] [cluster custom control];
    20 BINDING "work.karmada.io" "v1alpha2" "resourcebindings" "ResourceBinding" ["rb"]
        [status custom control];
    21 WORK "work.karmada.io" "v1alpha1" "works" "Work" ["wk"] [status custom control];
    22 CLUSTER "cluster.karmada.io" "v1alpha1" "clusters" "Cluster" []
        [cluster status generation control];
    23 INTERPRETER "config.karmada.io" "v1alpha1" "resourceinterpretercustomizations"
        "ResourceInterpreterCustomization" ["ric"] [cluster custom control];
    24 REBALANCER "apps.karmada.io" "v1alpha1" "workloadrebalancers" "WorkloadRebalancer" []
        [cluster status custom control];
    25 LEASE "coordination.k8s.io" "v1" "leases" "Lease" [] [];
    26 TF_JOB "kubeflow.org" "v1" "tfjobs" "TFJob" [] [status custom];
    27 MPI_JOB "kubeflow.org" "v2beta1" "mpijobs" "MPIJob" [] [status custom];
    28 REPLICA_SET "apps" "v1" "replicasets" "ReplicaSet" ["rs"] [status generation];
}

/// Groups whose kinds come from CRDs an administrator installs, so they can be missing.
pub(crate) const INSTALLED_GROUPS: [&str; 4] =
    ["ray.io", "jobset.x-k8s.io", "kubeflow.org", "trainer.kubeflow.org"];

/// Finds a resource by group, version and plural.
pub(crate) fn by_plural(group: &str, version: &str, plural: &str) -> Option<Res> {
    ALL.iter()
        .copied()
        .find(|res| res.group == group && res.version == version && res.plural == plural)
}

/// Finds a resource by the two identifying fields of a manifest.
pub(crate) fn by_kind(api_version: &str, kind: &str) -> Option<Res> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ALL.iter().copied().find(|res| res.group == group && res.version == version && res.kind == kind)
}
