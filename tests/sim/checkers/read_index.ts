/**
 * A linearizable read shows all that was committed before it was asked for, whatever record it is of:
 * the index at which it was served is no lower than any that a leader knew to be committed then.
 * Source: Raft thesis §6.4.
 */
import {
  type Checker,
  type ClusterView,
  Finding,
  type NodeView,
  type Operation,
} from "../history.ts";

/** A commit index, and when a leader first knew it. */
interface Mark {
  readonly atMs: number;
  readonly index: number;
}

/** Compares each read with the commits of its group before it. */
export class ReadIndex implements Checker {
  readonly name = "read_index";
  /** By group, both growing. */
  readonly #marks = new Map<number, Mark[]>();

  afterStep({ replicas }: NodeView, { nowMs }: ClusterView): void {
    for (const { committed, ref, role } of replicas) {
      if (role !== "leader") continue;
      const marks = this.#marks.get(ref.group);
      if (marks === undefined) this.#marks.set(ref.group, [{ atMs: nowMs, index: committed }]);
      else if (committed > marks.at(-1)!.index) marks.push({ atMs: nowMs, index: committed });
    }
  }

  onOperation({ calledMs, client, group, index, key, kind, way }: Operation): void {
    if (kind !== "get" || index === 0 || (way !== "lease" && way !== "barrier")) return;
    const before = this.#marks.get(group)?.findLast(({ atMs }) => atMs < calledMs);
    if (before === undefined || index >= before.index) return;
    throw new Finding(
      this.name,
      `Client ${client} read ${key} by ${way} at ${index}, and when it asked, at ` +
        `${calledMs.toFixed(3)} ms, ${before.index} was committed`,
    );
  }
}
