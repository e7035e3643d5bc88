"""What operators may change without touching the plugin."""

from dataclasses import dataclass

from trainyard.schema import parameter


@dataclass(frozen=True)
class Settings:
    """Settings of Template Title. Every one has a default."""

    image: str = parameter(
        "example.org/template-name:1.0.0",
        "Image",
        "Image of the pods unless the job names its own. Holds the training program.",
        min_length=1,
    )
    entrypoint: str = parameter(
        "python /app/train.py",
        "Entrypoint",
        "Command of the pods unless the job names its own.",
        min_length=1,
    )
    gpu_resource_name: str = parameter(
        "nvidia.com/gpu",
        "GPU resource",
        "Resource name of a GPU.",
        name="gpuResourceName",
        min_length=1,
    )
    s3_region: str = parameter(
        "us-east-1", "Region", "Region of the object storage.", name="s3Region"
    )
    s3_secret: str = parameter(
        "trainyard-s3",
        "Secret",
        "Secret in the job's namespace that holds the credentials of the object storage. Empty: "
        "the pods get none, and must have an identity of their own.",
        name="s3Secret",
    )
    s3_access_key: str = parameter(
        "access-key",
        "Access key",
        "Key of the access key within that Secret.",
        name="s3AccessKey",
        min_length=1,
    )
    s3_secret_key: str = parameter(
        "secret-key",
        "Secret key",
        "Key of the secret key within that Secret.",
        name="s3SecretKey",
        min_length=1,
    )
