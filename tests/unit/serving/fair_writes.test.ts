/** Writes beyond those in progress wait while there are reads: owners and streams in rotation. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  WRITE_HELD_MS,
  WRITES_ALONE_MS,
  WRITES_IN_PROGRESS_MAX,
  WRITES_OF_STREAM,
} from "../../../src/base/limits.ts";
import { FairWrites } from "../../../src/serving/fair_writes.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import type { RawPeer } from "../../support/raw_peer.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import { idOf } from "../../support/store.ts";

const READ = OPERATIONS.getAgent.id;
const WRITE = OPERATIONS.registerAgent.id;

class Scene {
  readonly world = new SteppedWorld();
  readonly writes = new FairWrites({ scheduler: this.world, clock: this.world });
  readonly served: string[] = [];

  /** Serves writes until one has to wait; returns how many it has served. */
  fill(): number {
    let count = 0;
    while (count < 1_000 && this.writes.mayServe(WRITE, this.world.nowMs())) count++;
    return count;
  }

  read(): void {
    assert.ok(this.writes.mayServe(READ, this.world.nowMs()), "reads never wait");
  }

  /** Answers writes, and lets those that wait be served. */
  async answer(count: number): Promise<void> {
    for (let left = count; left > 0; left--) this.writes.answered(WRITE);
    await this.world.pass(0);
  }

  /** Queues the writes of a stream. */
  queue(owner: object, name: string, count: number): Promise<void> {
    return this.writes.inTurns(owner, () => {
      for (let left = WRITES_OF_STREAM; left > 0 && count > 0; left--, count--) {
        if (!this.writes.mayServe(WRITE, this.world.nowMs())) return true;
        this.served.push(name);
      }
      return count > 0;
    });
  }
}

test("while there are reads, so many writes are in progress, and the next are served as others are answered", async () => {
  const scene = new Scene();
  scene.read();
  assert.is(scene.fill(), WRITES_IN_PROGRESS_MAX);
  scene.read();
  const done = scene.queue({}, "a", 3);
  assert.is(scene.writes.counts.waiting, 1);
  await scene.answer(2);
  assert.is(scene.served.length, 2);
  assert.is(scene.fill(), 0, "what waits comes first");
  await scene.answer(1);
  await scene.world.wait(done);
  const { waiting, waited } = scene.writes.counts;
  assert.equal([scene.served.length, waiting, waited], [3, 0, 1]);
});

test("without reads no write waits", async () => {
  const scene = new Scene();
  assert.is(scene.fill(), 1_000);
  scene.read();
  await scene.world.pass(WRITES_ALONE_MS);
  assert.is(scene.fill(), 1_000);
});

test("owners take turns, and so do the streams of each, however many one of them has", async () => {
  const scene = new Scene();
  scene.read();
  scene.fill();
  const [many, few] = [{}, {}];
  const all = [
    scene.queue(many, "a", 2 * WRITES_OF_STREAM),
    scene.queue(many, "b", 2 * WRITES_OF_STREAM),
    scene.queue(few, "z", 2 * WRITES_OF_STREAM),
  ];
  await scene.answer(WRITES_IN_PROGRESS_MAX);
  await scene.world.wait(Promise.all(all));
  const order = scene.served.filter((_, at) => at % WRITES_OF_STREAM === 0).join("");
  assert.is(order, "azbzab");
});

test("writes that are held by something else count no more after a time, while others wait", async () => {
  const scene = new Scene();
  scene.read();
  scene.fill();
  const done = scene.queue({}, "a", 5);
  await scene.world.pass(WRITE_HELD_MS - 1);
  assert.is(scene.served.length, 0);
  await scene.world.pass(2);
  await scene.world.wait(done);
  assert.is(scene.served.length, 5);
  assert.ok(scene.writes.counts.waitedMs >= WRITE_HELD_MS);
  // Their answers come later, and free no more room than there is.
  await scene.answer(2 * WRITES_IN_PROGRESS_MAX);
  scene.read();
  assert.is(scene.fill(), WRITES_IN_PROGRESS_MAX);
});

test("writes that fail are told, and the others go on", async () => {
  const scene = new Scene();
  scene.read();
  scene.fill();
  const failed = scene.writes.inTurns({}, () => {
    throw new Error("no");
  }).catch((error) => error.message);
  const rest = scene.queue({}, "a", 2);
  await scene.answer(2);
  assert.is(await scene.world.wait(failed), "no");
  await scene.world.wait(rest);
  assert.is(scene.served.join(""), "aa");
  assert.is(scene.writes.counts.waiting, 0);
});

/** Returns a registry that has had a read, and the sessions of its further requests in the order of service. */
async function registryOf(sessions: number) {
  const harness = await RegistryHarness.open({ partitions: 4 });
  const peers: RawPeer[] = [];
  while (peers.length < sessions) peers.push(await harness.peer());
  await harness.world.wait(peers[0]!.send("getAgent", { id: idOf(1) }));
  const served: number[] = [];
  const { router } = harness.registry;
  const serve = router.serve.bind(router);
  router.serve = (request, stream) => {
    served.push(stream.caller.sessionId);
    serve(request, stream);
  };
  return { harness, peers, served };
}

/** Sends registrations without waiting for their answers. */
function register(peer: RawPeer, from: number, count: number) {
  return Array.from(
    { length: count },
    (_, at) => peer.send("registerAgent", agentRequest({ number: from + at })),
  );
}

const MANY = 3 * WRITES_IN_PROGRESS_MAX;

test("a session that sends many writes at once lets the reads of others in, and all are answered", async () => {
  const { harness, peers: [writer, reader], served } = await registryOf(2);
  const writes = register(writer!, 1, MANY);
  const { code } = await harness.world.wait(reader!.send("getAgent", { id: idOf(1) }));
  assert.is(code, "not_found", "no write is committed yet");
  const answers = await harness.world.wait(Promise.all(writes));
  assert.ok(answers.every((answer) => answer.code === "ok"));
  assert.is(served.length, MANY + 1);
  const before = served.findIndex((session) => session !== served[0]);
  assert.ok(before <= WRITES_IN_PROGRESS_MAX, `the read came after ${before} writes`);
  assert.ok(harness.sessions.writes.counts.waited > 0);
});

test("two sessions without an identity share the turns, whichever came first", async () => {
  const { harness, peers: [first, second], served } = await registryOf(2);
  const many = register(first!, 1, MANY);
  const few = register(second!, 1_000, 2 * WRITES_OF_STREAM);
  await harness.world.wait(Promise.all([...many, ...few]));
  assert.is(served.length, many.length + few.length);
  const behind = served.length - 1 - served.findLastIndex((session) => session !== served[0]);
  assert.ok(behind > MANY / 3, `only ${behind} of the first session's writes came later`);
});

test.run();
