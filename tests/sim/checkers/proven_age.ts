/**
 * A read with a bound is as old as its receipt says at most, and its receipt as the bound: it reflects
 * everything that any replica of its group knew to be committed that long before. Clock: true time,
 * which no node knows. Source: ARCHITECTURE.md, "Follower reads".
 */
import {
  type BoundedRead,
  type Checker,
  type ClusterView,
  Finding,
  type NodeView,
  type ReplicaRef,
} from "../history.ts";
import { Marks } from "./marks.ts";
import { replicaName } from "./replica_name.ts";

/** Compares each read with the commits of its group before it. */
export class ProvenAge implements Checker {
  readonly name = "proven_age";
  readonly #commits = new Marks();

  afterStep({ replicas }: NodeView, { nowMs }: ClusterView): void {
    for (const { committed, ref } of replicas) this.#commits.note(ref.group, nowMs, committed);
  }

  onBoundedRead(ref: ReplicaRef, read: BoundedRead): void {
    const { ageBoundMs, atMs, index, maxStalenessMs } = read;
    const committed = this.#commits.before(ref.group, atMs - ageBoundMs);
    const wrong = ageBoundMs > maxStalenessMs
      ? `though the bound is ${maxStalenessMs} ms`
      : index < committed
      ? `and ${committed} was committed before that`
      : undefined;
    if (wrong === undefined) return;
    throw new Finding(
      this.name,
      `A read of group ${ref.group} at ${replicaName(ref)} shows index ${index} at ` +
        `${atMs.toFixed(3)} ms and states an age of at most ${ageBoundMs} ms, ${wrong}`,
    );
  }
}
