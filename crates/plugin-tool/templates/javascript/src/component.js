// The exports of the component. Nothing to change here: the plugin is in `plugin.js`.

import * as plugin from "./plugin.js";
import { exported } from "./trainyard/export.js";

/** The interface `converter` of the contract. */
export const converter = exported(plugin);
