/**
 * Bounds an attempt to connect in time, and turns a runtime's failure into a code. What a runtime
 * cannot stop is left behind, and closed when it succeeds after all.
 */
import { RegistryError } from "../src/base/errors.ts";
import { DIAL_MS_MAX } from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import { ignore } from "./carrier_stream.ts";
import type { DialOptions, Endpoint } from "./transport.ts";

/**
 * Starts `attempt` and waits for it, at most as long as the options say.
 *
 * @param discard ends what an abandoned attempt yields in the end.
 * @throws RegistryError as `Dialer.dial` says.
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
  const givenUp = () => new RegistryError("canceled", `Connecting to ${target} was given up`);
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

/** The code of a runtime's failure to connect; runtimes tell them apart by their text alone. */
export function dialError(error: unknown, target: string): RegistryError {
  if (error instanceof RegistryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/refused to accept/i.test(message)) {
    const text = `${target} has no room for another session`;
    return new RegistryError("overloaded", text, {}, error);
  }
  if (/certificate.*(expired|not valid|notvalidyet)|certificate has expired/i.test(message)) {
    const text = `${target} shows a certificate that is not valid at this time (${message}): the ` +
      "server or a clock is at fault, not your identity. Compare the clocks of both machines";
    return new RegistryError("tls_failed", text, {}, error);
  }
  if (/handshake|certificate/i.test(message)) {
    const text = `Cannot believe ${target}: ${message}`;
    return new RegistryError("tls_failed", text, {}, error);
  }
  return new RegistryError("connection_lost", `Cannot reach ${target}: ${message}`, {}, error);
}
