/** Why a node is not ready: a set of conditions that come and go, asked by `/readyz` and status. */
import type { UnreadyReason } from "./ops_http.ts";

/** The words of conditions, for programs. */
export type Condition =
  | "starting"
  | "storage_poisoned"
  | "disk_full"
  | "certificate_invalid"
  | "port_closed"
  | "draining";

const MESSAGES: Readonly<Record<Condition, string>> = {
  starting: "The node recovers its log: wait.",
  storage_poisoned:
    "A sync of the log failed: nothing is acknowledged any more. Check the disk, then restart.",
  disk_full: "The log cannot grow: writes are refused until there is room on the disk.",
  certificate_invalid:
    "The node's TLS certificate is not valid by its clock: it is being renewed. " +
    "Compare the clock with others.",
  port_closed:
    "A TCP port accepts no connections, as there are no file descriptors or it cannot be bound: " +
    "raise ulimit -n (LimitNOFILE). It is tried again all the time.",
  draining: "The node is shutting down: use another.",
};

/** The conditions that hold now. A node starts with `starting`. */
export class Readiness {
  readonly #conditions = new Set<Condition>(["starting"]);

  /** True when nothing stands against it. */
  get ready(): boolean {
    return this.#conditions.size === 0;
  }

  /** Says whether a condition holds. */
  set(condition: Condition, holds: boolean): void {
    if (holds) this.#conditions.add(condition);
    else this.#conditions.delete(condition);
  }

  /** What stands against it, in the order in which it came. */
  reasons(): readonly UnreadyReason[] {
    return Array.from(this.#conditions, (reason) => ({ reason, message: MESSAGES[reason] }));
  }
}
