//! What the schema cannot say.

use plugin_sdk::{ChannelType, Finding, Job};

use crate::{Hyperparameters, Settings};

/// Every problem of the job; none promises that the conversion will succeed.
pub(crate) fn findings(job: &Job<'_, Hyperparameters, Settings>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let watched = job
        .channels
        .iter()
        .any(|c| c.channel_type == ChannelType::Validation);
    if job.hyperparameters.early_stopping_patience.is_some() && !watched {
        findings.push(Finding::new(
            format!("/hyperparameters/{}/early_stopping_patience", job.algorithm),
            "conflict",
            "Early stopping watches validation data: add a channel of type `validation`, or leave \
             early stopping empty.",
        ));
    }
    findings
}
