/**
 * The state of one replica and the few operations that every other file of this room shares:
 * sending, and who is who. What happens to it stands in the file of each concept; `raft_node.ts` is
 * the surface.
 *
 * Contract: a message that rests on what is not durable yet (a vote, an acknowledgement) waits in
 * `messagesAfterAppend` until it is; nothing else may stand there, and none of them in `messages`.
 * Source: thesis Figure 3.1 (state), §3.8 (what must be durable before it is said).
 */
import { assert } from "../base/assert.ts";
import { RaftLog } from "./log.ts";
import type { Configuration, HardState, Message, ReadToken } from "./message.ts";
import { EMPTY_CONFIGURATION, NO_REPLICA } from "./message.ts";
import type { LeaderSupport, RaftSettings } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { Storage } from "./storage.ts";

/** What a replica is at the moment. A pre-candidate asks whether it could win, and no more. */
export type Role = "follower" | "pre_candidate" | "candidate" | "leader";

/** A read that may be served once all up to `index` is applied. */
export interface ReadState {
  /** What `readIndex` returned for it. */
  readonly token: ReadToken;
  readonly index: number;
}

/** A read that a leader holds until a round of heartbeats confirms it. */
export interface PendingRead {
  /** The replica that asked. */
  readonly requester: number;
  /** The requester's own name for it. */
  readonly token: ReadToken;
}

/** A pending read with the commit index it may be served at, and the round that confirms it. */
export interface ConfirmingRead extends PendingRead {
  readonly index: number;
  readonly sequence: number;
}

/** The reads of one term. */
export interface LeaderReads {
  /** The number of the newest round. */
  sequence: number;
  /** The newest round's heartbeats were not handed out yet, so that further reads may join it. */
  roundOpen: boolean;
  /** Ascending by `sequence`. */
  confirming: ConfirmingRead[];
  /** Wait for the first commit of the term (thesis §6.4, step 1). */
  waiting: PendingRead[];
}

const NO_PROGRESS: readonly Progress[] = [];

/** One replica. Only the files of this room change it. */
export class Core {
  readonly id: number;
  readonly settings: RaftSettings;
  /** Undefined: there is no node liveness. */
  readonly support: LeaderSupport | undefined;
  readonly log: RaftLog;

  term = 0;
  vote = NO_REPLICA;
  role: Role = "follower";
  lead = NO_REPLICA;
  /** Who is to lead next, while a transfer is under way. */
  transferee = NO_REPLICA;
  /** The last term in which this replica told another to campaign. */
  timeoutNowTerm = 0;

  configuration: Configuration = EMPTY_CONFIGURATION;
  /** The entry or snapshot that the configuration is of. */
  configurationIndex = 0;
  /** How often the configuration was switched in this run. */
  configurationSwitches = 0;
  /** One for each member, in ascending order of id. */
  progress: readonly Progress[] = NO_PROGRESS;
  /** The votes of the election under way. */
  votes: Map<number, boolean> | undefined;

  /** Ticks since a leader was heard of; of a leader, since it last counted its quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** In `[electionTicks, 2 × electionTicks)`, drawn anew at each change of role. */
  electionTimeoutTicks = 0;

  /** No change of the configuration may be proposed until all up to here is applied. */
  pendingConfIndex = 0;
  /** Bytes of data that this leader appended and that are not applied. */
  uncommittedBytes = 0;

  messages: Message[] = [];
  messagesAfterAppend: Message[] = [];

  /** Of a leader that was asked. */
  reads: LeaderReads | undefined;
  readStates: ReadState[] = [];
  /** Reads of this replica that will get no answer any more. */
  readsDropped: ReadToken[] = [];
  /** Random name of this run, for its read requests; 0: none was made yet. */
  readOrigin = 0;
  readCount = 0;

  constructor(id: number, storage: Storage, settings: RaftSettings, support?: LeaderSupport) {
    this.id = id;
    this.settings = settings;
    this.support = support;
    this.log = new RaftLog(storage, settings.applyingBytesMax);
  }

  /** What must be durable. */
  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** What is known of member `id`; undefined for no member. */
  member(id: number): Progress | undefined {
    for (const member of this.progress) {
      if (member.id === id) return member;
    }
    return undefined;
  }

  /** Whether this replica may campaign: a voter whose log stands on no snapshot still to come. */
  get isPromotable(): boolean {
    const self = this.member(this.id);
    return self !== undefined && !self.isLearner && this.log.unstable.snapshot === undefined;
  }

  /** Whether node liveness keeps this replica from voting and campaigning. */
  get isBound(): boolean {
    return this.support?.isBound(this.lead, this.term) ?? false;
  }

  /** Whether an entry of this term is committed: before, the commit index may be behind (§6.4). */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  /** Moves to `term`, which is never an older one; a new term begins without a vote. */
  enterTerm(term: number): void {
    assert(term >= this.term, () => `The term would go back from ${this.term} to ${term}`);
    if (term === this.term) return;
    this.term = term;
    this.vote = NO_REPLICA;
  }

  /** Votes for `candidate` in this term; a replica votes for one candidate a term (§3.4). */
  castVote(candidate: number): void {
    assert(
      this.vote === NO_REPLICA || this.vote === candidate,
      () => `Replica ${this.id} would vote twice in term ${this.term}`,
    );
    this.vote = candidate;
  }

  /** Sends `message` at this replica's term; see the head for when it leaves. */
  send(message: Message): void {
    assert(message.term === 0, () => `The term of ${message.type} is the sender's own`);
    if (message.type !== "propose" && message.type !== "read_index") message.term = this.term;
    this.#post(message);
  }

  /** Sends a message of an election, which carries its own term. */
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
        this.messagesAfterAppend.push(message);
        break;
      default:
        assert(message.to !== this.id, () => `A replica sends itself no ${message.type}`);
        this.messages.push(message);
    }
  }
}
