"""Template Title: a job becomes one Kubernetes Job, with one pod per instance. Pure functions: the host
makes a fresh instance for every call, and there is no clock, file or network to ask."""

from examples import EXAMPLES
from hyperparameters import Hyperparameters
from settings import Settings
from trainyard import batch_job
from trainyard.batch_job import json_variable, secret_variable, variable
from trainyard.contract import Finding, Manifest, Plan, Report
from trainyard.job import Job
from trainyard.schema import items

NAME = "template-name"
VERSION = "0.1.0"
# The first is canonical, the others are aliases.
ALGORITHMS = ["template-algorithm"]
TITLE = "Template Title"
SUMMARY = "Trains with Template Title, in one container per instance."
KINDS = [batch_job.KIND, batch_job.CLAIM_KIND]

__all__ = ["EXAMPLES", "Hyperparameters", "Settings"]


def validate(job: Job) -> list[Finding]:
    """What the schema cannot say. Returns every problem; an empty list promises that `convert`
    will succeed."""
    findings = []
    patience = job.hyperparameters.early_stopping_patience
    if patience is not None and not job.has_channel("validation"):
        findings.append(
            Finding(
                job.pointer("early_stopping_patience"),
                "conflict",
                "Early stopping watches validation data: add a channel of type `validation`, or "
                "leave early stopping empty.",
            )
        )
    return findings


def convert(job: Job) -> Plan:
    """The job's manifests, exactly one with role `workload`."""
    settings = job.settings
    plan = Plan()
    if job.head_image:
        plan.warnings.append("All instances are equal: `headImage` is not used.")
    claim = batch_job.results_claim(job)
    if claim:
        plan.manifests.append(Manifest("storage", claim))
    document = batch_job.batch_job(
        job,
        image=job.image_uri or job.worker_image or settings.image,
        command=["/bin/sh", "-c", job.entrypoint or settings.entrypoint],
        env=environment(job),
        gpu_resource=settings.gpu_resource_name,
    )
    plan.manifests.append(Manifest("workload", document))
    return plan


def environment(job: Job) -> list[dict]:
    """What the training program finds in its environment."""
    settings = job.settings
    env = [
        variable("JOB_ID", job.id),
        variable("JOB_NAME", job.name),
        variable("WORLD_SIZE", job.resources.instance_count),
    ]
    env += [variable(f"HP_{name.upper()}", value) for name, value in items(job.hyperparameters)]
    if job.custom_hyperparameters:
        env.append(json_variable("CUSTOM_HYPERPARAMETERS", job.custom_hyperparameters))
    env.append(json_variable("CHANNELS", batch_job.describe_channels(job)))
    if job.output_uri:
        env.append(variable("OUTPUT_URI", job.output_uri))
    # Without data there is nothing to log in to, and a Secret that is missing would keep the pods
    # from starting.
    if (job.channels or job.output_uri) and settings.s3_secret:
        env += [
            variable("AWS_REGION", settings.s3_region),
            secret_variable("AWS_ACCESS_KEY_ID", settings.s3_secret, settings.s3_access_key),
            secret_variable("AWS_SECRET_ACCESS_KEY", settings.s3_secret, settings.s3_secret_key),
        ]
    return env


def interpret(workload: dict) -> Report:
    """Reads the workload's status. Must never raise, whatever it holds."""
    return batch_job.interpret(workload)
