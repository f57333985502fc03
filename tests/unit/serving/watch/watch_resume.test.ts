/** Watches that continue at a position: what they miss is delivered once, or they begin anew. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { groupOfPartition } from "../../../../src/base/ids.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import { WATCH_PHASES, WATCH_STARTS } from "../../../../schemas/gen/wire.ts";
import { agentRequest, RegistryHarness } from "../../../support/registry_harness.ts";
import type { RawPeer } from "../../../support/raw_peer.ts";
import { extraOf, idOf } from "../../../support/store.ts";
import { behind, type ProbeOrder, startAll, WatchProbe } from "../../../support/watch_probe.ts";

const PARTITIONS = 4;
const NEXT = startAll(PARTITIONS, WATCH_STARTS.next);

async function opened() {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const watch = async (order: ProbeOrder = {}) => {
    const probe = new WatchProbe(await harness.peer(), "watch", { positions: NEXT, ...order });
    await harness.world.pass(2);
    return probe;
  };
  return { harness, watch };
}

async function register(owner: RawPeer, from: number, to: number, sequence = 7) {
  for (let number = from; number < to; number++) {
    await owner.must("registerAgent", agentRequest({ number, sequence }));
  }
}

const numbers = (probe: WatchProbe) => probe.events.map(({ record }) => record[23]!).sort();

test("watch: the first reply names all positions, and a later watch continues behind them", async () => {
  const { harness, watch } = await opened();
  const owner = await harness.peer();
  await register(owner, 1, 10);
  const first = await watch();
  assert.equal([...first.positions.keys()], [0, 1, 2, 3]);
  assert.equal(first.events, []);
  await register(owner, 10, 20);
  await harness.world.pass(2);
  const { code } = await first.peer.ask("cancelWatch", { id: first.id });
  assert.is(code, "ok");
  assert.is(first.end, "ok");
  await register(owner, 20, 30);
  assert.equal(numbers(first), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  const second = await watch({ positions: first.resume() });
  assert.equal(numbers(second), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  assert.ok(second.events.every(({ phase }) => phase === WATCH_PHASES.changes));
});

test("watch: a position within an entry is continued behind its event", async () => {
  const { harness, watch } = await opened();
  const owner = await harness.peer();
  for (let number = 1; number <= 60; number++) {
    await owner.must("registerAgent", agentRequest({ number, ttlMs: 5_000 }));
  }
  const first = await watch();
  await harness.world.pass(30_000);
  // Expiries share entries.
  const shared = first.events.filter(({ ordinal }) => ordinal > 1);
  assert.is(first.events.length, 60);
  assert.ok(shared.length > 0);
  for (const { partition, index, ordinal } of first.events) {
    const all = first.events.filter((event) => event.partition === partition);
    const place = all.findIndex((event) => event.index === index && event.ordinal === ordinal);
    const positions = [{ ...behind(partition, index), ordinal }];
    const rest = await watch({ positions });
    assert.is(rest.events.length, all.length - place - 1);
    rest.peer.session.abort("done");
  }
});

test("watch: after a restart the history is that of the log", async () => {
  const { harness, watch } = await opened();
  await register(await harness.peer(), 1, 10);
  const first = await watch();
  await register(await harness.peer(), 10, 20);
  await harness.world.pass(100);
  await harness.restart();
  await harness.world.pass(1_000);
  await register(await harness.peer(), 20, 30);
  const second = await watch({ positions: first.positions.size > 0 ? first.resume() : [] });
  assert.equal([...second.resets, ...second.ended], []);
  assert.equal(numbers(second).slice(-10), [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
  const known = new Set([...first.events, ...second.events].map(({ record }) => record[23]));
  assert.is(known.size, 20);
});

/** Registers agents twice, replaces the log of the first one's partition by an image, and restarts. */
async function imaged() {
  const { harness, watch } = await opened();
  const owner = await harness.peer();
  await register(owner, 1, 40);
  const first = await watch();
  await register(owner, 1, 40, 8);
  const partition = harness.registry.table.held(KIND_AGENT, idOf(1)).id;
  await harness.world.wait(
    new Promise<void>((resolve) =>
      harness.registry.groups.nodes.writeImage(groupOfPartition(partition), (error) => {
        assert.is(error, undefined);
        resolve();
      })
    ),
  );
  await harness.restart();
  await harness.world.pass(1_000);
  const positions = NEXT.map(({ partition: of }) => behind(of, first.positions.get(of)!.index - 5));
  return { harness, watch, partition, positions };
}

