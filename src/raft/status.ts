/** Status of a replica: for people, for tests, and for the dump of a quarantined group. */
import type { Core, ReplicaRole } from "./core.ts";
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
  /** Index of the snapshot in flight; 0 for none. */
  readonly pendingSnapshot: number;
  readonly recentActive: boolean;
  readonly inflightCount: number;
  readonly isInflightFull: boolean;
}

/** A replica at one moment. */
export interface RaftStatus {
  readonly id: number;
  readonly role: ReplicaRole;
  readonly term: number;
  readonly vote: number;
  /** 0 if no leader is known. */
  readonly lead: number;
  /** 0 if no transfer is in progress. */
  readonly transferee: number;
  readonly lastIndex: number;
  readonly committed: number;
  readonly applied: number;
  readonly configuration: Configuration;
  /** Count of configuration switches in this run. */
  readonly configurationSwitches: number;
  /** In ascending order of id; empty unless this replica leads. */
  readonly members: readonly MemberStatus[];
}

/** Returns the current status of a member. */
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

/** Returns the current status of a replica. */
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
