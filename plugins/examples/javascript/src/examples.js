// Complete forms, smallest first. Users copy them.

const resources = {
  instanceResources: { cpuCores: 2, memoryGiB: 8, gpuCount: 0 },
  instanceCount: 1,
  volumeSizeGB: 10,
};
const train = {
  channelName: "train",
  channelType: "train",
  storageProvider: "minio",
  endpoint: "https://minio.local",
  bucket: "input",
  prefix: "clicks/",
};

export const EXAMPLES = [
  {
    jobName: "vowpal-wabbit-minimal",
    algorithm: { algorithmName: "vowpal-wabbit" },
    resources,
    inputDataConfig: [train],
    hyperparameters: { "vowpal-wabbit": {} },
  },
  {
    jobName: "vowpal-wabbit-clicks",
    algorithm: { algorithmName: "vowpal-wabbit" },
    resources,
    stoppingCondition: { maxRuntimeSeconds: 3600 },
    inputDataConfig: [train],
    hyperparameters: {
      "vowpal-wabbit": {
        loss_function: "logistic",
        link: "logistic",
        bit_precision: 24,
        quadratic: "ua,ub",
        passes: 5,
        l2: 1e-6,
      },
    },
  },
  {
    jobName: "vowpal-wabbit-topics",
    algorithm: { algorithmName: "vw" },
    resources,
    inputDataConfig: [{ ...train, prefix: "topics/train.vw" }],
    hyperparameters: { vw: { oaa: 20, algorithm: "ftrl", learning_rate: 0.1 } },
  },
];
