/**
 * The reads of one group that wait for permission. Those of one turn ask together; each request to
 * the core comes back with an index, and its reads are permitted once all up to there is applied
 * (Raft thesis §6.4). All have a deadline, and there is a limit to them.
 */
import { RegistryError } from "../base/errors.ts";
import type { GroupId } from "../base/ids.ts";
import { GROUP_READS_MAX, GROUP_RETRY_MS } from "../base/limits.ts";
import type { ReadPoint } from "./group_interface.ts";

interface Waiter {
  readonly deadlineMs: number;
  readonly settle: (result: ReadPoint | RegistryError) => void;
}

/** Reads that asked together. */
interface Round {
  /** How the core calls the request; 0: it was not asked. */
  sequence: number;
  readonly askedMs: number;
  /** Infinity: not known yet. */
  index: number;
  waiters: Waiter[];
}

/** The waiting reads of one group. */
export class GroupReads {
  readonly #id: GroupId;
  /** Not asked for yet. */
  #wanted: Waiter[] = [];
  #rounds: Round[] = [];
  #count = 0;

  constructor(id: GroupId) {
    this.#id = id;
  }

  /** How many wait. */
  get count(): number {
    return this.#count;
  }

  /** Whether some were not asked for yet. */
  get areWanted(): boolean {
    return this.#wanted.length > 0;
  }

  /** Adds one; the code where there are too many. */
  add(deadlineMs: number): Promise<ReadPoint | RegistryError> {
    if (this.#count >= GROUP_READS_MAX) {
      return Promise.resolve(
        new RegistryError(
          "overloaded",
          `Group ${this.#id} has ${this.#count} reads waiting, which is its limit`,
          { retryAfterMs: GROUP_RETRY_MS },
        ),
      );
    }
    this.#count++;
    return new Promise((settle) => void this.#wanted.push({ deadlineMs, settle }));
  }

  /** All that were wanted are asked for now, under this name. */
  asked(sequence: number, nowMs: number): void {
    this.#rounds.push({ sequence, askedMs: nowMs, index: Infinity, waiters: this.#wanted });
    this.#wanted = [];
  }

  /** All that were wanted are permitted once `index` is applied: a lease covers this moment. */
  covered(index: number): void {
    this.#rounds.push({ sequence: 0, askedMs: 0, index, waiters: this.#wanted });
    this.#wanted = [];
  }

  /** The core permits a request once `index` is applied. */
  confirmed(sequence: number, index: number): void {
    const round = this.#rounds.find((known) => known.sequence === sequence);
    if (round !== undefined) round.index = index;
  }

  /** The core will not answer a request any more. */
  dropped(sequence: number, error: RegistryError): void {
    const round = this.#rounds.find((known) => known.sequence === sequence);
    if (round === undefined) return;
    this.#rounds = this.#rounds.filter((known) => known !== round);
    for (const waiter of round.waiters) this.#settle(waiter, error);
  }

  /** Permits what may be read at `point`. */
  permit(point: ReadPoint): void {
    if (this.#rounds.length === 0) return;
    const permitted = this.#rounds.filter(({ index }) => index <= point.appliedIndex);
    if (permitted.length === 0) return;
    this.#rounds = this.#rounds.filter(({ index }) => index > point.appliedIndex);
    for (const { waiters } of permitted) for (const waiter of waiters) this.#settle(waiter, point);
  }

  /** Permits all: the group may serve any read now. */
  permitAll(point: ReadPoint): void {
    this.#settleAll(point);
  }

  /** Requests from before `sinceMs` that nobody answered are asked for anew: one was lost. */
  askAnew(sinceMs: number): void {
    const lost = this.#rounds.filter(({ index, askedMs }) => {
      return index === Infinity && askedMs <= sinceMs;
    });
    if (lost.length === 0) return;
    this.#rounds = this.#rounds.filter((round) => !lost.includes(round));
    for (const { waiters } of lost) this.#wanted.push(...waiters);
  }

  /** Answers those whose time is up. */
  expire(nowMs: number): void {
    if (this.#count === 0) return;
    this.#wanted = this.#unexpired(this.#wanted, nowMs);
    for (const round of this.#rounds) round.waiters = this.#unexpired(round.waiters, nowMs);
    this.#rounds = this.#rounds.filter(({ waiters }) => waiters.length > 0);
  }

  /** Answers all with `error`. */
  refuseAll(error: RegistryError): void {
    this.#settleAll(error);
  }

  #unexpired(waiters: Waiter[], nowMs: number): Waiter[] {
    if (waiters.every(({ deadlineMs }) => deadlineMs > nowMs)) return waiters;
    return waiters.filter((waiter) => {
      if (waiter.deadlineMs > nowMs) return true;
      this.#settle(
        waiter,
        new RegistryError("deadline_exceeded", `Group ${this.#id} gave no permission in time`),
      );
      return false;
    });
  }

  #settleAll(result: ReadPoint | RegistryError): void {
    const waiters = [...this.#wanted, ...this.#rounds.flatMap((round) => round.waiters)];
    this.#wanted = [];
    this.#rounds = [];
    for (const waiter of waiters) this.#settle(waiter, result);
  }

  #settle(waiter: Waiter, result: ReadPoint | RegistryError): void {
    this.#count--;
    waiter.settle(result);
  }
}
