/**
 * The supported node's side: how this node stands with another, under one epoch of its own and in one
 * run of the other. A promise counts while the standing that it was made under is the one of now.
 *
 * The object is the name: when epoch or run changes it is replaced and dead for ever, so that whoever
 * still holds it counts on nothing, without having been told.
 */
import type { NodeId } from "../base/ids.ts";

/** One pair of (epoch of this node, run of the other). */
export class Standing {
  readonly node: NodeId;
  readonly epoch: number;
  readonly run: number;
  /** Unlike that of any other standing of this process. */
  readonly id: number;
  #untilMs = Number.NEGATIVE_INFINITY;
  #isDead = false;

  constructor({ node, epoch, run, id }: Pick<Standing, "node" | "epoch" | "run" | "id">) {
    this.node = node;
    this.epoch = epoch;
    this.run = run;
    this.id = id;
  }

  /** Until when this node may count on it, by its own monotonic clock; -Infinity: it may not. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** Counts on it until `untilMs`, or longer if it does already. */
  extend(untilMs: number): void {
    if (!this.#isDead && untilMs > this.#untilMs) this.#untilMs = untilMs;
  }

  /** Nothing that was answered until now counts any more. */
  void(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** Another standing takes its place. */
  end(): void {
    this.#isDead = true;
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }
}
