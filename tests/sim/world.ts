/**
 * Time and order of a simulated cluster: one queue of events over true time, for all machines.
 *
 * An event is an input of a program from outside: a timer, a frame, an operation of the disk, a
 * turn that it requested. Between two events only promise reactions run, which continue what the
 * event released: after an event that may have settled a promise, the world waits until all of them
 * have come to rest. No other code may be asynchronous.
 */
import { setImmediate } from "node:timers";

/**
 * Maximum number of links in a chain of promises between the settling of one and the code that it
 * releases, with a margin: a group's proposals and reads, and their owners. A test compares with
 * unbounded waits.
 */
const HOPS = 6;

/** A scheduled call. */
interface Due {
  readonly atMs: number;
  /** Breaks ties: the first created runs first. */
  readonly order: number;
  readonly run: () => void;
}

function isBefore(left: Due, right: Due): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

/** Calls by the time at which they are due: a binary heap. */
class DueQueue {
  readonly #heap: Due[] = [];

  get first(): Due | undefined {
    return this.#heap[0];
  }

  push(due: Due): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(due, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = due;
  }

  shift(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const count = heap.length;
    if (count === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

/** The queue of events, and true time. */
export class SimWorld {
  /** True time, ms since the run began. */
  nowMs = 0;
  /** Called after each event, once the promises that it released have settled. */
  onStep: () => void = () => {};
  /** Count of events that were run. */
  steps = 0;
  /** The nodes on which the last event ran something. */
  readonly touched: number[] = [];
  /**
   * Whether the last event may have settled a promise. Code that settles one, or might, sets this.
   */
  mayHaveSettled = false;
  /** Waits for promises with chains of any length, which is slower. */
  isThorough = false;
  /**
   * Runs all promise reactions at once, for programs whose chains of promises have any length: see
   * {@link microtaskCheckpoint}. It takes the place of {@link isThorough}.
   */
  checkpoint: (() => void) | undefined;
  readonly #due = new DueQueue();
  #turns: (() => void)[] = [];
  #nextTurns: (() => void)[] = [];
  #turnAt = 0;
  #order = 0;
  #failure: unknown;

  /** Calls `run` at a true time, at the earliest now. */
  at(atMs: number, run: () => void): void {
    this.#due.push({ atMs: Math.max(atMs, this.nowMs), order: this.#order++, run });
  }

  /** Calls `run` after `delayMs` of true time. */
  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Calls `run` as a separate event, at this same time and before anything that is due later. */
  soon(run: () => void): void {
    this.#nextTurns.push(run);
  }

  /** Makes {@link run} throw after the current event: the first failure counts. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  /** Runs code whose errors would otherwise go unnoticed, and reports them to {@link fail}. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Runs events up to and including true time `untilMs`; throws the first failure there was. */
  async run(untilMs: number): Promise<void> {
    const { checkpoint } = this;
    if (checkpoint === undefined) await this.#runWaiting(untilMs);
    else await outsideOfPromises(() => this.#runAtOnce(untilMs, checkpoint));
    this.nowMs = Math.max(this.nowMs, untilMs);
    await promisesSettled();
    // Something may have failed between two calls, with no event due since.
    if (this.#failure !== undefined) throw this.#failure;
  }

  #runAtOnce(untilMs: number, checkpoint: () => void): void {
    for (let run = this.#next(untilMs); run !== undefined; run = this.#next(untilMs)) {
      this.steps++;
      this.touched.length = 0;
      run();
      if (this.mayHaveSettled) {
        this.mayHaveSettled = false;
        checkpoint();
      }
      this.onStep();
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  async #runWaiting(untilMs: number): Promise<void> {
    for (;;) {
      const run = this.#next(untilMs);
      if (run === undefined) break;
      this.steps++;
      this.touched.length = 0;
      run();
      if (this.mayHaveSettled) {
        this.mayHaveSettled = false;
        if (this.isThorough) await promisesSettled();
        else for (let hop = 0; hop < HOPS; hop++) await undefined;
      }
      this.onStep();
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  #next(untilMs: number): (() => void) | undefined {
    if (this.#turnAt === this.#turns.length && this.#nextTurns.length > 0) {
      const empty = this.#turns;
      empty.length = 0;
      this.#turns = this.#nextTurns;
      this.#nextTurns = empty;
      this.#turnAt = 0;
    }
    if (this.#turnAt < this.#turns.length) return this.#turns[this.#turnAt++]!;
    const first = this.#due.first;
    if (first === undefined || first.atMs > untilMs) return undefined;
    this.#due.shift();
    this.nowMs = first.atMs;
    return first.run;
  }
}

/**
 * Returns the runtime's function that runs all promise reactions, including those that they cause. It
 * does so only where none is running: {@link SimWorld.run} calls it from a task of its own.
 */
export function microtaskCheckpoint(): () => void {
  const { internal } = Deno as unknown as { readonly internal: symbol };
  const { core } = (Deno as unknown as Record<symbol, { core: { runMicrotasks(): void } }>)[
    internal
  ]!;
  return () => core.runMicrotasks();
}

/** Calls `run` in a task of the event loop, and resolves or rejects as it ends. */
function outsideOfPromises(run: () => void): Promise<void> {
  return new Promise((resolve, reject) =>
    void setImmediate(() => {
      try {
        run();
        resolve();
      } catch (error) {
        reject(error);
      }
    })
  );
}

/** Resolves when all promises that can settle without another event have settled. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
