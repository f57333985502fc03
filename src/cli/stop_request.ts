/**
 * A request by a person or a supervisor to end a long-running command: the first signal requests
 * it, a second one ends the process at once.
 *
 * ^C in a terminal goes to the whole process group, and `deno task` and `npx` forward the signals
 * they receive, so one request may arrive several times. Signals shortly after the first count as
 * the same request.
 */
import type { StopSignal, Terminal } from "./terminal.ts";

/** Signals within this time after the first are its repetition, ms; no person is that quick. */
const ECHO_MS = 300;

const EXIT_CODE_OF_SIGNAL: Readonly<Record<StopSignal, number>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
};

/** A stop request, which listens for signals from its construction until {@link end}. */
export class StopRequest {
  /** Resolves at the first signal. */
  readonly requested: Promise<undefined>;
  /** Acts as if `signal` had been received. */
  readonly request: (signal: StopSignal) => void;
  readonly #end: () => void;
  #firstMs: number | undefined;

  /**
   * @param onFirst called at the first signal.
   * @param nowMs a monotonic clock.
   */
  constructor(
    terminal: Terminal,
    onFirst: (signal: StopSignal) => void,
    nowMs: () => number = () => performance.now(),
  ) {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.requested = promise;
    this.request = (signal) => {
      if (this.#firstMs === undefined) {
        this.#firstMs = nowMs();
        onFirst(signal);
        resolve(undefined);
      } else if (nowMs() - this.#firstMs > ECHO_MS) {
        terminal.exit(EXIT_CODE_OF_SIGNAL[signal]);
      }
    };
    this.#end = terminal.onStop(this.request);
  }

  /** True after the first signal. */
  get isRequested(): boolean {
    return this.#firstMs !== undefined;
  }

  /** Stops listening; signals have their default effect again. */
  end(): void {
    this.#end();
  }
}
