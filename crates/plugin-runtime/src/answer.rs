//! What a guest answered, checked and turned into the domain's types. Nothing a guest wrote leaves
//! this file without a bound on its size.

use training::Timestamp;
use training::job::FailureClass;
use training::manifest::{Manifest, Role};
use training::ports::{Conversion, ConvertRefusal, FieldError, LogTarget, Report, RunState};

use crate::bindings::{self, types};
use crate::limits::{JSON_DEPTH, LIST_ITEMS, MANIFEST_BYTES, MANIFESTS, TEXT_BYTES};
use crate::text;

/// How an answer breaks the contract. One sentence for operators.
pub(crate) type Breach = String;

/// Turns the answer of `convert` around: the outer error is the plugin's fault.
pub(crate) fn conversion(
    answer: Result<bindings::Plan, bindings::Failure>,
) -> Result<Result<Conversion, ConvertRefusal>, Breach> {
    match answer {
        Ok(plan) => plan_of(plan).map(Ok),
        Err(bindings::Failure::Invalid(list)) if list.is_empty() => {
            Err("it called the form invalid without a finding".to_owned())
        }
        Err(bindings::Failure::Invalid(list)) => Ok(Err(ConvertRefusal::Invalid(findings(list)))),
        Err(bindings::Failure::Unsupported(why)) => {
            Ok(Err(ConvertRefusal::Unsupported(text::clean(&why, TEXT_BYTES))))
        }
        Err(bindings::Failure::Internal(why)) => Err(text::clean(&why, TEXT_BYTES)),
    }
}

fn plan_of(plan: bindings::Plan) -> Result<Conversion, Breach> {
    if plan.manifests.len() > MANIFESTS {
        return Err(format!(
            "it made {} manifests; at most {MANIFESTS} are allowed",
            plan.manifests.len()
        ));
    }
    let manifests =
        plan.manifests.into_iter().enumerate().map(manifest).collect::<Result<_, _>>()?;
    let warnings = plan
        .warnings
        .iter()
        .take(LIST_ITEMS)
        .map(|warning| text::clean(warning, TEXT_BYTES))
        .collect();
    Ok(Conversion { manifests, warnings })
}

fn manifest((index, manifest): (usize, types::Manifest)) -> Result<Manifest, Breach> {
    let role = Role::parse(&manifest.role).ok_or_else(|| {
        format!("manifest {index} has the unknown role `{}`", text::clean(&manifest.role, 64))
    })?;
    if manifest.document.len() > MANIFEST_BYTES {
        return Err(format!(
            "manifest {index} has {} bytes; at most {MANIFEST_BYTES} are allowed",
            manifest.document.len()
        ));
    }
    if !text::nests_within(&manifest.document, JSON_DEPTH) {
        return Err(format!("manifest {index} nests deeper than {JSON_DEPTH} levels"));
    }
    let document = serde_json::from_str(&manifest.document)
        .map_err(|error| format!("manifest {index} is not JSON: {error}"))?;
    Ok(Manifest { role, document })
}

/// The findings of `validate` or of an invalid form.
pub(crate) fn findings(list: Vec<bindings::Finding>) -> Vec<FieldError> {
    list.iter()
        .take(LIST_ITEMS)
        .map(|finding| {
            FieldError::new(
                text::pointer(&finding.pointer),
                text::code(&finding.code),
                text::clean(&finding.message, TEXT_BYTES),
            )
        })
        .collect()
}

/// The reading of a status. It cannot break the contract: what is unusable is left out.
pub(crate) fn report(report: &bindings::Report) -> Report {
    Report {
        state: run_state(report.state),
        reason: text::reason(&report.reason),
        message: text::clean(&report.message, TEXT_BYTES),
        progress: report
            .progress
            .filter(|share| share.is_finite())
            .map(|share| share.clamp(0.0, 1.0)),
        failure: failure_class(report.failure),
        started_at: instant(report.started_at.as_deref()),
        finished_at: instant(report.finished_at.as_deref()),
        logs: report
            .logs
            .iter()
            .take(LIST_ITEMS)
            .map(|target| LogTarget {
                role: text::clean(&target.role, 63),
                label_selector: text::clean(&target.label_selector, 1024),
                container: target.container.as_deref().map(|name| text::clean(name, 63)),
            })
            .collect(),
    }
}

fn instant(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}

fn run_state(state: types::RunState) -> RunState {
    match state {
        types::RunState::Unknown => RunState::Unknown,
        types::RunState::Pending => RunState::Pending,
        types::RunState::Running => RunState::Running,
        types::RunState::Suspended => RunState::Suspended,
        types::RunState::Succeeded => RunState::Succeeded,
        types::RunState::Failed => RunState::Failed,
    }
}

fn failure_class(class: types::FailureClass) -> FailureClass {
    match class {
        types::FailureClass::None => FailureClass::None,
        types::FailureClass::UserCode => FailureClass::UserCode,
        types::FailureClass::Timeout => FailureClass::Timeout,
        types::FailureClass::Capacity => FailureClass::Capacity,
        types::FailureClass::Infrastructure => FailureClass::Infrastructure,
        types::FailureClass::Rejected => FailureClass::Rejected,
        types::FailureClass::Stopped => FailureClass::Stopped,
    }
}
