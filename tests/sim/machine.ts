/**
 * A machine of a simulated cluster and the program on it: clocks that run at a rate of their own, and
 * what may befall a program. It is killed; or paused, and its clocks go on; or the machine is
 * suspended, and its wall clock goes on alone.
 *
 * Each start is a new {@link Process} with a monotonic clock from 0; nothing that an earlier one
 * asked for ever runs again.
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

/** The wall clock of a machine that is right when a run begins: 2025-01-01. */
export const STARTED_UNIX_MS = 1_735_689_600_000;

/** Added to a timer's true time, so that its clock then shows the time it asked for, or later. */
const ROUNDING_MS = 1e-6;

/** How a machine keeps time. */
export interface MachineClock {
  /** Ms of its monotonic clock per ms of true time. */
  readonly rate: number;
  /** The same of its wall clock. */
  readonly wallRate: number;
  /** How far its wall clock is off when the run begins, ms. */
  readonly wallOffsetMs: number;
}

/** A machine. */
export class Machine {
  readonly world: SimWorld;
  readonly id: number;
  state: NodeState = "down";
  /** How often a program was started. */
  run = 0;
  process: Process | undefined;
  /** Turns after which the program is killed; Infinity: it is not. */
  turnsLeft = Infinity;
  /** Promises that the program waits for: while there are any, each of its turns may settle one. */
  openPromises = 0;
  readonly #entropy: SeededEntropy;
  readonly #onKilled: () => void;
  #clock: MachineClock;
  /** Monotonic time up to the last change of state, and when that was. */
  #monotonicMs = 0;
  #sinceMs = 0;
  #wallJumpMs = 0;
  /** What is due for a program that does not run now. */
  #held: (() => void)[] = [];

  /** @param onKilled told when a kill that was set for a turn comes about. */
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

  /** When the monotonic clock will show that, if nothing befalls the machine. True ms. */
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

  /** Lets the clock run at another rate. Timers that are set take notice when they are due. */
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

  /** The program ends between two turns, without a word. */
  kill(): void {
    this.#settle();
    this.state = "down";
    this.process = undefined;
    this.#held = [];
  }

  /** Nothing of the program runs any more; its clocks go on. */
  pause(): void {
    if (this.state === "up") this.#become("paused");
  }

  /** Everything stands still but the wall clock. */
  suspend(): void {
    if (this.state === "up") this.#become("suspended");
  }

  /** Ends a pause or a suspend: what was due meanwhile comes now. */
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

  /** Runs something of `process` now; later where it stands still; never where it is gone. */
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

  /** True until it is killed. */
  get isAlive(): boolean {
    return this.#machine.process === this;
  }

  nowMs(): number {
    return this.#machine.monotonicMs() - this.#startedMs;
  }

  unixMs(): number {
    return this.#machine.unixMs();
  }

  /** Runs something that reached the program from outside, as soon as it runs. */
  enter(run: () => void): void {
    this.#machine.enter(this, run);
  }

  after(delayMs: number, run: () => void): Timer {
    const machine = this.#machine;
    const dueMs = machine.monotonicMs() + Math.max(0, delayMs);
    let isOver = false;
    const look = () => {
      if (isOver || machine.process !== this) return;
      // A suspend or another rate moved the time at which it is due.
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
