/**
 * Fetches the ring map when nodes refuse calls that it routed to them. One fetch runs at a time, and
 * not more often than every CLIENT_MAP_REFRESH_MS. Clock: monotonic.
 */
import { CLIENT_MAP_REFRESH_MS, REQUEST_TIMEOUT_MS_DEFAULT } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { RingMap } from "../ring/ring_map.ts";
import { StatusCalls } from "./calls/node.ts";
import type { Invoker } from "./invoker.ts";
import { ANY_NODE } from "./partition_leaders.ts";

/** The fetching of ring maps for one client. */
export class MapRefresh {
  readonly #calls: StatusCalls;
  readonly #clock: MonotonicClock;
  readonly #onRingMap: (map: RingMap) => void;
  readonly #nextNode: () => number;
  #isRunning = false;
  #lastMs = -Infinity;

  /** @param nextNode returns the node to ask next; one alone may be cut off from the others. */
  constructor(
    invoker: Invoker,
    { clock, onRingMap, nextNode }: {
      readonly clock: MonotonicClock;
      readonly onRingMap: (map: RingMap) => void;
      readonly nextNode: () => number;
    },
  ) {
    this.#calls = new StatusCalls(invoker);
    this.#clock = clock;
    this.#onRingMap = onRingMap;
    this.#nextNode = nextNode;
  }

  /** Starts a fetch, unless one is running or was just done. */
  want(): void {
    const nowMs = this.#clock.nowMs();
    if (this.#isRunning || nowMs - this.#lastMs < CLIENT_MAP_REFRESH_MS) return;
    this.#isRunning = true;
    this.#lastMs = nowMs;
    const done = () => void (this.#isRunning = false);
    this.#calls.ringMap(
      { timeoutMs: REQUEST_TIMEOUT_MS_DEFAULT },
      { partition: ANY_NODE, isExact: true, nodeId: this.#nextNode(), servedBy: 0 },
    ).then((map) => {
      done();
      this.#onRingMap(map);
      // A failed fetch changes nothing: the calls that wanted it go on without.
    }, done);
  }
}
