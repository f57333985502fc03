/**
 * A bounded number of places for parties that have proven nothing, shared fairly between addresses.
 *
 * Who needs a place where there is none gets that of the oldest that is idle: first among those of its
 * own address, if that has all it may have, then among all. So whoever opens and says nothing drives
 * out its own kind, and whoever speaks at once is served. Pure bookkeeping without a clock.
 */

/** Who holds a place. */
export interface SlotHolder {
  /** True while it may be evicted: it has sent nothing, or nothing of it is being worked on. */
  isIdle(): boolean;
  /** Called once when its place is given to another; must not throw. */
  evict(): void;
}

/** How many places there are. */
export interface AddressSlotsLimits {
  readonly max: number;
  /** Of one address. */
  readonly perAddressMax: number;
  /** True: where nobody is idle the oldest gives way all the same. Default false. */
  readonly evictsBusy?: boolean;
}

/** A place that was taken. */
export interface AddressSlot {
  /** Gives the place back. Idempotent; needless after an eviction. */
  release(): void;
}

/** Busy holders that are passed over for an idle one, where a busy one may be evicted too. */
const LOOKS_MAX = 64;

interface Taken {
  readonly address: string | undefined;
  readonly holder: SlotHolder;
}

/** The places. */
export class AddressSlots {
  readonly #limits: AddressSlotsLimits;
  /** In the order in which they were taken. */
  readonly #taken = new Set<Taken>();
  readonly #byAddress = new Map<string, Set<Taken>>();
  #evicted = 0;

  constructor(limits: AddressSlotsLimits) {
    this.#limits = limits;
  }

  /** Places that are taken. */
  get count(): number {
    return this.#taken.size;
  }

  /** Holders that were evicted so far. */
  get evicted(): number {
    return this.#evicted;
  }

  /**
   * Takes a place, evicting an idle holder where that is needed.
   *
   * @param address whom it counts for: see `addressKey` of the transport; `undefined`: nobody.
   * @returns `undefined` when every holder that could give way is busy.
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
