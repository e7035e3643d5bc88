"""CatBoost: a job becomes one Kubernetes Job with one pod. The training program finds one file of
parameters in its environment, just as `catboost.train` takes them."""

from examples import EXAMPLES
from hyperparameters import Hyperparameters
from rules import findings
from settings import Settings
from trainyard import batch_job
from trainyard.batch_job import json_variable, secret_variable, variable
from trainyard.contract import Finding, Manifest, Plan, Report
from trainyard.job import Job
from trainyard.schema import items

NAME = "catboost"
VERSION = "1.0.0"
ALGORITHMS = ["catboost"]
TITLE = "CatBoost"
SUMMARY = "Gradient boosted trees with categorical features, in one container."
KINDS = [batch_job.KIND, batch_job.CLAIM_KIND]

__all__ = ["EXAMPLES", "Hyperparameters", "Settings"]

# Parameters that belong to other variables, or into the name of the loss.
_NOT_OF_THE_MODEL = {"cat_features", "loss_function", "quantile_alpha", "tweedie_variance_power"}
# CatBoost refuses a parameter that does not belong to the choice of another one.
_ONLY_WITH = {
    "min_data_in_leaf": ("grow_policy", {"Depthwise", "Lossguide"}),
    "max_leaves": ("grow_policy", {"Lossguide"}),
    "bagging_temperature": ("bootstrap_type", {"Bayesian"}),
    "od_pval": ("od_type", {"IncToDec"}),
    "rsm": ("task_type", {"CPU"}),
}


def validate(job: Job) -> list[Finding]:
    """Every problem that the schema cannot see."""
    return findings(job)


def convert(job: Job) -> Plan:
    """A claim for the results, if the job asks for one, and the workload."""
    settings = job.settings
    plan = Plan()
    if job.head_image:
        plan.warnings.append("There is one pod only: `headImage` is not used.")
    if job.resources.gpu_count > 0 and job.hyperparameters.task_type == "CPU":
        plan.warnings.append("The job has GPUs that it does not use: set `task_type` to `GPU`.")
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
        json_variable("CATBOOST_PARAMS", parameters(job)),
        json_variable("CATBOOST_CAT_FEATURES", job.hyperparameters.cat_features),
        json_variable("CHANNELS", batch_job.describe_channels(job)),
    ]
    if job.output_uri:
        env.append(variable("OUTPUT_URI", job.output_uri))
    if settings.s3_secret:
        env += [
            variable("AWS_REGION", settings.s3_region),
            secret_variable("AWS_ACCESS_KEY_ID", settings.s3_secret, settings.s3_access_key),
            secret_variable("AWS_SECRET_ACCESS_KEY", settings.s3_secret, settings.s3_secret_key),
        ]
    return env


def parameters(job: Job) -> dict:
    """The parameters of `catboost.train`, in the order of the form, the user's own ones last."""
    hp = job.hyperparameters
    found = {"loss_function": loss(hp)}
    for name, value in items(hp):
        other, choices = _ONLY_WITH.get(name, (None, set()))
        fits = other is None or getattr(hp, other) in choices
        if name not in _NOT_OF_THE_MODEL and value is not None and fits:
            found[name] = value
    # More threads than cores would only wait for each other.
    found["thread_count"] = job.resources.cpu_cores
    found.update(job.custom_hyperparameters)
    return found


def loss(hp: Hyperparameters) -> str:
    """The loss with its own parameter, as CatBoost writes it: `Quantile:alpha=0.5`."""
    if hp.loss_function in ("Quantile", "LogLinQuantile"):
        return f"{hp.loss_function}:alpha={hp.quantile_alpha}"
    if hp.loss_function == "Tweedie":
        return f"{hp.loss_function}:variance_power={hp.tweedie_variance_power}"
    return hp.loss_function


def interpret(workload: dict) -> Report:
    """Reads the workload's status."""
    return batch_job.interpret(workload)
