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

/** A commit index or a term, and the time at which a leader first had it. */
interface Mark {
  readonly atMs: number;
  readonly value: number;
}

/** By group: marks in ascending order of time and value. */
class Marks {
  readonly #marks = new Map<number, Mark[]>();

  note(group: number, atMs: number, value: number): void {
    const marks = this.#marks.get(group);
    if (marks === undefined) this.#marks.set(group, [{ atMs, value }]);
    else if (value > marks.at(-1)!.value) marks.push({ atMs, value });
  }

  /** Returns the last value before that time; 0: none. */
  before(group: number, timeMs: number): number {
    return this.#marks.get(group)?.findLast(({ atMs }) => atMs < timeMs)?.value ?? 0;
  }
}

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
