/** Group 0: the genesis once, members, the ring map, the image. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { commandCodec } from "../../../schemas/gen/command.ts";
import { concatBytes, fromHex, toHex } from "../../../src/base/bytes.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  encodeGenesis,
  encodePutMember,
  encodeRemoveMember,
  encodeTick,
} from "../../../src/record/command.ts";
import { SystemStore } from "../../../src/system/system_store.ts";

const HEADER = { timeMs: 5, unixS: 6, writer: 0 };
const GENESIS = {
  clusterId: new Uint8Array(16).fill(1),
  hashKey: new Uint8Array(16).fill(2),
  partitionCount: 1_024,
  generation: 1,
  region: "eu",
};
const MEMBER = {
  nodeId: 7,
  addresses: [{ transport: "quic", host: "::1", port: 4433 }],
  pin: new Uint8Array(32).fill(3),
  nextPin: new Uint8Array(32),
};

function isCorrupt(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "corrupt";
}

class Harness {
  readonly store = new SystemStore();

  apply(data: Uint8Array): string {
    return this.store.apply({ index: this.store.appliedIndex + 1, term: 1, data }).code;
  }
}

function created(): Harness {
  const harness = new Harness();
  assert.is(harness.apply(encodeGenesis(HEADER, GENESIS)), "ok");
  return harness;
}

test("genesis fixes the cluster, and a second one is refused", () => {
  const harness = created();
  const { store } = harness;
  assert.equal(store.genesis, GENESIS);
  assert.is(store.timeMs, 5);
  const other = { ...GENESIS, clusterId: new Uint8Array(16).fill(9) };
  assert.is(harness.apply(encodeGenesis(HEADER, other)), "wrong_cluster");
  assert.is(harness.apply(encodeGenesis(HEADER, GENESIS)), "wrong_cluster");
  assert.equal(store.genesis, GENESIS);
});

test("genesis is refused without id, generation, or a power of two of partitions", () => {
  const harness = new Harness();
  const wrong = [
    { clusterId: new Uint8Array(16) },
    { partitionCount: 1_000 },
    { partitionCount: 16_384 },
    { generation: 0 },
  ];
  for (const fields of wrong) {
    assert.is(harness.apply(encodeGenesis(HEADER, { ...GENESIS, ...fields })), "invalid_argument");
  }
  assert.is(harness.store.genesis, undefined);
  assert.is(harness.store.ringMap(0), undefined);
});

test("putMember needs a cluster and a node id, and gives the ring map a new epoch", () => {
  assert.is(new Harness().apply(encodePutMember(HEADER, MEMBER)), "invalid_argument");
  const harness = created();
  assert.equal(harness.store.ringMap(0)?.epoch, { generation: 1, number: 1 });
  assert.is(harness.apply(encodePutMember(HEADER, { ...MEMBER, nodeId: 0 })), "invalid_argument");
  assert.is(harness.apply(encodePutMember(HEADER, MEMBER)), "ok");
  assert.equal(harness.store.ringMap(7), {
    epoch: { generation: 1, number: 3 },
    partitionCount: 1_024,
    hashKey: GENESIS.hashKey,
    nodes: [{
      nodeId: 7,
      addresses: MEMBER.addresses,
      currentPin: MEMBER.pin,
      nextPin: new Uint8Array(0),
      zone: "",
    }],
    placements: [{ leader: 7, replicas: [7] }],
  });
  harness.apply(encodePutMember(HEADER, { ...MEMBER, addresses: [] }));
  assert.equal(harness.store.ringMap(7)?.nodes[0]?.addresses, []);
});

test("apply answers what is no command of the system with a code", () => {
  const harness = created();
  assert.is(harness.apply(encodeTick(HEADER)), "ok");
  assert.is(harness.apply(commandCodec.encode({ ...HEADER, kind: 1 })), "malformed");
  assert.is(harness.apply(new Uint8Array(0)), "malformed");
  assert.is(harness.apply(new Uint8Array(64).fill(0xff)), "malformed");
  assert.throws(
    () => harness.store.apply({ index: 1, term: 1, data: encodeTick(HEADER) }),
    /above/,
  );
});

test("a command of a kind that only a later version knows stops the replica", () => {
  const harness = created();
  const later = commandCodec.encode({ ...HEADER, kind: 60_000 });
  assert.throws(
    () => harness.apply(later),
    (error: Error) => error instanceof RegistryError && error.code === "unsupported_version",
  );
});

test("an image of version 1 gives the same state, which is written in version 2", () => {
  const url = new URL("../../vectors/node/system_image_1.json", import.meta.url);
  const vector = JSON.parse(Deno.readTextFileSync(url));
  const bytes = fromHex(vector.hex)!;
  const store = new SystemStore();
  store.loadImage([bytes.subarray(0, 100), bytes.subarray(100)]);
  const rewritten = new SystemStore();
  rewritten.loadImage(store.writeImage());
  for (const { appliedIndex, timeMs, members, identities, state } of [store, rewritten]) {
    assert.equal([appliedIndex, timeMs], [vector.appliedIndex, vector.timeMs]);
    assert.equal(members.map(({ nodeId }) => nodeId), vector.members);
    assert.is(identities.nextLineage, vector.nextLineage);
    assert.is(identities.audit.count, vector.audited);
    assert.is(toHex(identities.audit.head), vector.auditHead);
    assert.is(identities.bans().length, 2);
    assert.is(identities.lineage(4)?.stopped, "stolen");
    assert.is(identities.lineageOf("spiffe://t/region/eu/agent/2")?.latestUsed, true);
    assert.is(identities.token(new Uint8Array(32).fill(3))?.spent?.lineage, 3);
    assert.is(identities.grants.of(2)?.length, 1);
    assert.equal(identities.document(1), { version: 4, bytes: Uint8Array.of(1, 2) });
    assert.is(state.versions.generation, 3);
    assert.is(state.versions.applyVersion, 1);
    assert.is(state.replicas.next, 2);
  }
  assert.is(rewritten.ringMap(0)!.epoch.number, vector.ringNumber);
  const again = encodePutMember(HEADER, { ...MEMBER, nodeId: vector.removed[0] });
  assert.is(rewritten.apply({ index: 1_000, term: 1, data: again }).code, "not_replica");
  for (let length = 0; length < bytes.length; length += 7) {
    try {
      const cut = new SystemStore();
      cut.loadImage([bytes.subarray(0, length)]);
      assert.ok(cut.identities.audit.count < vector.audited);
    } catch (error) {
      assert.ok(isCorrupt(error), `length ${length}`);
    }
  }
});

test("an image with a section or a version of later programs is refused", () => {
  const harness = created();
  const image = concatBytes([...harness.store.writeImage()]);
  const version = image.slice();
  version[8] = 3;
  assert.throws(() => new SystemStore().loadImage([version]), /does not know version 3 of System/);
  const section = image.slice();
  section[40] = 99;
  assert.throws(() => new SystemStore().loadImage([section]), /section 99/);
  const sectionVersion = image.slice();
  sectionVersion[44] = 2;
  assert.throws(
    () => new SystemStore().loadImage([sectionVersion]),
    /does not know version 2 of section 1/,
  );
});

test("image gives the same state and the same bytes, cut anywhere", () => {
  const harness = created();
  harness.apply(encodePutMember(HEADER, { ...MEMBER, nodeId: 9 }));
  harness.apply(encodePutMember(HEADER, MEMBER));
  harness.apply(encodeTick({ ...HEADER, timeMs: 99 }));
  const image = [...harness.store.writeImage()].flatMap((chunk) => [...chunk]);
  for (const cut of [0, 1, 16, 17, 100, image.length]) {
    const loaded = new SystemStore();
    loaded.loadImage([Uint8Array.from(image.slice(0, cut)), Uint8Array.from(image.slice(cut))]);
    assert.is(loaded.appliedIndex, 4);
    assert.is(loaded.timeMs, 99);
    assert.equal(loaded.ringMap(7), harness.store.ringMap(7));
    assert.equal([...loaded.writeImage()].flatMap((chunk) => [...chunk]), image);
  }
  for (let length = 0; length < image.length; length++) {
    const cut = Uint8Array.from(image.slice(0, length));
    assert.throws(() => new SystemStore().loadImage([cut]), isCorrupt, `length ${length}`);
  }
});

test("a member that was removed never is one again, in an image neither", () => {
  const harness = created();
  assert.is(harness.apply(encodePutMember(HEADER, MEMBER)), "ok");
  const removal = encodeRemoveMember(HEADER, { nodeId: 7, detail: "an administrator" });
  assert.is(harness.apply(removal), "invalid_argument", "The last one stays");
  assert.is(harness.apply(encodePutMember(HEADER, { ...MEMBER, nodeId: 8 })), "ok");
  const { number } = harness.store.ringMap(0)!.epoch;
  assert.is(harness.apply(removal), "ok");
  assert.ok(harness.store.ringMap(0)!.epoch.number > number);
  assert.is(harness.store.identities.audit.count, 1);
  assert.is(harness.apply(removal), "not_found");
  const copy = new Harness();
  copy.store.loadImage(harness.store.writeImage());
  const replaced = new Harness();
  replaced.store.replaceBy(copy.store);
  for (const { store } of [harness, copy, replaced]) {
    assert.equal(store.members.map(({ nodeId }) => nodeId), [8]);
    const data = encodePutMember(HEADER, MEMBER);
    const reply = store.apply({ index: store.appliedIndex + 1, term: 1, data });
    assert.is(reply.code, "not_replica");
  }
});

test.run();
