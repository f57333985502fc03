/**
 * Support received from another node, under one epoch of this node and in one run of the other. A
 * promise counts only while the support under which it was made is the current one.
 *
 * The object serves as the identity: when the epoch or the run changes it is replaced and
 * permanently dead, so holders of the old object count on nothing without having to be notified.
 */
import type { NodeId } from "../base/ids.ts";

/** The support under one pair of (epoch of this node, run of the other). */
export class ReceivedSupport {
  readonly node: NodeId;
  readonly epoch: number;
  readonly run: number;
  /** Unique among those of this process. */
  readonly id: number;
  #untilMs = Number.NEGATIVE_INFINITY;
  #isDead = false;

  constructor({ node, epoch, run, id }: Pick<ReceivedSupport, "node" | "epoch" | "run" | "id">) {
    this.node = node;
    this.epoch = epoch;
    this.run = run;
    this.id = id;
  }

  /**
   * The time until which this node may count on it, by its own monotonic clock; -Infinity if it may
   * not.
   */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** Counts on it until `untilMs`; never shortens it. */
  extend(untilMs: number): void {
    if (!this.#isDead && untilMs > this.#untilMs) this.#untilMs = untilMs;
  }

  /** Voids it: replies received so far no longer count. */
  void(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** Ends it, as another one takes its place. */
  end(): void {
    this.#isDead = true;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }
}
