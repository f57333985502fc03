/**
 * The ledger: which entries of which group are live, in which segment, and each group's hard state
 * and newest image. Recovery and the running log feed it the same records in the same order, so the
 * running log frees exactly what a recovery would not return.
 *
 * The meaning of the records: an append ends its group's log before its first index. A relocation
 * never does, and loses to any append at or below its index that came after its origin. An image
 * mark ends the life of all entries up to its index; a mark that installs the image, of all
 * entries. A forget leaves nothing of its group. Live entries of a group form *runs*: adjacent
 * indexes in one segment with no truncation in between. Over all runs of a group, index and
 * sequence number ascend together.
 */
import { assert } from "../base/assert.ts";
import type { WalGroupState, WalImage } from "../../schemas/gen/wal.ts";

/** Adjacent live entries of a group in one segment, `[first, last]`. */
export interface EntryRun {
  /** Position at which the segment starts. */
  readonly segment: number;
  readonly relocated: boolean;
  first: number;
  last: number;
  /** Sequence numbers of the appends that logged them; for relocated entries, the origins. */
  sequenceFirst: number;
  sequenceLast: number;
  /** Total size of their records; divided evenly when a run is cut. */
  bytes: number;
  /**
   * Whether entries after it were truncated. It must then not grow, or old and new entries would be
   * indistinguishable.
   */
  closed: boolean;
}

/** A group's vote, term and commit index, as logged. */
export interface HardStateRecord {
  readonly term: number;
  readonly vote: number;
  readonly commit: number;
}

/** The state of one group. */
export class GroupLedger {
  readonly groupId: number;
  /** In ascending order of index. */
  runs: EntryRun[] = [];
  hardState: HardStateRecord | undefined;
  image: WalImage | undefined;

  constructor(groupId: number) {
    this.groupId = groupId;
  }

  /** The index of the image; 0 for none. */
  get imageIndex(): number {
    return this.image?.index ?? 0;
  }

  /** The index of the last live entry, or else of the image. */
  get lastIndex(): number {
    const last = this.runs[this.runs.length - 1];
    return last === undefined ? this.imageIndex : Math.max(last.last, this.imageIndex);
  }

  /** Reports whether the live entry at `index` is the one that `sequence` logged in `segment`. */
  isLive(index: number, sequence: number, segment: number, relocated: boolean): boolean {
    const runs = this.runs;
    for (let at = runs.length - 1; at >= 0; at--) {
      const run = runs[at]!;
      if (run.last < index) return false;
      if (run.first > index) continue;
      return run.segment === segment && run.relocated === relocated &&
        run.sequenceFirst <= sequence && sequence <= run.sequenceLast;
    }
    return false;
  }

  /** Returns the first index missing between the image and the last live entry; 0 for none. */
  firstGap(): number {
    let expected = this.imageIndex + 1;
    for (const run of this.runs) {
      if (run.first !== expected) return expected;
      expected = run.last + 1;
    }
    return 0;
  }
}

/** Totals of the live entries of one segment. */
export interface LiveTally {
  entries: number;
  bytes: number;
}

/** A group that has live entries in a segment. */
export interface LedgerHolder {
  readonly groupId: number;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

/** The ledger of all groups. */
export class Ledger {
  readonly groups = new Map<number, GroupLedger>();
  /** By the position at which the segment starts; segments without live entries are absent. */
  readonly #tallies = new Map<number, LiveTally>();
  readonly #total: LiveTally = { entries: 0, bytes: 0 };
  imageNumberMax = 0;

  /** Returns the group with that id, creating it on first use. */
  group(groupId: number): GroupLedger {
    const known = this.groups.get(groupId);
    if (known !== undefined) return known;
    const group = new GroupLedger(groupId);
    this.groups.set(groupId, group);
    return group;
  }

  /** Returns the totals of the live entries of a segment. */
  tally(segment: number): Readonly<LiveTally> {
    return this.#tallies.get(segment) ?? { entries: 0, bytes: 0 };
  }

  /** Returns the totals of the live entries of all segments. */
  total(): Readonly<LiveTally> {
    return this.#total;
  }

