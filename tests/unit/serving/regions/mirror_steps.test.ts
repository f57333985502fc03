/** MirrorSteps: what the leader of a partition logs and answers for a puller on another node. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SENDER_FIELD } from "../../../../src/serving/leader_calls.ts";
import { toRegistryError } from "../../../../src/base/errors.ts";
import { TokenBucket } from "../../../../src/base/token_bucket.ts";
import {
  encodeMirrorBatch,
  encodeMirrorDrop,
  encodeMirrorFence,
} from "../../../../src/record/command.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import type { RequestContext } from "../../../../src/serving/request_context.ts";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import { FakeRegionLink, SourceRegion } from "../../../support/fake_region_link.ts";
import { agentPut, batchOf } from "../../../support/mirrors.ts";
import { RegistryHarness } from "../../../support/registry_harness.ts";
import { idOf } from "../../../support/store.ts";

const HEADER = { timeMs: 0, unixS: 0, writer: 0 };
/** Node 1 follows `us`; its runs have lower fences than this. */
const FENCE = 1_000;

/** A registry whose node 1 follows region `us`, and the steps that it takes for another node. */
async function scene() {
  const source = new SourceRegion(2);
  const harness: RegistryHarness = new RegistryHarness({
    linkTo: () => new FakeRegionLink(source, harness.world),
  });
  await harness.start();
  const { registry, world } = harness;
  const pin = new Uint8Array(32);
  await world.wait(registry.putMember({ nodeId: 1, addresses: [], pin, nextPin: pin }));
  registry.placement.hurry();
  await world.pass(100);
  const peer = await harness.peer();
  const limits = { preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 };
  await peer.must("addRegion", { name: "us", servers: ["192.0.2.7:1"], bundle: "", ...limits });
  await world.pass(5_000);
  const context = (node: number | undefined): RequestContext => ({
    peer: developmentPeer({ region: "eu", revoked: new AbortController().signal }),
    bucket: new TokenBucket({ ratePerSecond: 1, burst: 1, nowMs: 0 }),
    caller: {},
    node,
    deadlineMs: world.nowMs() + 5_000,
    receipts: [],
  });
  const { logMirrors, readMirrors } = registry.regions.handlers;
  type Log = (request: object, context: RequestContext) => Promise<{ count: number }>;
  type Read = (request: object, context: RequestContext) => Promise<{
    readonly count: number;
    readonly mirrors: readonly { readonly id: Uint8Array }[];
    readonly cursors: readonly unknown[];
  }>;
  const log = (command: Uint8Array, partition: number, node: number | undefined = 1) =>
    world.wait((logMirrors as Log)({ partition, command }, context(node)));
  const read = (partition: number, fields: object = {}, node: number | undefined = 1) => {
    const request = { partition, home: "us", page: 0, pages: 1, ...fields };
    return world.wait((readMirrors as Read)(request, context(node)));
  };
  return { registry, log, read };
}

const fence = (home: string, shard = 0) => encodeMirrorFence(HEADER, { home, shard, fence: FENCE });

async function refusal(promise: Promise<unknown>) {
  try {
    await promise;
  } catch (error) {
    const { code, fields } = toRegistryError(error);
    return [code, fields.field];
  }
  return "none";
}

test("a leader logs the batches of a puller, and tells it what it has, page by page", async () => {
  const { registry, log, read } = await scene();
  const { id: partition } = registry.table.held(KIND_AGENT, idOf(1));
  await log(fence("us"), partition);
  const puts = [agentPut(5, { number: 1 }), agentPut(6, { number: 2 })];
  const batch = batchOf({
    fence: FENCE,
    feed: 99,
    puts,
    cursors: [
      { partition: 3, generation: 1, index: 6, ordinal: 0 },
    ],
  });
  const { count } = await log(encodeMirrorBatch(HEADER, batch), partition);
  assert.is(count, 2);
  const all = await read(partition);
  assert.equal([all.count, all.mirrors.length, all.cursors.length], [2, 2, 1]);
  const pages = [await read(partition, { pages: 2 }), await read(partition, { pages: 2, page: 1 })];
  assert.equal(pages.map(({ mirrors }) => mirrors.map(({ id }) => id)), [[idOf(2)], [idOf(1)]]);
  assert.equal((await read(partition, { pages: 0 })).mirrors, []);
  assert.is((await read(partition, { home: "us", page: 0, pages: 1 })).count, 2);
});

test("a node may write mirrors only of what group 0 has it follow", async () => {
  const { log, read } = await scene();
  const denied = ["permission_denied", SENDER_FIELD];
  assert.equal(await refusal(log(fence("us"), 0, 2)), denied);
  assert.equal(await refusal(log(fence("us"), 0, 0)), denied);
  assert.equal(await refusal(log(fence("us", 63), 0)), denied);
  assert.equal(await refusal(log(fence("ap"), 0)), denied);
  assert.equal(await refusal(read(0, {}, 2)), denied);
  const drop = encodeMirrorDrop(HEADER, { home: "us", fence: FENCE });
  assert.equal(await refusal(log(drop, 0)), ["invalid_argument", "command"]);
  assert.equal(await refusal(log(fence("us"), 999)), ["invalid_argument", "partition"]);
  assert.is(await refusal(log(fence("us"), 0)), "none");
});

test.run();
