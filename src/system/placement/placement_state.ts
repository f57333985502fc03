/**
 * The placement table: the replicas of each partition with their roles, and the step of the change that
 * is in progress. It is the plan; the Raft configuration of the group is the authority.
 *
 * A step names the revision of the placement that it replaces and the index of the group's
 * configuration, so that any node can continue a plan after a crash, and a runner that was paused and
 * wakes up late changes nothing. A partition without a placement has the replicas that it was founded
 * with. The governed plane's group is placed in the same way, under a number that no partition has;
 * without a placement it does not exist.
 */
import { commandCodec, type CommandView } from "../../../schemas/gen/command.ts";
import {
  PLACED_ROLE_NAMES,
  type PlacedRole,
  placementRecordCodec,
  PlacementRecordView,
  type PutPlacementCommand,
  putPlacementCommandCodec,
  PutPlacementCommandView,
} from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import { GOVERNED_PLACE } from "../../base/ids.ts";
import { PLACED_REPLICAS_MAX } from "../../base/limits.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { FoundingState } from "../founding/founding_state.ts";
import type { AssignedReplica, ReplicaState } from "../replicas/replica_state.ts";
import { type Effect, type EntryPoint, invalid, moved, type SubMachine } from "../sub_machine.ts";

/** Kinds of the commands about placement; the second occurs only in images. */
export const PLACEMENT_KINDS = { put: 43, record: 61 } as const;

/** The id of the replica that founded its group; it is in no replica table. */
const FOUNDER = 1;

/** A replica in a placement. */
export interface PlacedReplica {
  readonly replica: number;
  readonly role: PlacedRole;
}

/** The placement of a partition. */
export interface PartitionPlacement {
  readonly partition: number;
  /** Index of the entry that put it: the condition of the next step. */
  readonly revision: number;
  readonly configurationIndex: number;
  readonly replicas: readonly PlacedReplica[];
}

/** A step of a plan. */
export type PlacementStep = Omit<PartitionPlacement, "revision"> & {
  /** Revision of the placement that it replaces; 0: there is none. */
  readonly replacedRevision: number;
};

/** Reports whether a change of the placement is in progress. */
export function isChanging({ replicas }: Pick<PartitionPlacement, "replicas">): boolean {
  return replicas.some(({ role }) => role === "joining" || isGoing(role));
}

/**
 * Reports whether a replica of that role is to be removed: one that voted, or one that was joining and is
 * given up, which its node may have nothing of.
 */
export function isGoing(role: PlacedRole): boolean {
  return role === "leaving" || role === "withdrawn";
}

/** Encodes a step of a plan. */
export function encodePutPlacement(from: CommandHeader, step: PlacementStep): Uint8Array {
  const body: Input<PutPlacementCommand> = { ...step, replicas: toWire(step.replicas) };
  const header = { ...from, kind: PLACEMENT_KINDS.put };
  return commandCodec.encode(header, putPlacementCommandCodec, body);
}

/** The placements. */
export class PlacementState implements SubMachine {
  readonly section = 9;
  readonly kinds = Object.values(PLACEMENT_KINDS);
  readonly #founding: FoundingState;
  readonly #replicas: ReplicaState;
  readonly #placements = new Map<number, PartitionPlacement>();
  readonly #changing = new Set<number>();

  constructor(founding: FoundingState, replicas: ReplicaState) {
    this.#founding = founding;
    this.#replicas = replicas;
  }

  /** Returns the placement of a partition; undefined if it has the replicas it was founded with. */
  of(partition: number): PartitionPlacement | undefined {
    return this.#placements.get(partition);
  }

  /** The partitions whose change is in progress. */
  get changing(): ReadonlySet<number> {
    return this.#changing;
  }

  /** Reports whether the placement of its partition names the replica. */
  isPlaced({ replica, groupId }: AssignedReplica): boolean {
    const placement = this.#placements.get(groupId - 1);
    return placement?.replicas.some((placed) => placed.replica === replica) ?? false;
  }

