/**
 * Tells when a node refuses who keeps a record so often that trying on is hopeless, as under a ban:
 * a node that cannot be reached, or cannot write, never counts.
 */
import { ERROR_TABLE, type RegistryError } from "../base/errors.ts";
import { KEEP_REFUSALS_MAX } from "../base/limits.ts";
import type { ConnectionEvent, LeaseEvent } from "../client/mod.ts";

/** Counts refusals in a row, of connections and of renewals. */
export class RefusalWatch {
  /** Resolves with the last refusal when there were too many. */
  readonly hopeless: Promise<RegistryError>;
  readonly #resolve: (error: RegistryError) => void;
  #refusals = 0;

  constructor() {
    ({ promise: this.hopeless, resolve: this.#resolve } = Promise.withResolvers<RegistryError>());
  }

  /** Takes in what the connection did. */
  connection(event: ConnectionEvent): void {
    if (event.kind === "attempt_failed") this.#note(event.error);
    else if (event.kind === "connected") this.#refusals = 0;
  }

  /** Takes in what became of the lease. */
  lease(event: LeaseEvent): void {
    if (event.kind === "renewal_failed") this.#note(event.error);
    else if (event.kind === "renewed" || event.kind === "recovered") this.#refusals = 0;
  }

  #note(error: RegistryError): void {
    // The other classes may pass without anybody doing something.
    if (ERROR_TABLE[error.code].class !== "caller") return;
    if (++this.#refusals >= KEEP_REFUSALS_MAX) this.#resolve(error);
  }
}
