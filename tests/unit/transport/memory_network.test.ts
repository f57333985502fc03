/** The memory network: delay, loss, cuts and crashes, driven by a clock that the test moves. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GOODBYE_LINGER_MS, GOODBYE_WRITES_MS_MAX } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import type { LinkQuality } from "../../../transport/memory/link.ts";
import { MemoryNetwork } from "../../../transport/memory/network.ts";
import type { Listener, Session, SessionEnd, Stream } from "../../../transport/transport.ts";
import { VirtualScheduler } from "../../support/virtual_scheduler.ts";

const trust = { kind: "pins", sha256: [] } as const;

interface Setup {
  readonly time: VirtualScheduler;
  readonly network: MemoryNetwork;
  readonly listener: Listener;
  readonly near: Session;
  readonly far: Session;
}

async function setup(quality: Partial<LinkQuality> = {}, seed = 1, idleMs = 3_000): Promise<Setup> {
  const time = new VirtualScheduler();
  const world = { monotonic: time, scheduler: time, entropy: new SeededEntropy(seed) };
  const network = new MemoryNetwork(world, quality);
  const listener = network.listen({ host: "b", port: 7, idleMs });
  const dialing = network.dialer("a").dial({ host: "b", port: 7 }, { trust, timeoutMs: 60_000 });
  await time.advance(5_000);
  return { time, network, listener, near: await dialing, far: (await listener.accept())! };
}

async function openStream({ time, near, far }: Setup): Promise<[Stream, Stream]> {
  const nearStream = await near.open("peer");
  const accepting = far.accept();
  await time.advance(5_000);
  return [nearStream, (await accepting)!];
}

/** Records data that arrives, and when. */
function record(time: VirtualScheduler, stream: Stream, into: string[]): void {
  const loop = async () => {
    for (;;) {
      const part = await stream.read(new Uint8Array(64));
      if (part === undefined) return;
      into.push(`${time.nowMs().toFixed(3)}:${part.join(",")}`);
    }
  };
  loop().catch((error) => into.push((error as RegistryError).code));
}

function watch(session: Session): { end: SessionEnd | undefined } {
  const seen: { end: SessionEnd | undefined } = { end: undefined };
  void session.closed.then((end) => seen.end = end);
  return seen;
}

test("MemoryNetwork delivers after the link's delay, in order", async () => {
  const all = await setup({ delayMsMin: 10, delayMsMax: 10 });
  const [nearStream, farStream] = await openStream(all);
  const arrivals: string[] = [];
  record(all.time, farStream, arrivals);
  const startMs = all.time.nowMs();
  await nearStream.write(new Uint8Array([1]));
  await all.time.advance(9.5);
  assert.equal(arrivals, []);
  await nearStream.write(new Uint8Array([2]));
  await all.time.advance(0.5);
  await all.time.advance(20);
  const expected = [[10, 1], [19.5, 2]].map(([at, byte]) =>
    `${(startMs + at!).toFixed(3)}:${byte}`
  );
  assert.equal(arrivals, expected);
});

test("MemoryNetwork makes losses late, never missing and never out of order", async () => {
  const all = await setup({ delayMsMin: 1, delayMsMax: 9, lossRate: 0.3 });
  const [nearStream, farStream] = await openStream(all);
  const arrivals: string[] = [];
  record(all.time, farStream, arrivals);
  for (let index = 0; index < 200; index++) {
    await nearStream.write(new Uint8Array([index]));
    await all.time.advance(1);
  }
  await all.time.advance(60_000);
  const bytes = arrivals.flatMap((line) => line.split(":")[1]!.split(",").map(Number));
  assert.equal(bytes, Array.from({ length: 200 }, (_, index) => index));
});

