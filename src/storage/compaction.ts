/**
 * Compaction: keeps the log near its soft limit by freeing its oldest segment again and again.
 *
 * For each group that holds the segment either an image is asked of its owner, which ends the life of
 * all its entries in all segments, or, where the whole group is cold, its few live entries are moved
 * to the log's end. One group a turn with a pause between, so that requests go first; a few images
 * are under way at once, for most of an image's time is spent waiting for the disk. What is
 * still held after the images (entries above them) is moved too, so each round frees the segment.
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

/** What a compactor works with. */
export interface CompactorOptions {
  /** The owner calls {@link Compactor.logWritten} after each of its syncs. */
  readonly log: SharedLog;
  readonly scheduler: Scheduler;
  /** As the log's own; default `WAL_SOFT_BYTES`. */
  readonly softBytes?: number;
  /**
   * Asks the owner for an image of a group: it calls `log.writeImage` with what it has applied and
   * hands its answer, or its refusal, to `done`. An owner that cannot make one now answers with an
   * error; the round is then given up and begun again later.
   */
  writeImage(group: GroupId, done: LogDone): void;
}

/** Of the soft limit, the part that moved entries of all cold groups may take together. */
const COLD_PART = 1 / 4;

/** Compacts one log until it is stopped; sleeps while the log is small and nothing is written. */
export class Compactor {
  readonly #options: CompactorOptions;
  readonly #softBytes: number;
  #timer: Timer | undefined;
  #stopped = false;
  /** The log was small at the last look, and nothing was written since. */
  #isResting = false;
  #rounds = 0;

  constructor(options: CompactorOptions) {
    this.#options = options;
    this.#softBytes = options.softBytes ?? WAL_SOFT_BYTES;
  }

  /** Segments that were gone through. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Begins to watch the log. */
  start(): void {
    this.#isResting = false;
    this.#later(COMPACTION_POLL_MS, () => this.#look());
  }

  /** Tells that something was written: a log that was small may have grown. Cheap. */
  logWritten(): void {
    if (this.#isResting) this.start();
  }

  /** Ends it; an image that was asked for is still the owner's to finish. */
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

  /** The groups that are worth an image, those that hold most first. */
  #hot(holders: readonly SegmentHolder[]): GroupId[] {
    const { log } = this.#options;
    const fair = this.#softBytes * COLD_PART / holders.length;
    const coldBytes = Math.min(RELOCATE_BYTES_MAX, fair);
    return holders.filter(({ group }) => log.live(group).bytes > coldBytes)
      .sort((left, right) => right.bytes - left.bytes)
      .map(({ group }) => group);
  }

  /** Asks for images of `groups`, one a turn and a few under way; then moves what is left. */
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

  /** Moves what is still held; with nothing held the log has freed the segment by itself. */
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
