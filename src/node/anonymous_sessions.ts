/**
 * Anonymous sessions: their clients have not authenticated and may only request a certificate. Each
 * lasts for a short time, their number per address is limited, and an idle one is closed when another
 * client needs its slot.
 */
import { AddressSlots } from "../base/address_slots.ts";
import { RegistryError } from "../base/errors.ts";
import {
  ANONYMOUS_SESSION_MS,
  ANONYMOUS_SESSIONS_MAX,
  ANONYMOUS_SESSIONS_PER_ADDRESS_MAX,
  ANONYMOUS_SESSIONS_RETRY_MS,
  REFUSAL_LINGER_MS,
} from "../base/limits.ts";
import type { Scheduler } from "../base/world.ts";
import type { Session } from "../../transport/transport.ts";
import { addressOf } from "./peer_address.ts";
import type { RequestStream } from "../serving/request_stream.ts";

/** The anonymous sessions of a node. */
export class AnonymousSessions {
  readonly #scheduler: Scheduler;
  readonly #slots = new AddressSlots({
    max: ANONYMOUS_SESSIONS_MAX,
    perAddressMax: ANONYMOUS_SESSIONS_PER_ADDRESS_MAX,
  });

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The number of open anonymous sessions. */
  get count(): number {
    return this.#slots.count;
  }

  /** The number of idle sessions closed for others since the start; none was waiting for an answer. */
  get evicted(): number {
    return this.#slots.evicted;
  }

  /**
   * Serves the only stream of a session until it ends, its time is up, or its slot is needed.
   *
   * @throws RegistryError `overloaded` if all slots are taken by sessions that wait for an answer.
   */
  async serve(session: Session, requests: RequestStream): Promise<void> {
    const slot = this.#slots.take(addressOf(session), {
      isIdle: () => requests.inFlight === 0,
      evict: () =>
        void session.goodbye("overloaded", "The slot of this idle session was needed", {
          lingerMs: REFUSAL_LINGER_MS,
        }),
    });
    if (slot === undefined) {
      throw new RegistryError("overloaded", "Too many clients request a certificate at once", {
        retryAfterMs: ANONYMOUS_SESSIONS_RETRY_MS,
      });
    }
    const late = () => session.abort("The time to request a certificate was up");
    const timer = this.#scheduler.after(ANONYMOUS_SESSION_MS, late);
    try {
      await requests.run();
    } finally {
      timer.cancel();
      slot.release();
    }
  }
}