  /**
   * Returns the number of replicas that are placed on a node.
   *
   * @param isFounder whether it founded the cluster, and so has the first replica of every partition.
   */
  countOn(nodeId: number, isFounder: boolean, partitionCount: number): number {
    let count = 0;
    let partitions = 0;
    for (const { partition, replicas } of this.#placements.values()) {
      if (partition < partitionCount) partitions++;
      for (const { replica } of replicas) {
        const isHere = replica === FOUNDER
          ? isFounder
          : this.#replicas.replica(replica)?.nodeId === nodeId;
        if (isHere) count++;
      }
    }
    // A partition without a placement has the replica that founded it.
    return count + (isFounder ? partitionCount - partitions : 0);
  }

  apply(command: CommandView, { index }: EntryPoint): Effect {
    if (command.kind === PLACEMENT_KINDS.record) {
      throw invalid("A placement record occurs only in images");
    }
    const { replacedRevision, replicas, ...rest } = command
      .bodyInto(new PutPlacementCommandView()).toPlain();
    const revision = this.#placements.get(rest.partition)?.revision ?? 0;
    if (revision !== replacedRevision) {
      throw moved(
        `Placement of partition ${rest.partition} must have revision ${replacedRevision}: ` +
          `it has ${revision}`,
      );
    }
    this.#put({ ...rest, revision: index, replicas: fromWire(replicas) });
    return { changesRing: true };
  }

  #put(placement: PartitionPlacement): void {
    const { partition, replicas, configurationIndex } = placement;
    const { partitionCount } = this.#founding.checkCreated();
    if (partition >= partitionCount && partition !== GOVERNED_PLACE) {
      throw invalid(`Partition must be below ${partitionCount}: found ${partition}`);
    }
    if (replicas.length === 0 || replicas.length > PLACED_REPLICAS_MAX) {
      throw invalid(`Replicas must be 1 to ${PLACED_REPLICAS_MAX}: found ${replicas.length}`);
    }
    if (!replicas.some(({ role }) => role === "voter")) {
      throw invalid(`Partition ${partition} must have a voter: it has none`);
    }
    const before = this.#placements.get(partition);
    if (before !== undefined && configurationIndex < before.configurationIndex) {
      throw moved(
        `Configuration index of partition ${partition} must be at least ` +
          `${before.configurationIndex}: found ${configurationIndex}`,
      );
    }
    const nodes = new Set<number>();
    for (const { replica } of replicas) {
      const assigned = this.#replicas.replica(replica);
      if (replica !== FOUNDER && assigned?.groupId !== partition + 1) {
        throw invalid(`Replica ${replica} must be one of partition ${partition}: it is not`);
      }
      nodes.add(assigned?.nodeId ?? 0);
    }
    if (nodes.size !== replicas.length) {
      throw invalid(`Partition ${partition} must have one replica a node: found two`);
    }
    this.#placements.set(partition, Object.freeze(placement));
    if (isChanging(placement)) this.#changing.add(partition);
    else this.#changing.delete(partition);
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    const header = { ...from, kind: PLACEMENT_KINDS.record };
    const ordered = [...this.#placements.values()].sort((a, b) => a.partition - b.partition);
    for (const placement of ordered) {
      const record = { ...placement, replicas: toWire(placement.replicas) };
      yield commandCodec.encode(header, placementRecordCodec, record);
    }
  }

  load(command: CommandView): void {
    if (command.kind !== PLACEMENT_KINDS.record) throw invalid("An image holds placement records");
    const { replicas, ...rest } = command.bodyInto(new PlacementRecordView()).toPlain();
    this.#put({ ...rest, replicas: fromWire(replicas) });
  }

  loaded(): void {}
}

function toWire(replicas: readonly PlacedReplica[]) {
  return replicas.map(({ replica, role }) => ({ replica, role: PLACED_ROLE_NAMES.indexOf(role) }));
}

function fromWire(
  replicas: readonly { readonly replica: number; readonly role: number }[],
): PlacedReplica[] {
  return replicas.map(({ replica, role }) => {
    const name = PLACED_ROLE_NAMES[role];
    if (name === undefined) {
      throw invalid(`Role of replica ${replica} must be known: found ${role}`);
    }
    return { replica, role: name };
  });
}
