/**
 * Replica ids: each is assigned once, to one group on one node, and never again, so that no message and
 * no vote of a replica that is gone can be taken for one of another. Ids are retired when no
 * configuration names the replica any more. The founder of a group has id 1 without being assigned.
 */
import { commandCodec, type CommandView } from "../../../schemas/gen/command.ts";
import {
  type AssignReplicasCommand,
  assignReplicasCommandCodec,
  AssignReplicasCommandView,
  type ReplicaRecord,
  replicaTableCommandCodec,
  ReplicaTableCommandView,
  retireReplicasCommandCodec,
  RetireReplicasCommandView,
} from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import { GOVERNED_GROUP } from "../../base/ids.ts";
import { REPLICAS_ASSIGNED_MAX, REPLICAS_MAX } from "../../base/limits.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { FoundingState } from "../founding/founding_state.ts";
import type { MemberState } from "../members/member_state.ts";
import { type Effect, full, invalid, type SubMachine } from "../sub_machine.ts";

/** Kinds of the commands about replica ids; the third occurs only in images. */
export const REPLICA_KINDS = { assign: 41, retire: 42, table: 62 } as const;

/** Ids below are those of founders. */
const FIRST_ASSIGNED = 2;
/** Table rows in one command of an image. */
const ROWS_PER_COMMAND = 256;

/** A replica that exists or may exist. */
export type AssignedReplica = Readonly<ReplicaRecord>;

/** Encodes the assignment of a replica id to each place, in ascending order. */
export function encodeAssignReplicas(
  from: CommandHeader,
  places: Input<AssignReplicasCommand>["places"],
): Uint8Array {
  const header = { ...from, kind: REPLICA_KINDS.assign };
  return commandCodec.encode(header, assignReplicasCommandCodec, { places });
}

/** Encodes the end of replicas that no configuration names any more. */
export function encodeRetireReplicas(
  from: CommandHeader,
  replicas: readonly number[],
): Uint8Array {
  const header = { ...from, kind: REPLICA_KINDS.retire };
  return commandCodec.encode(header, retireReplicasCommandCodec, { replicas });
}

/** The replica table. */
export class ReplicaState implements SubMachine {
  readonly section = 8;
  readonly kinds = Object.values(REPLICA_KINDS);
  readonly #founding: FoundingState;
  readonly #members: MemberState;
  readonly #isPlaced: (replica: AssignedReplica) => boolean;
  readonly #replicas = new Map<number, AssignedReplica>();
  /** The same by node, each in ascending order of ids. */
  readonly #byNode = new Map<number, Map<number, AssignedReplica>>();
  #next = FIRST_ASSIGNED;

  /** @param isPlaced reports whether a placement names the replica, which then cannot be retired. */
  constructor(
    founding: FoundingState,
    members: MemberState,
    isPlaced: (replica: AssignedReplica) => boolean,
  ) {
    this.#founding = founding;
    this.#members = members;
    this.#isPlaced = isPlaced;
  }

  /** The id that is assigned next; all ids below were assigned before. */
  get next(): number {
    return this.#next;
  }

  /** Returns the replica with that id; undefined if it is retired or was never assigned. */
  replica(id: number): AssignedReplica | undefined {
    return this.#replicas.get(id);
  }

  /** All replicas. */
  get all(): Iterable<AssignedReplica> {
    return this.#replicas.values();
  }

  /** Returns the replicas on a node, in ascending order of ids. */
  onNode(nodeId: number): Iterable<AssignedReplica> {
    return this.#byNode.get(nodeId)?.values() ?? [];
  }

  apply(command: CommandView): Effect | void {
    if (command.kind === REPLICA_KINDS.assign) {
      return this.#assign(command.bodyInto(new AssignReplicasCommandView()).toPlain());
    }
    if (command.kind === REPLICA_KINDS.table) {
      throw invalid("A replica table occurs only in images");
    }
    const { replicas } = command.bodyInto(new RetireReplicasCommandView()).toPlain();
    for (const replica of replicas) {
      const assigned = this.#replicas.get(replica);
      if (assigned === undefined) throw invalid(`Replica ${replica} must be assigned: it is not`);
      if (this.#isPlaced(assigned)) throw invalid(`Replica ${replica} must not be placed: it is`);
    }
    for (const replica of replicas) this.#remove(replica);
  }

  #add(replica: AssignedReplica): void {
    this.#replicas.set(replica.replica, replica);
    let onNode = this.#byNode.get(replica.nodeId);
    if (onNode === undefined) this.#byNode.set(replica.nodeId, onNode = new Map());
    onNode.set(replica.replica, replica);
  }

  #remove(id: number): void {
    const nodeId = this.#replicas.get(id)?.nodeId ?? 0;
    const onNode = this.#byNode.get(nodeId);
    onNode?.delete(id);
    if (onNode?.size === 0) this.#byNode.delete(nodeId);
    this.#replicas.delete(id);
  }

  #assign({ places }: AssignReplicasCommand): Effect {
    const { partitionCount } = this.#founding.checkCreated();
    if (places.length === 0 || places.length > REPLICAS_ASSIGNED_MAX) {
      throw invalid(`Replicas must be 1 to ${REPLICAS_ASSIGNED_MAX} a command: ${places.length}`);
    }
    for (const { groupId, nodeId } of places) {
      if (groupId > partitionCount && groupId !== GOVERNED_GROUP) {
        throw invalid(`Group must be at most ${partitionCount}: found ${groupId}`);
      }
      if (!this.#members.has(nodeId)) throw invalid(`Node ${nodeId} must be a member: it is not`);
    }
    if (this.#replicas.size + places.length > REPLICAS_MAX) throw full("replicas", REPLICAS_MAX);
    const assigned = this.#next;
    for (const { groupId, nodeId } of places) {
      const replica = this.#next++;
      this.#add(Object.freeze({ replica, groupId, nodeId }));
    }
    return { assigned };
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    if (this.#next === FIRST_ASSIGNED) return;
    const header = { ...from, kind: REPLICA_KINDS.table };
    const rows = [...this.#replicas.values()];
    for (let at = 0; at === 0 || at < rows.length; at += ROWS_PER_COMMAND) {
      const replicas = rows.slice(at, at + ROWS_PER_COMMAND);
      yield commandCodec.encode(header, replicaTableCommandCodec, { next: this.#next, replicas });
    }
  }

  load(command: CommandView): void {
    if (command.kind !== REPLICA_KINDS.table) throw invalid("An image holds replicas as tables");
    const { next, replicas } = command.bodyInto(new ReplicaTableCommandView()).toPlain();
    this.#next = Math.max(this.#next, next);
    for (const replica of replicas) {
      if (replica.replica >= next) throw invalid(`Replica ${replica.replica} was never assigned`);
      this.#add(Object.freeze(replica));
    }
  }

  loaded(): void {}
}
