/**
 * The mirror of another region's governed plane: how it begins, and how the entries of its home are logged.
 * The state machine verifies them; nothing here is believed.
 */
import type { GovernedEntryRecord, MirroredEntry } from "../../../schemas/gen/governance.ts";
import type { GovernedLogReply, GovernedLogRequest } from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import { MIRRORED_ENTRIES_MAX } from "../../base/limits.ts";
import type { MonotonicClock } from "../../base/world.ts";
import { readGenesis } from "../../governance/documents/genesis.ts";
import { encodeBeginMirror, encodeMirrorEntries } from "../../governance/governance_codec.ts";
import { MIRROR_APPLY_VERSION } from "../../governance/governance_state.ts";
import type { GovernanceService, PlaneHere } from "./governance_service.ts";

/** The mirror that this node leads. */
export interface LedMirror {
  /** The region to follow. */
  readonly home: string;
  /** The global version that is here. */
  readonly version: number;
}

/** Dependencies of a {@link PlaneMirror}. */
export interface PlaneMirrorParts {
  readonly service: GovernanceService;
  /** Returns the plane's group; undefined if this node does not host it. */
  readonly plane: () => PlaneHere | undefined;
  /** Reads the log of a peer region. @throws RegistryError */
  readonly read: (
    region: string,
    request: GovernedLogRequest,
    timeoutMs: number,
  ) => Promise<GovernedLogReply>;
  readonly monotonic: MonotonicClock;
}

/** The caller of what is mirrored, in the audit. */
const MIRROR_CALLER = "mirror of the home";

/** The mirror of another region's plane. */
export class PlaneMirror {
  readonly #parts: PlaneMirrorParts;

  constructor(parts: PlaneMirrorParts) {
    this.#parts = parts;
  }

  /** The mirror that this node leads; undefined if it leads none. */
  get led(): LedMirror | undefined {
    const here = this.#parts.plane();
    const plane = here?.store.plane;
    if (here === undefined || plane === undefined || plane.isHome) return undefined;
    if (here.group.notLeading() !== undefined) return undefined;
    return { home: plane.home, version: plane.log.version };
  }

  /**
   * Begins to mirror the governed plane of a peer region. A registry that has this plane already, as the
   * home or as the mirror of another region, takes what the region has beyond it; if that makes the region
   * the home, it is followed from then on.
   *
   * @param genesis hash of the genesis that the region must have.
   * @returns the global version that is mirrored so far.
   * @throws RegistryError `stale_version` if the region, or this registry, has another genesis or entries
   * that the other one lacks, or if the region is not the home; `not_found` if the region is not governed
   * or no peer; the failure to reach it.
   */
  async begin(
    region: string,
    genesis: string,
    caller: string,
    deadlineMs: number,
  ): Promise<number> {
    const { service } = this.#parts;
    const { version: after } = await service.status(deadlineMs);
    let page = await this.#read(region, { after, knowsGenesis: false }, deadlineMs);
    if (page.genesis.length === 0) {
      throw new RegistryError("not_found", `Region ${region} is not governed: it has no genesis`);
    }
    const bytes = page.genesis.slice();
    const { hash } = readGenesis(bytes);
    if (hash !== genesis) {
      const message = `Region ${region} must have genesis ${genesis}: it has ${hash}`;
      throw new RegistryError("stale_version", message);
    }
    await service.ensureVersion(MIRROR_APPLY_VERSION, deadlineMs);
    const plane = () => this.#parts.plane()?.store.plane;
    if (plane()?.genesis.hash !== hash) {
      const body = { genesis: bytes, home: region, region: service.region, caller };
      await service.propose((header) => encodeBeginMirror(header, body), deadlineMs);
    }
    while (plane()?.home !== region && page.entries.length > 0) {
      await this.take(plane()!.log.version, documentsOf(page.entries), deadlineMs);
      page = await this.#read(
        region,
        { after: plane()!.log.version, knowsGenesis: true },
        deadlineMs,
      );
    }
    const version = plane()?.log.version ?? 0;
    if (plane()?.home === region) return version;
    throw new RegistryError(
      "stale_version",
      `Region ${region} must be the home of the plane: its ${page.version} entries do not say so, and ` +
        `${version} are here. A quorum moves the home: crs governance home`,
    );
  }

  /** Logs entries of the home that follow a version. @throws RegistryError the refusal. */
  async take(
    after: number,
    entries: readonly MirroredEntry[],
    deadlineMs: number,
  ): Promise<void> {
    const { service } = this.#parts;
    for (let from = 0; from < entries.length; from += MIRRORED_ENTRIES_MAX) {
      const body = {
        after: after + from,
        entries: entries.slice(from, from + MIRRORED_ENTRIES_MAX),
        region: service.region,
        caller: MIRROR_CALLER,
      };
      await service.propose((header) => encodeMirrorEntries(header, body), deadlineMs);
    }
  }

  async #read(
    region: string,
    from: { readonly after: number; readonly knowsGenesis: boolean },
    deadlineMs: number,
  ): Promise<GovernedLogReply> {
    const { read, monotonic } = this.#parts;
    const leftMs = Math.max(1, Math.floor(deadlineMs - monotonic.nowMs()));
    return await read(region, { ...from, waitMs: 1, id: "" }, leftMs);
  }
}

/** Returns the documents of entries, which are all that is taken from an answer. */
export function documentsOf(entries: readonly GovernedEntryRecord[]): MirroredEntry[] {
  return entries.map(({ leaf, payload }) => ({ leaf, payload }));
}
