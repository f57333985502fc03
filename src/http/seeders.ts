/**
 * The fronts that serve the Maps protocol, as this face's own identity reads them: clients that ask for
 * them are about to begin, and prove no identity. A region is read at most once a second.
 */
import {
  HTTP_NODE_CONDITION_MS,
  HTTP_SEEDER_REGIONS_MAX,
  MAPS_SEEDERS_TOLD,
} from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { LruMap } from "../client/lru_map.ts";
import type { MapsSeederInfo } from "../client/mod.ts";
import type { FaceClient } from "./node_condition.ts";

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

  constructor(client: FaceClient, clock: MonotonicClock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Returns some seeders of a region, not older than a second. @throws RegistryError as the list. */
  of(region: string): Promise<readonly MapsSeederInfo[]> {
    const atMs = this.#clock.nowMs();
    const known = this.#asked.use(region);
    if (known !== undefined && atMs - known.atMs < HTTP_NODE_CONDITION_MS) return known.seeders;
    const seeders = this.#client.maps.listSeeders(region, { limit: MAPS_SEEDERS_TOLD });
    const asked = { seeders, atMs };
    this.#asked.put(region, asked);
    // A failure is told to those who asked, and not kept.
    seeders.catch(() => {
      if (this.#asked.peek(region) === asked) this.#asked.delete(region);
    });
    return seeders;
  }
}