test("watch: after a restart from an image it begins anew, in that partition only", async () => {
  const { watch, partition, positions } = await imaged();
  const second = await watch({ positions });
  assert.equal(second.resets, [partition]);
  const state = second.events.filter(({ phase }) => phase === WATCH_PHASES.state);
  assert.ok(state.length > 0 && state.every((event) => event.partition === partition));
  assert.ok(second.events.some(({ phase }) => phase === WATCH_PHASES.changes));
});

test("watch: a partition that leaves ends alone; if it is here after all, its history is as before", async () => {
  const { harness, watch, partition, positions } = await imaged();
  const probe = await watch();
  const { table } = harness.registry;
  const place = table.at(partition);
  table.put({ isHere: false, id: partition, nodes: [7], leader: 7 });
  await harness.world.pass(2);
  assert.equal([...probe.ended], [[partition, "not_replica"]]);
  assert.is(probe.replies.at(-1)!.body.parts[0].leaderHint, 7);
  assert.is(probe.end, undefined);
  const owner = await harness.peer();
  for (let number = 50; number < 60; number++) {
    await owner.ask("registerAgent", agentRequest({ number }));
  }
  await harness.world.pass(2);
  assert.ok(probe.events.length > 0);
  assert.ok(probe.events.every((event) => event.partition !== partition));
  const elsewhere = await watch();
  assert.equal([...elsewhere.ended], [[partition, "not_replica"]]);
  table.put(place);
  const again = await watch({ positions });
  assert.equal(again.resets, [partition]);
});

test("watch: when the history was given up it begins anew", async () => {
  const { harness, watch } = await opened();
  const owner = await harness.peer();
  const large = { extra: extraOf({ filler: "x".repeat(250), more: "y".repeat(250) }) };
  await owner.must("registerAgent", agentRequest({ number: 1, ...large }));
  const first = await watch();
  await first.peer.ask("cancelWatch", { id: first.id });
  for (let sequence = 8; sequence < 1_000; sequence++) {
    await owner.must("registerAgent", agentRequest({ number: 1, sequence, ...large }));
  }
  const { partition } = { partition: harness.registry.table.held(KIND_AGENT, idOf(1)).id };
  const second = await watch({ positions: first.resume() });
  assert.equal(second.resets, [partition]);
  assert.is(second.records.size, 1);
  assert.ok(harness.registry.watches.status.historyBytes <= 1024 * 1024);
});

test("watch: positions that cannot be", async () => {
  const { harness, watch } = await opened();
  await register(await harness.peer(), 1, 10);
  const older = await watch({ positions: [behind(0, 1, 0), { ...NEXT[1]! }] });
  assert.equal([...older.ended], [[0, "history_lost"]]);
  assert.is(older.end, undefined, "The other partition is watched");
  const above = await watch({ positions: [behind(2, 1_000_000)] });
  assert.equal([...above.ended], [[2, "invalid_argument"]]);
  assert.is(above.end, "ok", "No partition is left");
  const later = await watch({ positions: [behind(2, 1, 2)] });
  assert.equal([...later.ended], [[2, "invalid_argument"]]);
});

test("watch: malformed requests", async () => {
  const { watch } = await opened();
  const codeOf = async (order: ProbeOrder) => (await watch(order)).end;
  const state = startAll(PARTITIONS, WATCH_STARTS.state);
  assert.is(await codeOf({ positions: [] }), "invalid_argument");
  assert.is(await codeOf({ positions: [NEXT[0]!, NEXT[0]!] }), "invalid_argument");
  assert.is(
    await codeOf({ positions: [{ ...NEXT[0]!, partition: PARTITIONS }] }),
    "invalid_argument",
  );
  assert.is(await codeOf({ positions: [{ ...NEXT[0]!, start: 3 }] }), "invalid_argument");
  assert.is(await codeOf({ positions: state }), "invalid_argument");
  assert.is(await codeOf({ kind: 9 }), "invalid_argument");
  assert.is(await codeOf({ kind: 3, region: "eu" }), "invalid_argument");
  assert.is(await codeOf({ kind: 1, domains: ["a.example"] }), "invalid_argument");
  assert.is(await codeOf({ ids: [new Uint8Array(3)] }), "invalid_argument");
  assert.is(await codeOf({ progressMs: 99 }), "invalid_argument");
  assert.is(
    await codeOf({ ids: [idOf(1)] }),
    "invalid_argument",
    "Most partitions have no such id",
  );
  assert.is(await codeOf({ ids: Array.from({ length: 1_025 }, () => idOf(1)) }), "too_large");
  const afterId = { ...NEXT[0]!, afterId: idOf(1) };
  assert.is(await codeOf({ positions: [afterId] }), "invalid_argument");
});

test.run();