  /** Returns the groups that have live entries in a segment. */
  holders(segment: number): LedgerHolder[] {
    const holders: LedgerHolder[] = [];
    for (const { groupId, runs } of this.groups.values()) {
      let holder: { groupId: number; first: number; last: number; bytes: number } | undefined;
      for (const run of runs) {
        if (run.segment !== segment) continue;
        holder ??= { groupId, first: run.first, last: run.last, bytes: 0 };
        holder.last = run.last;
        holder.bytes += run.bytes;
      }
      if (holder !== undefined) holders.push(holder);
    }
    return holders;
  }

  /** Records an append of `count` entries from `first`, whose record has `bytes` bytes. */
  append(
    groupId: number,
    first: number,
    count: number,
    at: { readonly sequence: number; readonly segment: number; readonly bytes: number },
  ): void {
    const group = this.group(groupId);
    this.#truncate(group, first);
    if (count === 0) return;
    const { sequence, segment, bytes } = at;
    this.#count(segment, count, bytes);
    const tail = group.runs[group.runs.length - 1];
    if (
      tail !== undefined && !tail.closed && tail.segment === segment && !tail.relocated &&
      tail.last + 1 === first
    ) {
      tail.last += count;
      tail.sequenceLast = sequence;
      tail.bytes += bytes;
      return;
    }
    group.runs.push({
      segment,
      relocated: false,
      first,
      last: first + count - 1,
      sequenceFirst: sequence,
      sequenceLast: sequence,
      bytes,
      closed: false,
    });
  }

  /** Records a relocation of `count` entries from `first` that the append `origin` logged. */
  relocate(
    groupId: number,
    first: number,
    count: number,
    at: { readonly origin: number; readonly segment: number; readonly bytes: number },
  ): void {
    const group = this.group(groupId);
    for (let index = first; index < first + count; index++) {
      if (index <= group.imageIndex || !this.#yields(group, index, at.origin)) continue;
      const closed = this.#take(group, index);
      const { origin, segment } = at;
      this.#insert(group, { index, origin, segment, bytes: at.bytes / count, closed });
    }
  }

  hardState(groupId: number, state: HardStateRecord): void {
    const { term, vote, commit } = state;
    this.group(groupId).hardState = { term, vote, commit };
  }

  /**
   * Records an image: entries up to its index are dead; all entries are if it `installs` a leader's
   * state.
   */
  imageMark(groupId: number, image: WalImage, installs = false): void {
    const group = this.group(groupId);
    if (installs) this.#truncate(group, 0);
    group.image = image;
    this.imageNumberMax = Math.max(this.imageNumberMax, image.number);
    const runs = group.runs;
    let dead = 0;
    while (dead < runs.length && runs[dead]!.last <= image.index) {
      const run = runs[dead++]!;
      this.#count(run.segment, -(run.last - run.first + 1), -run.bytes);
    }
    runs.splice(0, dead);
    const head = runs[0];
    if (head !== undefined && head.first <= image.index) this.#cutHead(head, image.index + 1);
  }

  /** Removes everything about a group whose replica is gone. */
  forget(groupId: number): void {
    const group = this.groups.get(groupId);
    if (group === undefined) return;
    this.#truncate(group, 0);
    this.groups.delete(groupId);
  }

  /** Records a segment header, which repeats the state of older segments except entries. */
  segmentHeader(imageNumberMax: number, states: readonly WalGroupState[]): void {
    this.imageNumberMax = Math.max(this.imageNumberMax, imageNumberMax);
    for (const state of states) {
      if (state.hasHardState) this.hardState(state.groupId, state);
      const { groupId, image } = state;
      const known = this.groups.get(groupId)?.image?.number ?? 0;
      if (image !== undefined && image.number > known) this.imageMark(groupId, image);
    }
  }

  /** Returns the group states for a segment header. */
  states(): WalGroupState[] {
    const states: WalGroupState[] = [];
    for (const { groupId, hardState, image } of this.groups.values()) {
      if (hardState === undefined && image === undefined) continue;
      states.push({
        groupId,
        hasHardState: hardState !== undefined,
        term: hardState?.term ?? 0,
        vote: hardState?.vote ?? 0,
        commit: hardState?.commit ?? 0,
        image,
      });
    }
    return states;
  }

  /** Removes all entries from `first` on. */
  #truncate(group: GroupLedger, first: number): void {
    const runs = group.runs;
    let truncated = false;
    for (let tail = runs.at(-1); tail !== undefined; tail = runs.at(-1)) {
      if (tail.last < first) {
        tail.closed ||= truncated;
        return;
      }
      truncated = true;
      if (tail.first >= first) {
        this.#count(tail.segment, -(tail.last - tail.first + 1), -tail.bytes);
        runs.pop();
        continue;
      }
      const bytes = tail.bytes * (tail.last - first + 1) / (tail.last - tail.first + 1);
      this.#count(tail.segment, -(tail.last - first + 1), -bytes);
      tail.bytes -= bytes;
      tail.last = first - 1;
    }
  }

