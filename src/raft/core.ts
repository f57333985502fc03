/**
 * The state of one replica, and the operations that all other files of this folder share: sending
 * and looking up members. The other files hold one concept each; `raft_node.ts` is the public
 * surface.
 *
 * Contract: a message that depends on state that is not durable yet (a vote, an acknowledgement)
 * waits in `messagesAfterAppend` until it is. No other message goes there, and none of these goes
 * to `messages`. Source: thesis Figure 3.1 (state), §3.8 (state that must be durable before a
 * reply).
 */
import { assert } from "../base/assert.ts";
import { RaftLog } from "./log.ts";
import type { Configuration, HardState, Message, ReadToken } from "./message.ts";
import { EMPTY_CONFIGURATION, NO_REPLICA } from "./message.ts";
import type { LeaderSupport, RaftSettings } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { RaftStorage } from "./storage.ts";

/** The role of a replica. A pre-candidate only asks whether it could win an election. */
export type ReplicaRole = "follower" | "pre_candidate" | "candidate" | "leader";

/** A read that may be served once all entries up to `index` are applied. */
export interface ReadState {
  /** The token that `readIndex` returned for this read. */
  readonly token: ReadToken;
  readonly index: number;
}

/** A read that a leader holds until a round of heartbeats confirms it. */
export interface PendingRead {
  /** The replica that requested the read. */
  readonly requester: number;
  /** The requester's own token for the read. */
  readonly token: ReadToken;
}

/**
 * A pending read with the commit index at which it may be served, and the round that confirms it.
 */
export interface ConfirmingRead extends PendingRead {
  readonly index: number;
  readonly sequence: number;
}

/** The reads of one term. */
export interface LeaderReads {
  /** The number of the newest round. */
  sequence: number;
  /** The newest round's heartbeats were not handed out yet, so further reads may join it. */
  roundOpen: boolean;
  /** Reads waiting for their round, in ascending order of `sequence`. */
  confirming: ConfirmingRead[];
  /** Reads waiting for the first commit of the term (thesis §6.4, step 1). */
  waiting: PendingRead[];
}

const NO_PROGRESS: readonly Progress[] = [];
/** Stays empty: the lists of a core that has sent nothing, so that a group at rest holds none. */
const NO_MESSAGES: Message[] = [];

/** The state of one replica. Only the files of this folder change it. */
export class Core {
  readonly id: number;
  readonly settings: RaftSettings;
  /** Undefined without node liveness. */
  readonly support: LeaderSupport | undefined;
  readonly log: RaftLog;

  term = 0;
  vote = NO_REPLICA;
  role: ReplicaRole = "follower";
  lead = NO_REPLICA;
  /** The replica to become leader, while a transfer is in progress. */
  transferee = NO_REPLICA;
  /** The last term in which this replica sent a TimeoutNow. */
  timeoutNowTerm = 0;

  configuration: Configuration = EMPTY_CONFIGURATION;
  /** Index of the entry or snapshot that the configuration comes from. */
  configurationIndex = 0;
  /** Count of configuration switches in this run. */
  configurationSwitches = 0;
  /** The progress of each member, in ascending order of id. */
  progress: readonly Progress[] = NO_PROGRESS;
  /** The votes received in the current election. */
  votes: Map<number, boolean> | undefined;

  /** Ticks since the last message of a leader; for a leader, since its last check of the quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** In `[electionTicks, 2 × electionTicks)`, drawn again at each change of role. */
  electionTimeoutTicks = 0;

  /** No configuration change may be proposed until everything up to this index is applied. */
  pendingConfIndex = 0;
  /** Bytes of data that this leader appended and that are not applied. */
  uncommittedBytes = 0;

  messages: Message[] = NO_MESSAGES;
  messagesAfterAppend: Message[] = NO_MESSAGES;

  /** The pending reads of a leader; undefined until it receives one. */
  reads: LeaderReads | undefined;
  readStates: ReadState[] = [];
  /** Reads of this replica that will not be answered any more. */
  readsDropped: ReadToken[] = [];
  /** Random number that identifies this run in its read requests; 0 until the first request. */
  readOrigin = 0;
  readCount = 0;

  constructor(id: number, storage: RaftStorage, settings: RaftSettings, support?: LeaderSupport) {
    this.id = id;
    this.settings = settings;
    this.support = support;
    this.log = new RaftLog(storage, settings.applyingBytesMax);
  }

  /** Returns the state that must be durable. */
  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** Returns the progress of member `id`, or undefined if it is not a member. */
  member(id: number): Progress | undefined {
    for (const member of this.progress) {
      if (member.id === id) return member;
    }
    return undefined;
  }

  /** Whether this replica may campaign: it is a voter, and no snapshot is still to be written. */
  get isPromotable(): boolean {
    const self = this.member(this.id);
    return self !== undefined && !self.isLearner && this.log.unstable.snapshot === undefined;
  }

  /** Whether node liveness prevents this replica from voting and campaigning. */
  get isBound(): boolean {
    return this.support?.isBound(this.lead, this.term) ?? false;
  }

  /**
   * Whether an entry of this term is committed; before that, the commit index may be behind (§6.4).
   */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  /**
   * Enters `term`, which must not be older than the current one. A new term starts without a vote.
   */
  enterTerm(term: number): void {
    assert(term >= this.term, () => `The term would go back from ${this.term} to ${term}`);
    if (term === this.term) return;
    this.term = term;
    this.vote = NO_REPLICA;
  }

  /** Votes for `candidate` in this term; a replica votes for one candidate per term (§3.4). */
  castVote(candidate: number): void {
    assert(
      this.vote === NO_REPLICA || this.vote === candidate,
      () => `Replica ${this.id} would vote twice in term ${this.term}`,
    );
    this.vote = candidate;
  }

  /**
   * Queues `message` with this replica's term; the contract at the top of this file says when it
   * leaves.
   */
  send(message: Message): void {
    assert(message.term === 0, () => `The term of ${message.type} must not be set by the caller`);
    if (message.type !== "propose" && message.type !== "read_index") message.term = this.term;
    this.#post(message);
  }

  /** Queues an election message, which carries its own term. */
  sendForElection(message: Message, term: number): void {
    message.term = term;
    this.#post(message);
  }

  #post(message: Message): void {
    message.from = this.id;
    switch (message.type) {
      case "append_reply":
      case "vote_reply":
      case "pre_vote_reply":
        if (this.messagesAfterAppend.length > 0) this.messagesAfterAppend.push(message);
        else this.messagesAfterAppend = [message];
        break;
      default:
        assert(message.to !== this.id, () => `A replica must not send itself ${message.type}`);
        if (this.messages.length > 0) this.messages.push(message);
        else this.messages = [message];
    }
  }

  /** Begins new lists of messages, after the last ones were handed out. */
  beginMessages(): void {
    this.messages = NO_MESSAGES;
    this.messagesAfterAppend = NO_MESSAGES;
  }
}
