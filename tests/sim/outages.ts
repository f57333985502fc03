/**
 * Outages of a node as the world sees them, independent of the node's own view: periods in which
 * its program stood still, its log refused writes, or a write of its log was pending for longer
 * than allowed. Each is reported once it is over; one that ends with the program is not reported.
 */
import { STALL_MS } from "../../src/base/limits.ts";
import type { SharedLogStats } from "../../src/storage/shared_log.ts";
import type { NodeOutage } from "./history.ts";

/** Watches one node. */
export class OutageWatch {
  readonly #node: number;
  readonly #told: (outage: NodeOutage) => void;
  #stoodSinceMs: number | undefined;
  #refusedSinceMs: number | undefined;
  /** The time at which the oldest pending write was handed over. */
  #pendingSinceMs: number | undefined;

  constructor(node: number, told: (outage: NodeOutage) => void) {
    this.#node = node;
    this.#told = told;
  }

  /** Handles the start or the end of the program: outages of an earlier run are over. */
  restarted(): void {
    this.#stoodSinceMs = this.#refusedSinceMs = this.#pendingSinceMs = undefined;
  }

  /** Handles a stop of the whole program. */
  stands(nowMs: number): void {
    this.#stoodSinceMs ??= nowMs;
  }

  /** Handles the end of a stop. `isSeen`: at least one of its clocks advanced meanwhile. */
  goesOn(nowMs: number, isSeen: boolean): void {
    const fromMs = this.#stoodSinceMs;
    this.#stoodSinceMs = undefined;
    if (fromMs !== undefined) this.#tell(isSeen ? "stop" : "unseen_stop", fromMs, nowMs);
  }

  /** Handles a step of the program. @param rate of its clock. */
  look(nowMs: number, { oldestPendingMs, poisoned, writable }: SharedLogStats, rate: number): void {
    const sinceMs = oldestPendingMs > 0 ? nowMs - oldestPendingMs / rate : undefined;
    const pendingMs = this.#pendingSinceMs;
    // Another write is the oldest now, or none.
    if (pendingMs !== undefined && (sinceMs === undefined || sinceMs > pendingMs + 1)) {
      if (nowMs - pendingMs > STALL_MS) this.#tell("stall", pendingMs, nowMs);
      this.#pendingSinceMs = undefined;
    }
    this.#pendingSinceMs ??= sinceMs;
    if (poisoned || !writable) this.#refusedSinceMs ??= nowMs;
    else if (this.#refusedSinceMs !== undefined) {
      this.#tell("refusal", this.#refusedSinceMs, nowMs);
      this.#refusedSinceMs = undefined;
    }
  }

  #tell(kind: NodeOutage["kind"], fromMs: number, toMs: number): void {
    this.#told({ node: this.#node, kind, fromMs, toMs });
  }
}
