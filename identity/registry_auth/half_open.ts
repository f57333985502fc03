/**
 * The handshakes of a node that are not through. Their number is bounded; where one more comes, the
 * oldest gives way. An honest handshake is through in milliseconds, so that who only opens and waits
 * (10,000 of them, say) drives out its own kind, and others are served.
 */
import { AUTH_HALF_OPEN_MAX } from "../../src/base/limits.ts";

/** All of a node. */
export class HalfOpenHandshakes {
  readonly #max: number;
  /** In the order in which they began. */
  readonly #open = new Set<AbortController>();
  #evicted = 0;

  constructor(max: number = AUTH_HALF_OPEN_MAX) {
    this.#max = max;
  }

  /** How many are under way. */
  get count(): number {
    return this.#open.size;
  }

  /** How many gave way so far. */
  get evicted(): number {
    return this.#evicted;
  }

  /**
   * Runs one; beyond the limit the oldest is told to stop.
   *
   * @param run gets the signal that it gave way.
   */
  async run<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#open.size >= this.#max) {
      const [oldest] = this.#open;
      if (oldest !== undefined) {
        this.#open.delete(oldest);
        this.#evicted++;
        oldest.abort();
      }
    }
    const controller = new AbortController();
    this.#open.add(controller);
    try {
      return await run(controller.signal);
    } finally {
      this.#open.delete(controller);
    }
  }
}
