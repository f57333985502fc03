/** Lets a bounded number of requests run at once; others wait for their turn, first come, first served. */
import { BoundedQueue } from "../../base/bounded_queue.ts";
import { RegistryError } from "../../base/errors.ts";
import { RELAY_RETRY_MS } from "../../base/limits.ts";

interface Waiting {
  isOver: boolean;
  readonly begin: () => void;
}

/** The turns of requests. */
export class RequestTurns {
  readonly #waiting: BoundedQueue<Waiting>;
  #free: number;

  constructor({ runningMax, waitingMax }: { runningMax: number; waitingMax: number }) {
    this.#free = runningMax;
    this.#waiting = new BoundedQueue(waitingMax);
  }

  /** Runs `request` in its turn. Rejects with the signal's reason if it is aborted before. */
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
        const message = `${this.#waiting.capacity} requests wait for the relay backend already`;
        reject(new RegistryError("overloaded", message, { retryAfterMs: RELAY_RETRY_MS }));
        return;
      }
      signal.addEventListener("abort", () => {
        waiting.isOver = true;
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Passes a turn on to the first that still waits. */
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