  #cutHead(run: EntryRun, first: number): void {
    const bytes = run.bytes * (first - run.first) / (run.last - run.first + 1);
    this.#count(run.segment, -(first - run.first), -bytes);
    run.bytes -= bytes;
    run.first = first;
  }

  /** Reports whether nothing was appended at or below `index` after `origin`. */
  #yields(group: GroupLedger, index: number, origin: number): boolean {
    const runs = group.runs;
    for (let at = runs.length - 1; at >= 0; at--) {
      const run = runs[at]!;
      if (run.first > index) continue;
      // Inside a run nothing was truncated, so an origin in its range is this very entry.
      if (run.last >= index) return run.sequenceFirst <= origin;
      return run.sequenceLast <= origin;
    }
    return true;
  }

  /**
   * Removes the entry at `index` from its run. Returns true if it was the last entry of a closed
   * run.
   */
  #take(group: GroupLedger, index: number): boolean {
    const runs = group.runs;
    const at = runs.findIndex((run) => run.first <= index && index <= run.last);
    if (at === -1) return false;
    const run = runs[at]!;
    const closed = run.closed && run.last === index;
    const bytes = run.bytes / (run.last - run.first + 1);
    if (run.first === run.last) {
      this.#count(run.segment, -1, -run.bytes);
      runs.splice(at, 1);
    } else if (run.first === index) {
      this.#cutHead(run, index + 1);
    } else {
      this.#count(run.segment, -1, -bytes);
      const after: EntryRun = { ...run, first: index + 1, bytes: bytes * (run.last - index) };
      run.bytes = bytes * (index - run.first);
      run.last = index - 1;
      run.closed = true;
      if (after.first <= after.last) runs.splice(at + 1, 0, after);
    }
    return closed;
  }

  #insert(
    group: GroupLedger,
    { index, origin, segment, bytes, closed }: {
      readonly index: number;
      readonly origin: number;
      readonly segment: number;
      readonly bytes: number;
      readonly closed: boolean;
    },
  ): void {
    const runs = group.runs;
    let at = runs.length;
    while (at > 0 && runs[at - 1]!.first > index) at--;
    this.#count(segment, 1, bytes);
    const before = runs[at - 1];
    assert(
      before === undefined || before.last < index,
      "Relocated entry must have been removed first",
    );
    const follows = before?.relocated && !before.closed && before.segment === segment &&
      before.last + 1 === index;
    if (follows) {
      before.closed = closed;
      before.last = index;
      before.sequenceLast = origin;
      before.bytes += bytes;
      return;
    }
    runs.splice(at, 0, {
      segment,
      relocated: true,
      first: index,
      last: index,
      sequenceFirst: origin,
      sequenceLast: origin,
      bytes,
      closed,
    });
  }

  #count(segment: number, entries: number, bytes: number): void {
    let tally = this.#tallies.get(segment);
    if (tally === undefined) {
      tally = { entries: 0, bytes: 0 };
      this.#tallies.set(segment, tally);
    }
    tally.entries += entries;
    tally.bytes += bytes;
    this.#total.entries += entries;
    this.#total.bytes += bytes;
    const { entries: left } = tally;
    assert(left >= 0, () => `Live entries of a segment must not be negative: ${left}`);
    if (tally.entries > 0) return;
    // The remaining bytes of a segment without entries are the rounding error of dividing sizes.
    this.#total.bytes -= tally.bytes;
    this.#tallies.delete(segment);
  }
}
