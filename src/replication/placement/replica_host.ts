/**
 * Hosts on this node what its own copy of group 0 places here: a replica that is placed joins, and one
 * that no placement names any more is removed. The copy may be behind, never ahead; a replica is removed
 * only after the placement without it was confirmed, and so after no configuration names it.
 */
import { RegistryError } from "../../base/errors.ts";
import {
  GOVERNED_PLACE,
  groupOfPartition,
  type NodeId,
  type PartitionId,
  partitionId,
} from "../../base/ids.ts";
import type { Logger } from "../../base/logger.ts";
import { type ClusterGroups, type HostedPartition, isPlane } from "../assembly/cluster_groups.ts";
import { placedHere } from "../assembly/placed_here.ts";

/** A partition that only other nodes hold, and those nodes. */
export interface PlacedElsewhere {
  readonly isHere: false;
  readonly id: PartitionId;
  readonly nodes: readonly number[];
  readonly leader: number;
}

/** The dependencies of a host. */
export interface ReplicaHostOptions {
  readonly groups: Pick<
    ClusterGroups,
    "system" | "placed" | "nodesOf" | "join" | "remove" | "cannotJoin" | "holdsRetired"
  >;
  readonly self: NodeId;
  readonly logger: Logger;
  /** Called when the place of a partition, as this node sees it, has changed. */
  readonly onPlace: (place: HostedPartition | PlacedElsewhere) => void;
}

/** Hosts the replicas that are placed here. */
export class ReplicaHost {
  readonly #options: ReplicaHostOptions;
  /** Partitions with a replica on its way here or away. */
  readonly #busy = new Set<PartitionId>();
  #seenRing = -1;

  constructor(options: ReplicaHostOptions) {
    this.#options = options;
  }

  /** Compares what is hosted with what is placed, if placements have changed since the last time. */
  run(): void {
    const { store } = this.#options.groups.system;
    if (store.ringNumber === this.#seenRing) return;
    this.#seenRing = store.ringNumber;
    const count = store.genesis?.partitionCount ?? 0;
    for (let number = 0; number < count; number++) this.#settle(partitionId(number));
    this.#settle(GOVERNED_PLACE);
  }

  #settle(id: PartitionId): void {
    if (this.#busy.has(id)) return;
    const { groups, self } = this.#options;
    const placed = placedHere(groups.system.store.state, id, self);
    const hosted = groups.placed(id);
    if (hosted !== undefined && hosted.group.replica !== placed?.replica) return this.#remove(id);
    if (hosted === undefined && placed !== undefined && !groups.cannotJoin(id, placed)) {
      this.#busy.add(id);
      groups.join(id, placed, (joined) => {
        const isRefused = joined instanceof RegistryError;
        if (!isRefused && !isPlane(joined)) this.#options.onPlace(joined);
        this.#done(id, "A replica cannot join now", isRefused ? joined : undefined);
      });
    } else if (hosted === undefined) {
      // Its removal was interrupted by a crash.
      if (groups.holdsRetired(id)) this.#remove(id);
      else this.#elsewhere(id);
    }
  }

  #remove(id: PartitionId): void {
    const { groups } = this.#options;
    this.#busy.add(id);
    groups.remove(id, (error) => this.#done(id, "A replica cannot be removed now", error));
    this.#elsewhere(id);
  }

  #elsewhere(id: PartitionId): void {
    if (id === GOVERNED_PLACE) return;
    const nodes = this.#options.groups.nodesOf(id);
    this.#options.onPlace({ isHere: false, id, nodes, leader: 0 });
  }

  /** Goes on with a partition whose placement may have changed while its replica came or went. */
  #done(id: PartitionId, message: string, error: RegistryError | undefined): void {
    this.#busy.delete(id);
    if (error === undefined) return this.#settle(id);
    // The log takes nothing any more; the next start goes on.
    this.#options.logger.warn(message, { group: groupOfPartition(id), code: error.code });
  }
}
