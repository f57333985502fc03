/** Watches that begin with the state: one point for each partition, without gap or repetition. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../../src/base/bytes.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../../src/record/key.ts";
import { WATCH_EVENT_TYPES, WATCH_PHASES, WATCH_STARTS } from "../../../../schemas/gen/wire.ts";
import {
  agentRequest,
  gatewayRequest,
  RegistryHarness,
} from "../../../support/registry_harness.ts";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import { FakeWatchStream } from "../../../support/fake_watch_stream.ts";
import { idOf } from "../../../support/store.ts";
import { type ProbeOrder, startAll, WatchProbe } from "../../../support/watch_probe.ts";

const PARTITIONS = 4;
const STATE = startAll(PARTITIONS, WATCH_STARTS.state);
const { put } = WATCH_EVENT_TYPES;

/** Returns the records that the registry holds, by kind and id. */
function recordsOf(harness: RegistryHarness): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  for (const { store } of harness.registry.table.here()) {
    for (const kind of [KIND_AGENT, KIND_GATEWAY]) {
      store.forEachSlot(kind, (slot) => {
        const { bytes, start, end } = store.locate(slot, {
          ...{ bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)) },
          ...{ start: 0, end: 0 },
        });
        const record = bytes.slice(start, end);
        records.set(`${kind} ${toHex(record.subarray(8, 24))}`, record);
      });
    }
  }
  return records;
}

const sorted = (records: ReadonlyMap<string, Uint8Array>) =>
  [...records].sort(([left], [right]) => left < right ? -1 : 1);

async function opened(agents: number) {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const owner = await harness.peer();
  for (let number = 1; number <= agents; number++) {
    await owner.must("registerAgent", agentRequest({ number, region: REGION }));
  }
  const list = async (order: ProbeOrder = {}) => {
    return new WatchProbe(await harness.peer(), "listAndWatch", { positions: STATE, ...order });
  };
  return { harness, owner, list };
}

/** Long, so that few records fill a stream. */
const REGION = "r".repeat(60);

test("listAndWatch: the state, each record once, then its changes", async () => {
  const { harness, owner, list } = await opened(40);
  await owner.must("registerGateway", gatewayRequest({ number: 41 }));
  const probe = await list();
  await harness.world.settle();
  assert.is(probe.events.length, 41);
  assert.ok(probe.events.every(({ phase, type }) => phase === WATCH_PHASES.state && type === put));
  assert.equal(sorted(probe.records), sorted(recordsOf(harness)));
  await owner.must("registerAgent", agentRequest({ number: 1, port: 2, sequence: 8 }));
  await harness.world.pass(2);
  assert.is(probe.events.length, 42);
  assert.is(probe.events.at(-1)!.phase, WATCH_PHASES.changes);
});

test("listAndWatch: the state of a filter only", async () => {
  const { harness, owner, list } = await opened(10);
  await owner.must("registerAgent", agentRequest({ number: 11, region: "eu" }));
  await owner.must("registerGateway", gatewayRequest({ number: 12, region: "eu" }));
  const eu = await list({ region: "eu", kind: KIND_GATEWAY });
  const { partitioner } = harness.registry.table;
  const ids = [idOf(3), idOf(11), idOf(99)];
  const partitions = new Set<number>(
    ids.map((id) => partitioner.partitionOf(KIND_AGENT, id, 0, 16)),
  );
  const some = await list({
    ...{
      kind: KIND_AGENT,
      ids,
      positions: STATE.filter(({ partition }) => partitions.has(partition)),
    },
  });
  await harness.world.settle();
  assert.equal([...eu.records.keys()], [`${KIND_GATEWAY} ${toHex(idOf(12))}`]);
  assert.equal(
    [...some.records.keys()].sort(),
    [3, 11].map((number) => `${KIND_AGENT} ${toHex(idOf(number))}`),
  );
});

/** Changes records while a list is under way whose peer reads now and then. */
async function changeMeanwhile(
  { harness, owner }: Pick<Awaited<ReturnType<typeof opened>>, "harness" | "owner">,
  seed: number,
  step: () => Promise<boolean>,
): Promise<void> {
  let random = seed;
  const next = (below: number) => (random = (random * 48_271) % 0x7fff_ffff) % below;
  for (let round = 0; await step(); round++) {
    for (let change = 0; change < 10; change++) {
      const number = 1 + next(1_400);
      const agent = harness.agent(idOf(number));
      if (agent !== undefined && next(3) === 0) {
        const { incarnation, process } = agent;
        const sequence = agent.sequence + 1;
        const gone = { id: idOf(number), incarnation, process, sequence, withAgents: false };
        await owner.must("deregisterAgent", gone);
      } else {
        const sequence = (agent?.sequence ?? 1_000 * (round + 1)) + 1;
        const process = agent?.process ?? round + 100;
        const fields = { number, region: REGION, port: 1 + next(60_000), sequence, process };
        await owner.ask("registerAgent", agentRequest(fields));
      }
    }
  }
}

/** A list whose peer reads a reply at a time. */
function slowList({ harness }: Pick<Awaited<ReturnType<typeof opened>>, "harness">, order = {}) {
  const revoked = new AbortController().signal;
  const stream = new FakeWatchStream(developmentPeer({ region: "global", revoked }));
  const { watches } = harness.registry;
  stream.reads = false;
  const log = stream.watch(watches, { positions: STATE, ...order }, PARTITIONS);
  return { stream, log };
}

test("listAndWatch: while records change, it comes to what the registry holds", async () => {
  for (const seed of [3, 4, 5]) {
    const { harness, owner } = await opened(1_200);
    const { stream, log } = slowList({ harness });
    let reads = 0;
    await changeMeanwhile({ harness, owner }, seed, async () => {
      stream.readOnce();
      await harness.world.pass(1);
      return ++reads < 40;
    });
    stream.reads = true;
    await harness.world.pass(10);
    assert.is(log.end, undefined);
    assert.equal([...log.resets, ...log.ended], []);
    const inBetween = log.events.findIndex(({ phase }) => phase === WATCH_PHASES.changes);
    assert.ok(log.events.slice(inBetween).some(({ phase }) => phase === WATCH_PHASES.state));
    assert.equal(sorted(log.records), sorted(recordsOf(harness)));
  }
});

test("listAndWatch: a state that was interrupted continues behind its last id", async () => {
  const { harness, owner } = await opened(1_200);
  const { stream, log } = slowList({ harness });
  for (let reads = 0; reads < 3; reads++) {
    await harness.world.pass(1);
    stream.readOnce();
  }
  const before = log.events.length;
  assert.ok(before > 100 && before < 1_000, `${before} of the records were received`);
  stream.events!.over();
  let rounds = 0;
  await changeMeanwhile({ harness, owner }, 9, () => Promise.resolve(rounds++ < 20));
  const positions = STATE.map((start) =>
    log.resume().find(({ partition }) => partition === start.partition) ?? start
  );
  assert.ok(positions.some(({ afterId }) => afterId.length > 0));
  const { log: again, stream: other } = slowList({ harness }, { positions });
  other.reads = true;
  await harness.world.pass(10);
  // The second watch goes on where the first one ended.
  for (const { body } of again.replies) log.take(body);
  assert.equal(log.resets, []);
  assert.equal(sorted(log.records), sorted(recordsOf(harness)));
});

test.run();
