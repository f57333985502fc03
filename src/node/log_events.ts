/** The events of the log, as a node reports them to its operator and its readiness. */
import type { Logger } from "../base/logger.ts";
import type { LogEvents } from "../replication/recovery.ts";
import type { Readiness } from "./readiness.ts";

/** The dependencies of {@link logEvents}. */
export interface LogEventsOptions {
  readonly logger: Logger;
  readonly readiness: Readiness;
  readonly isPoisoned: () => boolean;
  /** Called when the log takes writes again. */
  readonly onWritable: () => void;
  readonly onSynced: (durationMs: number) => void;
}

/** Returns the handlers of the log's events. */
export function logEvents(options: LogEventsOptions): LogEvents {
  const { logger, readiness, isPoisoned, onWritable, onSynced } = options;
  return {
    cut: (notice) => logger.warn("The log's end was cut", { ...notice }),
    lost: (what, generation) =>
      logger.warn("Acknowledged data is lost, as the operator accepted", { what, generation }),
    unmarked: (error) => logger.warn("The log's mark cannot be written", { error }),
    // The node goes on serving reads, and `/readyz` reports the reason.
    poisoned: (error) => {
      readiness.set("storage_poisoned", true);
      logger.error("The log is poisoned: restart the node", { error });
    },
    writable: (writable) => {
      // A poisoned log cannot be written either, but more room on the disk does not help.
      if (isPoisoned()) return;
      readiness.set("disk_full", !writable);
      if (!writable) return logger.error("The log cannot be written: free space on its disk");
      logger.info("The log is writable again");
      onWritable();
    },
    synced: onSynced,
  };
}