test("MemoryNetwork replays: one seed gives one run, another seed another", async () => {
  const run = async (seed: number) => {
    const all = await setup({ delayMsMin: 1, delayMsMax: 50, lossRate: 0.2 }, seed);
    const [nearStream, farStream] = await openStream(all);
    const arrivals: string[] = [];
    record(all.time, farStream, arrivals);
    record(all.time, nearStream, arrivals);
    for (let index = 0; index < 50; index++) {
      await nearStream.write(new Uint8Array([index]));
      await farStream.write(new Uint8Array([100 + index]));
      await all.time.advance(3);
    }
    await all.time.advance(5_000);
    return arrivals.join(" ");
  };
  const first = await run(5);
  assert.is(await run(5), first);
  assert.is.not(await run(6), first);
});

test("MemoryNetwork holds what a short cut catches and delivers it when healed", async () => {
  const all = await setup();
  const [nearStream, farStream] = await openStream(all);
  const arrivals: string[] = [];
  record(all.time, farStream, arrivals);
  all.network.cut("a", "b");
  await nearStream.write(new Uint8Array([1]));
  await all.time.advance(2_900);
  assert.equal(arrivals, []);
  all.network.heal("a", "b");
  await all.time.advance(10_000);
  assert.is(arrivals.length, 1);
  assert.is(all.listener.stats.sessions, 1);
});

test("MemoryNetwork ends the deaf side of a one-way cut first, and the other an idle time later", async () => {
  const all = await setup();
  const near = watch(all.near);
  const far = watch(all.far);
  all.network.cut("a", "b");
  await all.time.advance(2_999);
  assert.equal([near.end, far.end], [undefined, undefined]);
  await all.time.advance(2);
  assert.is(far.end?.by, "lost");
  assert.is(near.end, undefined);
  await all.time.advance(3_000);
  assert.equal(near.end, { by: "lost", code: "connection_lost", message: "timed out" });
});

test("MemoryNetwork.crash takes listeners and sessions away without a word", async () => {
  const all = await setup();
  const [nearStream] = await openStream(all);
  const reading = nearStream.read(new Uint8Array(4)).then(() => "bytes", (error) => error.code);
  const near = watch(all.near);
  const far = watch(all.far);
  all.network.crash("b");
  await all.time.advance(1);
  assert.is(far.end?.by, "lost");
  assert.is(near.end, undefined);
  const refused = all.network.dialer("a").dial({ host: "b", port: 7 }, { trust })
    .then(() => "no error", (error) => error.code);
  await all.time.advance(3_000);
  assert.is(near.end?.by, "lost");
  assert.is(await reading, "connection_lost");
  assert.is(await refused, "connection_lost");
  all.network.listen({ host: "b", port: 7 });
});

test("MemoryNetwork.dial meets its deadline across a cut, and a taken port is refused", async () => {
  const all = await setup();
  all.network.cut("b", "a");
  const late = all.network.dialer("a").dial({ host: "b", port: 7 }, { trust, timeoutMs: 500 })
    .then(() => "no error", (error) => error.code);
  await all.time.advance(501);
  assert.is(await late, "deadline_exceeded");
  assert.throws(
    () => all.network.listen({ host: "b", port: 7 }),
    (error: unknown) => (error as RegistryError).code === "invalid_configuration",
  );
});

test("goodbye waits a bounded time for a peer that does not read", async () => {
  const all = await setup();
  const [nearStream] = await openStream(all);
  const writes = [0, 1, 2].map(() => nearStream.write(new Uint8Array(1_000_000)));
  const outcomes = Promise.all(writes.map((write) => write.then(() => "taken", (e) => e.code)));
  const far = watch(all.far);
  const leaving = all.near.goodbye("overloaded", "");
  await all.time.advance(GOODBYE_WRITES_MS_MAX + GOODBYE_LINGER_MS - 1);
  assert.is(far.end, undefined);
  await all.time.advance(100);
  await leaving;
  assert.is(far.end?.code, "overloaded");
  assert.equal(await outcomes, ["taken", "taken", "connection_lost"]);
});

test("MemoryNetwork leaves no timer behind once all sessions are over", async () => {
  const all = await setup();
  await openStream(all);
  await all.listener.close();
  await all.time.advance(100_000);
  assert.is(all.time.pendingCount, 0);
  assert.equal([all.listener.stats.sessions, all.listener.stats.streams], [0, 0]);
});

test.run();
