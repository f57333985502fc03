/**
 * A record lives as long as promised, and hardly longer. Never early: apart from a deregistration,
 * no client sees it gone before its last acknowledged registration or renewal plus ttl. Not late:
 * while one leader lives and nothing is broken, it is gone within 1 s afterwards; and under any
 * leaders it is gone once it has not been renewed for twice its ttl.
 *
 * Clocks: promises are by a leader's clock, which may run fast or slow by as much as the run
 * allows, so bounds are widened by that; one millisecond is lost because group time has whole
 * milliseconds. The exact start of a grant is unknown, only an interval is: early is judged by its
 * beginning, late by its end. Source: Time in ARCHITECTURE.md.
 */
import { type Checker, type ClusterView, type Expiry, Finding } from "../history.ts";
import type { NodeOutage, NodeView, Operation, ReplicaRef, RunEnd, RunFacts } from "../history.ts";
import { operationName } from "./linearizability.ts";

/** Maximum time after its end by which a lease must be seen as ended, ms. */
const LATE_MS_MAX = 1_000;
/** Group time is reported in whole ms. */
const ROUNDING_MS = 1;
/**
 * Time after the last fault from which a leader must be punctual, ms: a lost command is retried.
 */
const SETTLING_MS = 3_000;

/** The facts of a run that the checker needs. */
type TimeToLiveFacts = Pick<RunFacts, "driftPpm" | "hasWallJumps" | "outages">;

interface Leadership {
  readonly ref: ReplicaRef;
  readonly term: number;
  readonly run: number;
  readonly sinceMs: number;
}

/** Collects grants and ends, and compares them when the run is over. */
export class TimeToLive implements Checker {
  readonly name = "time_to_live";
  readonly #drift: number;
  readonly #graceMs: number;
  readonly #hasWallJumps: boolean;
  readonly #operations = new Map<string, Operation[]>();
  readonly #expiries = new Map<string, Expiry[]>();
  readonly #leaders = new Map<number, Leadership>();
  /** By node: the time at which it was last seen in a state other than up, or in an outage. */
  readonly #disturbedMs = new Map<number, number>();
  /** By node: the time of its last restart, after which it gives its owners a grace. */
  readonly #startedMs = new Map<number, number>();

  constructor({ driftPpm, hasWallJumps, outages }: TimeToLiveFacts) {
    this.#drift = driftPpm / 1_000_000;
    this.#graceMs = outages.graceMsMax;
    this.#hasWallJumps = hasWallJumps;
  }

  onOutage({ node, toMs }: NodeOutage): void {
    this.#disturbedMs.set(node, Math.max(toMs, this.#disturbedMs.get(node) ?? 0));
  }

  onOperation(operation: Operation): void {
    const known = this.#operations.get(operation.key);
    if (known === undefined) this.#operations.set(operation.key, [operation]);
    else known.push(operation);
  }

  onExpired(expiry: Expiry): void {
    const known = this.#expiries.get(expiry.key);
    if (known === undefined) this.#expiries.set(expiry.key, [expiry]);
    else known.push(expiry);
  }

