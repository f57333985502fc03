/**
 * Detects that a node refuses the keeper of a record so often that retrying is pointless, as under
 * a ban. A node that is unreachable or cannot write never counts.
 */
import { ERROR_TABLE, type RegistryError } from "../base/errors.ts";
import { KEEP_REFUSALS_MAX } from "../base/limits.ts";
import type { ConnectionEvent, LeaseEvent } from "../client/mod.ts";

/** Counts consecutive refusals of connections and renewals. */
export class RefusalWatch {
  /** Resolves with the last refusal when there were too many. */
  readonly refused: Promise<RegistryError>;
  readonly #resolve: (error: RegistryError) => void;
  #refusals = 0;

  constructor() {
    ({ promise: this.refused, resolve: this.#resolve } = Promise.withResolvers<RegistryError>());
  }

  /** Processes an event of the connection. */
  connection(event: ConnectionEvent): void {
    if (event.kind === "attempt_failed") this.#note(event.error);
    else if (event.kind === "connected") this.#refusals = 0;
  }

  /** Processes an event of the lease. */
  lease(event: LeaseEvent): void {
    if (event.kind === "renewal_failed") this.#note(event.error);
    else if (event.kind === "renewed" || event.kind === "recovered") this.#refusals = 0;
  }

  #note(error: RegistryError): void {
    // Errors of other classes may pass without anybody acting.
    if (ERROR_TABLE[error.code].class !== "caller") return;
    if (++this.#refusals >= KEEP_REFUSALS_MAX) this.#resolve(error);
  }
}
