/**
 * The last net under promises that nobody awaits. Deno's QUIC and WebTransport reject some that no
 * code of ours can reach, and one of those would end the process; here each is
 * counted, told, and survived. It is installed by the composition of a program and nowhere else, and
 * its counter is no place for known failures: those are caught where they arise.
 */
import type { OnError } from "./transport.ts";

/** The part of a runtime's global scope that the guard listens on. */
export interface RejectionEvents {
  addEventListener(type: "unhandledrejection", listener: (event: RejectionEvent) => void): void;
  removeEventListener(type: "unhandledrejection", listener: (event: RejectionEvent) => void): void;
}

/** The event of a rejection that nobody handles. */
export interface RejectionEvent {
  readonly reason: unknown;
  preventDefault(): void;
}

/** A guard at work. */
export interface RejectionGuard {
  /** Rejections survived so far. */
  readonly count: number;
  /** Takes it away. */
  remove(): void;
}

/**
 * Survives every unhandled rejection, and tells `onError` of it with the stage `unhandled`.
 *
 * A broken invariant (`InvariantError`) is told like the others; whoever must stop for one decides
 * in `onError`.
 *
 * @param scope where to listen; `globalThis` in a program.
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
