//! What converters share whose training program runs in equal pods: one Job, Indexed where there
//! are several pods, with a headless Service by which they find one another.
//!
//! A plugin asks a [`Trainer`] for the common [environment](Trainer::environment), adds what its
//! framework needs for the pods to meet, and turns the [`Program`] into a plan.

mod environment;
mod operators;
mod settings;
mod torchrun;
mod user;
mod workload;

use std::collections::BTreeMap;

pub use environment::index_variable;
pub use operators::{Launch, TfRoles};
use serde::Serialize;
pub use settings::{Defaults, Settings};
pub use torchrun::Torchrun;
pub use user::{SecretKey, UserCommand, UserVariables};
pub use workload::{Roles, WorkloadKind, interpret as interpret_any, kinds_of};

use crate::data::DataVolumes;
use crate::manifest::config_map::ConfigMap;
use crate::manifest::job::BatchJob;
use crate::manifest::meta::{Metadata, Pairs, TemplateMetadata};
use crate::manifest::pod::{
    Container, EmptyDir, LocalReference, PodSpec, PodTemplate, Port, Quantities, Variable, Volume,
    VolumeMount, VolumeSource,
};
use crate::manifest::pvc::PersistentVolumeClaim;
use crate::manifest::service::Service;
use crate::{Failure, Findings, Job, Kind, Plan, Report, Workload, status};

/// The container that trains: users read its log.
pub const CONTAINER: &str = "trainer";
/// Where results live in the pods.
pub const RESULTS_PATH: &str = "/results";

const RESULTS_VOLUME: &str = "results";
const SHARED_MEMORY_VOLUME: &str = "shared-memory";
const FILES_VOLUME: &str = "files";
/// A sidecar would keep the pods of a finished job alive.
const NO_SIDECAR: Pairs<'_> = Pairs(&[("sidecar.istio.io/inject", "false")]);
/// The shell that reads an entrypoint, which is one line of text.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Every kind that [`Trainer::plan`] emits. With `files` a ConfigMap is one of them.
pub fn kinds(files: bool) -> Vec<Kind> {
    let mut kinds = vec![
        BatchJob::kind(),
        Service::kind(),
        Kind::support("v1", "PersistentVolumeClaim", "persistentvolumeclaims", 63),
    ];
    kinds.extend(files.then(ConfigMap::kind));
    kinds
}

/// Reads the status of what [`Trainer::plan`] emits. `first` and `others` are the roles of the pod
/// with number 0 and of the others, where there are several.
pub fn interpret(workload: &Workload, first: &str, others: &str) -> Report {
    status::indexed_job(workload, CONTAINER, first, others)
}

/// What runs in every pod.
#[derive(Debug, Default)]
pub struct Program<'a> {
    /// Command; empty: the job's entrypoint or the operator's, by a shell, or the image's own.
    pub command: Vec<&'a str>,
    /// Arguments of the command or of the image's own.
    pub args: Vec<&'a str>,
    /// Folder it starts in.
    pub working_dir: Option<&'a str>,
    /// Everything it finds in its environment.
    pub env: Vec<Variable<'a>>,
    /// Ports on which the pods talk to one another.
    pub ports: &'a [Port<'a>],
    /// Files that it reads.
    pub files: Option<Files<'a>>,
    /// The job has succeeded when the pod with number 0 has.
    pub first_decides: bool,
    /// Time between the request to stop and the end by force; absent: 30 seconds.
    pub grace_seconds: Option<u32>,
}

/// For plugins whose hyperparameters are for the cluster, and none of them for the program.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NoParameters {}

/// Files in a ConfigMap that every pod mounts.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// What the job's name gets appended to name the ConfigMap, such as `-config`.
    pub suffix: &'a str,
    /// Folder in the pods.
    pub path: &'a str,
    /// Names and texts.
    pub data: &'a [(&'a str, &'a str)],
}

