/**
 * Releases that one node has not acknowledged: groups that this node does not lead (any more). They
 * are sent with every beat until a beat that carried them is echoed. A release names a term, so it
 * may arrive late or twice.
 */
import { BEAT_GROUPS_MAX } from "../base/limits.ts";
import type { GroupTerm } from "./beat.ts";

interface Release extends GroupTerm {
  /** The first beat that carried it; every later beat did too. 0 for none yet. */
  firstSequence: number;
}

const NONE: readonly GroupTerm[] = [];

/** The releases that one node did not acknowledge. */
export class PendingReleases {
  /** By group, oldest first. */
  readonly #releases = new Map<number, Release>();

  /** Whether there is nothing to send. */
  get isEmpty(): boolean {
    return this.#releases.size === 0;
  }

  /** Adds that this node leads `group` in no term up to `term`. Reports whether that is new. */
  add(group: number, term: number): boolean {
    const pending = this.#releases.get(group);
    if (pending !== undefined && pending.term >= term) return false;
    // Moves to the end: the releases sent so far did not cover this term.
    this.#releases.delete(group);
    this.#releases.set(group, { group, term, firstSequence: 0 });
    return true;
  }

  /**
   * Returns the releases for beat `sequence`. The oldest come first, so each stays until it is
   * echoed.
   */
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

  /**
   * Drops the releases that beat `echo` carried, which was accepted. Reports whether any was
   * dropped.
   */
  acknowledge(echo: number): boolean {
    let isAny = false;
    for (const [group, { firstSequence }] of this.#releases) {
      // The releases that were sent form the front of the list.
      if (firstSequence === 0 || firstSequence > echo) break;
      isAny = this.#releases.delete(group);
    }
    return isAny;
  }

  /** Drops all releases. */
  clear(): void {
    this.#releases.clear();
  }
}
