/** Group 0, as the work with other regions uses it. */
import type { CommandHeader } from "../record/command.ts";
import type { PeerRegion } from "../system/regions/region_state.ts";

/** Group 0. */
export interface RegionGroup {
  /** Returns the peer regions, as applied on this node. */
  readonly regions: () => readonly PeerRegion[];
  /** Returns the numbers of the members. */
  readonly members: () => readonly number[];
  /** Returns the apply version. */
  readonly applyVersion: () => number;
  /** Reports whether this node leads it. */
  readonly isLeading: () => boolean;
  /**
   * Commits a command, and returns the number that it assigned once it is applied on this node.
   *
   * @throws RegistryError
   */
  readonly propose: (command: (header: CommandHeader) => Uint8Array) => Promise<number | undefined>;
}

/** Returns a region of a list. */
export function regionNamed(
  regions: readonly PeerRegion[],
  name: string,
): PeerRegion | undefined {
  return regions.find(({ settings }) => settings.name === name);
}
