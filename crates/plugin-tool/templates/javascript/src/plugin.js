// Template Title: a job becomes one Kubernetes Job, with one pod per instance. Pure functions: the host
// makes a fresh instance for every call, and there is no clock, file or network to ask.

import { hyperparameters } from "./hyperparameters.js";
import * as batch from "./trainyard/batch-job.js";
import { finding } from "./trainyard/contract.js";
import { hasChannel, pointerTo } from "./trainyard/job.js";

export { EXAMPLES } from "./examples.js";
export { settings } from "./settings.js";
export { hyperparameters };

export const NAME = "template-name";
export const VERSION = "0.1.0";
// The first is canonical, the others are aliases.
export const ALGORITHMS = ["template-algorithm"];
export const TITLE = "Template Title";
export const SUMMARY = "Trains with Template Title, in one container per instance.";
export const KINDS = [batch.KIND, batch.CLAIM_KIND];

/**
 * What the schema cannot say. Returns every problem; an empty list promises that `convert` will
 * succeed.
 */
export const validate = (job) => {
  const findings = [];
  if (job.hyperparameters.early_stopping_patience !== null && !hasChannel(job, "validation")) {
    findings.push(
      finding(
        pointerTo(job, "early_stopping_patience"),
        "conflict",
        "Early stopping watches validation data: add a channel of type `validation`, or leave " +
          "early stopping empty.",
      ),
    );
  }
  return findings;
};

/** The job's manifests, exactly one with role `workload`. */
export const convert = (job) => {
  const { settings } = job;
  const manifests = [];
  const warnings = job.headImage ? ["All instances are equal: `headImage` is not used."] : [];
  const claim = batch.resultsClaim(job);
  if (claim) manifests.push({ role: "storage", document: claim });
  const document = batch.batchJob(job, {
    image: job.imageUri || job.workerImage || settings.image,
    command: ["/bin/sh", "-c", job.entrypoint || settings.entrypoint],
    env: environment(job),
    gpuResource: settings.gpuResourceName,
  });
  manifests.push({ role: "workload", document });
  return { manifests, warnings };
};

/** What the training program finds in its environment. */
const environment = (job) => {
  const { settings } = job;
  const env = [
    batch.variable("JOB_ID", job.id),
    batch.variable("JOB_NAME", job.name),
    batch.variable("WORLD_SIZE", job.resources.instanceCount),
  ];
  // In the order of the declaration, whatever the order of the form.
  for (const name of Object.keys(hyperparameters)) {
    env.push(batch.variable(`HP_${name.toUpperCase()}`, job.hyperparameters[name]));
  }
  if (Object.keys(job.customHyperparameters).length > 0) {
    env.push(batch.jsonVariable("CUSTOM_HYPERPARAMETERS", job.customHyperparameters));
  }
  env.push(batch.jsonVariable("CHANNELS", batch.describeChannels(job)));
  if (job.outputUri) env.push(batch.variable("OUTPUT_URI", job.outputUri));
  // Without data there is nothing to log in to, and a Secret that is missing would keep the pods
  // from starting.
  if ((job.channels.length > 0 || job.outputUri) && settings.s3Secret) {
    const { s3Region, s3Secret, s3AccessKey, s3SecretKey } = settings;
    env.push(
      batch.variable("AWS_REGION", s3Region),
      batch.secretVariable("AWS_ACCESS_KEY_ID", s3Secret, s3AccessKey),
      batch.secretVariable("AWS_SECRET_ACCESS_KEY", s3Secret, s3SecretKey),
    );
  }
  return env;
};

/** Reads the workload's status. Must never throw, whatever it holds. */
export const interpret = batch.interpret;
