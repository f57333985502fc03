/** Reads of the governed log of other regions, over one link at a time. */
import type { GovernedLogReply, GovernedLogRequest } from "../../schemas/gen/wire.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import type { PeerRegion } from "../system/regions/region_state.ts";
import type { RegionLink } from "./region_link.ts";

/** Dependencies of a {@link PlaneSource}. */
export interface PlaneSourceParts {
  /** Returns a peer region, as group 0 has it now. */
  readonly regionOf: (name: string) => PeerRegion | undefined;
  /** Makes the link to a region; undefined on a node without links. */
  readonly linkTo: ((region: PeerRegion) => RegionLink) | undefined;
}

/** The open link, and what it was made of. */
interface OpenLink {
  readonly region: PeerRegion;
  readonly link: RegionLink;
}

/** Reads the governed log of peer regions. */
export class PlaneSource {
  readonly #parts: PlaneSourceParts;
  #open: OpenLink | undefined;
  #isClosed = false;

  constructor(parts: PlaneSourceParts) {
    this.#parts = parts;
  }

  /**
   * Returns the entries of a region's log after a version.
   *
   * @throws RegistryError `not_found` if it is no peer; `shutting_down`; the failure to reach it.
   */
  async read(
    name: string,
    request: GovernedLogRequest,
    timeoutMs: number,
  ): Promise<GovernedLogReply> {
    const { regionOf, linkTo } = this.#parts;
    const region = regionOf(name);
    if (region === undefined || linkTo === undefined) {
      const message = `Region ${name} must be a peer of this one: add it by crs region add`;
      throw new RegistryError("not_found", message);
    }
    if (this.#isClosed) throw new RegistryError("shutting_down", "The node stops");
    if (!isSame(this.#open?.region, region)) {
      this.release();
      this.#open = { region, link: linkTo(region) };
    }
    return await this.#open!.link.governedLog(region.clusterId, request, timeoutMs);
  }

  /** Closes the link; the next read opens another one. */
  release(): void {
    // It is not used any more, however it ends.
    this.#open?.link.close().catch(() => {});
    this.#open = undefined;
  }

  /** Closes the link for good. */
  close(): void {
    this.#isClosed = true;
    this.release();
  }
}

/** Reports whether a link serves: its settings, its cluster and the bans are the same. */
function isSame(open: PeerRegion | undefined, now: PeerRegion): boolean {
  return open !== undefined && open.settings.name === now.settings.name &&
    open.revision === now.revision && open.feed === now.feed &&
    bytesEqual(open.bansDigest, now.bansDigest);
}
