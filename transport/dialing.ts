/**
 * Bounds the duration of a connection attempt, and maps a runtime's failure to a code. An attempt
 * that the runtime cannot cancel is abandoned, and its connection closed if it succeeds later.
 */
import { RegistryError } from "../src/base/errors.ts";
import { DIAL_MS_MAX } from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import { ignore } from "./carrier_stream.ts";
import type { DialOptions, Endpoint } from "./transport.ts";

/**
 * Starts `attempt` and waits for it, at most for the time given by the options.
 *
 * @param discard closes the eventual result of an abandoned attempt.
 * @throws RegistryError as `Dialer.dial`.
 */
export function boundedDial<T>(
  attempt: () => Promise<T>,
  options: DialOptions,
  scheduler: Scheduler,
  endpoint: Endpoint,
  discard: (late: T) => void,
): Promise<T> {
  const { signal, timeoutMs = DIAL_MS_MAX } = options;
  const target = `${endpoint.host} port ${endpoint.port}`;
  const givenUp = () => new RegistryError("canceled", `Connecting to ${target} was canceled`);
  if (signal?.aborted) return Promise.reject(givenUp());
  const attempting = attempt();
  return new Promise<T>((resolve, reject) => {
    let over = false;
    const finish = (settle: () => void): void => {
      over = true;
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    const abandon = (error: RegistryError): void => {
      if (over) return;
      attempting.then(discard, ignore);
      finish(() => reject(error));
    };
    const onAbort = (): void => abandon(givenUp());
    const timer = scheduler.after(timeoutMs, () =>
      abandon(
        new RegistryError("deadline_exceeded", `No session with ${target} within ${timeoutMs} ms`),
      ));
    signal?.addEventListener("abort", onAbort);
    attempting.then(
      (value) => {
        if (!over) finish(() => resolve(value));
      },
      (error) => {
        if (!over) finish(() => reject(dialError(error, target)));
      },
    );
  });
}

/** Maps a runtime's failure to connect to a code; runtimes distinguish failures by text only. */
export function dialError(error: unknown, target: string): RegistryError {
  if (error instanceof RegistryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/refused to accept/i.test(message)) {
    const text = `${target} has no room for another session`;
    return new RegistryError("overloaded", text, {}, error);
  }
  // Before the handshake is confirmed a server cannot send its own code (RFC 9000 §10.2.3).
  if (/application.*closed during the handshake/i.test(message)) {
    const text = `${target} ended the connection before the session began: it has no room for ` +
      "another session, or is shutting down";
    return new RegistryError("connection_lost", text, {}, error);
  }
  if (/certificate.*(expired|not valid|notvalidyet)|certificate has expired/i.test(message)) {
    const text = `${target} shows a certificate that is not valid at this time (${message}): the ` +
      "server or a clock is at fault, not your identity. Compare the clocks of both machines";
    return new RegistryError("tls_failed", text, {}, error);
  }
  if (/handshake|certificate/i.test(message)) {
    const text = `Cannot verify ${target}: ${message}`;
    return new RegistryError("tls_failed", text, {}, error);
  }
  return new RegistryError("connection_lost", `Cannot reach ${target}: ${message}`, {}, error);
}
