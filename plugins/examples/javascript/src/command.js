// The command lines of the two containers. Every value stands in an argument of its own, so no
// text of the form is ever read by a shell.

import { uriOf } from "./trainyard/job.js";

export const DATA_PATH = "/data";
const MODEL = "/results/model.vw";

/** `vw` with everything that the form says; what equals its own default is said, too. */
export const trainArguments = ({ hyperparameters: hp }) => {
  const found = ["--loss_function", hp.loss_function];
  const push = (name, value) => found.push(`--${name}`, String(value));
  if (hp.loss_function === "quantile") push("quantile_tau", hp.quantile_tau);
  if (hp.oaa !== null) push("oaa", hp.oaa);
  if (hp.link !== "identity") push("link", hp.link);
  push("bit_precision", hp.bit_precision);
  push("hash", hp.hash);
  for (const pair of crossings(hp.quadratic)) push("quadratic", pair);
  for (const triple of crossings(hp.cubic)) push("cubic", triple);
  if (hp.noconstant) found.push("--noconstant");
  if (hp.algorithm !== "gd") found.push(`--${hp.algorithm}`);
  push("learning_rate", hp.learning_rate);
  push("power_t", hp.power_t);
  if (hp.algorithm === "gd") push("initial_t", hp.initial_t);
  push("decay_learning_rate", hp.decay_learning_rate);
  push("l1", hp.l1);
  push("l2", hp.l2);
  push("random_seed", hp.random_seed);
  push("passes", hp.passes);
  if (hp.passes > 1) {
    // Examples are read again from here, not from the pipe.
    push("cache_file", `${DATA_PATH}/examples.cache`);
    if (hp.holdout_off) found.push("--holdout_off");
    else {
      push("holdout_period", hp.holdout_period);
      push("early_terminate", hp.early_terminate);
    }
  }
  push("final_regressor", MODEL);
  return found;
};

/** Reads all files of the training channels and learns from them. */
export const trainCommand = (job) => {
  const channels = job.channels.filter(({ type }) => type === "train");
  const folders = channels.map(({ name }) => `${DATA_PATH}/${name}`);
  const script =
    'n=$1; shift; i=0; folders=; while [ "$i" -lt "$n" ]; do folders="$folders $1"; shift; ' +
    "i=$((i+1)); done; find $folders -type f -exec cat {} + | vw \"$@\"";
  return ["/bin/sh", "-c", script, "vw", String(folders.length), ...folders, ...trainArguments(job)];
};

/** Copies one channel. A prefix that ends with a slash, or none, is a folder. */
export const fetchCommand = (channel) => {
  const target = `${DATA_PATH}/${channel.name}/`;
  const isFolder = channel.prefix === "" || channel.prefix.endsWith("/");
  return [
    "aws",
    "s3",
    "cp",
    "--no-progress",
    ...(channel.endpoint ? ["--endpoint-url", channel.endpoint] : []),
    ...(isFolder ? ["--recursive"] : []),
    uriOf(channel),
    target,
  ];
};

const crossings = (text) => (text === "" ? [] : text.split(","));
