/**
 * Each start of a node has a run that is above all before it: by that others know that what it promised
 * is over. It is durable before anybody is told of it. Source: `src/liveness/`, duties of the owner.
 */
import { type Checker, Finding } from "../history.ts";

/** Compares what each start of a node calls itself. */
export class Runs implements Checker {
  readonly name = "runs";
  /** By node: the run of its last start that said anything. */
  readonly #last = new Map<number, number>();

  onRun(node: number, run: number): void {
    const before = this.#last.get(node) ?? 0;
    this.#last.set(node, run);
    if (run > before) return;
    throw new Finding(
      this.name,
      `Node ${node} tells others that this is its run ${run}: before its restart it was ${before}`,
    );
  }
}
