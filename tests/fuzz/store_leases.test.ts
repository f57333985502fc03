/**
 * Leases under random renewals, delays of the log and failovers, in real time: no record expires
 * before its last acknowledged renewal + ttl; and under one live leader no record outlives that by
 * more than drift and a second (design §3).
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CLOCK_DRIFT_PPM, LEASE_TICK_MS } from "../../src/base/limits.ts";
import { NO_POSITION, type Position } from "../../src/base/position.ts";
import { encodePut } from "../../src/record/command.ts";
import { KIND_AGENT } from "../../src/record/key.ts";
import type { ApplyReply } from "../../src/store/reply.ts";
import { cases } from "../support/cases.ts";
import { agentBytes, idOf, StoreHarness } from "../support/store.ts";

type Step =
  | { op: "wait"; ms: number }
  | { op: "register"; number: number; ttlMs: number }
  | { op: "renew"; number: number }
  | { op: "failover"; keepsLog: boolean; outageMs: number };

const number = fc.integer({ min: 1, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("wait" as const),
      ms: fc.integer({ max: 4_000, min: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("register" as const),
      number,
      ttlMs: fc.constantFrom(5_000, 7_777, 15_000),
    }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constant("renew" as const), number }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("failover" as const),
      keepsLog: fc.boolean(),
      outageMs: fc.constantFrom(0, 1, 20_000),
    }),
  },
);

/** The promise to an owner. */
interface Promised {
  incarnation: Position;
  untilMs: number;
  ttlMs: number;
  /** False if the leader has changed since: the cover is decisive then. */
  sameLeader: boolean;
}

/** A world with one clock, a log with delays, and a leader that may be lost. */
class LeaseWorld {
  readonly harness = new StoreHarness();
  readonly promised = new Map<number, Promised>();
  realMs = 0;
  expired = 0;
  #groupBaseMs = 0;
  #realBaseMs = 0;
  #sequence = 0;
  #proposals: { data: Uint8Array; applied: (reply: ApplyReply) => void }[] = [];

  readonly #ttlVaries: boolean;

  constructor(ttlVaries: boolean) {
    this.#ttlVaries = ttlVaries;
    this.harness.store.onBecomeLeader(0);
  }

  get nowMs(): number {
    return this.#groupBaseMs + this.realMs - this.#realBaseMs;
  }

  take(step: Step): void {
    if (step.op === "wait") this.#wait(step.ms);
    else if (step.op === "register") {
      this.#register(step.number, this.#ttlVaries ? step.ttlMs : 5_000 + step.number);
    } else if (step.op === "renew") this.#renew(step.number);
    else this.#failover(step.keepsLog, step.outageMs);
  }

  /** Advances time in ticks, applying what was proposed and proposing what is due. */
  #wait(ms: number): void {
    for (let left = ms; left > 0; left -= LEASE_TICK_MS) {
      this.realMs += Math.min(left, LEASE_TICK_MS);
      this.#applyAll();
      const { store } = this.harness;
      const options = { nowMs: this.nowMs, unixS: 0 };
      const extend = store.extendCommand(options);
      if (extend !== undefined) this.#propose(extend);
      const expire = store.overdueCommands(options).expire;
      if (expire !== undefined) this.#propose(expire);
      this.#checkLate();
    }
  }

  #propose(data: Uint8Array, applied: (reply: ApplyReply) => void = () => {}): void {
    this.#proposals.push({ data, applied });
  }

  #applyAll(): void {
    for (const { data, applied } of this.#proposals.splice(0)) {
      this.harness.timeMs = this.nowMs;
      applied(this.harness.apply(data));
      this.#checkEarly();
    }
  }

  #register(number: number, ttlMs: number): void {
    const header = { timeMs: this.nowMs, unixS: 0, writer: 0 };
    const record = agentBytes({ number, ttlMs, sequence: ++this.#sequence });
    const data = encodePut(header, { record, kind: KIND_AGENT, expected: NO_POSITION });
    this.#propose(data, ({ code, incarnation }) => {
      assert.is(code, "ok");
      this.#answer(number, incarnation, ttlMs);
    });
  }

  #renew(number: number): void {
    const known = this.promised.get(number);
    if (known === undefined) return;
    const { store } = this.harness;
    const ask = () => store.renew(KIND_AGENT, idOf(number), 0, known.incarnation, this.nowMs);
    const outcome = ask();
    if (outcome === "renewed") this.#answer(number, known.incarnation, store.renewedTtlMs);
    if (outcome !== "needs_extension") return;
    const extend = store.extendCommand({ nowMs: this.nowMs, unixS: 0, force: true });
    assert.ok(extend, "whoever waits is extended");
    this.#propose(extend!, () => {
      if (ask() === "renewed") this.#answer(number, known.incarnation, store.renewedTtlMs);
    });
  }

  #answer(number: number, incarnation: Position, ttlMs: number): void {
    const before = this.promised.get(number)?.untilMs ?? 0;
    const untilMs = Math.max(before, this.realMs + ttlMs);
    this.promised.set(number, { incarnation, untilMs, ttlMs, sameLeader: true });
    const slot = this.harness.slotOf(KIND_AGENT, number);
    const remainingMs = this.harness.store.remainingMs(slot, this.nowMs);
    assert.ok(remainingMs >= ttlMs, `answered with ${remainingMs} of ${ttlMs} ms left`);
  }

  #failover(keepsLog: boolean, outageMs: number): void {
    if (keepsLog) this.#applyAll();
    this.#proposals = [];
    this.harness.store.onLoseLeadership();
    this.realMs += outageMs;
    // Group time continues from the last committed time.
    this.#groupBaseMs = this.harness.store.timeMs;
    this.#realBaseMs = this.realMs;
    this.harness.store.onBecomeLeader(this.nowMs);
    for (const promised of this.promised.values()) promised.sameLeader = false;
  }

  #checkEarly(): void {
    for (const [number, { untilMs }] of this.promised) {
      if (this.harness.slotOf(KIND_AGENT, number) !== -1) continue;
      assert.ok(this.realMs >= untilMs, `expired at ${this.realMs}, promised until ${untilMs}`);
      this.promised.delete(number);
      this.expired++;
    }
  }

  #checkLate(): void {
    if (this.#ttlVaries) return;
    for (const { untilMs, ttlMs, sameLeader } of this.promised.values()) {
      if (!sameLeader) continue;
      const latestMs = untilMs + ttlMs * CLOCK_DRIFT_PPM / 1e6 + 1_000;
      assert.ok(this.realMs <= latestMs, `alive at ${this.realMs}, promised until ${untilMs}`);
    }
  }
}

const steps = fc.array(step, { minLength: 10, maxLength: 80, size: "max" });

/** Runs all steps, then waits until no record is left; returns the number of expired records. */
function run(steps: readonly Step[], ttlVaries: boolean): number {
  const world = new LeaseWorld(ttlVaries);
  for (const each of steps) world.take(each);
  world.take({ op: "wait", ms: 120_000 });
  assert.is(world.promised.size, 0, "in the end all expire");
  return world.expired;
}

test("leases: never early whatever fails, and never late where the leader answered last", () => {
  const runs = cases(400);
  let expired = 0;
  fc.assert(
    fc.property(steps, (steps) => {
      expired += run(steps, false);
    }),
    { numRuns: runs, seed: 21 },
  );
  assert.ok(expired > runs, `${expired} expired`);
});

test("leases: never early whatever fails, also while ttls change", () => {
  fc.assert(
    fc.property(steps, (steps) => {
      run(steps, true);
    }),
    { numRuns: cases(600), seed: 22 },
  );
});

test.run();
