/** The frozen folder of a registry whose groups had one replica and no configuration. */
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, fromHex, toHex } from "../../../src/base/bytes.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import type { Partition } from "../../../src/serving/partitions.ts";
import { idOf } from "../../support/store.ts";

interface Vector {
  readonly partitions: number;
  readonly clusterId: string;
  readonly groups: readonly {
    readonly partition: number;
    readonly term: number;
    readonly lastIndex: number;
    readonly timeMs: number;
    readonly agents: number;
    readonly gateways: number;
    readonly aliases: number;
    readonly imageSha256: string;
  }[];
  readonly files: Record<string, { size: number; pieces: { offset: number; hex: string }[] }>;
}

const vector: Vector = JSON.parse(
  Deno.readTextFileSync(new URL("../../vectors/node/local_groups.json", import.meta.url)),
);

async function opened(): Promise<RegistryHarness> {
  const harness = new RegistryHarness({ partitions: vector.partitions });
  for (const [name, { size, pieces }] of Object.entries(vector.files)) {
    const bytes = new Uint8Array(size);
    for (const { offset, hex } of pieces) bytes.set(fromHex(hex)!, offset);
    harness.disk.plant(name, bytes);
  }
  await harness.start();
  return harness;
}

async function checkState(harness: RegistryHarness): Promise<void> {
  for (const expected of vector.groups) {
    const place = harness.registry.table.at(expected.partition);
    if (!place.isHere) assert.unreachable("all are here");
    const { store, group } = place as Partition;
    const image = concatBytes(Array.from(store.writeImage(), (chunk) => chunk.slice()));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", image as BufferSource));
    assert.is(toHex(digest), expected.imageSha256, `state of partition ${expected.partition}`);
    assert.is(store.timeMs, expected.timeMs);
    assert.is(store.countOf(KIND_AGENT), expected.agents);
    assert.is(store.countOf(KIND_GATEWAY), expected.gateways);
    assert.is(store.aliasCount, expected.aliases);
    const { role, term, lastIndex } = group.status();
    assert.is(role, "leader");
    assert.ok(term > expected.term, "a term of its own");
    assert.ok(lastIndex > expected.lastIndex, "with an entry of its own");
  }
}

test("a folder of local groups opens as groups of one voter, with the same state", async () => {
  const harness = await opened();
  assert.is(toHex(harness.registry.cluster.clusterId), vector.clusterId);
  assert.is(harness.registry.created, false);
  await checkState(harness);
  await harness.restart();
  await checkState(harness);
});

test("a folder of local groups is written on, and found again", async () => {
  const harness = await opened();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 50, domain: "new.example" }));
  await harness.restart();
  assert.ok(harness.agent(idOf(50)) !== undefined);
  assert.ok(harness.agent(idOf(1)) !== undefined);
  assert.ok(harness.alias("last.example") !== undefined);
});

test.run();
