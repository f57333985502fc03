/**
 * Watches with the state, of which every part may be the last that arrives: whatever changes, and
 * wherever the watch is interrupted and continued, its client ends with what the registry holds.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { developmentPeer } from "../../identity/enrolment/development_peer.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { KIND_AGENT } from "../../src/record/key.ts";
import { WATCH_STARTS } from "../../schemas/gen/wire.ts";
import { agentCodec } from "../../schemas/gen/record.ts";
import { toHex } from "../../src/base/bytes.ts";
import { emptySpan } from "../../src/store/reply.ts";
import { FakeWatchStream } from "../support/fake_watch_stream.ts";
import { agentRequest, RegistryHarness } from "../support/registry_harness.ts";
import { extraOf, idOf } from "../support/store.ts";
import { startAll, WatchedRecords } from "../support/watch_probe.ts";

const PARTITIONS = 2;
const NUMBERS = 60;
/** Sixteen of these fill a reply. */
const FILLER = Object.fromEntries(
  Array.from({ length: 14 }, (_, place) => [`filler${place}`, "x".repeat(250)]),
);

/** Returns the records of a tier that the registry holds; of all without one. */
function recordsOf(harness: RegistryHarness, tier: string): [string, number][] {
  const records: [string, number][] = [];
  for (const { store } of harness.registry.table.here()) {
    store.forEachSlot(KIND_AGENT, (slot) => {
      const { bytes, start, end } = store.locate(slot, emptySpan());
      const { id, extra, port } = agentCodec.decode(bytes.slice(start, end));
      const found = extra!.labels.find(({ key }) => key === "tier")!.value;
      if (tier === "" || found === tier) records.push([`${KIND_AGENT} ${toHex(id)}`, port]);
    });
  }
  return records.sort();
}

async function change(harness: RegistryHarness, entropy: SeededEntropy, ports: () => number) {
  const below = (end: number) => Math.floor(entropy.unit() * end);
  const owner = await harness.peer();
  for (let changes = below(12); changes > 0; changes--) {
    const number = 1 + below(NUMBERS);
    const agent = harness.agent(idOf(number));
    if (agent !== undefined && below(2) === 0) {
      const { incarnation, process, sequence } = agent;
      const gone = { incarnation, process, sequence: sequence + 1, withAgents: false };
      await owner.must("deregisterAgent", { id: idOf(number), ...gone });
    } else {
      const process = agent?.process ?? 1_000_000 + ports();
      const sequence = (agent?.sequence ?? 0) + 1;
      const extra = extraOf({ ...FILLER, tier: below(2) === 0 ? "gold" : "iron" });
      const fields = { number, process, sequence, port: ports(), extra };
      await owner.must("registerAgent", agentRequest(fields));
    }
    await harness.world.pass(below(3));
  }
  owner.session.abort("done");
  await harness.world.settle();
}

/** Interrupts and continues one watch at random, while records change. */
async function interrupted(seed: number, tier: string): Promise<void> {
  const entropy = new SeededEntropy(seed);
  const below = (end: number) => Math.floor(entropy.unit() * end);
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const hub = harness.registry.watches;
  const peer = developmentPeer({ region: "global", revoked: new AbortController().signal });
  let port = 0;
  const ports = () => ++port;
  for (let round = 0; round < 12; round++) await change(harness, entropy, ports);
  const records = new WatchedRecords();
  let positions = startAll(PARTITIONS, WATCH_STARTS.state);
  const labels = tier === "" ? [] : [{ key: "tier", value: tier }];
  for (let watches = 0; watches < 12; watches++) {
    const stream = new FakeWatchStream(peer);
    stream.reads = false;
    const log = stream.watch(hub, { positions, labels }, PARTITIONS);
    for (let reads = below(4); reads >= 0; reads--) {
      await harness.world.pass(2);
      await change(harness, entropy, ports);
      stream.readOnce();
    }
    if (watches === 11) {
      stream.reads = true;
      await harness.world.pass(20);
    }
    for (const { body } of log.replies) records.take(body);
    stream.events?.over();
    await change(harness, entropy, ports);
    const known = new Map(records.resume().map((position) => [position.partition, position]));
    positions = positions.map((start) => known.get(start.partition) ?? start);
    if (watches < 11) continue;
  }
  const last = new FakeWatchStream(peer);
  const log = last.watch(hub, { positions, labels }, PARTITIONS);
  await harness.world.pass(20);
  for (const { body } of log.replies) records.take(body);
  assert.equal(records.resets, []);
  const found = [...records.records].map(([key, record]) => [key, agentCodec.decode(record).port]);
  assert.equal(found.sort(), recordsOf(harness, tier), `seed ${seed}, tier ${tier}`);
}

test("listAndWatch: a client ends with what the registry holds, wherever it is interrupted", async () => {
  for (let seed = 1; seed <= 5; seed++) await interrupted(seed, seed % 2 === 0 ? "gold" : "");
});

test.run();
