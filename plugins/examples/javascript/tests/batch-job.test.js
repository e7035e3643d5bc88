// What the status of a Job means.

import assert from "node:assert/strict";
import { test } from "node:test";

import { interpret } from "../src/trainyard/batch-job.js";

const condition = (type, reason = "", status = "True") => ({
  type,
  status,
  reason,
  message: "As it\nis.",
  lastTransitionTime: "2026-01-01T10:00:00Z",
});

const read = (status) => interpret({ metadata: { name: "iris" }, status });

test("each status has one meaning", () => {
  for (const [status, state, reason] of [
    [undefined, "unknown", "NotReported"],
    [{}, "pending", "Accepted"],
    [{ active: 2, ready: 0 }, "pending", "Starting"],
    [{ active: 2, ready: 1 }, "running", "Running"],
    [{ active: 2 }, "running", "Running"],
    [{ ready: 0, succeeded: 1 }, "running", "Finishing"],
    [{ conditions: [condition("Suspended")] }, "suspended", "Suspended"],
    [{ conditions: [condition("Suspended", "", "False")] }, "pending", "Accepted"],
    [{ conditions: [condition("SuccessCriteriaMet")] }, "running", "Finishing"],
    [{ conditions: [condition("FailureTarget")] }, "running", "Failing"],
    [{ conditions: [condition("Complete")] }, "succeeded", "Succeeded"],
    [{ conditions: [condition("Failed", "X y")] }, "failed", "Xy"],
  ]) {
    const report = read(status);
    assert.deepEqual([report.state, report.reason], [state, reason], JSON.stringify(status));
  }
});

test("a failure has a class, a time and the cluster's words", () => {
  for (const [reason, failure] of [
    ["DeadlineExceeded", "timeout"],
    ["BackoffLimitExceeded", "user-code"],
    ["PodFailurePolicy", "user-code"],
    ["Novel", "infrastructure"],
    ["constructor", "infrastructure"],
  ]) {
    const report = read({ conditions: [condition("Failed", reason)] });
    assert.deepEqual([report.failure, report.reason], [failure, reason]);
    assert.ok(report.message.endsWith("The cluster says: As it is."), report.message);
    assert.equal(report.finishedAt, "2026-01-01T10:00:00Z");
  }
});

test("no status breaks it", () => {
  for (const status of [
    [],
    { conditions: 3, active: "x", ready: -1 },
    { conditions: [null, 1, {}, { type: 7, status: "True" }] },
    { conditions: [{ type: "Failed", status: "True", reason: 7, message: [] }] },
  ]) {
    assert.ok(["unknown", "pending", "failed"].includes(read(status).state));
  }
  assert.equal(interpret(null).state, "unknown");
  assert.deepEqual(interpret({ status: {}, metadata: 3 }).logs, []);
});
