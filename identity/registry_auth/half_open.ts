/**
 * The handshakes of a node that are not through. Their number is bounded, in all and for each address;
 * where one more comes, the oldest that has sent nothing gives way, else the oldest. An honest handshake
 * is through in milliseconds, so that who only opens and waits (10,000 of them, say) drives out its own
 * kind, and others are served.
 */
import { AddressSlots } from "../../src/base/address_slots.ts";
import { AUTH_HALF_OPEN_MAX, AUTH_HALF_OPEN_PER_ADDRESS_MAX } from "../../src/base/limits.ts";

/** Who is at the other end of a handshake. */
export interface HalfOpenPeer {
  /** Whom it counts for; absent: it counts in all alone. */
  readonly address?: string;
  /** True while nothing came from it. Absent: something did. */
  readonly isSilent?: () => boolean;
}

/** All of a node. */
export class HalfOpenHandshakes {
  readonly #slots: AddressSlots;

  constructor(
    max: number = AUTH_HALF_OPEN_MAX,
    perAddressMax: number = AUTH_HALF_OPEN_PER_ADDRESS_MAX,
  ) {
    this.#slots = new AddressSlots({ max, perAddressMax, evictsBusy: true });
  }

  /** How many are under way. */
  get count(): number {
    return this.#slots.count;
  }

  /** How many gave way so far. */
  get evicted(): number {
    return this.#slots.evicted;
  }

  /**
   * Runs one; beyond a limit another is told to stop.
   *
   * @param run gets the signal that it gave way.
   */
  async run<T>(run: (signal: AbortSignal) => Promise<T>, peer: HalfOpenPeer = {}): Promise<T> {
    const controller = new AbortController();
    const slot = this.#slots.take(peer.address, {
      isIdle: () => peer.isSilent?.() ?? false,
      evict: () => controller.abort(),
    });
    try {
      return await run(controller.signal);
    } finally {
      slot?.release();
    }
  }
}
