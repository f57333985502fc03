/**
 * What one node still has to hear: groups that this node does not lead (any more). Told with every
 * beat until one that told it is echoed; what is told names a term, so that it may come late or twice.
 */
import { BEAT_GROUPS_MAX } from "../base/limits.ts";
import type { GroupTerm } from "./beat.ts";

interface Release extends GroupTerm {
  /** The first beat that told it, since when every beat did; 0: none yet. */
  firstSequence: number;
}

const NONE: readonly GroupTerm[] = [];

/** The releases that one node did not acknowledge. */
export class PendingReleases {
  /** By group, oldest first. */
  readonly #releases = new Map<number, Release>();

  /** Whether there is anything to tell. */
  get isEmpty(): boolean {
    return this.#releases.size === 0;
  }

  /** Adds that nothing is led in `group` up to `term`. Returns whether that is new. */
  add(group: number, term: number): boolean {
    const pending = this.#releases.get(group);
    if (pending !== undefined && pending.term >= term) return false;
    // To the end: what was told so far is less than this.
    this.#releases.delete(group);
    this.#releases.set(group, { group, term, firstSequence: 0 });
    return true;
  }

  /** What beat `sequence` tells. The oldest come first, so that each stays until it is echoed. */
  page(sequence: number): readonly GroupTerm[] {
    if (this.#releases.size === 0) return NONE;
    const page: GroupTerm[] = [];
    for (const release of this.#releases.values()) {
      if (page.length === BEAT_GROUPS_MAX) break;
      if (release.firstSequence === 0) release.firstSequence = sequence;
      page.push({ group: release.group, term: release.term });
    }
    return page;
  }

  /** Drops what beat `echo` told, which was taken. Returns whether anything was dropped. */
  acknowledge(echo: number): boolean {
    let isAny = false;
    for (const [group, { firstSequence }] of this.#releases) {
      // Those told form the front of the list.
      if (firstSequence === 0 || firstSequence > echo) break;
      isAny = this.#releases.delete(group);
    }
    return isAny;
  }

  /** Nobody needs to hear any of it. */
  clear(): void {
    this.#releases.clear();
  }
}
