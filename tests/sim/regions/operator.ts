/**
 * The operator of a region, who looks from time to time: adds the peers that are missing, and, after a
 * while, accepts a peer as what pullers say that it is now.
 */
import { RegistryError } from "../../../src/base/errors.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../../../src/base/limits.ts";
import type { SeededEntropy } from "../../../src/base/prng.ts";
import type { CommandHeader } from "../../../src/record/command.ts";
import {
  encodeAcceptFeed,
  encodePutRegion,
  REGIONS_APPLY_VERSION,
} from "../../../src/system/regions/region_codec.ts";
import type { RegionState } from "../../../src/system/regions/region_state.ts";
import type { PlacedMachine } from "../placed/machine.ts";
import type { Trace } from "../trace.ts";
import { type EraName, nameOf } from "./era.ts";

/** Longest time until a peer is accepted, while faults go on, ms. */
const ACCEPTS_MS_MAX = 6_000;

/** The region as its operator knows it. */
export interface OperatedRegion {
  readonly name: string;
  readonly machines: readonly PlacedMachine[];
  readonly systemLeader: PlacedMachine | undefined;
  readonly nowMs: number;
  readonly trace: Trace;
}

/** A peer as its servers are known. */
export interface OperatedPeer {
  readonly name: string;
  readonly servers: string[];
}

/** The operator of one region. */
export class RegionOperator {
  accepted = 0;
  readonly #region: OperatedRegion;
  readonly #peers: () => readonly OperatedPeer[];
  readonly #entropy: SeededEntropy;
  /** By peer: what it says that it is, and when that is accepted. */
  readonly #refused = new Map<string, { readonly name: string; readonly acceptsAtMs: number }>();
  #proposesUntilMs = 0;

  constructor(
    region: OperatedRegion,
    peers: () => readonly OperatedPeer[],
    entropy: SeededEntropy,
  ) {
    this.#region = region;
    this.#peers = peers;
    this.#entropy = entropy;
  }

  /** Takes the next step, if there is one to take and none is under way. */
  look(): void {
    const { systemLeader: leader, nowMs } = this.#region;
    const state = leader?.registry?.groups.system.store.state;
    if (leader === undefined || state === undefined || nowMs < this.#proposesUntilMs) return;
    if (state.versions.applyVersion < REGIONS_APPLY_VERSION) return;
    for (const peer of this.#peers()) {
      const encode = this.#stepFor(peer, state.regions);
      if (encode !== undefined) return this.#propose(leader, encode);
    }
  }

  #stepFor(
    { name, servers }: OperatedPeer,
    regions: RegionState,
  ): ((header: CommandHeader) => Uint8Array) | undefined {
    const accepted = regions.of(name);
    if (accepted === undefined) {
      const put = {
        ...{ name, servers, bundle: "", preference: 100, bytesPerSecondMax: 1 << 24 },
        ...{ logPercentMax: 100, isPaused: false, replacedRevision: 0, detail: "" },
      };
      return (header) => encodePutRegion(header, put);
    }
    const seen = this.#seenOf(name);
    const isAccepted = seen !== undefined && nameOf(seen) === nameOf(accepted);
    if (seen === undefined || isAccepted) {
      this.#refused.delete(name);
      return undefined;
    }
    const known = this.#refused.get(name);
    if (known?.name !== nameOf(seen)) {
      const acceptsAtMs = this.#region.nowMs + ACCEPTS_MS_MAX * this.#entropy.unit();
      this.#refused.set(name, { name: nameOf(seen), acceptsAtMs });
      return undefined;
    }
    if (this.#region.nowMs < known.acceptsAtMs) return undefined;
    this.#region.trace.note(this.#region.nowMs, 0, this.#region.name, "accepts", known.name);
    this.accepted++;
    return (header) => encodeAcceptFeed(header, { ...seen, name, isFirst: false, detail: "seen" });
  }

  /** Returns what pullers say that a peer is, if they refuse to follow it. */
  #seenOf(name: string): EraName | undefined {
    for (const { registry } of this.#region.machines) {
      for (const puller of registry?.regions.pullers?.states() ?? []) {
        if (puller.region !== name || puller.state !== "refused") continue;
        return { clusterId: puller.seenClusterId, generation: puller.seenGeneration };
      }
    }
    return undefined;
  }

  #propose(leader: PlacedMachine, encode: (header: CommandHeader) => Uint8Array): void {
    // The program may be killed before it ends.
    this.#proposesUntilMs = this.#region.nowMs + 2 * REQUEST_TIMEOUT_MS_DEFAULT;
    leader.enter(({ registry }) => {
      const { group } = registry!.identities;
      group.propose(encode, 0, group.soon()).catch((error) => {
        if (!(error instanceof RegistryError)) throw error;
      }).finally(() => this.#proposesUntilMs = 0);
    });
  }
}
