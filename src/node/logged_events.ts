/** Events of the log that a node only reports to its operator. */
import type { Logger } from "../base/logger.ts";
import type { RegistryOptions } from "./registry_options.ts";

/** Returns the handlers of these events, which write to `logger`. */
export function loggedEvents(
  logger: Logger,
): Pick<RegistryOptions["logEvents"], "cut" | "lost" | "unmarked"> {
  return {
    cut: (notice) => logger.warn("The log's end was cut", { ...notice }),
    lost: (what, generation) =>
      logger.warn("Acknowledged data is lost, as the operator accepted", { what, generation }),
    unmarked: (error) => logger.warn("The log's mark cannot be written", { error }),
  };
}
