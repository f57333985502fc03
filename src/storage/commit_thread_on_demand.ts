/**
 * Runs a commit thread (`commit_thread.ts`) while commits are frequent. A thread takes 14 MiB, which
 * a node that seldom writes does not need; it saves 40 to 100 µs of CPU time per commit, which at
 * fewer commits than those that start it is less than 0.2 % of a core.
 */
import type { Scheduler, Timer } from "../base/world.ts";
import type { CommitOperation } from "./commit.ts";
import type { CommitError, CommitPaths } from "./commit_channel.ts";
import { CommitThread } from "./commit_thread.ts";

/** Commits in one second that start a thread. */
const COMMITS_TO_START = 20;
const START_WINDOW_MS = 1_000;
/** A thread ends after a minute with fewer commits than start one in a second. */
const END_WINDOW_MS = 60_000;

/** Runs commits in another thread; {@link CommitThread} outside of tests. */
export type CommitRunner = Pick<CommitThread, "run" | "reopen" | "close" | "isBusy">;

/** The commit thread of one storage, which comes and goes with the load. */
export class CommitThreadOnDemand {
  readonly #scheduler: Scheduler;
  readonly #start: () => CommitRunner | undefined;
  #thread: CommitRunner | undefined;
  /** Commits since the current window began. */
  #commits = 0;
  /** The end of the current window; without a thread, the next commit begins one. */
  #window: Timer | undefined;
  #closed = false;

  constructor(scheduler: Scheduler, start: () => CommitRunner | undefined = CommitThread.start) {
    this.#scheduler = scheduler;
    this.#start = start;
  }

  /** Counts a commit, and runs it in the thread if one is there and idle, as `CommitThread.run`. */
  run(
    paths: CommitPaths,
    operation: Pick<CommitOperation, "position" | "bytes" | "mark">,
    done: (error: CommitError | undefined) => void,
  ): boolean {
    this.#commits++;
    if (this.#window === undefined) {
      this.#commits = 1;
      this.#beginWindow();
    }
    return this.#thread?.run(paths, operation, done) ?? false;
  }

  /** Has the next commit open its files again, after one was released, renamed or removed. */
  reopen(): void {
    this.#thread?.reopen();
  }

  /** Ends the thread for good; no commit may be in progress. */
  close(): void {
    this.#closed = true;
    this.#window?.cancel();
    this.#thread?.close();
    this.#thread = undefined;
  }

  #beginWindow(): void {
    if (this.#closed) return;
    const lengthMs = this.#thread === undefined ? START_WINDOW_MS : END_WINDOW_MS;
    this.#window = this.#scheduler.after(lengthMs, () => this.#endWindow());
  }

  #endWindow(): void {
    this.#window = undefined;
    const isLoaded = this.#commits >= COMMITS_TO_START;
    if (this.#thread === undefined) {
      if (isLoaded) this.#thread = this.#start();
    } else if (!isLoaded && !this.#thread.isBusy) {
      this.#thread.close();
      this.#thread = undefined;
    }
    if (this.#thread !== undefined) {
      this.#commits = 0;
      this.#beginWindow();
    }
  }
}
