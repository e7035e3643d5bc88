//! What must hold for every job that a plugin converts, whatever the job asks for. Each rule has a
//! name, so that a failure can be made smaller without turning into another one.

use serde_json::Value;
use training::admit::{Policy, TOO_LARGE};
use training::manifest::Bundle;

use super::cluster::ClusterSchemas;
use super::demand::{self, Asked};
use crate::candidate::{Candidate, Ending, Planned, Stage, admitted, listed};

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) rule: &'static str,
    pub(crate) why: String,
}

/// The rules and how a report names them, in the order of the report.
pub(crate) const RULES: &[(&str, &str)] = &[
    (FAULTS, "neither `validate` nor `convert` breaks"),
    (CONVERTS, "what `validate` accepts, `convert` converts"),
    (DETERMINISM, "three conversions in two runtimes are equal to the byte"),
    (ADMITTED, "the host's default policy admits the manifests"),
    (DEMAND, "no more replicas, CPU, memory or GPUs than asked for"),
    (VOLUMES, "every mounted volume is declared"),
];

const FAULTS: &str = "faults";
const CONVERTS: &str = "converts";
const DETERMINISM: &str = "determinism";
const ADMITTED: &str = "admitted";
const DEMAND: &str = "demand";
const VOLUMES: &str = "volumes";
/// Reported with the schemas of the clusters.
pub(crate) const CLUSTER: &str = "cluster";

/// How a form fared.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// Empty for a form that was refused as it should be.
    pub(crate) breaches: Vec<Breach>,
    /// What the plugin made, if it did.
    pub(crate) planned: Option<Box<Planned>>,
    /// The stage that refused the form.
    pub(crate) refused: Option<(Stage, String)>,
}

/// The plugin in two runtimes, and what its manifests are checked against.
pub(crate) struct Judge<'a> {
    pub(crate) first: &'a Candidate,
    pub(crate) second: &'a Candidate,
    pub(crate) policy: Policy,
    pub(crate) schemas: Option<&'a ClusterSchemas>,
}

impl Judge<'_> {
    /// Converts the form and tries every rule on the result.
    pub(crate) async fn judge(&self, form: &Value) -> Judgement {
        let breach = |rule, why: String| Breach { rule, why };
        let mut breaches = Vec::new();
        let planned = match self.first.convert(form).await {
            Ending::Planned(planned) => planned,
            Ending::Invalid(stage, errors) => {
                if stage == Stage::Convert {
                    breaches.push(breach(CONVERTS, listed(&errors)));
                }
                let refused = Some((stage, listed(&errors)));
                return Judgement { breaches, planned: None, refused };
            }
            Ending::Unsupported(why) => {
                breaches.push(breach(CONVERTS, why.clone()));
                return Judgement { breaches, planned: None, refused: Some((Stage::Convert, why)) };
            }
            Ending::Fault(fault) => {
                breaches.push(breach(FAULTS, fault.to_string()));
                return Judgement { breaches, planned: None, refused: None };
            }
        };
        for candidate in [self.first, self.second] {
            if let Some(difference) = candidate.repeats(&planned).await {
                breaches.push(breach(DETERMINISM, difference));
                break;
            }
        }
        match admitted(&planned, self.first.info(), "origin", &self.policy) {
            Ok(bundle) => self.rules_of_manifests(&planned, &bundle, &mut breaches),
            // As in a submission: what is too large is so because of what the form holds.
            Err(errors) if errors.iter().all(|error| TOO_LARGE.contains(&&*error.code)) => {
                let refused = Some((Stage::Form, listed(&errors)));
                return Judgement { breaches, planned: None, refused };
            }
            Err(errors) => breaches.push(breach(ADMITTED, listed(&errors))),
        }
        Judgement { breaches, planned: Some(planned), refused: None }
    }

    fn rules_of_manifests(&self, planned: &Planned, bundle: &Bundle, found: &mut Vec<Breach>) {
        let asked = Asked::of(&planned.input.spec);
        for manifest in bundle.manifests() {
            let object = manifest.object_ref();
            let mut add = |rule, lines: Vec<String>| {
                found.extend(
                    lines.into_iter().map(|line| Breach { rule, why: format!("{object}: {line}") }),
                );
            };
            add(DEMAND, demand::exceeded(&manifest.document, &asked));
            add(VOLUMES, demand::undeclared_volumes(&manifest.document));
            if let Some(schemas) = self.schemas {
                add(CLUSTER, schemas.refusals(&manifest.document));
            }
        }
    }
}
