/**
 * A machine of a simulated cluster and the program on it: clocks that run at their own rate, and
 * the faults of a program. A program can be killed; it can be paused while its clocks advance; or
 * the machine can be suspended while only its wall clock advances.
 *
 * Each start is a new {@link Process} with a monotonic clock from 0; nothing that an earlier one
 * scheduled ever runs again.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import type {
  Entropy,
  MonotonicClock,
  Scheduler,
  Timer,
  WallClock,
  World,
} from "../../src/base/world.ts";
import type { NodeState } from "./history.ts";
import type { SimWorld } from "./world.ts";

/** The correct wall clock of a machine when a run begins: 2025-01-01. */
export const STARTED_UNIX_MS = 1_735_689_600_000;

/** Added to a timer's true time, so that its clock then shows the requested time, or later. */
const ROUNDING_MS = 1e-6;

/** The behaviour of a machine's clocks. */
export interface MachineClock {
  /** Ms of its monotonic clock per ms of true time. */
  readonly rate: number;
  /** Ms of its wall clock per ms of true time. */
  readonly wallRate: number;
  /** Offset of its wall clock when the run begins, ms. */
  readonly wallOffsetMs: number;
}

/** A machine. */
export class Machine {
  readonly world: SimWorld;
  readonly id: number;
  state: NodeState = "down";
  /** The number of starts of the program. */
  run = 0;
  process: Process | undefined;
  /** Turns after which the program is killed; Infinity: it is not. */
  turnsLeft = Infinity;
  /** Pending promises of the program: while there are any, each of its turns may settle one. */
  openPromises = 0;
  readonly #entropy: SeededEntropy;
  readonly #onKilled: () => void;
  #clock: MachineClock;
  /** Monotonic time up to the last change of state, and the time of that change. */
  #monotonicMs = 0;
  #sinceMs = 0;
  #wallJumpMs = 0;
  /** Calls that are due for a program that is not running now. */
  #held: (() => void)[] = [];

  /** @param onKilled called when a kill that was set for a turn happens. */
  constructor(world: SimWorld, options: {
    readonly id: number;
    readonly clock: MachineClock;
    readonly seed: number;
    readonly onKilled: () => void;
  }) {
    this.world = world;
    this.id = options.id;
    this.#clock = options.clock;
    this.#entropy = new SeededEntropy(options.seed);
    this.#onKilled = options.onKilled;
  }

  /** The machine's monotonic clock, ms. */
  monotonicMs(): number {
    if (this.state === "suspended") return this.#monotonicMs;
    return this.#monotonicMs + (this.world.nowMs - this.#sinceMs) * this.#clock.rate;
  }

  /**
   * Returns the true time at which the monotonic clock will show that value, if no fault occurs,
   * ms.
   */
  trueTimeOf(monotonicMs: number): number {
    return this.world.nowMs + (monotonicMs - this.monotonicMs()) / this.#clock.rate;
  }

  /** The wall clock, ms since 1970. */
  unixMs(): number {
    const { wallOffsetMs, wallRate } = this.#clock;
    return STARTED_UNIX_MS + wallOffsetMs + this.#wallJumpMs + this.world.nowMs * wallRate;
  }

  /** Sets the wall clock forward or back, as an operator or NTP does. */
  jumpWall(byMs: number): void {
    this.#wallJumpMs += byMs;
  }

  /** Changes the rate of the clock. Pending timers are corrected when they are due. */
  setClock(clock: MachineClock): void {
    this.#settle();
    this.#wallJumpMs += this.world.nowMs * (this.#clock.wallRate - clock.wallRate);
    this.#clock = clock;
  }

  /** Starts a program. */
  start(): Process {
    if (this.state !== "down") throw new Error(`Machine ${this.id} must be down: ${this.state}`);
    this.#settle();
    this.state = "up";
    this.run++;
    this.turnsLeft = Infinity;
    this.openPromises = 0;
    this.process = new Process(this, new SeededEntropy(this.#entropy.uint32()));
    return this.process;
  }

  /** Ends the program between two turns, without notice. */
  kill(): void {
    this.#settle();
    this.state = "down";
    this.process = undefined;
    this.#held = [];
  }

  /** Stops everything in the program; its clocks advance. */
  pause(): void {
    if (this.state === "up") this.#become("paused");
  }

  /** Stops everything except the wall clock. */
  suspend(): void {
    if (this.state === "up") this.#become("suspended");
  }

  /** Ends a pause or a suspension: everything that became due meanwhile runs now. */
  resume(): void {
    if (this.state !== "paused" && this.state !== "suspended") return;
    this.#become("up");
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.world.soon(run);
  }

  #become(state: NodeState): void {
    this.#settle();
    this.state = state;
  }

  #settle(): void {
    this.#monotonicMs = this.monotonicMs();
    this.#sinceMs = this.world.nowMs;
  }

  /** Runs a call of `process` now; later if it stands still; never if it has ended. */
  enter(process: Process, run: () => void): void {
    if (this.process !== process) return;
    if (this.state !== "up") {
      this.#held.push(() => this.enter(process, run));
      return;
    }
    if (this.turnsLeft-- <= 0) {
      this.#onKilled();
      return;
    }
    const { touched } = this.world;
    if (!touched.includes(this.id)) touched.push(this.id);
    run();
    if (this.openPromises > 0) this.world.mayHaveSettled = true;
  }
}

/** A program's world, from its start to its end. */
export class Process implements World, Scheduler, MonotonicClock, WallClock {
  readonly monotonic: MonotonicClock = this;
  readonly wall: WallClock = this;
  readonly scheduler: Scheduler = this;
  readonly entropy: Entropy;
  readonly #machine: Machine;
  readonly #startedMs: number;

  constructor(machine: Machine, entropy: Entropy) {
    this.#machine = machine;
    this.entropy = entropy;
    this.#startedMs = machine.monotonicMs();
  }

  /** True until the program is killed. */
  get isAlive(): boolean {
    return this.#machine.process === this;
  }

  nowMs(): number {
    return this.#machine.monotonicMs() - this.#startedMs;
  }

  unixMs(): number {
    return this.#machine.unixMs();
  }

  /** Runs a call that reached the program from outside, as soon as the program runs. */
  enter(run: () => void): void {
    this.#machine.enter(this, run);
  }

  after(delayMs: number, run: () => void): Timer {
    const machine = this.#machine;
    const dueMs = machine.monotonicMs() + Math.max(0, delayMs);
    let isOver = false;
    const look = () => {
      if (isOver || machine.process !== this) return;
      // A suspension or a change of the rate moved the time at which it is due.
      if (machine.state === "suspended" || dueMs > machine.monotonicMs()) wait();
      else machine.enter(this, fire);
    };
    const fire = () => {
      if (isOver) return;
      isOver = true;
      run();
    };
    const wait = () => {
      if (machine.state === "suspended") machine.enter(this, look);
      else machine.world.at(machine.trueTimeOf(dueMs) + ROUNDING_MS, look);
    };
    wait();
    return { cancel: () => void (isOver = true) };
  }

  nextTurn(run: () => void): void {
    const machine = this.#machine;
    machine.world.soon(() => machine.enter(this, run));
  }
}
