/** A limit on concurrent requests; further ones wait for their turn, first come, first served. */
import { BoundedQueue } from "../../base/bounded_queue.ts";
import { RegistryError } from "../../base/errors.ts";
import { RELAY_RETRY_MS } from "../../base/limits.ts";

interface Waiting {
  isOver: boolean;
  readonly begin: () => void;
}

/** Runs a bounded number of requests at once. */
export class RequestTurns {
  readonly #waiting: BoundedQueue<Waiting>;
  #free: number;

  constructor({ runningMax, waitingMax }: { runningMax: number; waitingMax: number }) {
    this.#free = runningMax;
    this.#waiting = new BoundedQueue(waitingMax);
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
      const waiting: Waiting = { isOver: false, begin: resolve };
      if (!this.#waiting.push(waiting)) {
        const message =
          `At most ${this.#waiting.capacity} requests may wait for the relay backend: as many do`;
        reject(new RegistryError("overloaded", message, { retryAfterMs: RELAY_RETRY_MS }));
        return;
      }
      signal.addEventListener("abort", () => {
        waiting.isOver = true;
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Passes the turn on to the first request that still waits. */
  #pass(): void {
    let next = this.#waiting.shift();
    while (next?.isOver) next = this.#waiting.shift();
    if (next === undefined) {
      this.#free++;
      return;
    }
    next.isOver = true;
    next.begin();
  }
}
