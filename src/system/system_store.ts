/**
 * Group 0's state machine: the parameters fixed at the cluster's creation, its members, and the
 * ring map that follows from both.
 *
 * The first command is the genesis. A second one is refused, so that a node with a lost disk cannot
 * found another cluster over this one. Pure and deterministic, like a partition's. Source: design
 * §6.
 */
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { GROUP_TIME_MS_MAX } from "../base/limits.ts";
import { isNilUuid } from "../base/uuid.ts";
import {
  commandCodec,
  CommandView,
  type GenesisCommand,
  genesisCommandCodec,
  GenesisCommandView,
  type PutMemberCommand,
  putMemberCommandCodec,
  PutMemberCommandView,
  removeMemberCommandCodec,
  RemoveMemberCommandView,
} from "../../schemas/gen/command.ts";
import { FrameWriter } from "../../schemas/runtime.ts";
import { COMMAND_KINDS } from "../record/command.ts";
import { isPartitionCount } from "../ring/partition.ts";
import type { RingMap, RingNode } from "../ring/ring_map.ts";
import { IdentityState, type RevocationSink } from "./identity_state.ts";
import { imageFrame, SystemImageReader } from "./system_image.ts";

/** The parameters fixed at a cluster's creation. */
export type Genesis = Readonly<GenesisCommand>;
/** A node of the cluster. */
export type Member = Readonly<PutMemberCommand>;

/** The reply to an entry. */
export type SystemReply =
  | { readonly code: "ok" }
  | { readonly code: RegistryError["code"]; readonly message: string };

/** An entry of group 0's log. */
export interface SystemEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

/** Maximum members of a cluster: their ids and addresses must fit a control frame. */
const MEMBERS_MAX = 1_024;
const ADDRESSES_MAX = 8;
/** Maximum removed node ids: enough to replace the largest cluster many times over. */
const REMOVED_MEMBERS_MAX = 65_536;
const OK: SystemReply = Object.freeze({ code: "ok" });

/** The state of group 0. */
export class SystemStore {
  #genesis: Genesis | undefined;
  readonly #members = new Map<number, Member>();
  /** Ids of removed nodes, which can never be members again. */
  readonly #removed = new Set<number>();
  #identities = new IdentityState();
  #isLoading = false;
  #timeMs = 0;
  #appliedIndex = 0;
  /** Index of the last entry that changed the ring map: the second part of its epoch. */
  #ringNumber = 0;

  /** Parameters of the cluster; `undefined` before the genesis. */
  get genesis(): Genesis | undefined {
    return this.#genesis;
  }

  /** Join tokens, lineages, bans, documents, and the audit log of all their changes. */
  get identities(): IdentityState {
    return this.#identities;
  }

