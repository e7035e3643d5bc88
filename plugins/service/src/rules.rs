//! What a schema cannot say.

use std::collections::BTreeSet;

use plugin_sdk::trainer::{Trainer, UserCommand, given};
use plugin_sdk::{Finding, Findings};

use crate::ServiceJob;
use crate::convert::{environment, user_variables};
use crate::hyperparameters::{Hyperparameters, Protocol};

pub(crate) fn findings(job: &ServiceJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    trainer.require_image("A service", &mut findings);
    let command = UserCommand {
        command: &h.command,
        args: &h.args,
        form_line: job.entrypoint.as_deref(),
        line: trainer.entrypoint(),
    };
    command.check(&mut findings);
    user_variables(h).check(&environment(job).unwrap_or_default(), &mut findings);
    ports(h, &mut findings);
    web(h, &mut findings);
    if h.min_ready_seconds >= h.progress_deadline_seconds {
        findings.conflict(
            "minReadySeconds",
            "It must be shorter than `progressDeadlineSeconds`, or no pod ever counts in time.",
        );
    }
    findings.into_vec()
}

fn ports(h: &Hyperparameters, findings: &mut Findings) {
    let (mut names, mut inside, mut outside) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, port) in h.ports.iter().enumerate() {
        let protocol = port.protocol.as_str();
        if !names.insert(port.own_name()) {
            findings.add(
                &format!("ports/{index}/name"),
                "duplicate",
                "Another port has this name already.",
            );
        }
        if !inside.insert((port.container_port, protocol)) {
            findings.add(
                &format!("ports/{index}/containerPort"),
                "duplicate",
                "The program listens on this port already.",
            );
        }
        if !outside.insert((port.outside(), protocol)) {
            findings.add(
                &format!("ports/{index}/port"),
                "duplicate",
                "Another port is reached under this number already.",
            );
        }
    }
}

fn web(h: &Hyperparameters, findings: &mut Findings) {
    let speaks_http = h.ports.first().is_some_and(|port| port.protocol == Protocol::Tcp);
    for (field, is_set) in [
        ("host", given(h.host.as_deref()).is_some()),
        ("readinessPath", given(h.readiness_path.as_deref()).is_some()),
    ] {
        if is_set && !speaks_http {
            findings.conflict(field, "It is about the first of `ports`, which must speak TCP.");
        }
    }
    for (field, is_set) in [
        ("tlsSecretName", given(h.tls_secret_name.as_deref()).is_some()),
        ("ingressClassName", given(h.ingress_class_name.as_deref()).is_some()),
    ] {
        if is_set && given(h.host.as_deref()).is_none() {
            findings
                .conflict(field, "It is about the host, and there is none: name one in `host`.");
        }
    }
}
