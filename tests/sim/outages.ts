/**
 * Outages of a node as the world sees them, whatever the node makes of them: stretches in which its
 * program stood still, its log refused writes, or a write of its log was pending for longer than it
 * may be. Each is told once it is over; one that ends with the program is not told.
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
  /** When the oldest write that is pending was handed over. */
  #pendingSinceMs: number | undefined;

  constructor(node: number, told: (outage: NodeOutage) => void) {
    this.#node = node;
    this.#told = told;
  }

  /** The program was started, or is gone: what an earlier run went through is over. */
  restarted(): void {
    this.#stoodSinceMs = this.#refusedSinceMs = this.#pendingSinceMs = undefined;
  }

  /** Nothing of the program runs any more. */
  stands(nowMs: number): void {
    this.#stoodSinceMs ??= nowMs;
  }

  /** It runs again. `isSeen`: at least one of its clocks went on meanwhile. */
  goesOn(nowMs: number, isSeen: boolean): void {
    const fromMs = this.#stoodSinceMs;
    this.#stoodSinceMs = undefined;
    if (fromMs !== undefined) this.#tell(isSeen ? "stop" : "unseen_stop", fromMs, nowMs);
  }

  /** Something of the program ran. @param rate of its clock. */
  look(nowMs: number, { oldestPendingMs, poisoned, writable }: SharedLogStats, rate: number): void {
    const sinceMs = oldestPendingMs > 0 ? nowMs - oldestPendingMs / rate : undefined;
    const pendingMs = this.#pendingSinceMs;
    // Another one is the oldest now, or none.
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
