// Puts a plugin behind the exports of the contract. Used by `src/component.js` alone: the host's
// log exists only inside a component.

import log from "trainyard:converter/log@1.0.0";
import { Invalid, Unsupported, finding, report } from "./contract.js";
import { readJob } from "./job.js";
import { schemaOf } from "./schema.js";

/** The interface `converter`, made of a plugin's module. */
export const exported = (plugin) => ({
  describe: () => ({
    name: plugin.NAME,
    version: plugin.VERSION,
    algorithms: plugin.ALGORITHMS,
    title: plugin.TITLE,
    summary: plugin.SUMMARY,
    hyperparametersSchema: JSON.stringify(schemaOf(plugin.hyperparameters, plugin.TITLE)),
    settingsSchema: JSON.stringify(schemaOf(plugin.settings, `${plugin.TITLE} settings`)),
    kinds: plugin.KINDS,
    examples: plugin.EXAMPLES.map((example) => JSON.stringify(example)),
    extra: [],
  }),

  validate: (text) => {
    try {
      return plugin.validate(readJob(text));
    } catch (error) {
      return [finding("", "internal", internal(error))];
    }
  },

  convert: (text) => {
    try {
      const { manifests, warnings } = plugin.convert(readJob(text));
      const written = manifests.map(({ role, document }) => {
        return { role, document: JSON.stringify(document) };
      });
      return { manifests: written, warnings, extra: [] };
    } catch (error) {
      throw failure(error);
    }
  },

  interpret: (text) => {
    try {
      return plugin.interpret(JSON.parse(text));
    } catch (error) {
      return report("unknown", "PluginError", internal(error));
    }
  },
});

const failure = (error) => {
  if (error instanceof Invalid) return { tag: "invalid", val: error.findings };
  if (error instanceof Unsupported) return { tag: "unsupported", val: error.message };
  return { tag: "internal", val: internal(error) };
};

/** The whole trace goes to the operator's log; users see one sentence of the host's. */
const internal = (error) => {
  log.write("error", `${error}\n${error?.stack ?? ""}`);
  return String(error);
};
