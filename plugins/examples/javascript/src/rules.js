// What the schema cannot say: rules across fields.

import { finding } from "./trainyard/contract.js";
import { hasChannel, pointerTo } from "./trainyard/job.js";

/** Losses of which a margin of -1 or 1 is asked. */
const TWO_CLASSES = ["hinge", "logistic"];
/** What the client for S3 cannot read. */
const NOT_S3 = ["gcs", "azure"];

/** Every problem of the job. */
export const findings = (job) => {
  const { hyperparameters: hp, resources, channels } = job;
  const found = [];
  const conflict = (name, message) =>
    found.push(finding(pointerTo(job, name), "conflict", message));

  if (resources.instanceCount > 1) {
    const message = "Vowpal Wabbit trains in one pod: use one instance.";
    found.push(finding("/resources/instanceCount", "unsupported", message));
  }
  if (resources.gpuCount > 0) {
    const message = "Vowpal Wabbit uses no GPU: ask for none.";
    found.push(finding("/resources/instanceResources/gpuCount", "unsupported", message));
  }
  if (!job.pvcName && resources.volumeSizeGB === 0) {
    const message = "The model needs a place: give a size, or name a claim in `pvcName`.";
    found.push(finding("/resources/volumeSizeGB", "required", message));
  }
  if (!hasChannel(job, "train")) {
    found.push(finding("/inputDataConfig", "required", "Add a channel of type `train`."));
  }
  channels.forEach((channel, index) => {
    // Each channel's data gets a folder of its name.
    if ([".", ".."].includes(channel.name)) {
      const pointer = `/inputDataConfig/${index}/channelName`;
      const message = "The name cannot be that of a folder: use letters and digits.";
      found.push(finding(pointer, "reserved-name", message));
    }
    if (NOT_S3.includes(channel.provider)) {
      const pointer = `/inputDataConfig/${index}/storageProvider`;
      const message = "The data must be in a store that speaks S3: `aws`, `minio` or `custom`.";
      found.push(finding(pointer, "unsupported", message));
    }
  });
  if (hp.oaa !== null && !["squared", ...TWO_CLASSES].includes(hp.loss_function)) {
    conflict("oaa", `Several classes cannot be learnt with the loss \`${hp.loss_function}\`.`);
  }
  if (hp.link === "poisson" && hp.loss_function !== "poisson") {
    conflict("link", "The link `poisson` belongs to the loss `poisson`.");
  }
  if (hp.algorithm !== "gd" && hp.initial_t > 0) {
    conflict("initial_t", `The update rule \`${hp.algorithm}\` has no initial t: leave it 0.`);
  }
  return found;
};
