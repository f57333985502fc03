/**
 * The open proposals of one group. A proposal is answered when the entry at its index is applied: with
 * its outcome if that entry is of the proposal's term, otherwise with `not_leader`, because it will
 * never be applied. It is also answered at its deadline; then the outcome is unknown.
 *
 * The proposals of a leader ascend in index. When its leadership ends they stay open for a while: an
 * entry is lost only when another one is committed in its place. If neither is seen soon, for example
 * because this node is cut off from the others, the outcome is unknown too, and the proposer is told
 * so that it can repeat the command at the next leader within its own deadline.
 */
import { RegistryError } from "../base/errors.ts";
import { type GroupId, groupName, type LogIndex, type Term } from "../base/ids.ts";
import { GROUP_FORMER_PROPOSAL_MS } from "../base/limits.ts";
import type { Proposed } from "./group_interface.ts";

/** An open proposal. */
interface Proposal {
  readonly index: number;
  readonly term: number;
  readonly deadlineMs: number;
  /** The time until which it stays open although its term is not led any more. */
  formerUntilMs: number;
  /** Cleared once it was answered; the entry may still be applied. */
  settle: ((proposed: Proposed<never>) => void) | undefined;
  /** The next proposal of the same term. */
  next: Proposal | undefined;
}

/** The open proposals of one group. */
export class GroupProposals {
  readonly #id: GroupId;
  /** Proposals of the term that this replica leads, ascending: a linked list, mostly of one or none. */
  #first: Proposal | undefined;
  #last: Proposal | undefined;
  #ledCount = 0;
  /** Proposals of terms that this replica led before. */
  #former: Proposal[] = [];

  constructor(id: GroupId) {
    this.#id = id;
  }

  /** The number of entries that were proposed and not seen applied. */
  get count(): number {
    return this.#ledCount + this.#former.length;
  }

  /** Adds a proposal of the current term; its index must be above all earlier ones. */
  add<Outcome>(
    { index, term, deadlineMs }: { index: number; term: number; deadlineMs: number },
  ): Promise<Proposed<Outcome>> {
    return new Promise((settle) => {
      const proposal: Proposal = {
        index,
        term,
        deadlineMs,
        formerUntilMs: Infinity,
        settle,
        next: undefined,
      };
      if (this.#last === undefined) this.#first = proposal;
      else this.#last.next = proposal;
      this.#last = proposal;
      this.#ledCount++;
    });
  }

  /** Answers the proposals at `index`, whose entry, of `term`, was applied with `outcome`. */
  applied(index: number, term: number, outcome: unknown): void {
    const led = this.#first;
    if (led !== undefined && led.index === index) {
      this.#first = led.next;
      if (led.next === undefined) this.#last = undefined;
      this.#ledCount--;
      decide(this.#id, led, term, outcome);
    }
    if (this.#former.length > 0) {
      this.#takeFormer(({ index: at }) => at === index, (one) => {
        decide(this.#id, one, term, outcome);
      });
    }
  }

  /** Answers proposals up to `index`, which an image replaced: their outcomes are unknown. */
  overtaken(index: number): void {
    this.#endTerm();
    this.#takeFormer(({ index: at }) => at <= index, (one) => {
      refuse(one, unknown(`${groupName(this.#id)} replaced its log here by an image`));
    });
  }

  /** Records that this replica's leadership has ended now. */
  leadershipLost(nowMs: number): void {
    for (const proposal of this.#led()) proposal.formerUntilMs = nowMs + GROUP_FORMER_PROPOSAL_MS;
    this.#endTerm();
  }

  #endTerm(): void {
    for (const proposal of this.#led()) this.#former.push(proposal);
    this.#first = undefined;
    this.#last = undefined;
    this.#ledCount = 0;
  }

  /** Answers proposals whose time has passed; their entries may still be applied. */
  expire(nowMs: number): void {
    if (this.count === 0) return;
    for (const proposal of this.#waiting()) {
      if (proposal.settle === undefined) continue;
      if (proposal.deadlineMs <= nowMs) {
        refuse(proposal, tooLate(this.#id));
      } else if (proposal.formerUntilMs <= nowMs) {
        refuse(proposal, unknown(`This replica of group ${this.#id} does not lead any more`));
      }
    }
    // The fate of such an entry may never be seen here, so it must not be kept forever.
    this.#former = this.#former.filter(({ settle }) => settle !== undefined);
  }

  /** Answers all with `error`; those of the current term count until their entries are applied. */
  answerAll(error: RegistryError): void {
    for (const proposal of this.#waiting()) refuse(proposal, error);
    this.#former = [];
  }

  *#waiting(): Iterable<Proposal> {
    yield* this.#led();
    yield* this.#former;
  }

  *#led(): Iterable<Proposal> {
    for (let proposal = this.#first; proposal !== undefined; proposal = proposal.next) {
      yield proposal;
    }
  }

  #takeFormer(isTaken: (proposal: Proposal) => boolean, take: (proposal: Proposal) => void): void {
    const taken = this.#former.filter(isTaken);
    if (taken.length === 0) return;
    this.#former = this.#former.filter((proposal) => !isTaken(proposal));
    for (const proposal of taken) take(proposal);
  }
}

function decide(id: GroupId, proposal: Proposal, term: number, outcome: unknown): void {
  if (proposal.term !== term) {
    return refuse(
      proposal,
      new RegistryError(
        "not_leader",
        `${groupName(id)} has a new leader, which replaced the entry`,
      ),
    );
  }
  const { index, settle } = proposal;
  proposal.settle = undefined;
  settle?.({ ok: true, index: index as LogIndex, term: term as Term, outcome: outcome as never });
}

function refuse(proposal: Proposal, error: RegistryError): void {
  const { settle } = proposal;
  proposal.settle = undefined;
  settle?.({ ok: false, error });
}

function tooLate(id: GroupId): RegistryError {
  return new RegistryError(
    "deadline_exceeded",
    `${groupName(id)} could not commit the command in time: the outcome is not known`,
  );
}

/** Returns the refusal of a command that its proposer may repeat at the leader, if it is repeatable. */
function unknown(why: string): RegistryError {
  return new RegistryError("connection_lost", `${why}: the outcome is not known`);
}
