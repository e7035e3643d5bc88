// What users of Template Title can set: `hyperparameters.template-algorithm` of the form. The web form, the
// command line, the checks of the API and the reference page all come from this one declaration.

import { integer, number, optional, string } from "./trainyard/schema.js";

const inGroup = (group, words) => ({ ...words, "x-group": group });

export const hyperparameters = {
  epochs: integer(
    10,
    "Epochs",
    "Passes over the training data.",
    inGroup("Training", { minimum: 1, maximum: 100_000 }),
  ),
  batch_size: integer(
    32,
    "Batch size",
    "Rows per step.",
    inGroup("Training", { minimum: 1, maximum: 65_536, "x-unit": "rows" }),
  ),
  seed: integer(
    0,
    "Seed",
    "Start of the random numbers.",
    inGroup("Training", { minimum: 0, maximum: 4_294_967_295 }),
  ),
  learning_rate: number(
    0.001,
    "Learning rate",
    "Size of a step.",
    inGroup("Optimizer", { exclusiveMinimum: 0, maximum: 1 }),
  ),
  optimizer: string(
    "adam",
    "Optimizer",
    "Rule that turns gradients into steps.",
    inGroup("Optimizer", { enum: ["adam", "adamw", "sgd"] }),
  ),
  momentum: number(
    0.9,
    "Momentum",
    "Share of the last step that is repeated.",
    inGroup("Optimizer", {
      minimum: 0,
      exclusiveMaximum: 1,
      "x-visible-when": { optimizer: ["sgd"] },
    }),
  ),
  early_stopping_patience: optional(
    integer(
      null,
      "Early stopping",
      "Epochs without improvement on the validation data before the training stops. Empty: it " +
        "never stops early.",
      inGroup("Stopping", { minimum: 1, maximum: 100_000, "x-unit": "epochs" }),
    ),
  ),
};
