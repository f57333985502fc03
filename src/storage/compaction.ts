/**
 * Compaction: keeps the log near its soft limit by repeatedly freeing its oldest segment.
 *
 * Each group that holds the segment is handled in one of two ways: its owner is asked for an image,
 * which ends all its entries in all segments; or, if the whole group is cold, its few live entries
 * are moved to the log's end. One group is handled per turn, with a pause between turns, so that
 * requests go first. A few images are in progress at once, because most of an image's time is spent
 * waiting for the disk. Entries that still hold the segment after the images (those above them) are
 * moved too, so each round frees the segment.
 */
import type { GroupId } from "../base/ids.ts";
import {
  COMPACTION_PAUSE_MS,
  COMPACTION_POLL_MS,
  IMAGES_AT_ONCE,
  RELOCATE_BYTES_MAX,
  WAL_SOFT_BYTES,
} from "../base/limits.ts";
import type { Scheduler, Timer } from "../base/world.ts";
import type { LogDone, SegmentHolder, SharedLog } from "./shared_log.ts";

/** Options of a {@link Compactor}. */
export interface CompactorOptions {
  /** The log; its owner calls {@link Compactor.logWritten} after each of its syncs. */
  readonly log: SharedLog;
  readonly scheduler: Scheduler;
  /** Same as the log's soft limit; default `WAL_SOFT_BYTES`. */
  readonly softBytes?: number;
  /**
   * Asks the owner for an image of a group: it calls `log.writeImage` with its applied state and
   * passes the result, or the refusal, to `done`. An owner that cannot create one now reports an
   * error; the round is then abandoned and started again later.
   */
  writeImage(group: GroupId, done: LogDone): void;
}

/** Maximum share of the soft limit for the moved entries of all cold groups together. */
const COLD_PART = 1 / 4;

/** Compacts one log until it is stopped; sleeps while the log is small and nothing is written. */
export class Compactor {
  readonly #options: CompactorOptions;
  readonly #softBytes: number;
  #timer: Timer | undefined;
  #stopped = false;
  /** True when the log was small at the last check and nothing was written since. */
  #isResting = false;
  #rounds = 0;

  constructor(options: CompactorOptions) {
    this.#options = options;
    this.#softBytes = options.softBytes ?? WAL_SOFT_BYTES;
  }

  /** Number of segments processed. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Starts watching the log. */
  start(): void {
    this.#isResting = false;
    this.#later(COMPACTION_POLL_MS, () => this.#look());
  }

  /** Reports a write, after which a small log may have grown. Cheap. */
  logWritten(): void {
    if (this.#isResting) this.start();
  }

  /** Stops compaction; the owner still completes images that were requested. */
  stop(): void {
    this.#stopped = true;
    this.#isResting = false;
    this.#timer?.cancel();
  }

  #later(delayMs: number, run: () => void): void {
    if (this.#stopped) return;
    this.#timer = this.#options.scheduler.after(delayMs, run);
  }

  #look(): void {
    const { log } = this.#options;
    const { segmentBytes, writable } = log.stats();
    if (segmentBytes <= this.#softBytes) {
      this.#isResting = true;
      return;
    }
    if (!writable) return this.start();
    const holders = log.oldestHolders();
    if (holders.length === 0) return this.start();
    this.#images(this.#hot(holders));
  }

  /** Returns the groups that are worth an image, the largest holders first. */
  #hot(holders: readonly SegmentHolder[]): GroupId[] {
    const { log } = this.#options;
    const fair = this.#softBytes * COLD_PART / holders.length;
    const coldBytes = Math.min(RELOCATE_BYTES_MAX, fair);
    return holders.filter(({ group }) => log.live(group).bytes > coldBytes)
      .sort((left, right) => right.bytes - left.bytes)
      .map(({ group }) => group);
  }

  /**
   * Requests images of `groups`, one per turn and a few at once, then moves the remaining entries.
   */
  #images(groups: readonly GroupId[]): void {
    let next = 0;
    let underWay = 0;
    let failed = false;
    let ended = false;
    const step = () => {
      if (this.#stopped || ended) return;
      if (failed || next === groups.length) {
        if (underWay > 0) return;
        ended = true;
        return failed ? this.start() : this.#move();
      }
      if (underWay === IMAGES_AT_ONCE) return;
      underWay++;
      this.#options.writeImage(groups[next++]!, (error) => {
        underWay--;
        failed ||= error !== undefined;
        this.#later(COMPACTION_PAUSE_MS, step);
      });
      this.#later(COMPACTION_PAUSE_MS, step);
    };
    step();
  }

  /** Moves entries that still hold the segment; if there are none, the log has already freed it. */
  #move(): void {
    const { log } = this.#options;
    const left = new Set(log.oldestHolders().map(({ group }) => group));
    const { segmentBytes } = log.stats();
    if (left.size === 0 || segmentBytes <= this.#softBytes) return this.#endRound();
    const refusal = log.relocateOldest(left, () => this.#endRound());
    if (refusal !== undefined) this.start();
  }

  #endRound(): void {
    this.#rounds++;
    this.#later(COMPACTION_PAUSE_MS, () => this.#look());
  }
}
