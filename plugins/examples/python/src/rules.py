"""What the schema cannot say: rules across fields."""

from hyperparameters import BINARY, MULTICLASS
from trainyard.contract import Finding
from trainyard.job import Job

CLASSIFIES = {*BINARY, *MULTICLASS}
# Metrics that need classes, and those that need numbers.
OF_CLASSES = {"Logloss", "AUC", "Accuracy", "F1", "TotalF1", "MultiClass"}
# GPUs hold a border in one byte.
MOST_BORDERS_ON_GPU = 255


def findings(job: Job) -> list[Finding]:
    """Every problem of the job."""
    found = []
    hp = job.hyperparameters

    def conflict(parameter: str, message: str) -> None:
        found.append(Finding(job.pointer(parameter), "conflict", message))

    if job.resources.instance_count > 1:
        found.append(
            Finding(
                "/resources/instanceCount",
                "unsupported",
                "CatBoost trains in one pod: use one instance, with more cores or GPUs.",
            )
        )
    if not job.has_channel("train"):
        found.append(
            Finding("/inputDataConfig", "required", "Add a channel of type `train`.")
        )
    _check_device(job, conflict)
    classifies = hp.loss_function in CLASSIFIES
    if hp.eval_metric and (hp.eval_metric in OF_CLASSES) != classifies:
        conflict(
            "eval_metric",
            f"The metric `{hp.eval_metric}` cannot be computed for the loss `{hp.loss_function}`.",
        )
    if hp.auto_class_weights != "None" and not classifies:
        conflict("auto_class_weights", f"The loss `{hp.loss_function}` has no classes to weight.")
    if hp.boosting_type == "Ordered" and hp.grow_policy != "SymmetricTree":
        conflict("boosting_type", "The scheme `Ordered` needs the growth `SymmetricTree`.")
    if hp.subsample is not None and hp.bootstrap_type in ("Bayesian", "No"):
        conflict("subsample", f"The sampling `{hp.bootstrap_type}` takes no share of the rows.")
    watches = hp.use_best_model or hp.od_pval > 0 or hp.od_wait is not None
    if watches and not job.has_channel("validation"):
        name = "use_best_model" if hp.use_best_model else "od_pval" if hp.od_pval else "od_wait"
        conflict(name, "This watches validation data: add a channel of type `validation`.")
    if hp.od_type == "Iter" and hp.od_pval > 0:
        conflict("od_pval", "The detector `Iter` has no threshold: leave it 0, or use `IncToDec`.")
    _check_columns(job, conflict)
    return found


def _check_device(job: Job, conflict) -> None:
    hp = job.hyperparameters
    if hp.task_type == "GPU":
        if job.resources.gpu_count == 0:
            conflict("task_type", "The device `GPU` needs a GPU: raise `gpuCount`, or use `CPU`.")
        if (hp.border_count or 0) > MOST_BORDERS_ON_GPU:
            conflict("border_count", f"GPUs take at most {MOST_BORDERS_ON_GPU} borders.")
        if hp.rsm < 1:
            conflict("rsm", "GPUs choose from all features: use a share of 1, or the device `CPU`.")
    elif hp.bootstrap_type == "Poisson":
        conflict("bootstrap_type", "The sampling `Poisson` needs the device `GPU`.")


def _check_columns(job: Job, conflict) -> None:
    """Names of categorical columns, where the channels say which columns there are."""
    for channel in job.channels:
        unknown = [name for name in job.hyperparameters.cat_features if channel.feature_names and
                   name not in channel.feature_names]
        if unknown:
            conflict(
                "cat_features",
                f"The channel `{channel.name}` has no feature `{unknown[0]}`.",
            )
