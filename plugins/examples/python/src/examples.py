"""Complete forms, smallest first. Users copy them."""

_ONE_POD = {
    "instanceResources": {"cpuCores": 4, "memoryGiB": 16, "gpuCount": 0},
    "instanceCount": 1,
}
_TRAIN = {
    "channelName": "train",
    "channelType": "train",
    "storageProvider": "minio",
    "endpoint": "https://minio.local",
    "bucket": "input",
    "prefix": "churn/train.csv",
    "contentType": "csv",
    "labelName": "churned",
}
_VALIDATION = {
    **_TRAIN,
    "channelName": "validation",
    "channelType": "validation",
    "prefix": "churn/validation.csv",
}

EXAMPLES = [
    {
        "jobName": "catboost-minimal",
        "algorithm": {"algorithmName": "catboost"},
        "resources": _ONE_POD,
        "inputDataConfig": [_TRAIN],
        "hyperparameters": {"catboost": {}},
    },
    {
        "jobName": "catboost-churn",
        "algorithm": {"algorithmName": "catboost"},
        "resources": _ONE_POD,
        "stoppingCondition": {"maxRuntimeSeconds": 3600},
        "inputDataConfig": [_TRAIN, _VALIDATION],
        "outputDataConfig": {"artifactUri": "s3://output/churn/"},
        "hyperparameters": {
            "catboost": {
                "loss_function": "Logloss",
                "eval_metric": "AUC",
                "auto_class_weights": "Balanced",
                "cat_features": ["plan", "region"],
                "od_type": "Iter",
                "od_wait": 50,
                "use_best_model": True,
            }
        },
    },
    {
        "jobName": "catboost-gpu",
        "algorithm": {"algorithmName": "catboost"},
        "resources": {
            "instanceResources": {"cpuCores": 8, "memoryGiB": 64, "gpuCount": 1},
            "instanceCount": 1,
            "volumeSizeGB": 50,
        },
        "inputDataConfig": [_TRAIN],
        "hyperparameters": {
            "catboost": {"task_type": "GPU", "iterations": 5000, "depth": 8, "border_count": 128}
        },
    },
]
