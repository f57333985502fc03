/**
 * The fronts that serve the Maps protocol, as this face's own identity reads them: clients that ask for
 * them are about to begin, and prove no identity. A region is read at most once a second, and the number
 * of other regions than those read last is limited: the reads are charged to the face, not to its callers.
 */
import { RegistryError } from "../base/errors.ts";
import {
  FACE_NODE_CONDITION_MS,
  HTTP_SEEDER_REGIONS_BURST,
  HTTP_SEEDER_REGIONS_MAX,
  HTTP_SEEDER_REGIONS_PER_SECOND,
  MAPS_SEEDERS_TOLD,
} from "../base/limits.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { MonotonicClock } from "../base/world.ts";
import { LruMap } from "../client/lru_map.ts";
import type { MapsSeederInfo } from "../client/mod.ts";
import type { FaceClient } from "../faces/node_condition.ts";

/** The seeders of a region, when they were asked for. */
interface Asked {
  readonly seeders: Promise<readonly MapsSeederInfo[]>;
  readonly atMs: number;
}

/** Reads seeders by region. */
export class Seeders {
  readonly #client: FaceClient;
  readonly #clock: MonotonicClock;
  readonly #asked = new LruMap<Asked>(HTTP_SEEDER_REGIONS_MAX);
  readonly #others: TokenBucket;

  constructor(client: FaceClient, clock: MonotonicClock) {
    this.#client = client;
    this.#clock = clock;
    this.#others = new TokenBucket({
      ratePerSecond: HTTP_SEEDER_REGIONS_PER_SECOND,
      burst: HTTP_SEEDER_REGIONS_BURST,
      nowMs: clock.nowMs(),
    });
  }

  /**
   * Returns some seeders of a region, not older than a second.
   *
   * @throws RegistryError as the list; `overloaded` if too many other regions were asked for.
   */
  of(region: string): Promise<readonly MapsSeederInfo[]> {
    const atMs = this.#clock.nowMs();
    const known = this.#asked.use(region);
    if (known !== undefined && atMs - known.atMs < FACE_NODE_CONDITION_MS) return known.seeders;
    if (known === undefined) this.#admit(atMs);
    const seeders = this.#client.maps.listSeeders(region, { limit: MAPS_SEEDERS_TOLD });
    const asked = { seeders, atMs };
    this.#asked.put(region, asked);
    // A failure is told to those who asked, and not kept.
    seeders.catch(() => {
      if (this.#asked.peek(region) === asked) this.#asked.delete(region);
    });
    return seeders;
  }

  #admit(nowMs: number): void {
    this.#others.refill(nowMs);
    if (this.#others.take(1)) return;
    throw new RegistryError(
      "overloaded",
      `At most ${HTTP_SEEDER_REGIONS_PER_SECOND} regions a second may be new to this front: ask later`,
      { retryAfterMs: this.#others.retryAfterMs() },
    );
  }
}
