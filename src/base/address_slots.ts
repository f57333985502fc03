/**
 * A bounded pool of slots for unauthenticated parties, shared fairly between addresses.
 *
 * When no slot is free, the oldest idle holder is evicted: from the same address if that address
 * has reached its own limit, otherwise from all. Parties that open connections and stay silent
 * therefore evict each other, and a party that sends at once is served. Pure bookkeeping, no clock.
 */

/** The holder of a slot. */
export interface SlotHolder {
  /**
   * Reports whether it may be evicted: it has sent nothing, or none of its requests is in progress.
   */
  isIdle(): boolean;
  /** Called once when its slot is given to another holder; must not throw. */
  evict(): void;
}

/** Sizes and eviction policy of an {@link AddressSlots}. */
export interface AddressSlotsLimits {
  readonly max: number;
  /** Maximum slots held by one address. */
  readonly perAddressMax: number;
  /** Whether the oldest holder is evicted even when no holder is idle. Default false. */
  readonly evictsBusy?: boolean;
}

/** A slot that was taken. */
export interface AddressSlot {
  /** Returns the slot to the pool. Idempotent; not needed after an eviction. */
  release(): void;
}

/** Maximum busy holders examined in search of an idle one when a busy one may be evicted too. */
const LOOKS_MAX = 64;

interface Taken {
  readonly address: string | undefined;
  readonly holder: SlotHolder;
}

/** A pool of slots with limits in total and per address. */
export class AddressSlots {
  readonly #limits: AddressSlotsLimits;
  /** In the order in which they were taken. */
  readonly #taken = new Set<Taken>();
  readonly #byAddress = new Map<string, Set<Taken>>();
  #evicted = 0;

  constructor(limits: AddressSlotsLimits) {
    this.#limits = limits;
  }

  /** Number of slots taken. */
  get count(): number {
    return this.#taken.size;
  }

  /** Number of holders evicted so far. */
  get evicted(): number {
    return this.#evicted;
  }

  /**
   * Takes a slot, evicting an idle holder if necessary.
   *
   * @param address the address that the slot counts against: see `addressKey` of the transport;
   * `undefined` counts against none.
   * @returns `undefined` when no holder can be evicted because all candidates are busy.
   */
  take(address: string | undefined, holder: SlotHolder): AddressSlot | undefined {
    const { max, perAddressMax } = this.#limits;
    const own = address === undefined ? undefined : this.#byAddress.get(address);
    if (own !== undefined && own.size >= perAddressMax) {
      if (!this.#evictFirst(own)) return undefined;
    } else if (this.#taken.size >= max && !this.#evictFirst(this.#taken)) return undefined;
    const taken: Taken = { address, holder };
    this.#taken.add(taken);
    if (address !== undefined) {
      const same = this.#byAddress.get(address);
      if (same === undefined) this.#byAddress.set(address, new Set([taken]));
      else same.add(taken);
    }
    return { release: () => this.#remove(taken) };
  }

  #evictFirst(among: ReadonlySet<Taken>): boolean {
    const { evictsBusy = false } = this.#limits;
    let found: Taken | undefined;
    let looks = 0;
    for (const taken of among) {
      if (taken.holder.isIdle()) {
        found = taken;
        break;
      }
      if (!evictsBusy) continue;
      found ??= taken;
      if (++looks === LOOKS_MAX) break;
    }
    if (found === undefined) return false;
    this.#remove(found);
    this.#evicted++;
    found.holder.evict();
    return true;
  }

  #remove(taken: Taken): void {
    if (!this.#taken.delete(taken) || taken.address === undefined) return;
    const same = this.#byAddress.get(taken.address);
    same?.delete(taken);
    if (same?.size === 0) this.#byAddress.delete(taken.address);
  }
}
