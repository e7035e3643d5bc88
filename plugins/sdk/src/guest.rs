//! Between the wire and the trait: JSON in, typed job to the converter, wire types out. Called by
//! the exports of a component, and natively by tests and benchmarks.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use crate::answer::internal;
pub use crate::bindings::exports::trainyard::converter::converter::Description as Described;
use crate::{
    Converter, Failure, Finding, Job, Plan, Report, Workload, interpreter, log, schema, suspend,
};

type JobOf<'a, C> = Job<'a, <C as Converter>::Hyperparameters, <C as Converter>::Settings>;

/// Adds the schemas to what the converter says about itself.
pub fn describe<C: Converter>() -> Described {
    log::install_panic_hook();
    let description = C::describe();
    Described {
        name: description.name.to_owned(),
        version: description.version.to_owned(),
        algorithms: description.algorithms.iter().map(|&name| name.to_owned()).collect(),
        title: description.title.to_owned(),
        summary: description.summary.to_owned(),
        hyperparameters_schema: schema::of::<C::Hyperparameters>(),
        settings_schema: schema::of::<C::Settings>(),
        kinds: description.kinds,
        examples: description.examples.iter().map(|&example| example.to_owned()).collect(),
        extra: interpreter::extra(&C::interpreters())
            .into_iter()
            .chain(suspend::extra(&C::suspend_fields()))
            .collect(),
    }
}

/// Everything wrong with the job.
pub fn validate<C: Converter>(job: &str) -> Vec<Finding> {
    log::install_panic_hook();
    match parse::<C>(job) {
        Ok(job) => C::validate(&job),
        Err(Failure::Invalid(findings)) => findings,
        Err(Failure::Unsupported(message)) => vec![Finding::new("", "unsupported", message)],
        Err(Failure::Internal(message)) => vec![Finding::new("", "internal", message)],
    }
}

/// The job's manifests.
pub fn convert<C: Converter>(job: &str) -> Result<Plan, Failure> {
    log::install_panic_hook();
    C::convert(&parse::<C>(job)?)
}

/// One reading of a status.
pub fn interpret<C: Converter>(object: &str) -> Report {
    log::install_panic_hook();
    C::interpret(&Workload::parse(object))
}

fn parse<C: Converter>(json: &str) -> Result<JobOf<'_, C>, Failure> {
    serde_json::from_str(json).map_err(|error| explain::<C>(json, &error))
}

/// The job did not parse in one go. Reads it again piece by piece to tell the user's mistake from
/// the host's; this second reading is off the path of every good job.
fn explain<C: Converter>(json: &str, error: &serde_json::Error) -> Failure {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        algorithm: String,
        #[serde(borrow)]
        hyperparameters: &'a RawValue,
    }

    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(json) else {
        return internal(&format!("cannot read the job: {error}"));
    };
    let mut reader = serde_json::Deserializer::from_str(envelope.hyperparameters.get());
    match serde_path_to_error::deserialize::<_, C::Hyperparameters>(&mut reader) {
        Ok(_) => internal(&format!("cannot read the job: {error}")),
        Err(error) => {
            let mut pointer = format!("/hyperparameters/{}", envelope.algorithm);
            push_pointer(&mut pointer, error.path());
            let message = format!("The value cannot be used: {}.", error.inner());
            Failure::Invalid(vec![Finding::new(pointer, "invalid", message)])
        }
    }
}

fn push_pointer(pointer: &mut String, path: &Path) {
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(pointer, "/{index}");
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
}
