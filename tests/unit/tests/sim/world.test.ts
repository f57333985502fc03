/** The simulated world: order, clocks, and the faults of a machine. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Machine, type MachineClock, STARTED_UNIX_MS } from "../../../sim/machine.ts";
import { SimWorld } from "../../../sim/world.ts";

const EXACT: MachineClock = { rate: 1, wallRate: 1, wallOffsetMs: 0 };

function machineIn(world: SimWorld, clock: MachineClock = EXACT): Machine {
  const machine: Machine = new Machine(world, {
    id: 1,
    clock,
    seed: 1,
    onKilled: () => machine.kill(),
  });
  return machine;
}

test("SimWorld runs events by time, equals in the order in which they were made", async () => {
  const world = new SimWorld();
  const seen: string[] = [];
  for (const [atMs, name] of [[5, "d"], [1, "a"], [3, "b"], [3, "c"], [9, "late"]] as const) {
    world.at(atMs, () => seen.push(`${name}${world.nowMs}`));
  }
  await world.run(8);
  assert.equal(seen, ["a1", "b3", "c3", "d5"]);
  assert.is(world.nowMs, 8);
});

test("SimWorld keeps the order of a thousand events that are made in any order", async () => {
  const world = new SimWorld();
  const seen: number[] = [];
  for (let number = 0; number < 1_000; number++) {
    const atMs = (number * 7_919) % 1_000;
    world.at(atMs, () => seen.push(atMs));
  }
  await world.run(1_000);
  assert.equal(seen, [...seen].sort((left, right) => left - right));
  assert.is(seen.length, 1_000);
});

test("SimWorld runs a turn before anything that is due later, and after what waits already", async () => {
  const world = new SimWorld();
  const seen: string[] = [];
  world.at(1, () => {
    world.soon(() => {
      seen.push("first");
      world.soon(() => seen.push("third"));
    });
    world.soon(() => seen.push("second"));
    world.at(1, () => seen.push("timer"));
  });
  await world.run(2);
  assert.equal(seen, ["first", "second", "third", "timer"]);
});

test("SimWorld lets promises settle before it continues, including long chains if it is thorough", async () => {
  for (const [isThorough, hops] of [[false, 3], [true, 100]] as const) {
    const world = new SimWorld();
    world.isThorough = isThorough;
    const seen: string[] = [];
    const chain = async (start: Promise<void>) => {
      await start;
      for (let hop = 0; hop < hops; hop++) await undefined;
      seen.push(`settled at ${world.nowMs}`);
    };
    world.at(1, () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      chain(promise);
      resolve();
      world.mayHaveSettled = true;
    });
    world.at(2, () => seen.push("next"));
    await world.run(3);
    assert.equal(seen, ["settled at 1", "next"]);
  }
});

test("Process clocks run at the machine's rate, from its start", async () => {
  const world = new SimWorld();
  const machine = machineIn(world, { rate: 1.5, wallRate: 1.25, wallOffsetMs: 70 });
  await world.run(100);
  const process = machine.start();
  const fired: number[] = [];
  process.after(30, () => fired.push(world.nowMs, process.nowMs()));
  await world.run(200);
  assert.is(process.nowMs(), 150);
  assert.is(process.unixMs(), STARTED_UNIX_MS + 70 + 250);
  assert.ok(Math.abs(fired[0]! - 120) < 0.001, "30 ms of a clock that is fast by half pass in 20");
  assert.ok(fired[1]! >= 30, "A timer is never early by the clock it was set by");
});

test("Process timers do not run while it is paused, and its clock goes on", async () => {
  const world = new SimWorld();
  const machine = machineIn(world);
  const process = machine.start();
  const fired: number[] = [];
  process.after(10, () => fired.push(process.nowMs()));
  process.nextTurn(() => fired.push(-1));
  world.at(5, () => machine.pause());
  world.at(50, () => machine.resume());
  await world.run(100);
  assert.equal(fired.map(Math.floor), [-1, 50]);
});

test("Process timers wait out a suspension, which the wall clock shows alone", async () => {
  const world = new SimWorld();
  const machine = machineIn(world);
  const process = machine.start();
  const fired: number[] = [];
  process.after(10, () => fired.push(world.nowMs, process.nowMs(), process.unixMs()));
  world.at(4, () => machine.suspend());
  world.at(1_000, () => machine.resume());
  await world.run(2_000);
  assert.equal(fired.map(Math.floor), [1_006, 10, STARTED_UNIX_MS + 1_006]);
});

test("Process timers take notice of another rate", async () => {
  const world = new SimWorld();
  const machine = machineIn(world);
  const process = machine.start();
  const fired: number[] = [];
  process.after(100, () => fired.push(world.nowMs));
  world.at(50, () => machine.setClock({ ...EXACT, rate: 0.5 }));
  await world.run(200);
  assert.equal(fired.map(Math.floor), [150]);
  assert.is(process.unixMs(), STARTED_UNIX_MS + 200);
});

test("Process after a kill: nothing of it runs, and the next one starts from 0", async () => {
  const world = new SimWorld();
  const machine = machineIn(world);
  const process = machine.start();
  const fired: string[] = [];
  process.after(10, () => fired.push("timer"));
  world.at(5, () => {
    process.nextTurn(() => fired.push("turn"));
    process.enter(() => fired.push("frame"));
    machine.kill();
    process.enter(() => fired.push("late frame"));
  });
  world.at(7, () => machine.start());
  await world.run(20);
  assert.equal(fired, ["frame"]);
  assert.is(machine.run, 2);
  assert.is(machine.process!.nowMs(), 13);
});

test("Machine kills its program at the turn that was set", async () => {
  const world = new SimWorld();
  const machine = machineIn(world);
  const process = machine.start();
  machine.turnsLeft = 2;
  const fired: number[] = [];
  for (let turn = 0; turn < 5; turn++) process.nextTurn(() => fired.push(turn));
  await world.run(1);
  assert.equal(fired, [0, 1]);
  assert.is(machine.state, "down");
});

test("Machine jumps its wall clock alone", () => {
  const world = new SimWorld();
  const machine = machineIn(world);
  const process = machine.start();
  machine.jumpWall(-5_000);
  assert.is(process.unixMs(), STARTED_UNIX_MS - 5_000);
  assert.is(process.nowMs(), 0);
});

test("SimWorld run throws a failure that no event follows", async () => {
  const world = new SimWorld();
  await world.run(1);
  world.guard(() => {
    throw new RangeError("found at the end");
  });
  let failure: unknown;
  await world.run(2).catch((error) => failure = error);
  assert.instance(failure, RangeError);
});

test.run();
