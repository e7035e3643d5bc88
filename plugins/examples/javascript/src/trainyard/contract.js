// The contract's types, as `wit/converter.wit` describes them, in the shapes that the component
// exports: records are objects, enums are their words. Everything here also runs natively.

/** One thing that is wrong with a form. `pointer` is an RFC 6901 pointer into it. */
export const finding = (pointer, code, message) => ({ pointer, code, message, extra: [] });

/** A Kubernetes kind that the plugin emits. */
export const kind = (apiVersion, kind, plural, workload, maxNameLength = 63) => ({
  apiVersion,
  kind,
  plural,
  workload,
  maxNameLength,
});

/** The form cannot be converted as it is. */
export class Invalid extends Error {
  constructor(findings) {
    super(findings.map((finding) => finding.message).join("; "));
    this.findings = findings;
  }
}

/** The form is right but asks for something this plugin does not do. One sentence. */
export class Unsupported extends Error {}

/** One reading of a workload's status, without times, progress and logs. */
export const report = (state, reason, message) => ({
  state,
  reason,
  message,
  progress: null,
  failure: "none",
  startedAt: null,
  finishedAt: null,
  logs: [],
  extra: [],
});