/// A job whose pods are all alike.
#[derive(Debug)]
pub struct Trainer<'j, H, D> {
    job: &'j Job<'j, H, Settings<D>>,
    service: String,
    claim: Option<String>,
    data: DataVolumes<'j>,
}

impl<'j, H, D> Trainer<'j, H, D> {
    /// The trainer of a job.
    pub fn of(job: &'j Job<'j, H, Settings<D>>) -> Self {
        let existing = given(job.pvc_name.as_deref()).map(str::to_owned);
        let new = || (job.resources.volume_size_gb > 0).then(|| format!("{}-results", job.name));
        let claim = existing.or_else(new);
        let data = DataVolumes::of(&job.channels);
        Self { job, service: format!("{}-pods", job.name), claim, data }
    }

    /// Identity of the job.
    pub fn id(&self) -> &'j str {
        &self.job.id
    }

    /// How many pods there are.
    pub fn instances(&self) -> u32 {
        self.job.resources.instance_count.max(1)
    }

    /// Whether several pods have to find one another.
    pub fn is_distributed(&self) -> bool {
        self.instances() > 1
    }

    /// The name under which the others reach the pod with this number.
    pub fn host(&self, index: u32) -> String {
        if self.is_distributed() { self.host_of(index) } else { "localhost".to_owned() }
    }

    /// The names of all pods, each with a port, in the order of their numbers.
    pub fn addresses(&self, port: u16) -> Vec<String> {
        (0..self.instances()).map(|index| format!("{}:{port}", self.host(index))).collect()
    }

    /// The image of the pods, if anybody named one.
    pub fn image(&self) -> Option<&'j str> {
        let job = self.job;
        given(job.image_uri.as_deref())
            .or(given(job.worker_image.as_deref()))
            .or(given(Some(&job.settings.image)))
    }

    /// The command line of the pods, if anybody gave one.
    pub fn entrypoint(&self) -> Option<&'j str> {
        given(self.job.entrypoint.as_deref()).or(given(Some(&self.job.settings.entrypoint)))
    }

    /// What every training program finds in its environment; see the table in the source of this
    /// module. `parameters` are the hyperparameters, with conditional defaults filled in.
    pub fn environment(&self, parameters: &impl Serialize) -> Result<Vec<Variable<'j>>, Failure> {
        self.environment_led_by(self.host(0), parameters)
    }

    /// The same where another pod leads than the first of those that train.
    pub fn environment_led_by(
        &self,
        leader: String,
        parameters: &impl Serialize,
    ) -> Result<Vec<Variable<'j>>, Failure> {
        let leader = environment::Leader { host: leader, numbered: self.is_numbered() };
        environment::common(self.job, Some(leader), parameters)
    }

    /// The same for pods without numbers.
    pub fn environment_of_equals(
        &self,
        parameters: &impl Serialize,
    ) -> Result<Vec<Variable<'j>>, Failure> {
        environment::common(self.job, None, parameters)
    }

    /// Asks for an image where neither form nor operator names one. `what` is the kind of program,
    /// such as `A plain job`.
    pub fn require_image(&self, what: &str, findings: &mut Findings) {
        if self.image().is_none() {
            findings.at(
                "/algorithm/imageUri",
                "required",
                format!("{what} has no image of its own: name one in `algorithm.imageUri`."),
            );
        }
    }

    /// Threads for each of `processes` equal processes of a pod. Libraries count the cores of the
    /// node, not those of the pod.
    pub fn threads(&self, processes: u32) -> Variable<'j> {
        let threads = (self.job.resources.cpu_cores / processes.max(1)).max(1);
        Variable::value("OMP_NUM_THREADS", threads.to_string())
    }

    /// The Job with everything that it needs.
    pub fn plan(&self, program: &Program<'_>) -> Result<Plan, Failure> {
        self.plan_with(program, |job| job)
    }

    /// The same, with a last word on the Job.
    pub fn plan_with<'a>(
        &'a self,
        program: &'a Program<'a>,
        finish: impl FnOnce(BatchJob<'_>) -> BatchJob<'_>,
    ) -> Result<Plan, Failure> {
        let mut plan = self.supports(program)?;
        let files = self.files_name(program);
        let space = self.space(program, files.as_deref());
        let command = self.command(program);
        let gpus = self.job.resources.gpu_count;
        let mut template = self.pod(program, &command, &space, gpus);
        if self.is_distributed() {
            template.spec.subdomain = Some(&self.service);
        }
        template.spec.restart_policy = Some("Never");
        let runtime = self.job.max_runtime_seconds;
        let metadata = self.metadata(&self.job.name);
        let mut job = BatchJob::new(metadata, self.instances(), runtime, template);
        if program.first_decides {
            job = job.succeeding_with_first();
        }
        plan.push("workload", &finish(job))?;
        Ok(plan)
    }

    /// Everything but the workload: claim, names of the pods, files; and what the user should know.
    pub fn supports(&self, program: &Program<'_>) -> Result<Plan, Failure> {
        let mut plan = self.claims(false)?;
        if self.is_distributed() {
            let selector = [("batch.kubernetes.io/job-name", &*self.job.name)];
            plan.push("config", &Service::headless(self.metadata(&self.service), &selector))?;
        }
        self.push_files(program, &mut plan)?;
        Ok(plan)
    }

    /// The program's files; their name, if there are any.
    fn push_files(
        &self,
        program: &Program<'_>,
        plan: &mut Plan,
    ) -> Result<Option<String>, Failure> {
        let name = self.files_name(program);
        if let (Some(files), Some(name)) = (&program.files, &name) {
            plan.push("config", &ConfigMap::new(self.metadata(name), files.data))?;
        }
        Ok(name)
    }

    /// The claim for the results, if the job asks for a new one; and what the user should know.
    /// `with_head`: there is a pod that leads, and the form may name its image.
    pub fn claims(&self, with_head: bool) -> Result<Plan, Failure> {
        let job = self.job;
        let mut plan = Plan::new();
        plan.warnings = self.warnings(with_head);
        if let (Some(claim), None) = (&self.claim, given(job.pvc_name.as_deref())) {
            let size = format!("{}Gi", job.resources.volume_size_gb);
            let class = given(job.settings.storage_class_name.as_deref());
            let claim = PersistentVolumeClaim::shared(self.metadata(claim), &size, class);
            plan.push("storage", &claim)?;
        }
        Ok(plan)
    }

    /// Longest time that the job may run.
    pub fn max_runtime_seconds(&self) -> Option<u64> {
        self.job.max_runtime_seconds
    }

    /// Name of the job.
    pub fn name(&self) -> &'j str {
        &self.job.name
    }

    /// Metadata of one of the job's objects. The host adds the labels that it finds it by.
    pub fn metadata<'a>(&'a self, name: &'a str) -> Metadata<'a> {
        Metadata {
            name,
            namespace: &self.job.namespace,
            labels: Pairs::default(),
            annotations: Pairs::default(),
        }
    }

    fn files_name(&self, program: &Program<'_>) -> Option<String> {
        program.files.map(|files| format!("{}{}", self.job.name, files.suffix))
    }

    /// Volumes of the pods: results, shared memory, files, data.
    pub fn space<'a>(&'a self, program: &Program<'a>, files: Option<&'a str>) -> Space<'a> {
        let results = match &self.claim {
            Some(claim) => VolumeSource::PersistentVolumeClaim(claim),
            None => VolumeSource::EmptyDir(EmptyDir::default()),
        };
        let size_limit = given(self.job.settings.shared_memory_size.as_deref());
        let memory = VolumeSource::EmptyDir(EmptyDir { medium: Some("Memory"), size_limit });
        let mut space = Space::default();
        space.add(RESULTS_VOLUME, RESULTS_PATH, results);
        space.add(SHARED_MEMORY_VOLUME, "/dev/shm", memory);
        if let (Some(name), Some(given)) = (files, program.files) {
            space.add(FILES_VOLUME, given.path, VolumeSource::ConfigMap(name));
        }
        self.data.add_to(&mut space.volumes, &mut space.mounts);
        space
    }

    /// The program's own command, or the entrypoint read by a shell, or nothing.
    pub fn command<'a>(&'a self, program: &Program<'a>) -> Vec<&'a str> {
        match self.entrypoint() {
            Some(line) if program.command.is_empty() => SHELL.into_iter().chain([line]).collect(),
            _ => program.command.clone(),
        }
    }

    /// One pod with so many GPUs. What was asked for is what it gets and what it can use.
    pub fn pod<'a>(
        &'a self,
        program: &'a Program<'a>,
        command: &'a [&'a str],
        space: &'a Space<'a>,
        gpus: u32,
    ) -> PodTemplate<'a> {
        let settings = &self.job.settings;
        let resources = self.job.resources;
        let mut node_selector: BTreeMap<&str, &str> = BTreeMap::new();
        let mut tolerations: Vec<_> = settings.tolerations.iter().collect();
        node_selector.extend(settings.node_selector.iter().map(|(k, v)| (&**k, &**v)));
        if gpus > 0 {
            node_selector.extend(settings.gpu_node_selector.iter().map(|(k, v)| (&**k, &**v)));
            tolerations.extend(&settings.gpu_tolerations);
        }
        let container = Container {
            name: CONTAINER,
            image: self.image().unwrap_or_default(),
            command,
            args: &program.args,
            working_dir: program.working_dir,
            ports: program.ports,
            env: &program.env,
            resources: Quantities {
                cpu_cores: resources.cpu_cores,
                memory_gib: resources.memory_gib,
                devices: (&settings.gpu_resource_name, gpus),
            }
            .into(),
            volume_mounts: &space.mounts,
            ..Container::default()
        };
        let secrets = settings.image_pull_secrets.iter();
        PodTemplate {
            metadata: TemplateMetadata { labels: Pairs::default(), annotations: NO_SIDECAR },
            spec: PodSpec {
                containers: [container],
                volumes: &space.volumes,
                node_selector,
                tolerations,
                image_pull_secrets: secrets.map(|name| LocalReference { name }).collect(),
                service_account_name: given(settings.service_account_name.as_deref()),
                termination_grace_period_seconds: program.grace_seconds,
                ..PodSpec::default()
            },
        }
    }

    fn warnings(&self, with_head: bool) -> Vec<String> {
        let job = self.job;
        let mut warnings = Vec::new();
        if !with_head && given(job.head_image.as_deref()).is_some() {
            warnings.push("All pods are equal: `headImage` is not used.".to_owned());
        }
        let output = given(job.output_uri.as_deref());
        let path = environment::results_path(output);
        let rest = path.strip_prefix(RESULTS_PATH);
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            warnings.push(format!(
                "The output path `{path}` lies outside of the mounted storage `{RESULTS_PATH}`, so \
                 results leave with the pods unless the image mounts something there."
            ));
        } else if self.claim.is_none() && output.is_none_or(|uri| uri.starts_with("file://")) {
            warnings.push(
                "The job has neither a volume nor an output location: what it writes leaves with \
                 its pods."
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Volumes, and where they appear.
#[derive(Debug, Default)]
pub struct Space<'a> {
    volumes: Vec<Volume<'a>>,
    mounts: Vec<VolumeMount<'a>>,
}

impl<'a> Space<'a> {
    fn add(&mut self, name: &'a str, mount_path: &'a str, source: VolumeSource<'a>) {
        self.volumes.push(Volume { name, source });
        self.mounts.push(VolumeMount { mount_path, name, read_only: false });
    }
}

/// An empty text in a form or a setting means the same as none.
pub fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
