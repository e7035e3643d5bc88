// The job as the host hands it over. Members that this version does not know are left alone.

const SCHEMES = { gcs: "gs", azure: "az" };

/** Parses the job of `validate` and `convert`. */
export const readJob = (text) => {
  const job = JSON.parse(text);
  return { channels: [], customHyperparameters: {}, ...job };
};

/** Where a channel's data is, such as `s3://input/datasets/iris/`. */
export const uriOf = (channel) =>
  `${SCHEMES[channel.provider] ?? "s3"}://${channel.bucket}/${channel.prefix}`;

/** Whether there is a channel of this type: `train`, `validation`, `test`. */
export const hasChannel = (job, type) => job.channels.some((channel) => channel.type === type);

/** Where a hyperparameter stands in the form. */
export const pointerTo = (job, parameter) => `/hyperparameters/${job.algorithm}/${parameter}`;