  afterStep(node: NodeView, view: ClusterView): void {
    for (const { id, run, state } of view.nodes) {
      if (state !== "up") this.#disturbedMs.set(id, view.nowMs);
      if (state === "down") this.#startedMs.delete(id);
      else if (run > 1 && !this.#startedMs.has(id)) this.#startedMs.set(id, view.nowMs);
    }
    for (const { ref, role, term } of node.replicas) {
      if (role !== "leader") continue;
      const known = this.#leaders.get(ref.group);
      if (known?.ref === ref && known.term === term && known.run === node.run) continue;
      if (known !== undefined && known.term > term) continue;
      this.#leaders.set(ref.group, { ref, term, run: node.run, sinceMs: view.nowMs });
    }
  }

  onEnd(end: RunEnd): void {
    for (const [key, { atMs, value }] of end.leftOver) {
      if (value === 0) continue;
      throw new Finding(
        this.name,
        `The record ${key} is there at ${atMs} ms, and all leases must have ended before`,
      );
    }
    for (const [key, operations] of this.#operations) {
      const expiries = this.#expiries.get(key) ?? [];
      for (const grant of operations) {
        if (!isGrant(grant)) continue;
        this.#findEarly(grant, expiries, operations);
        this.#findLate(grant, expiries, operations, end);
      }
    }
  }

  #findEarly(
    grant: Operation,
    expiries: readonly Expiry[],
    operations: readonly Operation[],
  ): void {
    const untilMs = grant.attemptMs + grant.ttlMs / (1 + this.#drift) - ROUNDING_MS;
    for (const expiry of expiries) {
      if (!isOf(grant, expiry) || expiry.atMs >= untilMs) continue;
      this.#fail(grant, `expired at ${expiry.atMs} ms (entry ${expiry.index})`, untilMs);
    }
    for (const look of operations) {
      if (look.end !== "not_found" || look.kind === "deregister") continue;
      // A later request that was answered before the lease ended must have seen the record.
      if (look.calledAt < grant.answeredAt || look.answeredMs >= untilMs) continue;
      const isRemoved = operations.some(({ kind, end, answeredAt, calledAt }) =>
        kind === "deregister" && (end === "ok" || end === "unknown") &&
        answeredAt > grant.calledAt && calledAt < look.answeredAt
      );
      if (!isRemoved) this.#fail(grant, `not there for ${operationName(look)}`, untilMs);
    }
  }

  #findLate(
    grant: Operation,
    expiries: readonly Expiry[],
    operations: readonly Operation[],
    { healedMs, view }: RunEnd,
  ): void {
    const leader = this.#leaders.get(grant.group);
    if (leader === undefined || leader.sinceMs > grant.calledMs) return;
    const startedMs = this.#startedMs.get(leader.ref.node) ?? -Infinity;
    const graceMs = grant.calledMs < startedMs + this.#graceMs ? this.#graceMs : 0;
    const dueMs = grant.answeredMs + (grant.ttlMs + graceMs) * (1 + this.#drift);
    // Setting a wall clock looks like a suspension of the machine, which causes a grace.
    if (this.#hasWallJumps && grant.calledMs < healedMs + this.#graceMs) return;
    if ((this.#disturbedMs.get(leader.ref.node) ?? -1) >= leader.sinceMs) return;
    if (dueMs < healedMs + SETTLING_MS || view.nowMs <= dueMs + LATE_MS_MAX) return;
    // Other operations on the record may have given it another end.
    const isDecided = operations.every((other) => {
      if (other === grant || other.kind === "get" || other.end === "refused") return true;
      if (other.end === "unknown" || other.answeredMs > grant.calledMs) return false;
      // It may live longer because of the promises of an earlier leader.
      return other.incarnation.index !== grant.incarnation.index ||
        (other.ttlMs === grant.ttlMs && other.calledMs >= leader.sinceMs);
    });
    if (!isDecided) return;
    const expiry = expiries.find((found) => isOf(grant, found));
    if (expiry !== undefined && expiry.atMs <= dueMs + LATE_MS_MAX) return;
    const found = expiry === undefined ? "never" : `only at ${expiry.atMs} ms`;
    throw new Finding(
      this.name,
      `${operationName(grant)} was given ${grant.ttlMs} ms by one leader that lived on, and was ` +
        `due at ${dueMs} ms: it expired ${found}`,
    );
  }

  #fail(grant: Operation, what: string, untilMs: number): never {
    throw new Finding(
      this.name,
      `${operationName(grant)} was given ${grant.ttlMs} ms, until ${untilMs} ms at least: ` +
        `the record was ${what}`,
    );
  }
}

function isGrant({ end, kind }: Operation): boolean {
  return end === "ok" && (kind === "register" || kind === "take_over" || kind === "renew");
}

/** Reports whether the expired record is the one that the grant was for. */
function isOf({ incarnation }: Operation, expiry: Expiry): boolean {
  return incarnation.index === expiry.incarnation.index &&
    incarnation.generation === expiry.incarnation.generation;
}
