/**
 * The reads of one group that wait for permission. Reads of one turn share one request to the core.
 * The core answers a request with an index; its reads are permitted once all entries up to that index
 * are applied (Raft thesis §6.4). Each read has a deadline, and their number is limited.
 */
import { RegistryError } from "../base/errors.ts";
import { type GroupId, groupName } from "../base/ids.ts";
import { GROUP_READS_MAX, GROUP_RETRY_MS } from "../base/limits.ts";
import type { ReadPoint } from "./group_interface.ts";

interface Waiter {
  readonly deadlineMs: number;
  readonly settle: (result: ReadPoint | RegistryError) => void;
}

/** Reads that share one request. */
interface Round {
  /** The core's sequence number of the request; 0 if the core was not asked. */
  sequence: number;
  readonly askedMs: number;
  /** The index to be applied first; Infinity if it is not known yet. */
  index: number;
  waiters: Waiter[];
}

/** The waiting reads of one group. */
export class GroupReads {
  readonly #id: GroupId;
  /** Reads that no request was made for yet. */
  #wanted: Waiter[] = [];
  #rounds: Round[] = [];
  #count = 0;

  constructor(id: GroupId) {
    this.#id = id;
  }

  /** The number of waiting reads. */
  get count(): number {
    return this.#count;
  }

  /** Whether a request must be made for some of the reads. */
  get areWanted(): boolean {
    return this.#wanted.length > 0;
  }

  /** Adds a read; settles with `overloaded` if too many wait. */
  add(deadlineMs: number): Promise<ReadPoint | RegistryError> {
    if (this.#count >= GROUP_READS_MAX) {
      return Promise.resolve(
        new RegistryError(
          "overloaded",
          `${groupName(this.#id)} has ${this.#count} reads waiting, which is its limit`,
          { retryAfterMs: GROUP_RETRY_MS },
        ),
      );
    }
    this.#count++;
    return new Promise((settle) => void this.#wanted.push({ deadlineMs, settle }));
  }

  /** Records that the request `sequence` was made for all reads without one. */
  asked(sequence: number, nowMs: number): void {
    this.#rounds.push({ sequence, askedMs: nowMs, index: Infinity, waiters: this.#wanted });
    this.#wanted = [];
  }

  /** Permits all reads without a request once `index` is applied; a lease must cover this moment. */
  covered(index: number): void {
    this.#rounds.push({ sequence: 0, askedMs: 0, index, waiters: this.#wanted });
    this.#wanted = [];
  }

  /** Records the core's answer: the request is permitted once `index` is applied. */
  confirmed(sequence: number, index: number): void {
    const round = this.#rounds.find((known) => known.sequence === sequence);
    if (round !== undefined) round.index = index;
  }

  /** Answers the reads of a request that the core dropped with `error`. */
  dropped(sequence: number, error: RegistryError): void {
    const round = this.#rounds.find((known) => known.sequence === sequence);
    if (round === undefined) return;
    this.#rounds = this.#rounds.filter((known) => known !== round);
    for (const waiter of round.waiters) this.#settle(waiter, error);
  }

  /** Permits the reads whose index is applied at `point`. */
  permit(point: ReadPoint): void {
    if (this.#rounds.length === 0) return;
    const permitted = this.#rounds.filter(({ index }) => index <= point.appliedIndex);
    if (permitted.length === 0) return;
    this.#rounds = this.#rounds.filter(({ index }) => index > point.appliedIndex);
    for (const { waiters } of permitted) for (const waiter of waiters) this.#settle(waiter, point);
  }

  /** Permits all reads; the group must be able to serve any read now. */
  permitAll(point: ReadPoint): void {
    this.#settleAll(point);
  }

  /** Marks reads whose request is from `sinceMs` or before and unanswered, hence lost, to ask again. */
  askAnew(sinceMs: number): void {
    const lost = this.#rounds.filter(({ index, askedMs }) => {
      return index === Infinity && askedMs <= sinceMs;
    });
    if (lost.length === 0) return;
    this.#rounds = this.#rounds.filter((round) => !lost.includes(round));
    for (const { waiters } of lost) this.#wanted.push(...waiters);
  }

  /** Answers the reads whose deadline has passed. */
  expire(nowMs: number): void {
    if (this.#count === 0) return;
    this.#wanted = this.#unexpired(this.#wanted, nowMs);
    for (const round of this.#rounds) round.waiters = this.#unexpired(round.waiters, nowMs);
    this.#rounds = this.#rounds.filter(({ waiters }) => waiters.length > 0);
  }

  /** Answers all reads with `error`. */
  refuseAll(error: RegistryError): void {
    this.#settleAll(error);
  }

  #unexpired(waiters: Waiter[], nowMs: number): Waiter[] {
    if (waiters.every(({ deadlineMs }) => deadlineMs > nowMs)) return waiters;
    return waiters.filter((waiter) => {
      if (waiter.deadlineMs > nowMs) return true;
      this.#settle(
        waiter,
        new RegistryError(
          "deadline_exceeded",
          `${groupName(this.#id)} did not permit the read in time`,
        ),
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
