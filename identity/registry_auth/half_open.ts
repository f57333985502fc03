/**
 * Limits the unfinished handshakes of a node, in total and per address. Beyond a limit a new
 * handshake evicts the oldest one that has sent nothing, or else the oldest one. Honest handshakes
 * finish in milliseconds, so clients that only open connections and wait (10,000 of them, say)
 * evict each other while honest clients are served.
 */
import { AddressSlots } from "../../src/base/address_slots.ts";
import { AUTH_HALF_OPEN_MAX, AUTH_HALF_OPEN_PER_ADDRESS_MAX } from "../../src/base/limits.ts";

/** The remote end of a handshake. */
export interface HalfOpenPeer {
  /** Address to which the handshake is counted; absent: it counts toward the total only. */
  readonly address?: string;
  /** Reports whether the peer has sent nothing yet. Absent: it has sent something. */
  readonly isSilent?: () => boolean;
}

/** The unfinished handshakes of a node. */
export class HalfOpenHandshakes {
  readonly #slots: AddressSlots;

  constructor(
    max: number = AUTH_HALF_OPEN_MAX,
    perAddressMax: number = AUTH_HALF_OPEN_PER_ADDRESS_MAX,
  ) {
    this.#slots = new AddressSlots({ max, perAddressMax, evictsBusy: true });
  }

  /** Number of unfinished handshakes. */
  get count(): number {
    return this.#slots.count;
  }

  /** Number of handshakes evicted so far. */
  get evicted(): number {
    return this.#slots.evicted;
  }

  /**
   * Runs a handshake; beyond a limit another one is evicted.
   *
   * @param run receives a signal that aborts when this handshake is evicted.
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
