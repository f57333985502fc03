/** A delegation as the client sees it: one caller, whatever node its calls go to. */
import type { OpenDelegationRequest } from "../../../schemas/gen/wire.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import { RegistryError } from "../../base/errors.ts";

/**
 * One caller of a front. Each connection opens a delegation for it when it is to carry its first
 * call, and again when that one has ended.
 */
export class ClientDelegation {
  /** The request that opens it on a session. */
  readonly request: Input<OpenDelegationRequest>;
  readonly #onClose = new Set<() => void>();
  #isClosed = false;

  constructor(request: Input<OpenDelegationRequest>) {
    this.request = request;
  }

  /** Whether no more calls may be made. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Has `listener` called when it is closed, until the returned function is called. */
  whenClosed(listener: () => void): () => void {
    this.#onClose.add(listener);
    return () => void this.#onClose.delete(listener);
  }

  /** Ends it on all sessions. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const listener of [...this.#onClose]) listener();
    this.#onClose.clear();
  }
}

/** Returns the error of calls of a caller that was closed. */
export function callerClosed(): RegistryError {
  return new RegistryError("shutting_down", "The delegated client is closed");
}
