"""A `batch/v1` Job: how it is written, and what its status means."""

import json

from trainyard.contract import Kind, LogTarget, Report
from trainyard.job import Job

# Eight of 63 characters are left for what is named after a Job: its claim, and its pods.
KIND = Kind("batch/v1", "Job", "jobs", workload=True, max_name_length=55)
CLAIM_KIND = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", workload=False)

CONTAINER = "trainer"
RESULTS_VOLUME = "results"
RESULTS_PATH = "/results"

# A report is kept for ever, so what it quotes from the cluster is bounded.
_LONGEST_QUOTE = 1024


def text(value) -> str:
    """A parameter as training scripts expect it in a variable."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(text(item) for item in value)
    return str(value)


def variable(name: str, value) -> dict:
    """An environment variable with a plain value."""
    return {"name": name, "value": text(value)}


def secret_variable(name: str, secret: str, key: str) -> dict:
    """A variable whose value the kubelet reads from a Secret, so that no manifest holds it."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def json_variable(name: str, value) -> dict:
    """A variable that holds compact JSON."""
    return {"name": name, "value": json.dumps(value, separators=(",", ":"), ensure_ascii=False)}


def describe_channels(job: Job) -> list[dict]:
    """The input data as training scripts read it; what was not said is left out."""
    described = []
    for channel in job.channels:
        found = {
            "name": channel.name,
            "type": channel.type,
            "uri": channel.uri,
            "endpoint": channel.endpoint,
            "format": channel.content_type,
            "features": channel.feature_names,
            "label": channel.label_name,
        }
        described.append({key: value for key, value in found.items() if value})
    return described


def results_claim(job: Job) -> dict | None:
    """The claim for the results, if the job asks for a new one. It outlives the job."""
    if job.pvc_name or job.resources.volume_size_gb == 0:
        return None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{job.name}-results", "namespace": job.namespace},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": f"{job.resources.volume_size_gb}Gi"}},
        },
    }


def batch_job(job: Job, image: str, command: list[str], env: list[dict], gpu_resource: str) -> dict:
    """The Job. Several instances become an Indexed Job: each pod has its number in
    `JOB_COMPLETION_INDEX`. It has no time to live on purpose: a member cluster that deleted a
    finished job by itself would have it created again by the control plane."""
    amounts = {"cpu": str(job.resources.cpu_cores)}
    if job.resources.memory_gib > 0:
        amounts["memory"] = f"{job.resources.memory_gib}Gi"
    if job.resources.gpu_count > 0:
        amounts[gpu_resource] = str(job.resources.gpu_count)
    container = {
        "name": CONTAINER,
        "image": image,
        "command": command,
        "env": env,
        # What was asked for is what the pod gets and what it can use.
        "resources": {"limits": amounts, "requests": amounts},
    }
    pod = {"containers": [container], "restartPolicy": "Never"}
    claim = job.pvc_name or (results_claim(job) and f"{job.name}-results")
    if claim:
        container["volumeMounts"] = [{"mountPath": RESULTS_PATH, "name": RESULTS_VOLUME}]
        source = {"persistentVolumeClaim": {"claimName": claim}}
        pod["volumes"] = [{"name": RESULTS_VOLUME, **source}]
    instances = job.resources.instance_count
    # The host decides about retries, and two pods must never share a number.
    spec = {"parallelism": instances, "completions": instances, "backoffLimit": 0}
    if instances > 1:
        spec["completionMode"] = "Indexed"
    if job.max_runtime_seconds:
        spec["activeDeadlineSeconds"] = job.max_runtime_seconds
    spec["podReplacementPolicy"] = "Failed"
    # A sidecar would keep the pods of a finished job alive.
    annotations = {"sidecar.istio.io/inject": "false"}
    spec["template"] = {"metadata": {"annotations": annotations}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "namespace": job.namespace},
        "spec": spec,
    }


def interpret(workload: dict) -> Report:
    """What the status means. Whatever it holds, there is an answer."""
    status = workload.get("status")
    if not isinstance(status, dict):
        return Report("unknown", "NotReported", "The cluster has not reported a status yet.")
    report = _read(status)
    report.started_at = _text(status.get("startTime"))
    name = _text(_dict(workload.get("metadata")).get("name"))
    if name:
        selector = f"batch.kubernetes.io/job-name={name}"
        report.logs = [LogTarget("trainer", selector, CONTAINER)]
    return report


def _read(status: dict) -> Report:
    conditions = _conditions(status)
    if "Complete" in conditions:
        report = Report("succeeded", "Succeeded", "The training succeeded.")
        report.finished_at = _text(status.get("completionTime"))
        return report
    if "Failed" in conditions:
        return _failed(conditions["Failed"])
    if "FailureTarget" in conditions:
        message = "The job has failed; its pods are being stopped."
        return Report("running", "Failing", message)
    if "SuccessCriteriaMet" in conditions:
        return Report("running", "Finishing", "The training has ended; its pods are being stopped.")
    if "Suspended" in conditions:
        return Report("suspended", "Suspended", "The job is suspended.")
    active = _count(status.get("active"))
    # Clusters before 1.24 do not count pods that are ready.
    ready = _count(status.get("ready")) if "ready" in status else active
    done = _count(status.get("succeeded"))
    if ready > 0:
        return Report("running", "Running", f"{_pods(ready)} running, {done} done.")
    if active > 0:
        return Report("pending", "Starting", f"{_pods(active)} not running yet.")
    if done + _count(status.get("failed")) > 0:
        return Report("running", "Finishing", "The pods have ended; the cluster sums up.")
    return Report("pending", "Accepted", "The cluster has not created the pods yet.")


def _failed(condition: dict) -> Report:
    reason = "".join(c for c in _text(condition.get("reason")) or "" if c.isascii() and c.isalnum())
    if reason == "DeadlineExceeded":
        failure, message = "timeout", "The job ran longer than it was allowed to."
    elif reason in ("BackoffLimitExceeded", "FailedIndexes", "MaxFailedIndexesExceeded"):
        failure, message = "user-code", "The training program failed; its log says why."
    elif reason == "PodFailurePolicy":
        failure, message = "user-code", "The training program ended with an error that is final."
    else:
        failure, message = "infrastructure", "The cluster failed, not the training program."
    detail = _text(condition.get("message"))
    if detail:
        message += f" The cluster says: {_quote(detail)}"
    report = Report("failed", reason[:64] or "Failed", message, failure=failure)
    report.finished_at = _text(condition.get("lastTransitionTime"))
    return report


def _conditions(status: dict) -> dict[str, dict]:
    found = status.get("conditions")
    true = {}
    for condition in found if isinstance(found, list) else []:
        condition = _dict(condition)
        kind = condition.get("type")
        if isinstance(kind, str) and condition.get("status") == "True":
            true[kind] = condition
    return true


def _pods(count: int) -> str:
    return "1 pod is" if count == 1 else f"{count} pods are"


def _quote(detail: str) -> str:
    cut = "".join(c if c.isprintable() else " " for c in detail[:_LONGEST_QUOTE])
    return f"{cut}…" if len(detail) > _LONGEST_QUOTE else cut


def _dict(value) -> dict:
    return value if isinstance(value, dict) else {}


def _text(value) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
