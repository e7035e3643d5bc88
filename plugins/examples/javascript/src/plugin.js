// Vowpal Wabbit: a job becomes one Kubernetes Job with one pod. A first container fetches the data
// from the object storage; `vw` itself then learns from it, without a script around it.

import { DATA_PATH, fetchCommand, trainCommand } from "./command.js";
import { findings } from "./rules.js";
import * as batch from "./trainyard/batch-job.js";

export { EXAMPLES } from "./examples.js";
export { hyperparameters } from "./hyperparameters.js";
export { settings } from "./settings.js";

export const NAME = "vowpal-wabbit";
export const VERSION = "1.0.0";
export const ALGORITHMS = ["vowpal-wabbit", "vw"];
export const TITLE = "Vowpal Wabbit";
export const SUMMARY = "Fast online learning on sparse data, in one container.";
export const KINDS = [batch.KIND, batch.CLAIM_KIND];

const DATA_VOLUME = "data";

/** Every problem that the schema cannot see. */
export const validate = findings;

/** A claim for the model, unless the job names one, and the workload. */
export const convert = (job) => {
  const manifests = [];
  const claim = batch.resultsClaim(job);
  if (claim) manifests.push({ role: "storage", document: claim });
  const document = batch.batchJob(job, {
    image: job.imageUri || job.workerImage || job.settings.image,
    command: job.entrypoint ? ["/bin/sh", "-c", job.entrypoint] : trainCommand(job),
    env: [batch.variable("JOB_ID", job.id), batch.variable("JOB_NAME", job.name)],
    gpuResource: job.settings.gpuResourceName,
  });
  fetchData(document.spec.template.spec, job);
  manifests.push({ role: "workload", document });
  return { manifests, warnings: warnings(job) };
};

/** Reads the workload's status. */
export const interpret = batch.interpret;

/** Adds the containers that fetch the data, one for each channel, and the volume they fill. */
const fetchData = (pod, job) => {
  const { s3Region, s3Secret, s3AccessKey, s3SecretKey, fetchImage, runAsUser } = job.settings;
  const mount = { mountPath: DATA_PATH, name: DATA_VOLUME };
  const [trainer] = pod.containers;
  trainer.volumeMounts.push(mount);
  pod.volumes.push({ name: DATA_VOLUME, emptyDir: {} });
  // Both images write to the volumes, so they must be the same user.
  pod.securityContext = { runAsUser, runAsGroup: runAsUser, fsGroup: runAsUser };
  const env = [batch.variable("AWS_REGION", s3Region)];
  if (s3Secret) {
    env.push(
      batch.secretVariable("AWS_ACCESS_KEY_ID", s3Secret, s3AccessKey),
      batch.secretVariable("AWS_SECRET_ACCESS_KEY", s3Secret, s3SecretKey),
    );
  }
  pod.initContainers = job.channels.map((channel, index) => ({
    name: `fetch-${index}`,
    image: fetchImage,
    command: fetchCommand(channel),
    env,
    resources: trainer.resources,
    volumeMounts: [mount],
  }));
};

const warnings = (job) => {
  const found = [];
  if (job.outputUri) {
    found.push("The model stays in the job's volume: `outputDataConfig` is not used.");
  }
  if (job.headImage) found.push("There is one pod only: `headImage` is not used.");
  if (job.channels.some(({ type }) => type !== "train")) {
    found.push("Only channels of type `train` are learnt from; the others are just fetched.");
  }
  if (Object.keys(job.customHyperparameters).length > 0) {
    found.push("Custom hyperparameters are not used: write an `entrypoint` instead.");
  }
  return found;
};
