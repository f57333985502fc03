/**
 * Sessions of those who have proven nothing and may only ask for a certificate: each for a short time,
 * few of one address, and only as long as nobody needs the place of one that asks for nothing.
 */
import { AddressSlots } from "../base/address_slots.ts";
import { RegistryError } from "../base/errors.ts";
import {
  STRANGER_SESSION_MS,
  STRANGERS_MAX,
  STRANGERS_PER_ADDRESS_MAX,
  STRANGERS_RETRY_MS,
} from "../base/limits.ts";
import type { Scheduler } from "../base/world.ts";
import type { Session } from "../../transport/transport.ts";
import { addressOf } from "./peer_address.ts";
import type { RequestStream } from "../serving/request_stream.ts";

/** All of a node. */
export class Strangers {
  readonly #scheduler: Scheduler;
  readonly #slots = new AddressSlots({
    max: STRANGERS_MAX,
    perAddressMax: STRANGERS_PER_ADDRESS_MAX,
  });

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Sessions that are open now. */
  get count(): number {
    return this.#slots.count;
  }

  /** Sessions that were ended for others since the start: none of them was waiting for an answer. */
  get evicted(): number {
    return this.#slots.evicted;
  }

  /**
   * Serves the one stream of a session until it ends, its time is up, or its place is needed.
   *
   * @throws RegistryError `overloaded` where as many as may be are waiting for their answers.
   */
  async serve(session: Session, requests: RequestStream): Promise<void> {
    const slot = this.#slots.take(addressOf(session), {
      isIdle: () => requests.inFlight === 0,
      evict: () => void session.goodbye("overloaded", "Others who ask needed the place"),
    });
    if (slot === undefined) {
      throw new RegistryError("overloaded", "Too many ask for a certificate at once", {
        retryAfterMs: STRANGERS_RETRY_MS,
      });
    }
    const late = () => session.abort("The time to ask for a certificate was up");
    const timer = this.#scheduler.after(STRANGER_SESSION_MS, late);
    try {
      await requests.run();
    } finally {
      timer.cancel();
      slot.release();
    }
  }
}
