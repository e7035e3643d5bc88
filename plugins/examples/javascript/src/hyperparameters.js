// What users of Vowpal Wabbit can set, under the names of its command line.

import { boolean, integer, number, optional, string } from "./trainyard/schema.js";

const inGroup = (group, words = {}) => ({ ...words, "x-group": group });

export const LOSSES = [
  "squared",
  "classic",
  "expectile",
  "hinge",
  "logistic",
  "poisson",
  "quantile",
];
// Crossings of namespaces, such as `ab` or `::`.
const CROSSINGS = { pattern: "^([!-~]{2,3}(,[!-~]{2,3})*)?$", maxLength: 256 };

export const hyperparameters = {
  loss_function: string(
    "squared",
    "Loss",
    "What is minimised. Labels are -1 and 1 for hinge and logistic.",
    inGroup("Task", { enum: LOSSES }),
  ),
  quantile_tau: number(
    0.5,
    "Quantile",
    "Which quantile is predicted.",
    inGroup("Task", {
      exclusiveMinimum: 0,
      exclusiveMaximum: 1,
      "x-visible-when": { loss_function: ["quantile"] },
    }),
  ),
  oaa: optional(
    integer(
      null,
      "Classes",
      "Labels from 1 to this number, one classifier against all others each. Empty: one output.",
      inGroup("Task", { minimum: 2, maximum: 1_000_000 }),
    ),
  ),
  link: string(
    "identity",
    "Link",
    "How the sum becomes the prediction.",
    inGroup("Task", { enum: ["identity", "logistic", "glf1", "poisson"] }),
  ),
  bit_precision: integer(
    18,
    "Bits",
    "Size of the table of weights: 2 to this power.",
    inGroup("Features", { minimum: 1, maximum: 31, "x-unit": "bits" }),
  ),
  hash: string(
    "strings",
    "Hash",
    "Whether names of features that are numbers are hashed, too.",
    inGroup("Features", { enum: ["strings", "all"] }),
  ),
  quadratic: string(
    "",
    "Pairs",
    "Pairs of namespaces to cross, separated by commas: `ab,cd`; `::` for all.",
    inGroup("Features", CROSSINGS),
  ),
  cubic: string(
    "",
    "Triples",
    "Triples of namespaces to cross, separated by commas: `abc`; `:::` for all.",
    inGroup("Features", CROSSINGS),
  ),
  noconstant: boolean(false, "No constant", "Leave out the constant feature.", inGroup("Features")),
  learning_rate: number(
    0.5,
    "Learning rate",
    "Size of a step.",
    inGroup("Update", { exclusiveMinimum: 0, maximum: 1000 }),
  ),
  power_t: number(
    0.5,
    "Power of t",
    "How fast the steps shrink; 0: not at all.",
    inGroup("Update", { minimum: 0, maximum: 1 }),
  ),
  initial_t: number(
    0,
    "Initial t",
    "Where the shrinking starts.",
    inGroup("Update", { minimum: 0, maximum: 1e9 }),
  ),
  decay_learning_rate: number(
    1,
    "Decay",
    "Factor of the learning rate from pass to pass.",
    inGroup("Update", { exclusiveMinimum: 0, maximum: 1 }),
  ),
  algorithm: string(
    "gd",
    "Update rule",
    "Gradient descent, follow the regularised leader, betting on coins, or PiSTOL.",
    inGroup("Update", { enum: ["gd", "ftrl", "coin", "pistol"] }),
  ),
  l1: number(0, "L1", "Weight of the L1 term.", inGroup("Update", { minimum: 0, maximum: 1000 })),
  l2: number(0, "L2", "Weight of the L2 term.", inGroup("Update", { minimum: 0, maximum: 1000 })),
  passes: integer(
    1,
    "Passes",
    "Passes over the training data.",
    inGroup("Passes", { minimum: 1, maximum: 10_000 }),
  ),
  holdout_off: boolean(
    false,
    "No holdout",
    "Learn from every example, also with several passes.",
    inGroup("Passes"),
  ),
  holdout_period: integer(
    10,
    "Holdout period",
    "With several passes, each so-manieth example is held out.",
    inGroup("Passes", { minimum: 2, maximum: 1_000_000, "x-unit": "examples" }),
  ),
  early_terminate: integer(
    3,
    "Patience",
    "Passes without a better holdout loss before the training stops.",
    inGroup("Passes", { minimum: 1, maximum: 10_000, "x-unit": "passes" }),
  ),
  random_seed: integer(
    0,
    "Seed",
    "Start of the random numbers.",
    inGroup("Passes", { minimum: 0, maximum: 4_294_967_295 }),
  ),
};
