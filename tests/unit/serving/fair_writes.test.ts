/** Turns of writes: a limited time at once, then owners and streams in rotation, with rests in between. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  WRITE_REST_MS,
  WRITE_TURN_ALONE_MS,
  WRITE_TURN_MS,
  WRITES_ALONE_MS,
  WRITES_OF_STREAM,
} from "../../../src/base/limits.ts";
import { FairWrites } from "../../../src/serving/fair_writes.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import { idOf } from "../../support/store.ts";

const READ = OPERATIONS.getAgent.id;
const WRITE = OPERATIONS.registerAgent.id;
const WRITES_OF_TURN = 4;
const WRITE_MS = WRITE_TURN_MS / WRITES_OF_TURN;

/** Writes that take time. */
class Scene {
  readonly world = new SteppedWorld();
  readonly turns = new FairWrites({ scheduler: this.world, clock: this.world });
  readonly served: string[] = [];

  /** Serves writes at once until they have to wait; returns how many it has served. */
  atOnce(): number {
    let count = 0;
    for (; this.turns.mayServe(WRITE, this.world.nowMs()); count++) this.world.stop(WRITE_MS);
    return count;
  }

  read(): void {
    assert.ok(this.turns.mayServe(READ, this.world.nowMs()), "reads never wait");
  }

  /** Queues `count` times some writes. */
  queue(owner: object, name: string, { count }: { count: number }): Promise<void> {
    return this.turns.inTurns(owner, () => {
      this.world.stop(WRITE_MS);
      this.served.push(name);
      return --count > 0;
    });
  }
}

test("writes are served at once for the time of a turn, and again when the loop has come around", async () => {
  const scene = new Scene();
  scene.read();
  assert.is(scene.atOnce(), WRITES_OF_TURN);
  assert.is(scene.atOnce(), 0);
  await scene.world.pass(0);
  assert.is(scene.atOnce(), WRITES_OF_TURN);
  assert.equal(scene.turns.counts, { waiting: 0, waited: 0, waitedMs: 0 });
});

test("owners take turns, and so do the streams of each, however many one of them has", async () => {
  const scene = new Scene();
  scene.read();
  scene.atOnce();
  const [many, few] = [{}, {}];
  const all = [
    scene.queue(many, "a", { count: 3 }),
    scene.queue(many, "b", { count: 3 }),
    scene.queue(many, "c", { count: 3 }),
    scene.queue(few, "z", { count: 3 }),
  ];
  assert.equal([scene.served.length, scene.turns.counts.waiting], [0, 4]);
  await scene.world.wait(Promise.all(all));
  assert.is(scene.served.join(""), "azbzczabcabc");
  const { waiting, waited, waitedMs } = scene.turns.counts;
  assert.equal([waiting, waited], [0, 4]);
  assert.ok(waitedMs > 0);
});

test("while there are reads, a rest lies between two turns, and no write that comes late is served in it", async () => {
  const scene = new Scene();
  scene.read();
  scene.atOnce();
  void scene.queue({}, "a", { count: 100 });
  for (let turn = 1; turn < 5; turn++) {
    const beforeMs = scene.world.nowMs();
    while (scene.served.length < turn * WRITES_OF_TURN) await scene.world.pass(1);
    assert.is(scene.served.length, turn * WRITES_OF_TURN);
    assert.ok(scene.world.nowMs() - beforeMs >= WRITE_REST_MS);
    assert.is(scene.atOnce(), 0, "what waits comes first");
    scene.read();
  }
});

test("writes without reads need no rest", async () => {
  const scene = new Scene();
  scene.read();
  await scene.world.pass(WRITES_ALONE_MS);
  assert.is(scene.atOnce(), WRITE_TURN_ALONE_MS / WRITE_MS, "the turn is longer");
  const beforeMs = scene.world.nowMs();
  await scene.world.wait(scene.queue({}, "a", { count: 100 }));
  assert.ok(scene.world.nowMs() - beforeMs < 100 * WRITE_MS + WRITE_REST_MS);
});

test("writes that fail are told, and the others go on", async () => {
  const scene = new Scene();
  scene.atOnce();
  const failed = scene.turns.inTurns({}, () => {
    throw new Error("no");
  });
  const rest = scene.queue({}, "a", { count: 2 });
  assert.is(await scene.world.wait(failed.catch((error) => error.message)), "no");
  await scene.world.wait(rest);
  assert.is(scene.served.join(""), "aa");
  assert.is(scene.turns.counts.waiting, 0);
});

/** Returns a registry whose writes take a millisecond each, and the requests in the order of their service. */
async function slowRegistry() {
  const harness = await RegistryHarness.open({ partitions: 4 });
  const served: string[] = [];
  const { router } = harness.registry;
  const serve = router.serve.bind(router);
  router.serve = (request, stream) => {
    served.push(`${stream.caller.sessionId}`);
    harness.world.stop(1);
    serve(request, stream);
  };
  return { harness, served };
}

test("a session that sends many writes at once lets the reads of others in, and all are answered", async () => {
  const { harness, served } = await slowRegistry();
  const [writer, reader] = [await harness.peer(), await harness.peer()];
  const writes = Array.from(
    { length: 60 },
    (_, number) => writer.send("registerAgent", agentRequest({ number: number + 1 })),
  );
  const { code } = await harness.world.wait(reader.send("getAgent", { id: idOf(1) }));
  assert.is(code, "not_found", "no write is committed yet");
  const of = (session: string) => served.filter((one) => one === session).length;
  const [first] = served;
  assert.ok(of(first!) < 60, "the read did not wait for all writes");
  const answers = await harness.world.wait(Promise.all(writes));
  assert.ok(answers.every((answer) => answer.code === "ok"));
  assert.is(served.length, 61);
});

test("two sessions without an identity share the turns, whichever came first", async () => {
  const { harness, served } = await slowRegistry();
  const [first, second] = [await harness.peer(), await harness.peer()];
  await harness.world.wait(second.send("getAgent", { id: idOf(1) }));
  served.length = 0;
  const many = Array.from(
    { length: 60 },
    (_, number) => first.send("registerAgent", agentRequest({ number: number + 1 })),
  );
  const few = Array.from(
    { length: 2 * WRITES_OF_STREAM },
    (_, number) => second.send("registerAgent", agentRequest({ number: number + 100 })),
  );
  await harness.world.wait(Promise.all([...many, ...few]));
  const own = served.filter((session) => session === served[0]).length;
  assert.equal([served.length, own], [many.length + few.length, many.length]);
  const lastOfSecond = served.findLastIndex((session) => session !== served[0]);
  const behind = served.length - 1 - lastOfSecond;
  assert.ok(behind > many.length / 3, `only ${behind} of the first session's writes came later`);
});

test.run();
