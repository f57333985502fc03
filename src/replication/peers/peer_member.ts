/** The members of the cluster as the links between nodes see them: who, where, and by which trust. */
import { toHex } from "../../base/bytes.ts";
import type { NodeId } from "../../base/ids.ts";
import { CLUSTER_NODES_MAX } from "../../base/limits.ts";
import type { Endpoint, Trust } from "../../../transport/transport.ts";

/** A member of the cluster. */
export interface PeerMember {
  readonly nodeId: NodeId;
  /** UUID of the node's identity, 16 bytes. */
  readonly subjectId: Uint8Array;
  /** The random id of the node's data folder, 16 bytes. */
  readonly folderId: Uint8Array;
  /** The addresses at which other nodes dial it; tried in turn. */
  readonly addresses: readonly Endpoint[];
  /** The ways to verify its TLS certificate, tried in turn: by its current pin, by its next one. */
  readonly trusts: readonly Trust[];
}

/** The members by node id and by identity. Immutable. */
export class PeerMembers {
  readonly #byId: ReadonlyMap<NodeId, PeerMember>;
  readonly #bySubject: ReadonlyMap<string, PeerMember>;

  /** @throws RangeError for too many members, or a node id or identity that two of them have. */
  constructor(members: readonly PeerMember[]) {
    this.#byId = new Map(members.map((member) => [member.nodeId, member]));
    this.#bySubject = new Map(members.map((member) => [toHex(member.subjectId), member]));
    const isDistinct = this.#byId.size === members.length &&
      this.#bySubject.size === members.length;
    if (!isDistinct || members.length > CLUSTER_NODES_MAX) {
      throw new RangeError(
        `Members must be at most ${CLUSTER_NODES_MAX}, with distinct node ids and identities: ` +
          `found ${members.length} members, ${this.#byId.size} ids and ` +
          `${this.#bySubject.size} identities`,
      );
    }
  }

  /** Returns the member with that node id; undefined if there is none. */
  of(nodeId: NodeId): PeerMember | undefined {
    return this.#byId.get(nodeId);
  }

  /** Returns the member with that identity; undefined if there is none. */
  ofSubject(subjectId: Uint8Array): PeerMember | undefined {
    return this.#bySubject.get(toHex(subjectId));
  }

  /** All members, in the order given. */
  get all(): Iterable<PeerMember> {
    return this.#byId.values();
  }
}
