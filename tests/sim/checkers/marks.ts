/** Values of groups that only grow (a commit index, a term), with the true time of each. */

/** A value, and the time at which it was first known. */
interface Mark {
  readonly atMs: number;
  readonly value: number;
}

/** By group: marks in ascending order of time and value. */
export class Marks {
  readonly #marks = new Map<number, Mark[]>();

  /** Notes a value that a group has now. */
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
