//! The same programs as objects of operators that member clusters may have.

use super::{Program, SHELL, Trainer, given};
use crate::manifest::mpijob::{MpiJob, Workers};
use crate::manifest::pod::{PodTemplate, Port, Variable};
use crate::manifest::train_job::{Size, TrainJob};
use crate::manifest::training_job::{PyTorchJob, TfGroups, TfJob};
use crate::{Failure, Plan};

/// How many pods of a `TFJob` do what.
#[derive(Clone, Copy, Debug)]
pub struct TfRoles {
    /// Whether one more pod coordinates.
    pub chief: bool,
    /// Pods that train.
    pub workers: u32,
    /// Pods that keep the model.
    pub servers: u32,
}

/// What `mpirun` starts.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Processes of each pod.
    pub processes: u32,
    /// Folder in all pods where the user of the image has its keys.
    pub ssh_path: &'a str,
    /// File of the image that lets its user run `sshd` without being root.
    pub sshd_config: &'a str,
}

impl<H, D> Trainer<'_, H, D> {
    /// A `PyTorchJob`. `port` is where the processes of all pods meet.
    pub fn pytorch_job(
        &self,
        mut program: Program<'_>,
        processes: u32,
        port: u16,
    ) -> Result<Plan, Failure> {
        // The operator sets it, whatever stands there.
        program.env.retain(|variable| variable.name() != "PYTHONUNBUFFERED");
        let ports = [Port::tcp(port, PyTorchJob::PORT)];
        let program = Program { ports: &ports, ..program };
        let (mut plan, files) = self.claims_and_files(&program)?;
        let space = self.space(&program, files.as_deref());
        let command = self.command(&program);
        let gpus = self.job.resources.gpu_count;
        let pod = || named(PyTorchJob::CONTAINER, self.pod(&program, &command, &space, gpus));
        let metadata = self.metadata(self.name());
        let runtime = self.max_runtime_seconds();
        plan.push(
            "workload",
            &PyTorchJob::new(metadata, self.instances(), processes, runtime, pod),
        )?;
        Ok(plan)
    }

    /// A `TFJob`. `port` is where every pod listens. Only pods that train get GPUs.
    pub fn tf_job(&self, program: Program<'_>, roles: TfRoles, port: u16) -> Result<Plan, Failure> {
        let ports = [Port::tcp(port, TfJob::PORT)];
        let program = Program { ports: &ports, ..program };
        let (mut plan, files) = self.claims_and_files(&program)?;
        let space = self.space(&program, files.as_deref());
        let command = self.command(&program);
        let gpus = self.job.resources.gpu_count;
        // The same program for the pods that have none of the GPUs.
        let env = without_gpus(&program.env);
        let helper = Program { env, ports: &ports, ..Program::default() };
        let pod = |gpus: u32| {
            let program = if gpus > 0 { &program } else { &helper };
            named(TfJob::CONTAINER, self.pod(program, &command, &space, gpus))
        };
        let groups = TfGroups {
            chief: roles.chief.then(|| pod(0)),
            workers: (roles.workers > 0).then(|| (roles.workers, pod(gpus))),
            servers: (roles.servers > 0).then(|| (roles.servers, pod(0))),
        };
        let metadata = self.metadata(self.name());
        plan.push("workload", &TfJob::new(metadata, self.max_runtime_seconds(), groups))?;
        Ok(plan)
    }

    /// A `TrainJob` of the runtime that the operator named. `processes` where the runtime starts
    /// them in each pod.
    pub fn train_job(
        &self,
        program: &Program<'_>,
        processes: Option<u32>,
    ) -> Result<Plan, Failure> {
        let (mut plan, files) = self.claims_and_files(program)?;
        let space = self.space(program, files.as_deref());
        let command = self.command(program);
        let pod = self.pod(program, &command, &space, self.job.resources.gpu_count);
        let runtime = self.settings().training_runtime.as_str();
        let size = Size { runtime, nodes: self.instances(), processes };
        let metadata = self.metadata(self.name());
        let job = TrainJob::new(metadata, size, self.max_runtime_seconds(), pod);
        plan.push("workload", &job)?;
        Ok(plan)
    }

    /// An `MPIJob`: the launcher starts the job's command line in the workers, once for each
    /// process, and the workers wait for it.
    pub fn mpi_job(&self, program: Program<'_>, launch: &Launch<'_>) -> Result<Plan, Failure> {
        let Program { env, files: given, .. } = program;
        let names: Vec<String> = env.iter().map(|variable| variable.name().to_owned()).collect();
        let processes = launch.processes.saturating_mul(self.instances()).to_string();
        let launcher = Program {
            command: vec!["mpirun"],
            args: arguments(&processes, &names, self.entrypoint().unwrap_or_default()),
            env,
            files: given,
            ..Program::default()
        };
        let worker = Program {
            command: vec!["/usr/sbin/sshd"],
            args: vec!["-De", "-f", launch.sshd_config],
            files: given,
            ..Program::default()
        };
        let (mut plan, files) = self.claims_and_files(&launcher)?;
        let space = self.space(&launcher, files.as_deref());
        let (start, serve) = (self.command(&launcher), self.command(&worker));
        let workers = Workers {
            count: self.instances(),
            slots: launch.processes,
            ssh_path: launch.ssh_path,
            template: self.pod(&worker, &serve, &space, self.job.resources.gpu_count),
        };
        let launcher = self.pod(&launcher, &start, &space, 0);
        let metadata = self.metadata(self.name());
        let runtime = self.max_runtime_seconds();
        plan.push("workload", &MpiJob::new(metadata, runtime, launcher, workers))?;
        Ok(plan)
    }

    /// Name of the runtime for a `TrainJob`, if there is one.
    pub fn training_runtime(&self) -> Option<&str> {
        given(Some(&self.settings().training_runtime))
    }

    fn claims_and_files(&self, program: &Program<'_>) -> Result<(Plan, Option<String>), Failure> {
        let mut plan = self.claims(false)?;
        let name = self.push_files(program, &mut plan)?;
        Ok((plan, name))
    }
}

fn without_gpus<'a>(env: &[Variable<'a>]) -> Vec<Variable<'a>> {
    let count = |variable: &Variable<'a>| match variable.name() {
        "GPU_COUNT" => Variable::value("GPU_COUNT", "0"),
        _ => variable.clone(),
    };
    env.iter().map(count).collect()
}

/// The operator fills the environment of the container with this name.
fn named<'a>(name: &'static str, mut pod: PodTemplate<'a>) -> PodTemplate<'a> {
    let [container] = &mut pod.spec.containers;
    container.name = name;
    pod
}

/// Arguments of `mpirun`. A process that `sshd` starts knows nothing of the variables of its pod,
/// so each one is passed on by name.
fn arguments<'a>(processes: &'a str, names: &'a [String], line: &'a str) -> Vec<&'a str> {
    let mut args = vec!["-np", processes, "-bind-to", "none", "-map-by", "slot"];
    let own = ["PATH", "LD_LIBRARY_PATH"];
    for name in own.into_iter().chain(names.iter().map(String::as_str)) {
        args.extend(["-x", name]);
    }
    args.extend(SHELL);
    args.push(line);
    args
}
