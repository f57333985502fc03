/**
 * Configuration changes: pure functions from a configuration, the progress of its members and a
 * change to the next configuration, or to the reason for which there is none. The arguments are not
 * modified.
 *
 * Invariants of each result: no replica is both voter and learner; a replica that is to become a
 * learner but votes in the outgoing half waits in `learnersNext`; outside of joint consensus the
 * outgoing half and `learnersNext` are empty and `autoLeave` is false. Source: thesis §4.1, §4.2.1,
 * §4.3.
 */
import { assert } from "../base/assert.ts";
import { RAFT_MEMBERS_MAX } from "../base/limits.ts";
import type { ConfChange, MemberChange } from "./conf_change.ts";
import { entersJoint, leavesJoint } from "./conf_change.ts";
import type { InflightLimits } from "./inflights.ts";
import type { Configuration } from "./message.ts";
import { Progress } from "./progress.ts";
import { allVoters } from "./quorum.ts";

/** The reason for which a change is not possible. */
export type MembershipRefusal =
  | "already_joint"
  | "not_joint"
  | "simple_in_joint"
  | "no_voters_to_join"
  | "removed_all_voters"
  | "several_voters_at_once"
  | "too_many_members";

/** A configuration and the progress of its members, in ascending order of id. */
export interface Members {
  readonly configuration: Configuration;
  readonly progress: readonly Progress[];
}

/** The initial values of new members. */
export interface NewMember {
  /** The last index of the log, where probing starts. */
  readonly lastIndex: number;
  readonly limits: InflightLimits;
}

/** A configuration while it is being changed. */
class Draft {
  readonly voters: Set<number>;
  readonly outgoing: Set<number>;
  readonly learners: Set<number>;
  readonly learnersNext: Set<number>;
  readonly progress = new Map<number, Progress>();
  autoLeave: boolean;
  readonly #from: NewMember;

  constructor({ configuration, progress }: Members, from: NewMember) {
    this.voters = new Set(configuration.voters);
    this.outgoing = new Set(configuration.votersOutgoing);
    this.learners = new Set(configuration.learners);
    this.learnersNext = new Set(configuration.learnersNext);
    this.autoLeave = configuration.autoLeave;
    for (const member of progress) this.progress.set(member.id, member.copy());
    this.#from = from;
  }

  apply(changes: readonly MemberChange[]): void {
    for (const { kind, replica } of changes) {
      if (replica === 0) continue;
      if (kind === "add_voter") this.#addVoter(replica);
      else if (kind === "add_learner") this.#addLearner(replica);
      else if (kind === "remove") this.#remove(replica);
    }
  }

  #addVoter(id: number): void {
    const member = this.progress.get(id);
    if (member === undefined) this.#track(id, false);
    else member.isLearner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.voters.add(id);
  }

  #addLearner(id: number): void {
    const member = this.progress.get(id);
    if (member === undefined) {
      this.#track(id, true);
      this.learners.add(id);
      return;
    }
    if (member.isLearner) return;
    this.#remove(id);
    this.progress.set(id, member);
    // A voter of the outgoing half cannot be a learner at the same time.
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id);
    } else {
      member.isLearner = true;
      this.learners.add(id);
    }
  }

  #remove(id: number): void {
    this.voters.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.outgoing.has(id)) this.progress.delete(id);
  }

  leaveJoint(): void {
    for (const id of this.learnersNext) {
      this.learners.add(id);
      this.progress.get(id)!.isLearner = true;
    }
    this.learnersNext.clear();
    for (const id of this.outgoing) {
      if (!this.voters.has(id) && !this.learners.has(id)) this.progress.delete(id);
    }
    this.outgoing.clear();
    this.autoLeave = false;
  }

  #track(id: number, isLearner: boolean): void {
    this.progress.set(id, newProgress(id, isLearner, this.#from));
  }

  finish(): Members {
    const configuration: Configuration = {
      voters: ascending(this.voters),
      votersOutgoing: ascending(this.outgoing),
      learners: ascending(this.learners),
      learnersNext: ascending(this.learnersNext),
      autoLeave: this.autoLeave,
    };
    const progress = ascending(this.progress.keys()).map((id) => this.progress.get(id)!);
    checkMembers({ configuration, progress });
    return { configuration, progress };
  }
}

/**
 * Creates the progress of a new member. Probing starts at the last entry; a new member counts as
 * active (thesis §6.2).
 */
function newProgress(id: number, isLearner: boolean, from: NewMember): Progress {
  const next = Math.max(from.lastIndex, 1);
  return new Progress(id, { next, isLearner, recentActive: true }, from.limits);
}

function ascending(ids: Iterable<number>): number[] {
  return [...ids].sort((left, right) => left - right);
}

