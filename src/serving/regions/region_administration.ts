/** Administration of peer regions by controllers: each change is logged, and audited, in group 0. */
import {
  type AcceptGenerationRequest,
  type AddRegionRequest,
  type ListRegionsReply,
  type PeerRegionEntry,
  REGION_PAUSE_NAMES,
  REGION_PAUSES,
  type SetRegionRequest,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  REGION_BYTES_PER_SECOND_DEFAULT,
  REGION_LOG_PERCENT_DEFAULT,
  REGION_PREFERENCE_DEFAULT,
  VERSION_RETRY_MS,
} from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import { checkRegion } from "../../record/validation.ts";
import {
  encodeAcceptFeed,
  encodePutRegion,
  encodeRemoveRegion,
  REGIONS_APPLY_VERSION,
} from "../../system/regions/region_codec.ts";
import type { PeerRegion, RegionSettings } from "../../system/regions/region_state.ts";
import type { IdentityGroup } from "../identities/identity_group.ts";

/** The parts of a region's entry that group 0 does not know: how it is followed. */
type FollowedEntry = Omit<
  PeerRegionEntry,
  keyof RegionSettings | "hasBundle" | "clusterId" | "generation" | "mirrors"
>;

/** Dependencies of {@link RegionAdministration}. */
export interface RegionAdministrationParts {
  readonly group: IdentityGroup;
  /** Returns the condition of the pullers of a region. */
  readonly conditionOf: (region: PeerRegion) => FollowedEntry;
  /** Returns the number of a region's records of which this node has mirrors. */
  readonly mirrorCount: (home: string) => number;
  /** Returns a trust bundle as it is stored. @throws RegistryError `invalid_argument` if it is none. */
  readonly checkBundle: (text: string) => Promise<string>;
  /** Called when a region was removed. */
  readonly onRemoved: () => void;
}

/** Adds, changes, removes and lists peer regions, at the leader of group 0. */
export class RegionAdministration {
  readonly #parts: RegionAdministrationParts;

  constructor(parts: RegionAdministrationParts) {
    this.#parts = parts;
  }

  /**
   * Adds a region.
   *
   * @throws RegistryError `incarnation_mismatch` if it is a peer already; `overloaded` if there are too
   * many, or while a node runs a program that knows no regions; `invalid_argument`; `not_leader`.
   */
  async add(
    { bytesPerSecondMax, preference, logPercentMax, ...named }: AddRegionRequest,
    peer: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    checkRegion(named.name, "name");
    const settings = {
      ...named,
      bundle: await this.#parts.checkBundle(named.bundle),
      bytesPerSecondMax: bytesPerSecondMax || REGION_BYTES_PER_SECOND_DEFAULT,
      preference: preference || REGION_PREFERENCE_DEFAULT,
      logPercentMax: logPercentMax || REGION_LOG_PERCENT_DEFAULT,
      isPaused: false,
    };
    await this.#current();
    await this.#put(settings, 0, peer, deadlineMs);
  }

  /** Changes settings of a region; those that are 0 or empty stay. @throws as {@link add}; `not_found`. */
  async set(
    request: SetRegionRequest,
    peer: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    const bundle = await this.#parts.checkBundle(request.bundle);
    await this.#current();
    const { settings, revision } = this.#known(request.name);
    await this.#put(changed(settings, { ...request, bundle }), revision, peer, deadlineMs);
  }

  /** Removes a region; its mirrors are removed too, in the background. @throws as {@link set}. */
  async remove(name: string, peer: AuthenticatedPeer, deadlineMs: number): Promise<void> {
    await this.#current();
    this.#known(name);
    await this.#parts.group.proposeAtLeader(
      (header) => encodeRemoveRegion(header, { name, detail: peer.subject }),
      peer.lineage,
      deadlineMs,
    );
    this.#parts.onRemoved();
  }

  /**
   * Accepts the cluster that answers for a region now. Its records replace all earlier mirrors.
   *
   * @throws RegistryError as {@link set}.
   */
  async accept(
    { name, clusterId, generation }: AcceptGenerationRequest,
    peer: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    await this.#current();
    this.#known(name);
    const accept = { name, clusterId, generation, isFirst: false, detail: peer.subject };
    await this.#parts.group.proposeAtLeader(
      (header) => encodeAcceptFeed(header, accept),
      peer.lineage,
      deadlineMs,
    );
  }

  /** Returns the regions, the preferred ones first. */
  async list(): Promise<ListRegionsReply> {
    await this.#parts.group.currentAtLeader();
    const { store } = this.#parts.group;
    const { mirrorCount, conditionOf } = this.#parts;
    const regions = store.state.regions.all.map((region) => {
      const { settings: { bundle, ...shown }, clusterId, generation } = region;
      const mirrors = mirrorCount(shown.name);
      const known = { hasBundle: bundle !== "", clusterId, generation, mirrors };
      return { ...shown, ...known, ...conditionOf(region) };
    });
    return { regions, own: store.genesis?.region ?? "" };
  }

  async #put(
    settings: RegionSettings,
    replacedRevision: number,
    peer: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    const put = { ...settings, replacedRevision, detail: peer.subject };
    await this.#parts.group.proposeAtLeader(
      (header) => encodePutRegion(header, put),
      peer.lineage,
      deadlineMs,
    );
  }

  /** Waits until this node, which must lead group 0, is current, and its members know regions. */
  async #current(): Promise<void> {
    const { group } = this.#parts;
    await group.currentAtLeader();
    const { applyVersion } = group.store.state.versions;
    if (applyVersion >= REGIONS_APPLY_VERSION) return;
    throw new RegistryError(
      "overloaded",
      `The cluster must have apply version ${REGIONS_APPLY_VERSION}, and has ${applyVersion}: it rises ` +
        "once all nodes run a program that knows regions",
      { retryAfterMs: VERSION_RETRY_MS },
    );
  }

  #known(name: string): PeerRegion {
    const region = this.#parts.group.store.state.regions.of(name);
    if (region !== undefined) return region;
    throw new RegistryError("not_found", `There is no peer region ${JSON.stringify(name)}`);
  }
}

/** Returns settings with the changes of a request. */
function changed(settings: RegionSettings, request: SetRegionRequest): RegionSettings {
  const { pause, servers, bundle, preference, bytesPerSecondMax, logPercentMax } = request;
  if (REGION_PAUSE_NAMES[pause] === undefined) {
    throw new RegistryError("invalid_argument", `pause must be 0, 1 or 2: found ${pause}`, {
      field: "pause",
    });
  }
  return {
    ...settings,
    isPaused: pause === REGION_PAUSES.unchanged ? settings.isPaused : pause === REGION_PAUSES.pause,
    servers: servers.length === 0 ? settings.servers : servers,
    bundle: bundle || settings.bundle,
    preference: preference || settings.preference,
    bytesPerSecondMax: bytesPerSecondMax || settings.bytesPerSecondMax,
    logPercentMax: logPercentMax || settings.logPercentMax,
  };
}
