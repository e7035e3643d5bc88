"""The job as the host hands it over, with the plugin's own types for hyperparameters and settings.
Members that this version does not know are ignored."""

import json
from dataclasses import dataclass, field

from trainyard.schema import read


@dataclass(frozen=True)
class Resources:
    """What each instance gets."""

    cpu_cores: int
    memory_gib: int
    gpu_count: int
    instance_count: int
    volume_size_gb: int


@dataclass(frozen=True)
class Channel:
    """One source of input data."""

    name: str
    type: str
    provider: str
    endpoint: str
    bucket: str
    prefix: str
    content_type: str | None = None
    feature_names: list[str] = field(default_factory=list)
    label_name: str | None = None

    @property
    def uri(self) -> str:
        """Where the data is, such as `s3://input/datasets/iris/`."""
        scheme = {"gcs": "gs", "azure": "az"}.get(self.provider, "s3")
        return f"{scheme}://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class Job:
    """One training job."""

    id: str
    name: str
    namespace: str
    algorithm: str
    resources: Resources
    channels: list[Channel]
    hyperparameters: object
    settings: object
    custom_hyperparameters: dict
    max_runtime_seconds: int | None = None
    output_uri: str | None = None
    entrypoint: str | None = None
    head_image: str | None = None
    worker_image: str | None = None
    image_uri: str | None = None
    pvc_name: str | None = None

    def has_channel(self, kind: str) -> bool:
        """Whether there is a channel of this type: `train`, `validation`, `test`."""
        return any(channel.type == kind for channel in self.channels)

    def pointer(self, parameter: str) -> str:
        """Where a hyperparameter stands in the form."""
        return f"/hyperparameters/{self.algorithm}/{parameter}"


def read_job(text: str, hyperparameters: type, settings: type) -> Job:
    """Parses the job of `validate` and `convert`."""
    job = json.loads(text)
    resources = job["resources"]
    return Job(
        id=job["id"],
        name=job["name"],
        namespace=job["namespace"],
        algorithm=job["algorithm"],
        resources=Resources(
            cpu_cores=resources["cpuCores"],
            memory_gib=resources["memoryGiB"],
            gpu_count=resources["gpuCount"],
            instance_count=resources["instanceCount"],
            volume_size_gb=resources["volumeSizeGB"],
        ),
        channels=[_channel(channel) for channel in job.get("channels", [])],
        hyperparameters=read(hyperparameters, job["hyperparameters"]),
        settings=read(settings, job["settings"]),
        custom_hyperparameters=job.get("customHyperparameters", {}),
        max_runtime_seconds=job.get("maxRuntimeSeconds"),
        output_uri=job.get("outputUri"),
        entrypoint=job.get("entrypoint"),
        head_image=job.get("headImage"),
        worker_image=job.get("workerImage"),
        image_uri=job.get("imageUri"),
        pvc_name=job.get("pvcName"),
    )


def _channel(channel: dict) -> Channel:
    return Channel(
        name=channel["name"],
        type=channel["type"],
        provider=channel.get("provider", "minio"),
        endpoint=channel.get("endpoint", ""),
        bucket=channel.get("bucket", ""),
        prefix=channel.get("prefix", ""),
        content_type=channel.get("contentType"),
        feature_names=channel.get("featureNames", []),
        label_name=channel.get("labelName"),
    )
