// A `batch/v1` Job: how it is written, and what its status means.

import { kind, report } from "./contract.js";
import { uriOf } from "./job.js";

/** Eight of 63 characters are left for what is named after a Job: its claim, and its pods. */
export const KIND = kind("batch/v1", "Job", "jobs", true, 55);
export const CLAIM_KIND = kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", false);

export const CONTAINER = "trainer";
export const RESULTS_PATH = "/results";
const RESULTS_VOLUME = "results";

// A report is kept for ever, so what it quotes from the cluster is bounded.
const LONGEST_QUOTE = 1024;

/** A parameter as training scripts expect it in a variable. */
export const text = (value) => {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.map(text).join(",") : String(value);
};

/** An environment variable with a plain value. */
export const variable = (name, value) => ({ name, value: text(value) });

/** A variable whose value the kubelet reads from a Secret, so that no manifest holds it. */
export const secretVariable = (name, secret, key) => ({
  name,
  valueFrom: { secretKeyRef: { name: secret, key } },
});

/** A variable that holds compact JSON. */
export const jsonVariable = (name, value) => ({ name, value: JSON.stringify(value) });

/** The input data as training scripts read it; what was not said is left out. */
export const describeChannels = (job) =>
  job.channels.map((channel) => {
    const found = {
      name: channel.name,
      type: channel.type,
      uri: uriOf(channel),
      endpoint: channel.endpoint,
      format: channel.contentType,
      features: channel.featureNames,
      label: channel.labelName,
    };
    return Object.fromEntries(Object.entries(found).filter(([, value]) => value?.length > 0));
  });

/** The claim for the results, if the job asks for a new one. It outlives the job. */
export const resultsClaim = (job) => {
  if (job.pvcName || job.resources.volumeSizeGB === 0) return null;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: `${job.name}-results`, namespace: job.namespace },
    spec: {
      accessModes: ["ReadWriteMany"],
      resources: { requests: { storage: `${job.resources.volumeSizeGB}Gi` } },
    },
  };
};

/**
 * The Job. Several instances become an Indexed Job: each pod has its number in
 * `JOB_COMPLETION_INDEX`. It has no time to live on purpose: a member cluster that deleted a
 * finished job by itself would have it created again by the control plane.
 */
export const batchJob = (job, { image, command, env, gpuResource }) => {
  const { cpuCores, memoryGiB, gpuCount, instanceCount } = job.resources;
  const amounts = { cpu: String(cpuCores) };
  if (memoryGiB > 0) amounts.memory = `${memoryGiB}Gi`;
  if (gpuCount > 0) amounts[gpuResource] = String(gpuCount);
  const container = {
    name: CONTAINER,
    image,
    command,
    env,
    // What was asked for is what the pod gets and what it can use.
    resources: { limits: amounts, requests: amounts },
  };
  const pod = { containers: [container], restartPolicy: "Never" };
  const claimName = job.pvcName || resultsClaim(job)?.metadata.name;
  if (claimName) {
    container.volumeMounts = [{ mountPath: RESULTS_PATH, name: RESULTS_VOLUME }];
    pod.volumes = [{ name: RESULTS_VOLUME, persistentVolumeClaim: { claimName } }];
  }
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: job.name, namespace: job.namespace },
    spec: {
      parallelism: instanceCount,
      completions: instanceCount,
      // The host decides about retries, and two pods must never share a number.
      backoffLimit: 0,
      ...(instanceCount > 1 && { completionMode: "Indexed" }),
      ...(job.maxRuntimeSeconds && { activeDeadlineSeconds: job.maxRuntimeSeconds }),
      podReplacementPolicy: "Failed",
      template: {
        // A sidecar would keep the pods of a finished job alive.
        metadata: { annotations: { "sidecar.istio.io/inject": "false" } },
        spec: pod,
      },
    },
  };
};

/** What the status means. Whatever it holds, there is an answer. */
export const interpret = (workload) => {
  const status = workload?.status;
  if (!isObject(status)) {
    return report("unknown", "NotReported", "The cluster has not reported a status yet.");
  }
  const answer = read(status);
  answer.startedAt = textOrNull(status.startTime);
  const name = textOrNull(workload.metadata?.name);
  if (name) {
    const labelSelector = `batch.kubernetes.io/job-name=${name}`;
    answer.logs = [{ role: "trainer", labelSelector, container: CONTAINER }];
  }
  return answer;
};

const read = (status) => {
  const conditions = trueConditions(status);
  if (conditions.has("Complete")) {
    const answer = report("succeeded", "Succeeded", "The training succeeded.");
    return { ...answer, finishedAt: textOrNull(status.completionTime) };
  }
  if (conditions.has("Failed")) return failed(conditions.get("Failed"));
  if (conditions.has("FailureTarget")) {
    return report("running", "Failing", "The job has failed; its pods are being stopped.");
  }
  if (conditions.has("SuccessCriteriaMet")) {
    const message = "The training has ended; its pods are being stopped.";
    return report("running", "Finishing", message);
  }
  if (conditions.has("Suspended")) return report("suspended", "Suspended", "The job is suspended.");
  const active = count(status.active);
  // Clusters before 1.24 do not count pods that are ready.
  const ready = "ready" in status ? count(status.ready) : active;
  const done = count(status.succeeded);
  if (ready > 0) return report("running", "Running", `${pods(ready)} running, ${done} done.`);
  if (active > 0) return report("pending", "Starting", `${pods(active)} not running yet.`);
  if (done + count(status.failed) > 0) {
    return report("running", "Finishing", "The pods have ended; the cluster sums up.");
  }
  return report("pending", "Accepted", "The cluster has not created the pods yet.");
};

const FAILURES = {
  DeadlineExceeded: ["timeout", "The job ran longer than it was allowed to."],
  BackoffLimitExceeded: ["user-code", "The training program failed; its log says why."],
  FailedIndexes: ["user-code", "The training program failed; its log says why."],
  MaxFailedIndexesExceeded: ["user-code", "The training program failed; its log says why."],
  PodFailurePolicy: ["user-code", "The training program ended with an error that is final."],
};
const OTHER_FAILURE = ["infrastructure", "The cluster failed, not the training program."];

const failed = (condition) => {
  const reason = (textOrNull(condition.reason) ?? "").replace(/[^A-Za-z0-9]/g, "").slice(0, 64);
  const [failure, why] = Object.hasOwn(FAILURES, reason) ? FAILURES[reason] : OTHER_FAILURE;
  const detail = textOrNull(condition.message);
  const message = detail ? `${why} The cluster says: ${quote(detail)}` : why;
  const finishedAt = textOrNull(condition.lastTransitionTime);
  return { ...report("failed", reason || "Failed", message), failure, finishedAt };
};

const trueConditions = (status) => {
  const all = Array.isArray(status.conditions) ? status.conditions.filter(isObject) : [];
  const held = all.filter(({ type, status }) => typeof type === "string" && status === "True");
  return new Map(held.map((condition) => [condition.type, condition]));
};

const pods = (number) => (number === 1 ? "1 pod is" : `${number} pods are`);

const quote = (detail) => {
  const characters = [...detail.replace(/\p{C}/gu, " ")];
  const cut = characters.slice(0, LONGEST_QUOTE).join("");
  return characters.length > LONGEST_QUOTE ? `${cut}…` : cut;
};

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const textOrNull = (value) => (typeof value === "string" && value !== "" ? value : null);
const count = (value) => (Number.isInteger(value) && value > 0 ? value : 0);
