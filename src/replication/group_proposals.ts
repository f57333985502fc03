/**
 * The proposals of one group that are not answered. One is answered when the entry at its index is
 * applied: with its outcome where that entry is of its own term, else with `not_leader`, for then it
 * never will be applied; or when its time is up, its outcome not known.
 *
 * Those of a leader ascend in index. When it leads no more, what is open stays open: whether an entry
 * is lost is decided only by what is committed in its place.
 */
import { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { Proposed } from "./group_interface.ts";

/** A proposal that waits. */
interface Proposal {
  readonly index: number;
  readonly term: number;
  readonly deadlineMs: number;
  /** Cleared when something else answered first; the entry may be applied all the same. */
  settle: ((proposed: Proposed<never>) => void) | undefined;
  /** The one proposed after it, in its term. */
  next: Proposal | undefined;
}

/** The open proposals of one group. */
export class GroupProposals {
  readonly #id: GroupId;
  /** Of the term that this replica leads, ascending: a chain, for there is mostly one or none. */
  #first: Proposal | undefined;
  #last: Proposal | undefined;
  #ledCount = 0;
  /** Of terms that it led before. */
  #former: Proposal[] = [];

  constructor(id: GroupId) {
    this.#id = id;
  }

  /** How many entries are proposed and not seen applied. */
  get count(): number {
    return this.#ledCount + this.#former.length;
  }

  /** Notes a proposal of the term that is led now, above all before. */
  add<Outcome>(
    { index, term, deadlineMs }: { index: number; term: number; deadlineMs: number },
  ): Promise<Proposed<Outcome>> {
    return new Promise((settle) => {
      const proposal: Proposal = { index, term, deadlineMs, settle, next: undefined };
      if (this.#last === undefined) this.#first = proposal;
      else this.#last.next = proposal;
      this.#last = proposal;
      this.#ledCount++;
    });
  }

  /** The entry at `index`, of `term`, is applied, and this came of it. */
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

  /** An image took the place of all entries up to `index`: what became of them is not known. */
  overtaken(index: number): void {
    this.leadershipLost();
    this.#takeFormer(({ index: at }) => at <= index, (one) => {
      refuse(one, unknown(`Group ${this.#id} took an image in place of its log`));
    });
  }

  /** This replica leads no more. */
  leadershipLost(): void {
    for (const proposal of this.#led()) this.#former.push(proposal);
    this.#first = undefined;
    this.#last = undefined;
    this.#ledCount = 0;
  }

  /** Answers those whose time is up; their entries may be applied all the same. */
  expire(nowMs: number): void {
    if (this.count === 0) return;
    for (const proposal of this.#waiting()) {
      if (proposal.settle === undefined || proposal.deadlineMs > nowMs) continue;
      refuse(proposal, unknown(`Group ${this.#id} could not commit the command in time`));
    }
    // An entry whose fate may never be seen here must not be remembered for ever.
    this.#former = this.#former.filter(({ settle }) => settle !== undefined);
  }

  /** Answers all with `error`; they are still counted until their entries are applied. */
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
      new RegistryError("not_leader", `Group ${id} has another leader, which did not take it over`),
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

function unknown(why: string): RegistryError {
  return new RegistryError("deadline_exceeded", `${why}: the outcome is not known`);
}
