/**
 * The regions whose mirrors this node serves: the peers of group 0 in the order of their preference, and
 * how fresh each one is. Fresh ones come before suspended ones. Freshness is decided when a read asks: a
 * region that is lost costs no write.
 */
import type { RecordSource } from "../../../schemas/gen/wire.ts";
import type { MirrorView } from "../../../schemas/gen/record.ts";
import { isBytesAt } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { MIRROR_FRESH_MS_MAX } from "../../base/limits.ts";
import type { MonotonicClock } from "../../base/world.ts";
import { type MirrorChoice, SUSPENDED_RANK } from "../../store/mirrors/mirror_reads.ts";
import type { PeerRegion } from "../../system/regions/region_state.ts";
import { SOURCE_AGE_UNKNOWN, wireAge } from "../../wire/record_source.ts";

/** Freshness of the regions' mirrors, as this node knows it. */
export interface RegionFreshness {
  /**
   * Returns the age of a region's mirrors, ms: all its changes up to that long ago are mirrored, in all
   * partitions. Undefined if it is not known; its mirrors are suspended then.
   *
   * @param staleMs the age of the replica that is read, ms: it may lack what was mirrored since. Default: 0.
   */
  ageMs(region: string, staleMs?: number): number | undefined;
}

/** Nothing is known of any region. */
export const NO_FRESHNESS: RegionFreshness = { ageMs: () => undefined };

/** The records that a read asks for. */
export interface AskedHome {
  /** Whether own records are served. */
  readonly own: boolean;
  /** The mirrors that are served; undefined: none. */
  readonly mirrors: MirrorChoice | undefined;
}

/** Dependencies of {@link MirrorHomes}. */
export interface MirrorHomesOptions {
  /** Name of the region of this cluster. */
  readonly own: string;
  /** Returns the peer regions by preference, the same list as long as none changed. */
  readonly regions: () => readonly PeerRegion[];
  readonly freshness: RegionFreshness;
  readonly clock: MonotonicClock;
}

/** The origin of a mirror that was read some time before it is answered. */
export interface ReadSource {
  readonly source: RecordSource;
  /** Monotonic ms. */
  readonly readAtMs: number;
}

/** A region. */
interface Home {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Serves its mirrors alone. */
  readonly only: AskedHome;
}

const OWN: AskedHome = { own: true, mirrors: undefined };

/** The regions whose mirrors are served. */
export class MirrorHomes implements MirrorChoice {
  readonly #options: MirrorHomesOptions;
  readonly #own: Uint8Array;
  /** The list from which {@link #homes} was made. */
  #regions: readonly PeerRegion[] = [];
  #homes: readonly Home[] = [];
  /** Own records, and mirrors of all regions. */
  readonly any: AskedHome = { own: true, mirrors: this };

  constructor(options: MirrorHomesOptions) {
    this.#options = options;
    this.#own = new TextEncoder().encode(options.own);
  }

  /** Reports whether there is a peer region of that name. */
  isPeer(region: string): boolean {
    return this.#current().some(({ name }) => name === region);
  }

  /** Name of the region of this cluster. */
  get own(): string {
    return this.#options.own;
  }

  /**
   * Returns the records that a read of the region with the name at `[start, end)` asks for; those of all
   * regions if the name is empty.
   *
   * @throws RegistryError `invalid_argument` if it is neither this one nor a peer.
   */
  asked(bytes: Uint8Array, start: number, end: number): AskedHome {
    if (start === end) return this.any;
    if (isBytesAt(this.#own, bytes, start, end)) return OWN;
    const home = this.#current()[this.#indexOf(bytes, start, end)];
    if (home !== undefined) return home.only;
    const name = new TextDecoder().decode(bytes.subarray(start, end));
    throw new RegistryError(
      "invalid_argument",
      `home must be ${this.own} or one of its peer regions: found ${JSON.stringify(name)}`,
      { field: "home" },
    );
  }

  /** Implements {@link MirrorChoice.rankOf}. */
  rankOf(bytes: Uint8Array, start: number, end: number): number {
    const homes = this.#current();
    const index = this.#indexOf(bytes, start, end);
    const home = homes[index];
    if (home === undefined) return Infinity;
    return isFresh(this.#ageMs(home)) ? index : SUSPENDED_RANK + index;
  }

  /** Returns the origin of a mirror, for an answer. @param staleMs the age of the replica that was read. */
  sourceOf(mirror: MirrorView, staleMs: number): RecordSource {
    const { home, revisionGeneration: generation, revisionIndex: index } = mirror;
    const ageMs = this.#options.freshness.ageMs(home, staleMs);
    return {
      home,
      revision: { generation, index },
      ageMs: wireAge(ageMs),
      isSuspended: !isFresh(ageMs),
    };
  }

  /** As {@link sourceOf}, of a mirror that is answered later; see {@link agedNow}. */
  readSourceOf(mirror: MirrorView, staleMs: number): ReadSource {
    return { source: this.sourceOf(mirror, staleMs), readAtMs: this.#options.clock.nowMs() };
  }

  /** Returns the origin of a mirror that was read earlier, with its age by now. */
  agedNow({ source, readAtMs }: ReadSource): RecordSource {
    if (source.ageMs === SOURCE_AGE_UNKNOWN) return source;
    const ageMs = wireAge(source.ageMs + this.#options.clock.nowMs() - readAtMs);
    return { ...source, ageMs, isSuspended: !isFresh(ageMs) };
  }

  #ageMs({ name }: Home): number | undefined {
    return this.#options.freshness.ageMs(name);
  }

  #indexOf(bytes: Uint8Array, start: number, end: number): number {
    const homes = this.#current();
    for (let index = 0; index < homes.length; index++) {
      if (isBytesAt(homes[index]!.bytes, bytes, start, end)) return index;
    }
    return -1;
  }

  #current(): readonly Home[] {
    const regions = this.#options.regions();
    if (regions === this.#regions) return this.#homes;
    this.#regions = regions;
    const encoder = new TextEncoder();
    this.#homes = regions.map(({ settings: { name } }) => {
      const bytes = encoder.encode(name);
      const only: MirrorChoice = {
        rankOf: (from, start, end) =>
          isBytesAt(bytes, from, start, end) ? this.rankOf(from, start, end) : Infinity,
      };
      return { name, bytes, only: { own: false, mirrors: only } };
    });
    return this.#homes;
  }
}

function isFresh(ageMs: number | undefined): boolean {
  return ageMs !== undefined && ageMs <= MIRROR_FRESH_MS_MAX;
}
