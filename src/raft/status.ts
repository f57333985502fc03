/** What a replica tells of itself: for people, for tests, and for the dump of a quarantined group. */
import type { Core, Role } from "./core.ts";
import type { Configuration } from "./message.ts";
import type { Progress, ProgressState } from "./progress.ts";

/** A member as its leader sees it. */
export interface MemberStatus {
  readonly id: number;
  readonly state: ProgressState;
  readonly match: number;
  readonly next: number;
  readonly isLearner: boolean;
  readonly isPaused: boolean;
  /** Index of the snapshot on its way; 0: none. */
  readonly pendingSnapshot: number;
  readonly recentActive: boolean;
  readonly inflightCount: number;
  readonly isInflightFull: boolean;
}

/** A replica at one moment. */
export interface RaftStatus {
  readonly id: number;
  readonly role: Role;
  readonly term: number;
  readonly vote: number;
  /** 0: not known. */
  readonly lead: number;
  /** 0: no transfer is under way. */
  readonly transferee: number;
  readonly lastIndex: number;
  readonly committed: number;
  readonly applied: number;
  readonly configuration: Configuration;
  /** How often the configuration was switched in this run. */
  readonly configurationSwitches: number;
  /** Ascending by id; empty unless this replica leads. */
  readonly members: readonly MemberStatus[];
}

/** A member as it is now. */
export function memberStatus(member: Progress): MemberStatus {
  return {
    id: member.id,
    state: member.state,
    match: member.match,
    next: member.next,
    isLearner: member.isLearner,
    isPaused: member.isPaused,
    pendingSnapshot: member.pendingSnapshot,
    recentActive: member.recentActive,
    inflightCount: member.inflights.count,
    isInflightFull: member.inflights.isFull,
  };
}

/** The replica as it is now. */
export function raftStatus(core: Core): RaftStatus {
  return {
    id: core.id,
    role: core.role,
    term: core.term,
    vote: core.vote,
    lead: core.lead,
    transferee: core.transferee,
    lastIndex: core.log.lastIndex,
    committed: core.log.committed,
    applied: core.log.applied,
    configuration: core.configuration,
    configurationSwitches: core.configurationSwitches,
    members: core.role === "leader" ? core.progress.map(memberStatus) : [],
  };
}