  /** Sets `sink` as the receiver of revocations, and passes it the current state at once. */
  watchRevocations(sink: RevocationSink): void {
    this.#identities.sink = sink;
    sink.replaced(this.#identities);
  }

  /** Last applied group time, ms. */
  get timeMs(): number {
    return this.#timeMs;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** Members, ordered by node id. */
  get members(): Member[] {
    return [...this.#members.values()].sort((left, right) => left.nodeId - right.nodeId);
  }

  /** Applies the next entry. No content of an entry makes it throw. */
  apply({ index, data }: SystemEntry): SystemReply {
    assert(
      index > this.#appliedIndex,
      `Entry to apply must be above ${this.#appliedIndex}: its index is ${index}`,
    );
    this.#appliedIndex = index;
    try {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const command = new CommandView().wrap(view, data, 0, data.length);
      if (command.timeMs > GROUP_TIME_MS_MAX) {
        return refusal("malformed", `Time must be at most ${GROUP_TIME_MS_MAX}`);
      }
      this.#timeMs = Math.max(this.#timeMs, command.timeMs);
      return this.#dispatch(command, index);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      return refusal(error.code, error.message);
    }
  }

  /**
   * Returns the ring map, in which every member holds every partition.
   *
   * @param leader node id of the leader of all of them; 0 if unknown.
   * @returns `undefined` before the genesis.
   */
  ringMap(leader: number): RingMap | undefined {
    const genesis = this.#genesis;
    if (genesis === undefined) return undefined;
    const nodes: RingNode[] = this.members.map((member) => ({
      nodeId: member.nodeId,
      addresses: member.addresses,
      currentPin: pinOf(member.pin),
      nextPin: pinOf(member.nextPin),
    }));
    return {
      epoch: { generation: genesis.generation, number: this.#ringNumber },
      partitionCount: genesis.partitionCount,
      hashKey: genesis.hashKey,
      nodes,
      placements: [{ leader, replicas: nodes.map((node) => node.nodeId) }],
    };
  }

  /** Returns the state as chunks of the commands that rebuild it. Equal states give equal bytes. */
  *writeImage(): Generator<Uint8Array, void, undefined> {
    const out = new FrameWriter({ bytesMax: 16 * 1024 * 1024 });
    const header = { timeMs: this.#timeMs, unixS: 0, writer: 0 };
    const head = new Uint8Array(16);
    new DataView(head.buffer).setFloat64(0, this.#appliedIndex, true);
    new DataView(head.buffer).setFloat64(8, this.#ringNumber, true);
    yield head;
    if (this.#genesis !== undefined) {
      const kind = COMMAND_KINDS.genesis;
      commandCodec.write(out, { ...header, kind }, genesisCommandCodec, this.#genesis);
    }
    const kind = COMMAND_KINDS.putMember;
    for (const member of this.members) {
      commandCodec.write(out, { ...header, kind }, putMemberCommandCodec, member);
    }
    for (const nodeId of [...this.#removed].sort((left, right) => left - right)) {
      const kind = COMMAND_KINDS.removeMember;
      commandCodec.write(out, { ...header, kind }, removeMemberCommandCodec, {
        nodeId,
        detail: "",
      });
    }
    yield out.written.slice();
    for (const segment of this.#identities.commands(header)) yield imageFrame(segment);
  }

  /**
   * Loads a whole image, given as chunks of any sizes, into this state, which must be empty.
   *
   * @throws RegistryError `corrupt`.
   */
  loadImage(chunks: Iterable<Uint8Array>): void {
    assert(this.#appliedIndex === 0, "A system state that takes an image must be empty");
    const reader = new SystemImageReader(chunks);
    this.#isLoading = true;
    for (const segment of reader.segments()) {
      const reply = this.apply({ index: this.#appliedIndex + 1, term: 0, data: segment });
      if (reply.code !== "ok") {
        throw new RegistryError(
          "corrupt",
          `System image must hold valid commands: ${reply.message}`,
        );
      }
    }
    this.#isLoading = false;
    this.#identities.loaded();
    this.#appliedIndex = reader.appliedIndex;
    this.#ringNumber = reader.ringNumber;
  }

  /** Replaces this state by that of `other`, which must not be used afterwards. */
  replaceBy(other: SystemStore): void {
    this.#genesis = other.#genesis;
    const { sink } = this.#identities;
    this.#identities = other.#identities;
    this.#identities.sink = sink;
    sink?.replaced(this.#identities);
    this.#members.clear();
    for (const [nodeId, member] of other.#members) this.#members.set(nodeId, member);
    this.#removed.clear();
    for (const nodeId of other.#removed) this.#removed.add(nodeId);
    this.#timeMs = other.#timeMs;
    this.#appliedIndex = other.#appliedIndex;
    this.#ringNumber = other.#ringNumber;
  }

  #dispatch(command: CommandView, index: number): SystemReply {
    switch (command.kind) {
      case COMMAND_KINDS.genesis:
        return this.#create(command.bodyInto(new GenesisCommandView()).toPlain(), index);
      case COMMAND_KINDS.putMember:
        return this.#putMember(command.bodyInto(new PutMemberCommandView()).toPlain(), index);
      case COMMAND_KINDS.removeMember: {
        const { nodeId, detail } = command.bodyInto(new RemoveMemberCommandView()).toPlain();
        return this.#removeMember(command, { nodeId, detail }, index);
      }
      case COMMAND_KINDS.tick:
        return OK;
      default:
        return this.#identify(command);
    }
  }

  #identify(command: CommandView): SystemReply {
    const isTaken = this.#isLoading
      ? this.#identities.load(command)
      : this.#identities.apply(command);
    if (isTaken) return OK;
    return refusal("malformed", `Command must be the system's: found kind ${command.kind}`);
  }

  #create(genesis: Genesis, index: number): SystemReply {
    if (this.#genesis !== undefined) {
      return refusal("wrong_cluster", "Cluster must not exist yet: it was created already");
    }
    if (isNilUuid(genesis.clusterId)) return invalid("Cluster id must not be nil: it is");
    if (!isPartitionCount(genesis.partitionCount)) {
      return invalid(
        `Partition count must be a power of two up to 8,192: found ${genesis.partitionCount}`,
      );
    }
    if (genesis.generation === 0) return invalid("Generation must be at least 1: found 0");
    this.#genesis = Object.freeze(genesis);
    this.#ringNumber = index;
    return OK;
  }

  #putMember(member: Member, index: number): SystemReply {
    if (this.#genesis === undefined) return invalid("Cluster must be created first: it is not");
    if (member.nodeId === 0) return invalid("Node id must be at least 1: found 0");
    if (this.#removed.has(member.nodeId)) {
      return refusal("not_replica", `Node ${member.nodeId} was removed: join under another number`);
    }
    if (member.addresses.length > ADDRESSES_MAX) {
      return invalid(
        `Addresses must be at most ${ADDRESSES_MAX}: found ${member.addresses.length}`,
      );
    }
    if (!this.#members.has(member.nodeId) && this.#members.size === MEMBERS_MAX) {
      return refusal("too_large", `Members must be at most ${MEMBERS_MAX}: there is no place left`);
    }
    this.#members.set(member.nodeId, Object.freeze(member));
    this.#ringNumber = index;
    return OK;
  }

  /**
   * Removes a member. Its id is never assigned again, so that a removed node that does not know of
   * its removal stays out.
   */
  #removeMember(
    command: CommandView,
    { nodeId, detail }: { readonly nodeId: number; readonly detail: string },
    index: number,
  ): SystemReply {
    if (this.#isLoading) {
      this.#removed.add(nodeId);
      return OK;
    }
    if (!this.#members.has(nodeId)) {
      return refusal("not_found", `Node ${nodeId} is not a member`);
    }
    if (this.#members.size === 1) return invalid("The last member of a cluster cannot be removed");
    if (this.#removed.size === REMOVED_MEMBERS_MAX) {
      return refusal("too_large", `At most ${REMOVED_MEMBERS_MAX} members can be removed`);
    }
    this.#members.delete(nodeId);
    this.#removed.add(nodeId);
    this.#ringNumber = index;
    this.#identities.noteDone(command, "removeMember", `node ${nodeId}`, detail);
    return OK;
  }
}

/** Returns the pin, or no bytes when it is all zero, which means none. */
function pinOf(pin: Uint8Array): Uint8Array {
  return pin.some((byte) => byte !== 0) ? pin : new Uint8Array(0);
}

function refusal(code: RegistryError["code"], message: string): SystemReply {
  return { code, message };
}

function invalid(message: string): SystemReply {
  return refusal("invalid_argument", message);
}
