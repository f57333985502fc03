/**
 * No outage of a leader's node takes a lease from its owner. The group time stands still while the
 * node can neither serve nor log, so an outage shortens no lease; and after it, a record whose
 * owner tried to renew it during the outage, or tries now, does not expire before the grace is
 * over.
 *
 * Owners' attempts count, whether or not they got through. Only records that one leadership both
 * granted and ended are checked: under another leader a lease follows its cover, and is longer.
 * Graces are required for as many outages as the credit pays for. Clocks: a leader's clock has its
 * own rate, so bounds are widened by the run's drift. Source: `src/replication/available_time.ts`.
 */
import {
  type Checker,
  type ClusterView,
  type Expiry,
  Finding,
  type NodeOutage,
  type NodeView,
  type Operation,
  type RunFacts,
} from "../history.ts";
import { operationName } from "./linearizability.ts";

/** Group time is reported in whole ms. */
const ROUNDING_MS = 2;

interface Leadership {
  readonly node: number;
  readonly run: number;
  readonly term: number;
  readonly sinceMs: number;
}

/** Compares each expiry with the outages since the record's last grant. */
export class LiveOwners implements Checker {
  readonly name = "live_owners";
  readonly #facts: RunFacts;
  readonly #drift: number;
  /** By group. */
  readonly #leaders = new Map<number, Leadership>();
  /** By node, in its current run. */
  readonly #outages = new Map<number, NodeOutage[]>();
  readonly #runs = new Map<number, number>();
  /** By key: its last grant, and the times at which renewals of it were sent. */
  readonly #grants = new Map<string, Operation>();
  readonly #triesMs = new Map<string, number[]>();

  constructor(facts: RunFacts) {
    this.#facts = facts;
    this.#drift = facts.driftPpm / 1_000_000;
  }

  onOperation(operation: Operation): void {
    const { end, kind, key, incarnation } = operation;
    if (end !== "ok" || kind === "get" || kind === "deregister") return;
    const known = this.#grants.get(key);
    // A reply for an earlier incarnation may arrive late.
    if (known !== undefined && known.incarnation.index > incarnation.index) return;
    if (known === undefined || known.attemptMs <= operation.attemptMs) {
      this.#grants.set(key, operation);
    }
  }

  onTry(key: string, _incarnation: Operation["incarnation"], atMs: number): void {
    const tries = this.#triesMs.get(key);
    if (tries === undefined) this.#triesMs.set(key, [atMs]);
    else tries.push(atMs);
  }

  onOutage(outage: NodeOutage): void {
    const { node } = outage;
    const known = this.#outages.get(node);
    if (known === undefined) this.#outages.set(node, [outage]);
    else known.push(outage);
  }

  afterStep(node: NodeView, view: ClusterView): void {
    if (this.#runs.get(node.id) !== node.run) {
      this.#runs.set(node.id, node.run);
      this.#outages.delete(node.id);
    }
    for (const { ref, role, term } of node.replicas) {
      if (role !== "leader") continue;
      const known = this.#leaders.get(ref.group);
      if (known !== undefined && known.term >= term && known.run === node.run) continue;
      if (known !== undefined && known.term > term) continue;
      this.#leaders.set(ref.group, { node: node.id, run: node.run, term, sinceMs: view.nowMs });
    }
  }

  onExpired(expiry: Expiry): void {
    const leader = this.#leaders.get(expiry.group);
    const grant = this.#grants.get(expiry.key);
    if (leader === undefined || grant === undefined) return;
    const { incarnation } = grant;
    if (
      incarnation.index !== expiry.incarnation.index ||
      incarnation.generation !== expiry.incarnation.generation ||
      leader.sinceMs > grant.attemptMs
    ) return;
    const outages = this.#lasting(leader.node)
      .filter(({ toMs }) => toMs > grant.attemptMs && toMs <= expiry.atMs);
    this.#findRunning(grant, expiry, outages);
    this.#findUnheard(grant, expiry, leader.node);
  }

  /** Returns the outages that are long enough to be noticed, in order of time. */
  #lasting(node: number): NodeOutage[] {
    const { pulseMs, stallMs, turnLateMs } = this.#facts.outages;
    const leastMs = {
      stop: (turnLateMs + 2 * pulseMs) * (1 + this.#drift) + ROUNDING_MS,
      unseen_stop: 0,
      refusal: 0,
      stall: (stallMs + 2 * pulseMs) * (1 + this.#drift) + ROUNDING_MS,
    };
    return (this.#outages.get(node) ?? [])
      .filter(({ fromMs, kind, toMs }) => toMs - fromMs > leastMs[kind])
      .sort((left, right) => left.fromMs - right.fromMs);
  }

  /** Reports a time that ran on during an outage: without that the lease would not have ended. */
  #findRunning(grant: Operation, expiry: Expiry, outages: readonly NodeOutage[]): void {
    let outMs = 0;
    let countedToMs = grant.attemptMs;
    for (const { fromMs, toMs } of outages) {
      outMs += Math.max(0, toMs - Math.max(fromMs, countedToMs));
      countedToMs = Math.max(countedToMs, toMs);
    }
    // One pulse of each outage may count, because the node may have run until then.
    const slackMs = ROUNDING_MS + outages.length * this.#facts.outages.pulseMs * (1 + this.#drift);
    const ranMs = expiry.atMs - grant.attemptMs - outMs;
    if (ranMs >= grant.ttlMs / (1 + this.#drift) - slackMs) return;
    throw new Finding(
      this.name,
      `${
        operationName(grant)
      } was given ${grant.ttlMs} ms, and expired at ${expiry.atMs} ms: its ` +
        `leader's node could serve and log for ${ranMs} ms of that (${namesOf(outages)})`,
    );
  }

  /** Reports an owner that tried to renew during an outage or soon after it, without success. */
  #findUnheard(grant: Operation, expiry: Expiry, node: number): void {
    const { graceCreditMs, graceMsMax, graceMsMin, pulseMs } = this.#facts.outages;
    // Setting a wall clock uses credit that this checker cannot see.
    if (this.#facts.hasWallJumps) return;
    const all = this.#outages.get(node) ?? [];
    // The grace after the start of the run has been paid too.
    const paid = Math.floor(graceCreditMs / graceMsMax) - 1;
    for (const outage of this.#lasting(node)) {
      const { fromMs, kind, toMs } = outage;
      if (kind === "unseen_stop" || toMs > expiry.atMs) continue;
      if (all.indexOf(outage) >= paid) return;
      const lengthMs = Math.max(0, (toMs - fromMs) / (1 + this.#drift) - 2 * pulseMs);
      const graceMs = Math.min(graceMsMax, graceMsMin + 2 * lengthMs) / (1 + this.#drift);
      if (expiry.atMs >= toMs + graceMs - ROUNDING_MS) continue;
      const triedMs = (this.#triesMs.get(grant.key) ?? [])
        .findLast((atMs) => atMs >= fromMs && atMs < expiry.atMs);
      if (triedMs === undefined) continue;
      throw new Finding(
        this.name,
        `${operationName(grant)} expired at ${expiry.atMs} ms, ${expiry.atMs - toMs} ms after an ` +
          `outage (${namesOf([outage])}): its owner tried to renew at ${triedMs} ms, and had ` +
          `${graceMs} ms to be heard`,
      );
    }
  }
}

function namesOf(outages: readonly NodeOutage[]): string {
  if (outages.length === 0) return "no outage";
  return outages.map(({ fromMs, kind, toMs }) => `${kind} from ${fromMs} to ${toMs} ms`).join(", ");
}
