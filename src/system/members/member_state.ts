/**
 * The members of the cluster: node ids, data folders, failure domains, addresses and pins.
 *
 * A node is admitted under a number that no other node had, and bound to the random id of its data
 * folder: a number with one folder is never taken by another folder, so that two living nodes cannot
 * have one number, and a node that lost its disk returns as a new one. The number of a removed node is
 * never assigned again. A node that was put without having been admitted (a cluster of one node) is
 * bound to the first folder that is admitted under its number.
 */
import {
  commandCodec,
  type CommandView,
  type PutMemberCommand,
  putMemberCommandCodec,
  PutMemberCommandView,
  removeMemberCommandCodec,
  RemoveMemberCommandView,
} from "../../../schemas/gen/command.ts";
import {
  type AdmitMemberCommand,
  admitMemberCommandCodec,
  AdmitMemberCommandView,
} from "../../../schemas/gen/system.ts";
import type { Input } from "../../../schemas/runtime.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { MEMBER_NAME_BYTES_MAX, MEMBERS_MAX, RAFT_MEMBERS_MAX } from "../../base/limits.ts";
import { isNilUuid } from "../../base/uuid.ts";
import { COMMAND_KINDS, type CommandHeader } from "../../record/command.ts";
import type { FoundingState } from "../founding/founding_state.ts";
import type { AuditState } from "../identities/audit_state.ts";
import { type Effect, invalid, type SubMachine } from "../sub_machine.ts";
import { FIRST_APPLY_VERSION, MEMBER_PROGRAMS_APPLY_VERSION } from "../versions/features.ts";

/** Kind of the command that admits a member. */
export const ADMIT_MEMBER = 40;

const ADDRESSES_MAX = 8;
/** Maximum removed node ids: enough to replace the largest cluster many times over. */
const REMOVED_MEMBERS_MAX = 65_536;
const NODE_ID_MAX = 0xffff_ffff;
/** The version of a program, as it is shown to operators; empty if it is not known. */
const PROGRAM = /^[0-9A-Za-z.+-]{0,64}$/;
const NO_PIN = new Uint8Array(32);

/** The addresses and pins of a node. */
export type Member = Readonly<PutMemberCommand>;

/** The description of a node that was admitted. */
export type AdmittedMember = Readonly<Omit<AdmitMemberCommand, "detail" | "ringId">>;

/** Encodes the admission of a member; `nodeId` 0 asks for the next number. */
export function encodeAdmitMember(
  from: CommandHeader,
  body:
    & Omit<Input<AdmitMemberCommand>, "detail" | "program" | "ringId">
    & Partial<Pick<AdmitMemberCommand, "detail" | "program" | "ringId">>,
): Uint8Array {
  const command = { detail: "", program: "", ringId: 0, ...body };
  return commandCodec.encode({ ...from, kind: ADMIT_MEMBER }, admitMemberCommandCodec, command);
}

/** The members of a cluster. */
export class MemberState implements SubMachine {
  readonly section = 2;
  readonly kinds = [COMMAND_KINDS.putMember, COMMAND_KINDS.removeMember, ADMIT_MEMBER];
  readonly #founding: FoundingState;
  readonly #audit: AuditState;
  readonly #applyVersion: () => number;
  readonly #members = new Map<number, Member>();
  readonly #admissions = new Map<number, AdmittedMember>();
  /** The nodes whose points on the ring others have, by these. */
  readonly #ringIds = new Map<number, number>();
  /** Ids of removed nodes, which can never be members again. */
  readonly #removed = new Set<number>();
  /** The lowest number that is or was given to a node; 0 if there is none. */
  #lowest = 0;

  constructor(founding: FoundingState, audit: AuditState, applyVersion: () => number) {
    this.#founding = founding;
    this.#audit = audit;
    this.#applyVersion = applyVersion;
  }