/**
 * Enters a joint configuration whose incoming half is the current configuration after `changes`.
 */
export function enterJoint(
  members: Members,
  changes: readonly MemberChange[],
  options: NewMember & { readonly autoLeave: boolean },
): Members | MembershipRefusal {
  if (isJoint(members.configuration)) return "already_joint";
  if (members.configuration.voters.length === 0) return "no_voters_to_join";
  const draft = new Draft(members, options);
  for (const id of draft.voters) draft.outgoing.add(id);
  draft.apply(changes);
  if (draft.voters.size === 0) return "removed_all_voters";
  if (draft.progress.size > RAFT_MEMBERS_MAX) return "too_many_members";
  draft.autoLeave = options.autoLeave;
  return draft.finish();
}

/** Leaves the joint configuration: from now on its incoming half decides alone. */
export function leaveJoint(members: Members, from: NewMember): Members | MembershipRefusal {
  if (!isJoint(members.configuration)) return "not_joint";
  const draft = new Draft(members, from);
  draft.leaveJoint();
  return draft.finish();
}

/** Applies changes that together add or remove at most one voter. */
export function simpleChange(
  members: Members,
  changes: readonly MemberChange[],
  from: NewMember,
): Members | MembershipRefusal {
  if (isJoint(members.configuration)) return "simple_in_joint";
  const draft = new Draft(members, from);
  draft.apply(changes);
  if (draft.voters.size === 0) return "removed_all_voters";
  if (draft.progress.size > RAFT_MEMBERS_MAX) return "too_many_members";
  const before = members.configuration.voters;
  const removed = before.filter((id) => !draft.voters.has(id)).length;
  const added = draft.voters.size - (before.length - removed);
  if (removed + added > 1) return "several_voters_at_once";
  return draft.finish();
}

/** Returns the members after `change`, with the transition it asks for. */
export function changeMembers(
  members: Members,
  change: ConfChange,
  from: NewMember,
): Members | MembershipRefusal {
  if (leavesJoint(change)) return leaveJoint(members, from);
  if (!entersJoint(change)) return simpleChange(members, change.changes, from);
  const autoLeave = change.transition !== "joint_explicit";
  return enterJoint(members, change.changes, { ...from, autoLeave });
}

/** Returns the members of a configuration read from a snapshot, with no progress known. */
export function restoreMembers(configuration: Configuration, from: NewMember): Members {
  const learners = ascending(configuration.learners);
  const restored: Configuration = {
    voters: ascending(configuration.voters),
    votersOutgoing: ascending(configuration.votersOutgoing),
    learners,
    learnersNext: ascending(configuration.learnersNext),
    autoLeave: configuration.autoLeave,
  };
  const ids = ascending(new Set([...allVoters(restored), ...learners]));
  const members = {
    configuration: restored,
    progress: ids.map((id) => newProgress(id, learners.includes(id), from)),
  };
  checkMembers(members);
  return members;
}

/** Reports whether the configuration is joint, so that two majorities decide. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** Returns the fault of a configuration, or undefined if it is valid. */
export function configurationFault(configuration: Configuration): string | undefined {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  for (const ids of [voters, votersOutgoing, learners, learnersNext]) {
    if (!ids.every((id, at) => Number.isSafeInteger(id) && id > (at === 0 ? 0 : ids[at - 1]!))) {
      return "A list of replicas is not in ascending order";
    }
  }
  const votes = new Set([...voters, ...votersOutgoing]);
  if (votes.size + learners.length > RAFT_MEMBERS_MAX) return "There are too many members";
  if (learners.some((id) => votes.has(id))) return "A replica is both voter and learner";
  if (learnersNext.some((id) => !votersOutgoing.includes(id) || voters.includes(id))) {
    return "A replica in learnersNext must be a voter of the outgoing half only";
  }
  if (votersOutgoing.length === 0) {
    return autoLeave ? "autoLeave is set outside of joint consensus" : undefined;
  }
  return voters.length === 0 ? "The incoming half is empty" : undefined;
}

/**
 * Asserts the invariants at the top of this file, and that progress is kept for exactly the
 * members.
 */
export function checkMembers({ configuration, progress }: Members): void {
  const fault = configurationFault(configuration);
  assert(fault === undefined, `The configuration is invalid: ${fault}`);
  const { learners } = configuration;
  const ids = ascending([...allVoters(configuration), ...learners]);
  assert(
    ids.length === progress.length && ids.every((id, at) => progress[at]!.id === id),
    "Progress must be kept for exactly the members",
  );
  for (const { id, isLearner } of progress) {
    assert(
      isLearner === learners.includes(id),
      `Progress of replica ${id} must match its role as voter or learner`,
    );
  }
}
