/** The parts of one group, which those of them that work together share. */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, ReplicaId, Term } from "../base/ids.ts";
import type { RaftNode } from "../raft/mod.ts";
import type { GroupEnd } from "./group_errors.ts";
import type { GroupHost } from "./group_host.ts";
import type { ReadPoint } from "./group_interface.ts";
import type { GroupLeadership } from "./group_leadership.ts";
import type { GroupMembers } from "./group_members.ts";
import type { GroupProposals } from "./group_proposals.ts";
import type { GroupStorage } from "./group_storage.ts";
import type { GroupSupport } from "./group_support.ts";
import type { ReplicaLog } from "./replica_log.ts";
import type { StateMachine } from "./state_machine.ts";

/** The position of the last entry that a replica has applied. */
export class AppliedPoint {
  index: LogIndex;
  term: Term;
  /** The position as reads are given it. */
  point: ReadPoint;

  constructor(index: LogIndex, term: Term) {
    this.index = index;
    this.term = term;
    this.point = { appliedIndex: index, term, ageBoundMs: 0 };
  }

  /** Moves it on. */
  advance(index: number, term: number): void {
    this.index = index as LogIndex;
    this.term = term as Term;
    this.point = { appliedIndex: this.index, term: this.term, ageBoundMs: 0 };
  }
}

/** The parts of one group. */
export interface GroupParts {
  readonly id: GroupId;
  readonly replica: ReplicaId;
  readonly host: GroupHost;
  readonly machine: StateMachine<unknown>;
  readonly node: RaftNode;
  readonly replicaLog: ReplicaLog;
  readonly storage: GroupStorage;
  readonly support: GroupSupport;
  readonly leadership: GroupLeadership;
  readonly members: GroupMembers;
  readonly applied: AppliedPoint;
  readonly proposals: GroupProposals;
}

/** The steps of the group, as its parts call them. */
export interface GroupSteps {
  /** Why the group ended; undefined while it runs. */
  readonly end: GroupEnd | undefined;
  /** Runs one step of the core; an exception ends the group. */
  guarded(run: () => void): void;
  /** Asks for a turn; a group without other members works at once. */
  wantsWork(): void;
  /** Asks the set for a turn, in which it also checks whether the group needs ticks. */
  wantsTurn(): void;
  /** Records that a proposal or a read waits for a deadline. */
  hasWaiters(): void;
  /** Notices a change of the replica's role. */
  noticeRole(): void;
  /** Returns the refusal of a replica that does not lead. */
  notLeader(): RegistryError;
  /** Begins to serve: an entry of the led term is applied, and so are all before it. */
  serve(): void;
}
