/** Watches the ring map: the current one first, then newer ones as nodes push them. */
import type { RegistryError } from "../../base/errors.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { RingWatch } from "../watch_types.ts";
import { EventQueue } from "./event_queue.ts";
import type { WatchMember, WatchRouting } from "./watch_routing.ts";

/** A watch of the ring map. A reader that falls behind gets the newest map. */
export class RingMapWatch implements RingWatch, WatchMember {
  readonly #queue: EventQueue<RingMap>;
  readonly #leave: () => void;

  constructor(routing: WatchRouting) {
    const nothing = () => {};
    this.#queue = new EventQueue({ room: nothing, read: nothing, returned: () => this.close() });
    this.#leave = routing.join(this);
    if (routing.ringMap !== undefined) this.ringMap(routing.ringMap);
  }

  close(): void {
    this.#leave();
    this.#queue.end(undefined);
  }

  [Symbol.asyncIterator](): AsyncIterator<RingMap> {
    return this.#queue;
  }

  // What the routing tells (WatchMember).

  ringMap(map: RingMap): void {
    this.#queue.replace(map, () => true);
  }

  closed(error: RegistryError): void {
    this.#leave();
    this.#queue.end(error);
  }
}
