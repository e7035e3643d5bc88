// Takes the cases in `cases/` through the converter natively, the way the host would: defaults of
// the form, JSON Schema, `validate`, `convert`. The format of the folders is described in
// `docs/write-a-plugin.md` of Trainyard; `trainyard-plugin check` reads the same ones.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";

import * as plugin from "../src/plugin.js";
import { Invalid, Unsupported } from "../src/trainyard/contract.js";
import { readJob } from "../src/trainyard/job.js";
import { schemaOf } from "../src/trainyard/schema.js";

const CASES = new URL("../cases/", import.meta.url);
// Set to `1`, this variable makes the cases write what they would compare.
const UPDATE = process.env.TRAINYARD_UPDATE_CASES === "1";

export const hyperparametersSchema = schemaOf(plugin.hyperparameters, plugin.TITLE);
export const settingsSchema = schemaOf(plugin.settings, `${plugin.TITLE} settings`);

/** The job that the host would hand over for a form without mistakes. */
export const jobOf = (form, settings = {}) => {
  const { instanceResources: each = {}, ...resources } = form.resources ?? {};
  const job = {
    id: `${form.jobName}-1a2b3c4d`,
    name: form.jobName,
    namespace: form.namespace || "default",
    algorithm: plugin.ALGORITHMS[0],
    attempt: 1,
    priority: form.priority || 500,
    resources: {
      cpuCores: each.cpuCores ?? 4,
      memoryGiB: each.memoryGiB ?? 16,
      gpuCount: each.gpuCount ?? 0,
      instanceCount: resources.instanceCount || 1,
      volumeSizeGB: resources.volumeSizeGB ?? 0,
    },
    channels: (form.inputDataConfig ?? []).map(channelOf),
    hyperparameters: filled(hyperparametersSchema, given(form)),
    customHyperparameters: form.customHyperparameters ?? {},
    settings: filled(settingsSchema, settings),
    maxRuntimeSeconds: form.stoppingCondition?.maxRuntimeSeconds,
    outputUri: form.outputDataConfig?.artifactUri,
    entrypoint: form.entrypoint,
    headImage: form.headImage,
    workerImage: form.workerImage,
    imageUri: form.algorithm?.imageUri,
    pvcName: form.pvcName,
  };
  return present(job);
};

/** Name and code of everything that breaks a schema made by `schema.js`. */
export const violations = (schema, values) =>
  Object.entries(values).flatMap(([name, value]) => {
    const known = Object.hasOwn(schema.properties, name);
    const code = known ? violation(schema.properties[name], value) : "unknown-field";
    return code ? [{ name, code }] : [];
  });

/** What becomes of a form: the name of the file that says so, and its content. */
export const answer = (form, settings) => {
  const broken = violations(hyperparametersSchema, given(form));
  const start = `/hyperparameters/${plugin.ALGORITHMS[0]}`;
  if (broken.length > 0) {
    return findings(broken.map(({ name, code }) => ({ pointer: `${start}/${name}`, code })));
  }
  const job = readJob(JSON.stringify(jobOf(form, settings)));
  const found = plugin.validate(job);
  if (found.length > 0) return findings(found);
  try {
    // Through JSON, as the host would see it.
    return { file: "plan.json", found: JSON.parse(JSON.stringify(plugin.convert(job).manifests)) };
  } catch (error) {
    if (error instanceof Invalid) return findings(error.findings);
    if (error instanceof Unsupported) return findings([{ pointer: "", code: "unsupported" }]);
    throw error;
  }
};

/** Compares every case; with `TRAINYARD_UPDATE_CASES=1` writes it instead. */
export const checkCases = () => {
  const entries = readdirSync(CASES, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  assert.ok(folders.length > 0, "there are no cases");
  for (const folder of folders.sort()) {
    const at = (name) => new URL(`${folder}/${name}`, CASES);
    const settings = existsSync(at("settings.json")) ? read(at("settings.json")) : {};
    const { file, found } = answer(read(at("form.json")), settings);
    if (UPDATE) {
      for (const other of ["plan.json", "findings.json"]) rmSync(at(other), { force: true });
      writeFileSync(at(file), `${JSON.stringify(found, null, 2)}\n`);
    }
    assert.ok(existsSync(at(file)), `${folder} gives ${file}: ${JSON.stringify(found)}`);
    assert.deepEqual(found, read(at(file)), `${folder}/${file}`);
  }
};

// Their order is nobody's promise.
const findings = (found) => ({
  file: "findings.json",
  found: found
    .map(({ pointer, code }) => ({ pointer, code }))
    .sort((a, b) => (`${a.pointer} ${a.code}` < `${b.pointer} ${b.code}` ? -1 : 1)),
});

// An alias of the algorithm is as good.
const given = (form) =>
  form.hyperparameters?.[plugin.ALGORITHMS[0]] ?? Object.values(form.hyperparameters ?? {})[0] ?? {};

const channelOf = (channel) => {
  const path = channel.bucket.replace(/^[a-z0-9]+:\/\//i, "").replace(/^\/+|\/+$/g, "");
  const [bucket, ...inner] = path.split("/");
  return present({
    name: channel.channelName || "train",
    type: channel.channelType || "train",
    provider: channel.storageProvider || "minio",
    endpoint: channel.endpoint ?? "",
    bucket,
    prefix: (channel.prefix || inner.join("/")).replace(/^\/+/, ""),
    contentType: channel.contentType,
    featureNames: channel.featureNames ?? [],
    labelName: channel.labelName,
  });
};

const present = (object) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

const filled = (schema, values) => {
  const absent = Object.entries(schema.properties).filter(([name]) => !Object.hasOwn(values, name));
  const defaults = absent.map(([name, rule]) => [name, rule.default]);
  return { ...values, ...Object.fromEntries(defaults) };
};

const violation = (rule, value) => {
  if (![rule.type].flat().some((type) => isOf(type, value))) return "type";
  if (rule.enum && !rule.enum.includes(value)) return "not-allowed";
  if (typeof value === "number") {
    const outside =
      value < rule.minimum ||
      value > rule.maximum ||
      value <= rule.exclusiveMinimum ||
      value >= rule.exclusiveMaximum;
    return outside ? "out-of-range" : null;
  }
  if (typeof value !== "string") return null;
  if (value.length < rule.minLength) return "too-short";
  if (value.length > rule.maxLength) return "too-long";
  return rule.pattern && !new RegExp(rule.pattern, "u").test(value) ? "pattern" : null;
};

const isOf = (type, value) => {
  if (type === "integer") return Number.isInteger(value);
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  return typeof value === type;
};

const read = (url) => JSON.parse(readFileSync(url, "utf8"));
