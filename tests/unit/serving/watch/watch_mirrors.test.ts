/** Watches of records of other regions: by their mirrors, with the home, and only for those who ask. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RecordEvent, Watch } from "../../../../src/client/mod.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import { agentPut, agentRemoval } from "../../../support/mirrors.ts";
import { gatewayPut, MirroredRegistry } from "../../../support/mirrored_registry.ts";
import { idOf } from "../../../support/store.ts";

/** Reads the next events about records. */
async function next({ harness: { world } }: MirroredRegistry, watch: Watch, count: number) {
  const events: RecordEvent[] = [];
  const iterator = watch[Symbol.asyncIterator]();
  while (events.length < count) {
    const { value } = await world.wait(iterator.next());
    if ("record" in value) events.push(value);
  }
  return events;
}

const facts = (events: readonly RecordEvent[]) =>
  events.map(({ type, kind, record: { id }, home, isState }) =>
    [type, kind, id, home, isState] as const
  );

const ID = (number: number) => formatUuid(idOf(number));

test("a watch tells of mirrors that come, change and go, with their home", async () => {
  const mirrored = await MirroredRegistry.open(["us-1", "ap-1"]);
  const { world } = mirrored.harness;
  const client = await mirrored.harness.client();
  const watch = client.watch({}, { before: true });
  const own = client.watch({}, { mirrors: false });
  await world.wait(Promise.all([watch.begun, own.begun]));
  await mirrored.mirror("us-1", { puts: [agentPut(10, { port: 1, region: "us-1" })] });
  await mirrored.mirror("us-1", { puts: [agentPut(11, { port: 2, region: "us-1" })] });
  await mirrored.mirror("ap-1", { puts: [gatewayPut("ap-1", 4, 7)] });
  await mirrored.mirror("us-1", { removals: [agentRemoval(1, 12)] });
  await world.wait(client.registerAgent({ id: ID(9), region: "global" }));
  const events = await next(mirrored, watch, 5);
  // Each partition has an order of its own.
  const ofAgent = events.filter(({ record: { id } }) => id === ID(1));
  assert.equal(facts(ofAgent), [
    ["put", "agent", ID(1), "us-1", false],
    ["put", "agent", ID(1), "us-1", false],
    ["deregistered", "agent", ID(1), "us-1", false],
  ]);
  assert.equal(ofAgent.map(({ record: { port }, before }) => [port, before?.port]), [
    ...[[1, undefined], [2, 1], [2, undefined]],
  ]);
  assert.ok(ofAgent.every(({ remainingMs }) => remainingMs === 0));
  const others = events.filter((event) => !ofAgent.includes(event));
  assert.equal(facts(others).sort(), [
    ...[["put", "agent", ID(9), undefined, false], ["put", "gateway", ID(4), "ap-1", false]],
  ]);
  assert.equal(facts(await next(mirrored, own, 1)), [["put", "agent", ID(9), undefined, false]]);
  assert.not("home" in (others.find(({ kind }) => kind === "agent") as object));
});

test("the state has mirrors too: one of each home, beside the own record", async () => {
  const mirrored = await MirroredRegistry.open(["us-1", "ap-1"]);
  const { world } = mirrored.harness;
  const client = await mirrored.harness.client();
  await world.wait(client.registerAgent({ id: ID(1), region: "global" }));
  await mirrored.mirror("us-1", { puts: [agentPut(10, { number: 1, region: "us-1" })] });
  await mirrored.mirror("ap-1", {
    puts: [agentPut(20, { number: 1, region: "us-1" }), gatewayPut("ap-1", 4, 7)],
  });
  const homes = async (watch: Watch, count: number) =>
    (await next(mirrored, watch, count)).map(({ record: { id }, home, isState }) => {
      assert.ok(isState);
      return `${id} ${home}`;
    }).sort();
  assert.equal(await homes(client.watch({}, { state: true }), 4), [
    ...[`${ID(1)} ap-1`, `${ID(1)} undefined`, `${ID(1)} us-1`, `${ID(4)} ap-1`],
  ]);
  const byId = client.watch({ ids: [ID(1)], kind: "agent" }, { state: true });
  assert.equal(await homes(byId, 3), [`${ID(1)} ap-1`, `${ID(1)} undefined`, `${ID(1)} us-1`]);
  const inUs = client.watch({ region: "us-1" }, { state: true });
  assert.equal(await homes(inUs, 2), [`${ID(1)} ap-1`, `${ID(1)} us-1`]);
  const gateways = client.watch({ kind: "gateway" }, { state: true });
  assert.equal(await homes(gateways, 1), [`${ID(4)} ap-1`]);
  // A view keeps own records.
  const view = await world.wait(client.cachedView());
  assert.is(view.size, 1);
  view.close();
});

test("many mirrors are listed once each, in pages, while they change", async () => {
  const mirrored = await MirroredRegistry.open(["us-1"]);
  const client = await mirrored.harness.client();
  const numbers = Array.from({ length: 300 }, (_, index) => index + 1);
  await mirrored.mirror("us-1", {
    puts: numbers.map((number) => agentPut(number, { number, region: "us-1" })),
  });
  const watch = client.watch({ kind: "agent" }, { state: true });
  const seen = (await next(mirrored, watch, numbers.length)).map(({ record: { id } }) => id);
  assert.is(new Set(seen).size, numbers.length);
  await mirrored.mirror("us-1", { removals: [agentRemoval(7, 400)] });
  assert.equal(facts(await next(mirrored, watch, 1)), [
    ["deregistered", "agent", ID(7), "us-1", false],
  ]);
});

test.run();
