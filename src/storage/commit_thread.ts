/**
 * A thread that performs commits: the write, the sync and the mark of one commit are three blocking
 * system calls there, and one wakeup of either thread. Measured on two shared cores, a commit of 4
 * KiB takes 42 µs of CPU time so, and 80 µs as three operations of the runtime's thread pool.
 *
 * It serves one commit at a time. While it starts (some tens of ms), is busy, or where the runtime
 * has no web workers, {@link CommitThread.run} declines, and the caller performs the steps itself.
 */
import type { CommitOperation } from "./commit.ts";
import { CommitChannel, type CommitError, type CommitPaths } from "./commit_channel.ts";

type Done = (error: CommitError | undefined) => void;

/** The commit thread of one storage. */
export class CommitThread {
  readonly #channel = new CommitChannel();
  readonly #worker: Worker;
  #state: "starting" | "idle" | "busy" | "ended" = "starting";
  #done: Done | undefined;
  /** The files that the thread has open; `undefined` if it must open them again. */
  #paths: CommitPaths | undefined;

  /** Starts a thread; returns `undefined` where the runtime has none. */
  static start(): CommitThread | undefined {
    return typeof Worker === "undefined" ? undefined : new CommitThread();
  }

  private constructor() {
    const program = new URL("./commit_worker.ts", import.meta.url);
    this.#worker = new Worker(program, { type: "module" });
    this.#worker.onmessage = () => {
      if (this.#state === "starting") this.#state = "idle";
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#failed(event.message);
    };
    this.#worker.postMessage(this.#channel.memory);
  }

  /**
   * Starts a commit to the files at `paths` and returns true, or returns false if it cannot be
   * served now. `done` is called once, in a later turn. The bytes are copied.
   */
  run(
    paths: CommitPaths,
    { position, bytes, mark }: Pick<CommitOperation, "position" | "bytes" | "mark">,
    done: Done,
  ): boolean {
    if (this.#state !== "idle") return false;
    const isSame = this.#paths?.log === paths.log && this.#paths.mark === paths.mark;
    const request = { position, bytes, markPosition: mark.position, markBytes: mark.bytes };
    if (!this.#channel.put({ ...request, paths: isSame ? undefined : paths })) return false;
    this.#paths = paths;
    this.#state = "busy";
    this.#done = done;
    // Called outside of the promise, so that an exception in the callback stays one.
    this.#channel.send().then(() => queueMicrotask(() => this.#finish()));
    return true;
  }

  /** Whether a commit is in progress. */
  get isBusy(): boolean {
    return this.#state === "busy";
  }

  /** Has the next commit open its files again, after one was released, renamed or removed. */
  reopen(): void {
    this.#paths = undefined;
  }

  /** Ends the thread; no commit may be in progress. */
  close(): void {
    if (this.#state === "starting") this.#worker.terminate();
    else if (this.#state !== "ended") this.#channel.end();
    this.#state = "ended";
  }

  #finish(): void {
    if (this.#state !== "busy") return;
    this.#state = "idle";
    this.#answer(this.#channel.takeError());
  }

  /** Handles the end of the worker by an error: what its commit did is not known. */
  #failed(message: string): void {
    this.#state = "ended";
    this.#answer({ step: "sync", code: "EIO", message: `the commit thread ended: ${message}` });
  }

  #answer(error: CommitError | undefined): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(error);
  }
}
