/**
 * A person's or a supervisor's wish that a long command ends: the first signal asks, a second one
 * ends the process at once.
 *
 * ^C in a terminal goes to the whole process group, and `deno task` and `npx` pass on what they get
 * too, so one wish may arrive several times: signals shortly after the first count as the same.
 */
import type { StopSignal, Terminal } from "./terminal.ts";

/** Within this after the first signal another one is its echo, ms; no person is that quick. */
const ECHO_MS = 300;

const EXIT_CODE_OF_SIGNAL: Readonly<Record<StopSignal, number>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
};

/** Listens from its construction until `end`. */
export class StopRequest {
  /** Resolves at the first signal. */
  readonly requested: Promise<undefined>;
  /** Acts as if the signal had come. */
  readonly request: (signal: StopSignal) => void;
  readonly #end: () => void;
  #firstMs: number | undefined;

  /**
   * @param onFirst told of the first signal.
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

  /** Gives signals back to the system. */
  end(): void {
    this.#end();
  }
}
