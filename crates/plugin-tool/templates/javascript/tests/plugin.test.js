// The converter, natively. Run: node --test

import assert from "node:assert/strict";
import { test } from "node:test";

import * as plugin from "../src/plugin.js";
import * as kit from "./kit.js";

// After a wanted change: TRAINYARD_UPDATE_CASES=1 node --test
test("every case gives what it says", () => kit.checkCases());

test("every example can be converted", () => {
  for (const example of plugin.EXAMPLES) {
    assert.equal(kit.answer(example).file, "plan.json", example.jobName);
  }
});

test("every parameter has what a form needs", () => {
  for (const schema of [kit.hyperparametersSchema, kit.settingsSchema]) {
    const rules = Object.entries(schema.properties);
    const defaults = Object.fromEntries(rules.map(([name, rule]) => [name, rule.default]));
    assert.deepEqual(kit.violations(schema, defaults), []);
  }
  for (const [name, rule] of Object.entries(plugin.hyperparameters)) {
    assert.ok(rule.title && rule.description && rule["x-group"], name);
  }
});

test("the schema refuses what it should", () => {
  for (const [values, code] of [
    [{ epochs: 0 }, "out-of-range"],
    [{ epochs: 1.5 }, "type"],
    [{ epochs: true }, "type"],
    [{ learning_rate: 0 }, "out-of-range"],
    [{ optimizer: "lbfgs" }, "not-allowed"],
    [{ epoch: 1 }, "unknown-field"],
  ]) {
    const [found] = kit.violations(kit.hyperparametersSchema, values);
    assert.equal(found?.code, code, JSON.stringify(values));
  }
  const empty = { early_stopping_patience: null };
  assert.deepEqual(kit.violations(kit.hyperparametersSchema, empty), []);
});
