/**
 * Announces a front as a place where the Maps protocol is served, as long as it runs: a record with a lease,
 * which it registers again and again, as the registry's identity that it has.
 */
import {
  MAPS_SEEDER_BEAT_MS,
  MAPS_SEEDER_LEASE_MS,
  MAPS_SEEDER_NAME_BYTES_MAX,
  MAPS_SEEDER_RETRY_MS,
} from "../base/limits.ts";
import { toRegistryError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import type { Client } from "../client/types.ts";
import type { Endpoint } from "../../transport/transport.ts";

/** A front as clients find it. */
export interface AnnouncedFront {
  /** Address and port of gRPC, as clients reach it. */
  readonly endpoint: Endpoint;
  /** Host name; empty: none. */
  readonly domain: string;
  /** SHA-256 of its TLS certificate, hexadecimal; empty: it serves plain text. */
  readonly pin: string;
}

/** Options of {@link SeederAnnouncement}. */
export interface SeederAnnouncementOptions {
  readonly front: AnnouncedFront;
  readonly client: Pick<Client, "nodeStatus" | "maps">;
  readonly world: World;
  readonly logger: Logger;
}

/** An announcement, until it is closed; its record then ends with its lease. */
export class SeederAnnouncement {
  readonly #options: SeederAnnouncementOptions;
  #region: string | undefined;
  #timer: Timer | undefined;
  #isRefused = false;
  #isClosed = false;

  constructor(options: SeederAnnouncementOptions) {
    this.#options = options;
    void this.#announce();
  }

  /** Ends it. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** Registers the record, and once more after a while. Never rejects. */
  async #announce(): Promise<void> {
    const { client, world, logger } = this.#options;
    let pauseMs = MAPS_SEEDER_BEAT_MS;
    try {
      await this.#register(client);
      this.#isRefused = false;
    } catch (error) {
      pauseMs = MAPS_SEEDER_RETRY_MS;
      const { code, message } = toRegistryError(error);
      const facts = { code, message };
      // Once for a row of failures: each of them would say the same.
      if (this.#isRefused) logger.debug("The front is still not announced as a seeder", facts);
      else logger.warn("The front could not be announced as a seeder", facts);
      this.#isRefused = true;
    }
    if (!this.#isClosed) {
      this.#timer = world.scheduler.after(pauseMs, () => void this.#announce());
    }
  }

  async #register(client: SeederAnnouncementOptions["client"]): Promise<void> {
    const { endpoint: { host, port }, domain, pin } = this.#options.front;
    this.#region ??= (await client.nodeStatus()).region;
    const name = domain === "" ? host : domain;
    await client.maps.registerSeeder({
      ...{ region: this.#region, address: host, port, domain, pin },
      name: name.slice(0, MAPS_SEEDER_NAME_BYTES_MAX),
      ttlMs: MAPS_SEEDER_LEASE_MS,
      scope: "region",
    });
  }
}
