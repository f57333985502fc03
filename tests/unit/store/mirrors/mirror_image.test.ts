/** Mirrors in images: the same state, the same bytes; images of earlier versions load as they were. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex } from "../../../../src/base/bytes.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../../../src/record/key.ts";
import { PartitionStore } from "../../../../src/store/store.ts";
import { agentPut, agentRemoval, aliasItem, MirrorHarness } from "../../../support/mirrors.ts";
import { domainBytes } from "../../../../src/record/key.ts";
import { idOf, imageOf, newShared } from "../../../support/store.ts";

/** Returns a store with two regions, cursors, and tombstones of two fences. */
function mirrored(): MirrorHarness {
  const harness = new MirrorHarness();
  harness.putAgent({ number: 9 });
  harness.fence(3);
  harness.fence(7, { home: "ap", shard: 2 });
  const puts = Array.from({ length: 6 }, (_, index) => agentPut(index + 1, { number: index + 1 }));
  harness.batch({ fence: 3, number: 1, puts, aliases: [aliasItem("a.example", 1, {})] });
  const cursors = [{ partition: 3, generation: 1, index: 9, ordinal: 2 }];
  harness.batch({ fence: 3, number: 2, removals: [agentRemoval(2, 10)], cursors });
  harness.batch({ home: "ap", shard: 2, fence: 7, number: 1, feed: 4, puts: [agentPut(5)] });
  harness.drop(2, "gone");
  harness.fence(8);
  harness.batch({ fence: 8, number: 1, removals: [agentRemoval(3, 11), agentRemoval(4, 12)] });
  return harness;
}

function loaded(image: Uint8Array, chunkBytes = image.length): PartitionStore {
  const store = new PartitionStore({ shared: newShared() });
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < image.length; at += chunkBytes) {
    // Each chunk replaces the one before, as those of a reader do.
    chunks.push(image.slice(at, at + chunkBytes));
  }
  store.loadImage(chunks);
  for (const chunk of chunks) chunk.fill(0xff);
  return store;
}

test("an image restores mirrors, fences, cursors and tombstones, read in pieces of any size", () => {
  const harness = mirrored();
  const image = harness.image();
  for (const size of [1, 7, 64, image.length]) {
    const twin = loaded(image, size);
    assert.equal(imageOf(twin), image, `pieces of ${size}`);
    const { shards, cursors, mirrorCount, aliasCount } = twin.mirrors.source("us")!;
    assert.equal([...cursors.values()], [{ partition: 3, generation: 1, index: 9, ordinal: 2 }]);
    assert.equal([mirrorCount, aliasCount], [3, 1]);
    const { fence, batch, removed } = shards.get(0)!;
    assert.equal([fence, batch], [8, 1]);
    assert.equal(removed.map(({ fence, revision }) => [fence, revision.index]), [
      [3, 10],
      [8, 11],
      [8, 12],
    ]);
    assert.is(twin.mirrors.source("ap")!.feed, 4);
  }
});

test("a restored store goes on as the one that wrote the image", () => {
  const harness = mirrored();
  const twin = loaded(harness.image(), 100);
  const steps: (() => void)[] = [
    () =>
      harness.batch({ fence: 8, puts: [agentPut(9, { number: 2 }), agentPut(11, { number: 3 })] }),
    () => harness.batch({ fence: 8, settled: 1, settledEarlier: true }),
    () => harness.batch({ fence: 8, puts: [agentPut(9, { number: 2 })] }),
    () => harness.fence(2, { home: "gone" }),
    () => harness.drop(9, "us"),
  ];
  for (const step of steps) {
    step();
    twin.apply(harness.log.at(-1)!);
    assert.equal(imageOf(twin), harness.image());
  }
});

test("an image that lacks what it must know of other regions is corrupt", () => {
  const image = mirrored().image();
  const isCorrupt = (error: Error) => error instanceof RegistryError && error.code === "corrupt";
  let refused = 0;
  for (let end = 32; end < image.length; end += 8) {
    assert.throws(() => loaded(image.slice(0, end)), isCorrupt, `cut at ${end}`);
    refused++;
  }
  assert.ok(refused > 50);
});

test("the image of the first version loads, and is written again as it was", async () => {
  const url = new URL("../../../vectors/store_image.json", import.meta.url);
  const vector = JSON.parse(await Deno.readTextFile(url));
  const image = fromHex(vector.image)!;
  const store = loaded(image);
  assert.is(store.applyVersion, 1);
  assert.equal(imageOf(store), image);
  const agent = store.agentView(store.find(KIND_AGENT, idOf(1), 0, 16)).toPlain();
  assert.equal([agent.domain, agent.state, agent.scope], ["a1.example", 1, 0]);
  assert.is(store.gatewayView(store.find(KIND_GATEWAY, idOf(3), 0, 16)).region, "eu-1");
  assert.is(store.find(KIND_GATEWAY, idOf(4), 0, 16), -1);
  const domain = domainBytes("a2.example");
  assert.ok(store.find(KIND_ALIAS, domain, 0, domain.length) !== -1);
  assert.is(store.mirrors.source("us"), undefined);
});

test.run();
