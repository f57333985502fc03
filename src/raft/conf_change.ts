/**
 * Configuration changes as log entries, and their encoding.
 *
 * A single change to the voters may be applied at once (thesis §4.1); more than one goes through a
 * joint configuration (§4.3). A change with neither members nor transition leaves the joint
 * configuration; its data is empty, so no size limit can refuse it.
 */
import { FrameWriter } from "../../schemas/runtime.ts";
import { raftConfChangeCodec } from "../../schemas/gen/raft.ts";
import { RegistryError } from "../base/errors.ts";
import { RAFT_CHANGES_MAX } from "../base/limits.ts";
import type { Entry, EntryKind } from "./message.ts";
import { EMPTY_DATA } from "./message.ts";

/**
 * The kind of change to one member. `update` changes nothing; it carries a context through the log.
 */
export type MemberChangeKind = "add_voter" | "add_learner" | "remove" | "update";

/** The change to one member. */
export interface MemberChange {
  readonly kind: MemberChangeKind;
  /** The replica id; 0 means that this change was cancelled and does nothing. */
  readonly replica: number;
}

/**
 * The transition to the new configuration. `auto`: joint only if there is more than one change, and
 * left automatically. `joint_implicit`: joint, left automatically. `joint_explicit`: joint until an
 * empty change is proposed.
 */
export type Transition = "auto" | "joint_implicit" | "joint_explicit";

/** A configuration change. */
export interface ConfChange {
  readonly transition: Transition;
  readonly changes: readonly MemberChange[];
  /** Data of the proposer; the core does not read it. */
  readonly context: Uint8Array;
}

/** The change that leaves the joint configuration. */
export const LEAVE_JOINT: ConfChange = { transition: "auto", changes: [], context: EMPTY_DATA };

/** Reports whether `change` leaves a joint configuration. */
export function leavesJoint(change: ConfChange): boolean {
  return change.transition === "auto" && change.changes.length === 0;
}

/** Reports whether `change` goes through a joint configuration. */
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

/** Encodes `change`. A change that only leaves the joint configuration is encoded as no bytes. */
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
 * Decodes the configuration change that `data` holds.
 *
 * @throws RegistryError `malformed` or `too_large` when `data` holds no change.
 */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.length === 0) return LEAVE_JOINT;
  const decoded = raftConfChangeCodec.decode(data);
  const transition = TRANSITIONS[decoded.transition];
  if (transition === undefined || decoded.changes.length > RAFT_CHANGES_MAX) {
    throw new RegistryError(
      "malformed",
      "Unknown configuration change: its transition or count is invalid",
    );
  }
  const changes = decoded.changes.map(({ kind, replicaId }) => {
    const known = MEMBER_CHANGES[kind];
    if (known === undefined) {
      throw new RegistryError("malformed", `Unknown kind of member change: ${kind}`);
    }
    return { kind: known, replica: replicaId };
  });
  return { transition, changes, context: decoded.context };
}

/** Returns the configuration change of an entry, or undefined for a normal entry. */
export function confChangeOf(entry: Pick<Entry, "kind" | "data">): ConfChange | undefined {
  return entry.kind === "normal" ? undefined : decodeConfChange(entry.data);
}

/**
 * Returns the entry to propose for `change`. With `v1` it is a single change without joint
 * consensus.
 */
export function confChangeEntry(
  change: ConfChange,
  v1: boolean,
): { kind: EntryKind; data: Uint8Array } {
  return { kind: v1 ? "conf_change_v1" : "conf_change", data: encodeConfChange(change) };
}
