//! What a schema cannot say: rules that the libraries themselves would enforce later, with less to
//! go by, and notes for jobs that are accepted.

use plugin_sdk::number::Count;
use plugin_sdk::trainer::Trainer;
use plugin_sdk::{ChannelType, Finding, Findings};

use crate::JaxJob;
use crate::convert::{devices, other_axes};
use crate::hyperparameters::{Hyperparameters, Optimizer, Precision, Schedule};

pub(crate) fn findings(job: &JaxJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    let h = &job.hyperparameters;
    Trainer::of(job).check_name(&mut findings);
    optimizer(h, &mut findings);
    mesh(job, &mut findings);
    let validated = job.channels.iter().any(|c| c.channel_type == ChannelType::Validation);
    if h.early_stopping_patience.is_some() && !validated {
        findings.conflict(
            "early_stopping_patience",
            "Early stopping watches validation data: add a channel of type `validation`, or leave \
             it empty.",
        );
    }
    if h.warmup_steps > 0 && h.schedule != Schedule::WarmupCosine {
        findings.conflict("warmup_steps", "Only the schedule `warmup_cosine` warms up.");
    }
    findings.into_vec()
}

fn optimizer(h: &Hyperparameters, findings: &mut Findings) {
    use Optimizer::{Adafactor, Adam, Adamw, Lion, Sgd};

    let name = h.optimizer.as_str();
    let knows = |optimizers: &[Optimizer]| optimizers.contains(&h.optimizer);
    for (field, is_set, fits) in [
        ("b1", h.b1.is_some(), knows(&[Adamw, Adam, Lion])),
        ("b2", h.b2.is_some(), knows(&[Adamw, Adam, Lion])),
        ("weight_decay", h.weight_decay.is_some(), knows(&[Adamw, Lion, Adafactor])),
        ("momentum", h.momentum.is_some(), knows(&[Sgd, Adafactor])),
        ("nesterov", h.nesterov, knows(&[Adamw, Adam, Sgd])),
    ] {
        if is_set && !fits {
            findings.conflict(field, format!("The optimizer `{name}` does not know it."));
        }
    }
    if h.optimizer == Sgd && h.nesterov && h.momentum.is_none_or(|momentum| momentum <= 0.0) {
        findings.conflict("nesterov", "Looking ahead needs a momentum above 0.");
    }
}

/// The axes together are the devices.
fn mesh(job: &JaxJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let (devices, others) = (devices(job), other_axes(h));
    match h.mesh_data {
        Count::Auto if !devices.is_multiple_of(others) => findings.conflict(
            if h.mesh_tensor > 1 { "mesh_tensor" } else { "mesh_fsdp" },
            format!("The job has {devices} devices, which {others} do not divide."),
        ),
        Count::Fixed(data) if u64::from(data).saturating_mul(others) != devices => findings
            .conflict(
                "mesh_data",
                format!(
                    "The axes have {} devices together, and the job has {devices}.",
                    u64::from(data).saturating_mul(others)
                ),
            ),
        _ => {
            let split = devices / u64::from(h.mesh_tensor.max(1));
            // A program of the user's own may make batches of another size.
            if job.entrypoint.is_none() && !u64::from(h.batch_size).is_multiple_of(split.max(1)) {
                findings.conflict(
                    "batch_size",
                    format!(
                        "A batch of {} rows cannot be divided evenly among {split} devices.",
                        h.batch_size
                    ),
                );
            }
        }
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &JaxJob<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if job.hyperparameters.precision == Precision::Float64 && job.resources.gpu_count > 0 {
        warnings.push("Most GPUs compute with 64 bits many times slower.".to_owned());
    }
    warnings
}
