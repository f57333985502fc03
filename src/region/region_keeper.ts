/**
 * Keeps what group 0 knows of a region's own nodes current while the region is followed: the bans of its
 * nodes, so that a stolen one is not believed here either, and its trust bundle, whose certificates and
 * pins change. Both come from the region itself and concern its own nodes only. A bundle is taken if the
 * roots of the one before vouch for it and it is later; another trust domain is an operator's decision.
 *
 * Nodes that follow different shards of a region do the same work; the second change has no effect.
 */
import { bytesEqual } from "../base/bytes.ts";
import { toRegistryError } from "../base/errors.ts";
import { REGION_KEEP_MS, REGION_STATUS_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import {
  encodePutRegion,
  encodePutRegionBans,
  REGION_BANS_APPLY_VERSION,
} from "../system/regions/region_codec.ts";
import type { PeerRegion } from "../system/regions/region_state.ts";
import { isBundleRefusal, openTrustBundle } from "../../identity/trust/trust_bundle.ts";
import { type RegionGroup, regionNamed } from "./region_group.ts";
import type { RegionLink, SourceTrust } from "./region_link.ts";
import { openRegionBundle } from "./region_trust.ts";

/** Dependencies of a {@link RegionKeeper}. */
export interface RegionKeeperParts {
  readonly name: string;
  readonly link: RegionLink;
  readonly group: RegionGroup;
  readonly world: World;
  readonly logger: Logger;
}

/** Keeps one region's bans and bundle. */
export class RegionKeeper {
  readonly #parts: RegionKeeperParts;
  #timer: Timer | undefined;
  /** The trust bundle that was refused last. */
  #refusedBundle = "";
  #isStopped = false;

  constructor(parts: RegionKeeperParts) {
    this.#parts = parts;
  }

  /** Starts to ask the region from time to time, while it is reached. */
  start(): void {
    if (this.#isStopped) return;
    this.#timer = this.#parts.world.scheduler.after(REGION_KEEP_MS, () => {
      void this.#look().then(() => this.start());
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { name, link, group, logger } = this.#parts;
    const known = regionNamed(group.regions(), name);
    if (known === undefined || !link.contact.isConnected) return;
    try {
      const { clusterId, generation, trust } = await link.status(
        REGION_STATUS_MS,
        known.bansDigest,
      );
      const region = regionNamed(group.regions(), name);
      const isAccepted = region !== undefined && region.generation === generation &&
        bytesEqual(region.clusterId, clusterId);
      if (this.#isStopped || !isAccepted || trust === undefined) return;
      await this.#keepBans(region, trust);
      if (trust.bundle !== "") await this.#keepBundle(region, trust.bundle);
    } catch (cause) {
      const { code, message } = toRegistryError(cause);
      logger.debug("A region's bans and bundle were not learned", { region: name, code, message });
    }
  }

  async #keepBans({ bansDigest }: PeerRegion, { bans, bansDigest: digest }: SourceTrust) {
    const { name, group } = this.#parts;
    if (bytesEqual(bansDigest, digest) || group.applyVersion() < REGION_BANS_APPLY_VERSION) return;
    // What is no ban of one of its own nodes has no effect: only their certificates are believed.
    await group.propose((header) => encodePutRegionBans(header, { name, digest, bans }));
  }

  async #keepBundle({ settings, revision }: PeerRegion, text: string): Promise<void> {
    const { group, world, logger } = this.#parts;
    const nowMs = world.wall.unixMs();
    const known = await openRegionBundle(settings.bundle, nowMs);
    const { trustDomain, roots } = known.bundle;
    const opened = await openTrustBundle({ text, trustDomain, roots, nowMs, known });
    if (isBundleRefusal(opened)) {
      const { fault, message } = opened;
      // The region sends it with every answer until an operator mends it.
      const level = text === this.#refusedBundle ? "debug" : "warn";
      this.#refusedBundle = text;
      return logger[level]("A region's trust bundle was refused", {
        ...{ region: settings.name, fault, message },
      });
    }
    const put = { ...settings, bundle: text, replacedRevision: revision, detail: "newer bundle" };
    await group.propose((header) => encodePutRegion(header, put));
  }
}