  /** Members, ordered by node id. */
  get all(): Member[] {
    return [...this.#members.values()].sort((left, right) => left.nodeId - right.nodeId);
  }

  /**
   * Returns the node that founded the cluster: the one with the lowest number ever given. Undefined if
   * it is not a member any more.
   */
  get founder(): number | undefined {
    return this.#members.has(this.#lowest) ? this.#lowest : undefined;
  }

  /** The lowest number ever given, which is that of the node that founded the cluster; 0 before. */
  get first(): number {
    return this.#lowest;
  }

  /** Reports whether a member with that number was removed. */
  wasRemoved(nodeId: number): boolean {
    return this.#removed.has(nodeId);
  }

  /** The number of members. */
  get count(): number {
    return this.#members.size;
  }

  /** Reports whether the node is a member now. */
  has(nodeId: number): boolean {
    return this.#members.has(nodeId);
  }

  /** Returns the description of a member; undefined if it never was admitted. */
  admission(nodeId: number): AdmittedMember | undefined {
    return this.#admissions.get(nodeId);
  }

  /** Returns the number of the member with that data folder; undefined if there is none. */
  numberOf(folderId: Uint8Array): number | undefined {
    for (const admission of this.#admissions.values()) {
      if (bytesEqual(admission.folderId, folderId)) return admission.nodeId;
    }
    return undefined;
  }

  /** Returns the node whose points on the ring a member has; mostly its own. */
  ringIdOf(nodeId: number): number {
    return this.#ringIds.get(nodeId) ?? nodeId;
  }

  /** Gives a member the points of another one, or its own again. */
  setRingId(nodeId: number, ringId: number): void {
    if (ringId === nodeId) this.#ringIds.delete(nodeId);
    else this.#ringIds.set(nodeId, ringId);
  }

  /** Returns the highest apply version that all members support. */
  get applyVersionMax(): number {
    let max = Infinity;
    for (const nodeId of this.#members.keys()) max = Math.min(max, this.applyVersionMaxOf(nodeId));
    return max === Infinity ? FIRST_APPLY_VERSION : max;
  }

  /** Returns the highest apply version that a member said it supports; the first if it said none. */
  applyVersionMaxOf(nodeId: number): number {
    const stated = this.#admissions.get(nodeId)?.applyVersionMax ??
      this.#members.get(nodeId)?.applyVersionMax;
    return stated || FIRST_APPLY_VERSION;
  }

  apply(command: CommandView): Effect {
    switch (command.kind) {
      case COMMAND_KINDS.putMember:
        return this.#put(command.bodyInto(new PutMemberCommandView()).toPlain());
      case COMMAND_KINDS.removeMember: {
        const { nodeId, detail } = command.bodyInto(new RemoveMemberCommandView()).toPlain();
        return this.remove(command, nodeId, detail);
      }
      default:
        return this.#admit(command, this.#admissionOf(command));
    }
  }

  /** Returns the admission, without what programs before the present apply version do not keep. */
  #admissionOf(command: CommandView): AdmitMemberCommand {
    const admission = command.bodyInto(new AdmitMemberCommandView()).toPlain();
    const hasPrograms = this.#applyVersion() >= MEMBER_PROGRAMS_APPLY_VERSION;
    return hasPrograms ? admission : { ...admission, program: "" };
  }

  #put(member: Member): Effect {
    this.#founding.checkCreated();
    const { nodeId, addresses } = member;
    if (nodeId === 0) throw invalid("Node id must be at least 1: found 0");
    this.#checkNotRemoved(nodeId);
    if (addresses.length > ADDRESSES_MAX) {
      throw invalid(`Addresses must be at most ${ADDRESSES_MAX}: found ${addresses.length}`);
    }
    this.#checkPlace(nodeId);
    this.#members.set(nodeId, Object.freeze(member));
    this.#given(nodeId);
    return { changesRing: true };
  }

