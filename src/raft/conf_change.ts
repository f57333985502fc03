/**
 * Changes of the configuration as they stand in the log, and as bytes.
 *
 * One change to the voters may be applied at once (thesis §4.1); more than one goes through a joint
 * configuration (§4.3). A change with neither members nor transition leaves the joint one; its data
 * is empty, so that no limit of size can ever refuse it.
 */
import { FrameWriter } from "../../schemas/runtime.ts";
import { raftConfChangeCodec } from "../../schemas/gen/raft.ts";
import { RegistryError } from "../base/errors.ts";
import { RAFT_CHANGES_MAX } from "../base/limits.ts";
import type { Entry, EntryKind } from "./message.ts";
import { EMPTY_DATA } from "./message.ts";

/** What happens to one member. `update` changes nothing; it carries a context through the log. */
export type MemberChangeKind = "add_voter" | "add_learner" | "remove" | "update";

/** One member's part of a change. */
export interface MemberChange {
  readonly kind: MemberChangeKind;
  /** 0: the change was cancelled and does nothing. */
  readonly replica: number;
}

/**
 * `auto`: joint only if there is more than one change, and left by itself. `joint_implicit`: joint,
 * left by itself. `joint_explicit`: joint until an empty change is proposed.
 */
export type Transition = "auto" | "joint_implicit" | "joint_explicit";

/** A change of the configuration. */
export interface ConfChange {
  readonly transition: Transition;
  readonly changes: readonly MemberChange[];
  /** The proposer's own; the core does not look at it. */
  readonly context: Uint8Array;
}

/** Leaves the joint configuration. */
export const LEAVE_JOINT: ConfChange = { transition: "auto", changes: [], context: EMPTY_DATA };

/** True where the change leaves a joint configuration. */
export function leavesJoint(change: ConfChange): boolean {
  return change.transition === "auto" && change.changes.length === 0;
}

/** True where the change goes through a joint configuration. */
export function entersJoint(change: ConfChange): boolean {
  return change.transition !== "auto" || change.changes.length > 1;
}

const MEMBER_CHANGES: readonly MemberChangeKind[] = [
  "add_voter",
  "add_learner",
  "remove",
  "update",
];
const TRANSITIONS: readonly Transition[] = ["auto", "joint_implicit", "joint_explicit"];

/** The bytes of `change`; empty for one that says nothing but to leave the joint configuration. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  if (leavesJoint(change) && change.context.length === 0) return EMPTY_DATA;
  const out = new FrameWriter({ bytesMax: 64 * 1024 });
  raftConfChangeCodec.append(out, {
    transition: TRANSITIONS.indexOf(change.transition),
    changes: change.changes.map(({ kind, replica }) => ({
      kind: MEMBER_CHANGES.indexOf(kind),
      replicaId: replica,
    })),
    context: change.context,
  });
  return out.bytes.slice(0, out.length);
}

/**
 * The change that `data` holds.
 *
 * @throws RegistryError `malformed` or `too_large` where `data` is no change.
 */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.length === 0) return LEAVE_JOINT;
  const decoded = raftConfChangeCodec.decode(data);
  const transition = TRANSITIONS[decoded.transition];
  if (transition === undefined || decoded.changes.length > RAFT_CHANGES_MAX) {
    throw new RegistryError("malformed", "The change of the configuration is not one we know");
  }
  const changes = decoded.changes.map(({ kind, replicaId }) => {
    const known = MEMBER_CHANGES[kind];
    if (known === undefined) {
      throw new RegistryError("malformed", `Unknown kind of change to a member: ${kind}`);
    }
    return { kind: known, replica: replicaId };
  });
  return { transition, changes, context: decoded.context };
}

/** The change that an entry holds; undefined for an entry that holds none. */
export function confChangeOf(entry: Pick<Entry, "kind" | "data">): ConfChange | undefined {
  return entry.kind === "normal" ? undefined : decodeConfChange(entry.data);
}

/** What is proposed to make `change`; v1 where one change without joint consensus is asked for. */
export function confChangeEntry(
  change: ConfChange,
  v1: boolean,
): { kind: EntryKind; data: Uint8Array } {
  return { kind: v1 ? "conf_change_v1" : "conf_change", data: encodeConfChange(change) };
}
