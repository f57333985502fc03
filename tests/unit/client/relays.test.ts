/** Reads of placements whose relays other nodes hold: what moves between two reads is not gone. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { placementCodec, relayCodec } from "../../../schemas/gen/record.ts";
import { RESOLVED_PARTS } from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { RelayCalls } from "../../../src/client/calls/relays.ts";
import type { Invoker } from "../../../src/client/invoker.ts";
import { codeOf } from "../../support/refusal.ts";

const at = (index: number) => ({ generation: 1, index });

function placementReply(relayId: string, index: number, relayPart: number) {
  const placement = placementCodec.encode({
    ...placementCodec.empty(),
    ...{ agentId: "a1", relayId, ttlMs: 30_000, incarnation: at(index), relayIncarnation: at(5) },
  });
  return { placement, relayPart, remainingMs: 20_000, unixMs: 1_000_000 };
}

function relayReply(relayId: string, index: number) {
  const relay = relayCodec.encode({
    ...relayCodec.empty(),
    ...{ relayId, address: "a", grpcPort: 0xffff_fffb, ttlMs: 30_000, incarnation: at(index) },
  });
  return { relay, remainingMs: 30_000, unixMs: 1_000_000 };
}

const GONE = new RegistryError("not_found", "gone");
const ELSEWHERE = RESOLVED_PARTS.elsewhere;

/** Returns the calls over replies in the order in which they are asked for, and the names that were asked. */
function callsOver(...replies: readonly (readonly [string, unknown])[]) {
  const left = [...replies];
  const invoker = {
    invoke: (name: string) => {
      const [expected, reply] = left.shift() ?? ["nothing", undefined];
      assert.is(name, expected);
      return reply instanceof RegistryError
        ? Promise.reject(reply)
        : Promise.resolve({ reply, receipts: [] });
    },
  } as unknown as Invoker;
  const calls = new RelayCalls(invoker, {
    entropy: new SeededEntropy(1),
    clock: { nowMs: () => 0 },
    timeoutMs: 1_000,
  });
  return { calls, left };
}

test("placement asks for a relay that another node holds, and compares its incarnation", async () => {
  const { calls, left } = callsOver(
    ["getPlacement", placementReply("r1", 7, ELSEWHERE)],
    ["getRelay", relayReply("r1", 5)],
  );
  const { relayId, lastHeartbeatUnixMs } = await calls.placement("a1");
  assert.equal([relayId, lastHeartbeatUnixMs, left], ["r1", 990_000, []]);
});

test("placement reads again before it calls an agent gone, and then once is enough", async () => {
  for (const found of [GONE, relayReply("r1", 6)]) {
    const { calls, left } = callsOver(
      ["getPlacement", placementReply("r1", 7, ELSEWHERE)],
      ["getRelay", found],
      ["getPlacement", placementReply("r1", 7, ELSEWHERE)],
    );
    assert.is(await codeOf(calls.placement("a1")), "not_found");
    assert.equal(left, []);
  }
});

test("placement finds an agent that moved between the two reads", async () => {
  const { calls } = callsOver(
    ["getPlacement", placementReply("r1", 7, RESOLVED_PARTS.notFound)],
    ["getPlacement", placementReply("r2", 8, RESOLVED_PARTS.included)],
  );
  assert.is((await calls.placement("a1")).relayId, "r2");
});

test("placement gives up an agent that moves at each read", async () => {
  const { calls } = callsOver(
    ...[7, 8, 9].map((index) =>
      ["getPlacement", placementReply("r1", index, RESOLVED_PARTS.notFound)] as const
    ),
  );
  assert.is(await codeOf(calls.placement("a1")), "overloaded");
});

const list = (...records: Uint8Array[]) => ({
  items: records.map((record) => ({ record, remainingMs: 10_000, source: undefined })),
  nextCursor: new Uint8Array(0),
  unixMs: 1_000_000,
});

test("agents are listed again if a relay ended in between, as they may have moved before", async () => {
  const relay = relayReply("r1", 5).relay;
  const other = relayReply("r2", 5).relay;
  const { calls, left } = callsOver(
    ["listRelays", list(relay, other)],
    ["listPlacements", list(placementReply("r1", 7, 0).placement)],
    ["listRelays", list(other)],
    ["listPlacements", list(placementReply("r2", 8, 0).placement)],
    ["listRelays", list(other)],
  );
  assert.equal((await calls.agents()).items.map(({ relayId }) => relayId), ["r2"]);
  assert.equal(left, []);
});

test("agents are not listed at a relay that began another incarnation", async () => {
  const { calls } = callsOver(
    ["listRelays", list(relayReply("r1", 6).relay)],
    ["listPlacements", list(placementReply("r1", 7, 0).placement)],
    ["listRelays", list(relayReply("r1", 6).relay)],
  );
  assert.equal((await calls.agents()).items, []);
});

test("a list is in the order of UTF-8 bytes, and refused if it has too many items", async () => {
  const [smile, last] = ["😀", "\uffff"].map((name) => relayReply(name, 1).relay) as [
    Uint8Array,
    Uint8Array,
  ];
  const { calls } = callsOver(["listRelays", list(smile, last)], ["listRelays", list(smile, last)]);
  const { items } = await calls.list();
  assert.equal(items.map(({ relayId, grpcPort }) => [relayId, grpcPort]), [["\uffff", -5], [
    "😀",
    -5,
  ]]);
  assert.is(await codeOf(calls.list({ itemsMax: 1 })), "too_large");
  assert.is(await codeOf(calls.list({ itemsMax: 0 })), "invalid_argument");
});

test.run();
