/**
 * A linearizable read of any record reflects everything committed before it was requested: the
 * index at which it was served is no lower than any that a leader knew to be committed then, and
 * the serving leader's term is no lower than that of any leader elected by then. Source: Raft
 * thesis §6.4.
 */
import {
  type Checker,
  type ClusterView,
  Finding,
  type NodeView,
  type Operation,
} from "../history.ts";
import { Marks } from "./marks.ts";

/** Compares each read with the commits and the elections of its group before it. */
export class ReadIndex implements Checker {
  readonly name = "read_index";
  readonly #commits = new Marks();
  readonly #elections = new Marks();

  afterStep({ replicas }: NodeView, { nowMs }: ClusterView): void {
    for (const { committed, ref, role, term } of replicas) {
      if (role !== "leader") continue;
      this.#commits.note(ref.group, nowMs, committed);
      this.#elections.note(ref.group, nowMs, term);
    }
  }

  onOperation({ calledMs, client, group, index, key, kind, term, way }: Operation): void {
    if (kind !== "get" || index === 0 || (way !== "lease" && way !== "barrier")) return;
    const committed = this.#commits.before(group, calledMs);
    const elected = this.#elections.before(group, calledMs);
    if (index >= committed && term >= elected) return;
    const wrong = index < committed
      ? `${committed} was committed`
      : `term ${elected} had its leader`;
    throw new Finding(
      this.name,
      `Client ${client} read ${key} by ${way} at ${index} in term ${term}, and when it asked, at ` +
        `${calledMs.toFixed(3)} ms, ${wrong}`,
    );
  }
}
