/** A limit on concurrent requests; further ones wait for their turn, first come, first served. */
import { RegistryError } from "../../base/errors.ts";
import { RELAY_RETRY_MS } from "../../base/limits.ts";

/** Runs a bounded number of requests at once. */
export class RequestTurns {
  /** Begins those that wait, in the order of their arrival; none that gave up is among them. */
  readonly #waiting = new Set<() => void>();
  readonly #waitingMax: number;
  #free: number;

  constructor({ runningMax, waitingMax }: { runningMax: number; waitingMax: number }) {
    this.#free = runningMax;
    this.#waitingMax = waitingMax;
  }

  /**
   * Runs `request` in its turn. Rejects with the signal's reason if it is aborted before, and with
   * `overloaded` if too many wait.
   */
  async run<T>(signal: AbortSignal, request: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      return await request();
    } finally {
      this.#pass();
    }
  }

  /** Waits for a turn that another request passes on. */
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === this.#waitingMax) {
        const message =
          `At most ${this.#waitingMax} requests may wait for the relay backend: as many do`;
        reject(new RegistryError("overloaded", message, { retryAfterMs: RELAY_RETRY_MS }));
        return;
      }
      this.#waiting.add(resolve);
      signal.addEventListener("abort", () => {
        if (this.#waiting.delete(resolve)) reject(signal.reason);
      }, { once: true });
    });
  }

  /** Passes the turn on to the first request that waits. */
  #pass(): void {
    const [begin] = this.#waiting;
    if (begin === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(begin);
    begin();
  }
}
