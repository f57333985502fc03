/**
 * The next leader knows everything that a leader promises about a record's lease: a renewal is
 * answered from memory only if the logged cover reaches at least one ttl further, and a new leader
 * never considers a lease ended before its cover has ended, whatever it remembers. Clock: group
 * time, in whole ms. Source: Time in ARCHITECTURE.md, `src/store/leases.ts`.
 */
import {
  type Checker,
  Finding,
  type LeaseView,
  type Operation,
  type ReplicaRef,
} from "../history.ts";
import { operationName } from "./linearizability.ts";
import { replicaName } from "./replica_name.ts";

/** Compares replies, and the beginnings of leadership, with the covers at that moment. */
export class Covers implements Checker {
  readonly name = "covers";

  onOperation(operation: Operation): void {
    const { coverLeftMs, end, kind, ttlMs, way } = operation;
    if (kind !== "renew" || end !== "ok" || way !== "memory" || coverLeftMs >= ttlMs) return;
    throw new Finding(
      this.name,
      `${operationName(operation)} was given ${ttlMs} ms, and its cover ends in ${coverLeftMs} ms`,
    );
  }

  onLed(ref: ReplicaRef, leases: readonly LeaseView[]): void {
    for (const { coverLeftMs, key, leftMs } of leases) {
      if (leftMs >= coverLeftMs) continue;
      throw new Finding(
        this.name,
        `${replicaName(ref)} begins to lead, and gives ${key} ${leftMs} ms: its cover ends in ` +
          `${coverLeftMs} ms`,
      );
    }
  }
}
