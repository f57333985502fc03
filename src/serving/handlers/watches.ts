/** Handlers of the operations on watches. */
import { RegistryError } from "../../base/errors.ts";
import type { WATCH_OPERATIONS } from "../../wire/operations/watches.ts";
import type { Handlers } from "../handler.ts";

/** Returns the handlers of the operations on watches. */
export function watchHandlers(): Handlers<typeof WATCH_OPERATIONS> {
  return { watch: refuse, listAndWatch: refuse, cancelWatch: refuse, askProgress: refuse };
}

function refuse(): never {
  throw new RegistryError("unsupported_version", "Nodes of this version serve no watches");
}
