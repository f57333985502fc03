/** The sweep after a listing: finds the mirrors that the source does not have, in all partitions here. */
import { MIRROR_SWEEP_PARTITIONS_AT_ONCE } from "../base/limits.ts";
import type { Listings, Sweep } from "./listings.ts";
import type { MirrorTarget } from "./mirror_target.ts";

/** Parameters of a sweep. */
export interface SweepOptions {
  readonly target: MirrorTarget;
  readonly home: string;
  readonly listings: Listings;
  /** Logs the fence in a partition, before what it has is looked at. */
  readonly fence: (partition: number) => Promise<void>;
  readonly isEnded: () => boolean;
  /** Takes a sweep for a partition. */
  readonly take: (partition: number, sweep: Sweep) => void;
}

/** Finds what is to be swept in all partitions, some at a time. @throws RegistryError */
export async function sweep(options: SweepOptions): Promise<void> {
  const { target: { partitionCount }, isEnded } = options;
  let next = 0;
  const work = async () => {
    while (next < partitionCount && !isEnded()) await sweepPartition(next++, options);
  };
  await Promise.all(Array.from({ length: MIRROR_SWEEP_PARTITIONS_AT_ONCE }, work));
}

async function sweepPartition(
  partition: number,
  { target, home, listings, fence, take }: SweepOptions,
): Promise<void> {
  await fence(partition);
  const keep = (found: Sweep | undefined) => {
    if (found !== undefined) take(partition, found);
  };
  await target.scan(partition, home, {
    mirror: (seen) => keep(listings.sweepOf(seen)),
    alias: (seen) => keep(listings.sweepOfAlias(seen)),
  });
}
