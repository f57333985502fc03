/**
 * A last resort for unhandled promise rejections. Deno's QUIC and WebTransport reject some promises
 * that our code cannot reach, and one such rejection would end the process. The guard counts,
 * reports and survives each. Only the composition root of a program installs it. Its counter is not
 * meant for known failures, which are caught where they occur.
 */
import type { OnError } from "./transport.ts";

/** The part of a runtime's global scope on which the guard listens. */
export interface RejectionEvents {
  addEventListener(type: "unhandledrejection", listener: (event: RejectionEvent) => void): void;
  removeEventListener(type: "unhandledrejection", listener: (event: RejectionEvent) => void): void;
}

/** The event of an unhandled rejection. */
export interface RejectionEvent {
  readonly reason: unknown;
  preventDefault(): void;
}

/** An installed guard. */
export interface RejectionGuard {
  /** The number of rejections survived so far. */
  readonly count: number;
  /** Uninstalls the guard. */
  remove(): void;
}

/**
 * Survives every unhandled rejection and reports it to `onError` with the stage `unhandled`.
 *
 * A broken invariant (`InvariantError`) is reported like the others; a program that must stop for
 * one decides so in `onError`.
 *
 * @param scope the scope to listen on; `globalThis` in a program.
 */
export function guardRejections(scope: RejectionEvents, onError: OnError): RejectionGuard {
  let count = 0;
  const listener = (event: RejectionEvent): void => {
    event.preventDefault();
    count++;
    onError("unhandled", event.reason);
  };
  scope.addEventListener("unhandledrejection", listener);
  return {
    get count() {
      return count;
    },
    remove: () => scope.removeEventListener("unhandledrejection", listener),
  };
}
