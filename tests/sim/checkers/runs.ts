/**
 * Each start of a node has a run number above all earlier ones, by which others know that its
 * earlier promises have ended. It is durable before another node is told of it. Source:
 * `src/liveness/`, duties of the owner.
 */
import { type Checker, Finding } from "../history.ts";

/** Compares the run numbers of a node's starts. */
export class Runs implements Checker {
  readonly name = "runs";
  /** By node: the run of the last start that sent anything. */
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
