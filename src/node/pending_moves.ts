/** The pending moves of replicas, with an estimate of the bytes that each copies. */
import type { PlannedMove } from "../../schemas/gen/wire.ts";
import { GOVERNED_PLACE, partitionId } from "../base/ids.ts";
import type { ClusterGroups, HostedPartition } from "../replication/assembly/cluster_groups.ts";
import type { PlacementRunner } from "../replication/placement/placement_runner.ts";
import { RECORD_KINDS, type RecordKind } from "../record/kinds.ts";
import type { StoreShared } from "../store/shared.ts";

/**
 * Returns the moves as operators see them. The bytes of a partition are its records here times the mean size of
 * a record; of one that is not here, those of a mean partition.
 */
export function pendingMoves(
  pending: ReturnType<PlacementRunner["pending"]>,
  groups: ClusterGroups,
  shared: StoreShared,
): PlannedMove[] {
  const { recordBytes, records } = shared.statistics();
  const all = [...groups.partitions];
  const recordCount = records.reduce((sum, count) => sum + count, 0);
  const meanBytes = recordCount === 0 ? 0 : recordBytes / recordCount;
  const partitionBytes = all.length === 0 ? 0 : recordBytes / all.length;
  const partitions = pending.filter(({ move }) => move.placement.partition !== GOVERNED_PLACE);
  return partitions.map(({ move: { placement: { partition }, joining, leaving }, isBegun }) => {
    const here = groups.partition(partitionId(partition));
    const bytes = here === undefined ? partitionBytes : recordsOf(here) * meanBytes;
    return {
      partition,
      isBegun,
      joining: [...joining],
      leaving: [...leaving],
      bytes: Math.ceil(bytes),
    };
  });
}

function recordsOf({ store }: HostedPartition): number {
  return RECORD_KINDS.rows.reduce(
    (sum, { number }) => sum + store.countOf(number as RecordKind),
    0,
  );
}
