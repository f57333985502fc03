/** The conditions that make a node not ready, as reported by `/readyz` and the status operation. */
import type { UnreadyReason } from "./ops_http.ts";

/** Machine-readable names of conditions. */
export type Condition =
  | "starting"
  | "storage_poisoned"
  | "disk_full"
  | "certificate_invalid"
  | "port_closed"
  | "draining";

const MESSAGES: Readonly<Record<Condition, string>> = {
  starting: "The node is recovering its log: wait.",
  storage_poisoned:
    "A sync of the log failed: nothing is acknowledged any more. Check the disk, then restart.",
  disk_full: "The log cannot grow: writes are refused until there is room on the disk.",
  certificate_invalid:
    "The node's TLS certificate is not valid by the node's clock: it is being renewed. " +
    "Check the clock.",
  port_closed:
    "A TCP port accepts no connections, as there are no file descriptors or it cannot be bound: " +
    "raise ulimit -n (LimitNOFILE). The node keeps retrying.",
  draining: "The node is shutting down: use another node.",
};

/** The set of conditions that hold now. Initially `starting`. */
export class Readiness {
  readonly #conditions = new Set<Condition>(["starting"]);
  readonly #leaderless: () => number;

  /** @param leaderless returns how many of the partitions held here have no known leader. */
  constructor(leaderless: () => number = () => 0) {
    this.#leaderless = leaderless;
  }

  /** Whether the node is ready: it has no reason not to be. Takes as long as {@link reasons}. */
  get ready(): boolean {
    return this.reasons().length === 0;
  }

  /** Sets or clears a condition. */
  set(condition: Condition, holds: boolean): void {
    if (holds) this.#conditions.add(condition);
    else this.#conditions.delete(condition);
  }

  /**
   * Returns the conditions that hold, in the order in which they were set; if none does, whether
   * partitions have no leader, which another condition may be the cause of. Looks at every partition.
   */
  reasons(): readonly UnreadyReason[] {
    if (this.#conditions.size > 0) {
      return Array.from(this.#conditions, (reason) => ({ reason, message: MESSAGES[reason] }));
    }
    const count = this.#leaderless();
    if (count === 0) return [];
    const partitions = count === 1 ? "1 partition" : `${count} partitions`;
    const message = `There is no quorum for ${partitions}: they are served once most of their ` +
      "replicas can be reached. See crs cluster status.";
    return [{ reason: "no_quorum", message }];
  }
}
