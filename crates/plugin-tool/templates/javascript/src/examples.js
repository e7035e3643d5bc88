// Complete forms, smallest first. Users copy them.

export const EXAMPLES = [
  {
    jobName: "template-name-minimal",
    algorithm: { algorithmName: "template-algorithm" },
    resources: {
      instanceResources: { cpuCores: 1, memoryGiB: 2, gpuCount: 0 },
      instanceCount: 1,
    },
    inputDataConfig: [{ channelName: "train", channelType: "train", bucket: "input" }],
    hyperparameters: { "template-algorithm": {} },
  },
  {
    jobName: "template-name-sgd",
    algorithm: { algorithmName: "template-algorithm" },
    resources: {
      instanceResources: { cpuCores: 4, memoryGiB: 16, gpuCount: 1 },
      instanceCount: 2,
    },
    stoppingCondition: { maxRuntimeSeconds: 14400 },
    inputDataConfig: [
      { channelName: "train", channelType: "train", bucket: "input", prefix: "train/" },
      { channelName: "val", channelType: "validation", bucket: "input", prefix: "val/" },
    ],
    outputDataConfig: { artifactUri: "s3://output/models/" },
    hyperparameters: {
      "template-algorithm": {
        epochs: 100,
        optimizer: "sgd",
        momentum: 0.95,
        early_stopping_patience: 5,
      },
    },
  },
];
