//! From a validated job to its manifests.

use plugin_sdk::manifest::deployment::{Deployment, Patience};
use plugin_sdk::manifest::ingress::{Ingress, Route};
use plugin_sdk::manifest::meta::Pairs;
use plugin_sdk::manifest::pod::{HttpGet, Port, Probe, Variable};
use plugin_sdk::manifest::service::{Service, ServicePort};
use plugin_sdk::trainer::{NoParameters, Program, Trainer, UserVariables, given};
use plugin_sdk::{Failure, Plan};

use crate::hyperparameters::{PortMapping, Protocol};
use crate::{Hyperparameters, ServiceJob};

/// The variables of the platform.
pub(crate) fn environment<'j>(job: &'j ServiceJob<'_>) -> Result<Vec<Variable<'j>>, Failure> {
    // What the user sets here is for the cluster; the program gets the form's free parameters.
    Trainer::of(job).environment_of_equals(&NoParameters {})
}

/// The variables of the user.
pub(crate) fn user_variables(h: &Hyperparameters) -> UserVariables<'_> {
    UserVariables { plain: ("env", &h.env), secret: Some(("secretEnv", &h.secret_env)) }
}

impl PortMapping {
    /// Its name, or one made of its number.
    pub(crate) fn own_name(&self) -> String {
        if self.name.is_empty() {
            format!("port-{}", self.container_port)
        } else {
            self.name.clone()
        }
    }

    fn inside(&self) -> u16 {
        u16::try_from(self.container_port).unwrap_or(u16::MAX)
    }

    /// The port under which others reach it.
    pub(crate) fn outside(&self) -> u16 {
        self.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(self.inside())
    }
}

pub(crate) fn convert(job: &ServiceJob<'_>) -> Result<Plan, Failure> {
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    let mut env = environment(job)?;
    env.extend(user_variables(h).variables());
    let names: Vec<String> = h.ports.iter().map(PortMapping::own_name).collect();
    let ports = container_ports(h, &names);
    let program = Program {
        command: h.command.iter().map(String::as_str).collect(),
        args: h.args.iter().map(String::as_str).collect(),
        working_dir: given(h.working_dir.as_deref()),
        grace_seconds: Some(h.termination_grace_period_seconds),
        env,
        ports: &ports,
        ..Program::default()
    };
    let mut plan = trainer.claims(false)?;
    if job.max_runtime_seconds.is_some() {
        plan.warnings.push(
            "A service has no end of its own: when its time is over, it is stopped, and the job \
             has run out of time."
                .to_owned(),
        );
    }
    let labels = [("app", &*job.name), ("training-job-id", &*job.id)];
    push_network(&mut plan, job, &trainer, &labels, &names)?;
    let space = trainer.space(&program, None);
    let command = trainer.command(&program);
    let mut template = trainer.pod(&program, &command, &space, job.resources.gpu_count);
    template.metadata.labels = Pairs(&labels);
    let [container] = &mut template.spec.containers;
    let path = given(h.readiness_path.as_deref());
    container.readiness_probe = path.zip(h.ports.first()).map(|(path, port)| Probe {
        http_get: HttpGet { path, port: port.inside() },
        period_seconds: h.readiness_period_seconds,
    });
    let patience =
        Patience { progress_deadline: h.progress_deadline_seconds, min_ready: h.min_ready_seconds };
    let metadata = trainer.metadata(trainer.name());
    let deployment =
        Deployment::new(metadata, trainer.instances(), Pairs(&labels), patience, template);
    plan.push("workload", &deployment)?;
    Ok(plan)
}

fn container_ports<'a>(h: &'a Hyperparameters, names: &'a [String]) -> Vec<Port<'a>> {
    let named = h.ports.iter().zip(names);
    named
        .map(|(port, name)| Port {
            container_port: port.inside(),
            name,
            protocol: (port.protocol != Protocol::Tcp).then_some(port.protocol.as_str()),
        })
        .collect()
}

/// The Service for the ports, and the Ingress for the host.
fn push_network(
    plan: &mut Plan,
    job: &ServiceJob<'_>,
    trainer: &Trainer<'_, Hyperparameters, crate::Own>,
    labels: &[(&str, &str)],
    names: &[String],
) -> Result<(), Failure> {
    let h = &job.hyperparameters;
    let Some(first) = h.ports.first() else { return Ok(()) };
    let named = h.ports.iter().zip(names);
    let ports: Vec<ServicePort<'_>> = named
        .map(|(port, name)| ServicePort {
            name,
            port: port.outside(),
            target_port: port.inside(),
            protocol: port.protocol.as_str(),
        })
        .collect();
    let service = format!("{}-service", job.name);
    plan.push("config", &Service::cluster_ip(trainer.metadata(&service), labels, &ports))?;
    if let Some(host) = given(h.host.as_deref()) {
        let route = Route {
            host,
            path: &h.path,
            service: &service,
            port: first.outside(),
            class: given(h.ingress_class_name.as_deref()),
            certificate: given(h.tls_secret_name.as_deref()),
        };
        let name = format!("{}-ingress", job.name);
        plan.push("config", &Ingress::new(trainer.metadata(&name), route))?;
    }
    Ok(())
}