  #admit(command: CommandView, { detail, ringId: _, ...admission }: AdmitMemberCommand): Effect {
    this.#founding.checkCreated();
    const { folderId, zone, host, applyVersionMax, program } = admission;
    if (isNilUuid(folderId)) throw invalid("Folder id must not be nil: it is");
    if (applyVersionMax === 0) throw invalid("Apply version must be at least 1: found 0");
    if (zone.length > MEMBER_NAME_BYTES_MAX || host.length > MEMBER_NAME_BYTES_MAX) {
      throw invalid(`Zone and host must have at most ${MEMBER_NAME_BYTES_MAX} bytes each`);
    }
    if (!PROGRAM.test(program)) throw invalid("Program must be a version of at most 64 characters");
    const known = this.numberOf(folderId);
    const nodeId = admission.nodeId !== 0 ? admission.nodeId : known ?? this.#nextNumber();
    this.#checkNotRemoved(nodeId);
    if (nodeId < this.#lowest) {
      throw invalid(`Node id must be above the founder's, ${this.#lowest}: found ${nodeId}`);
    }
    if (known !== undefined && known !== nodeId) {
      throw invalid(`The data folder is that of node ${known}: it cannot be node ${nodeId} too`);
    }
    const before = this.#admissions.get(nodeId);
    if (before !== undefined && !bytesEqual(before.folderId, folderId)) {
      throw new RegistryError(
        "locked",
        `Node ${nodeId} is a member with another data folder: join under another number`,
      );
    }
    this.#checkPlace(nodeId, RAFT_MEMBERS_MAX);
    this.#admissions.set(nodeId, Object.freeze({ ...admission, nodeId }));
    if (!this.#members.has(nodeId)) {
      this.#members.set(
        nodeId,
        Object.freeze({ nodeId, addresses: [], pin: NO_PIN, nextPin: NO_PIN, applyVersionMax: 0 }),
      );
      this.#given(nodeId);
    }
    if (before === undefined) this.#audit.record(command, "member", `node ${nodeId}`, detail);
    return { changesRing: true, assigned: nodeId };
  }

  /**
   * Removes a member. Its id is never assigned again, so that a removed node that does not know of
   * its removal stays out.
   *
   * @throws RegistryError `not_found`; `invalid_argument` for the last member; `too_large`.
   */
  remove(command: CommandView, nodeId: number, detail: string): Effect {
    if (!this.#members.has(nodeId)) {
      throw new RegistryError("not_found", `Node ${nodeId} is not a member`);
    }
    if (this.#members.size === 1) {
      throw invalid("The last member of a cluster cannot be removed");
    }
    if (this.#removed.size === REMOVED_MEMBERS_MAX) {
      throw new RegistryError("too_large", `At most ${REMOVED_MEMBERS_MAX} members can be removed`);
    }
    this.#members.delete(nodeId);
    this.#admissions.delete(nodeId);
    this.#ringIds.delete(nodeId);
    this.#removed.add(nodeId);
    this.#audit.record(command, "removeMember", `node ${nodeId}`, detail);
    return { changesRing: true };
  }

  #checkNotRemoved(nodeId: number): void {
    if (!this.#removed.has(nodeId)) return;
    throw new RegistryError(
      "not_replica",
      `Node ${nodeId} was removed: join under another number`,
    );
  }

  /** Every admitted node is a member of group 0's configuration, which limits their number. */
  #checkPlace(nodeId: number, max = MEMBERS_MAX): void {
    if (this.#members.has(nodeId) || this.#members.size < max) return;
    throw new RegistryError("too_large", `Members must be at most ${max}: there is no place left`);
  }

  /** Records that a node has, or had, this number. */
  #given(nodeId: number): void {
    if (this.#lowest === 0 || nodeId < this.#lowest) this.#lowest = nodeId;
  }

  /** Returns the number above all that are or were assigned. */
  #nextNumber(): number {
    let last = 0;
    for (const nodeId of this.#members.keys()) last = Math.max(last, nodeId);
    for (const nodeId of this.#removed) last = Math.max(last, nodeId);
    if (last === NODE_ID_MAX) {
      throw new RegistryError("too_large", "No node id is left: name a free one");
    }
    return last + 1;
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    for (const member of this.all) {
      const header = { ...from, kind: COMMAND_KINDS.putMember };
      yield commandCodec.encode(header, putMemberCommandCodec, member);
      const admission = this.#admissions.get(member.nodeId);
      if (admission === undefined) continue;
      const ringId = this.#ringIds.get(member.nodeId) ?? 0;
      yield encodeAdmitMember(from, { ...admission, ringId });
    }
    for (const nodeId of [...this.#removed].sort((left, right) => left - right)) {
      const header = { ...from, kind: COMMAND_KINDS.removeMember };
      yield commandCodec.encode(header, removeMemberCommandCodec, { nodeId, detail: "" });
    }
  }

  load(command: CommandView): void {
    if (command.kind === ADMIT_MEMBER) {
      // The apply version is loaded later; an image holds programs only where they were kept.
      const admission = command.bodyInto(new AdmitMemberCommandView()).toPlain();
      if (admission.ringId !== 0) this.setRingId(admission.nodeId, admission.ringId);
      return void this.#admit(command, admission);
    }
    if (command.kind !== COMMAND_KINDS.removeMember) return void this.apply(command);
    const { nodeId } = command.bodyInto(new RemoveMemberCommandView());
    this.#removed.add(nodeId);
    this.#given(nodeId);
  }

  loaded(): void {}
}
