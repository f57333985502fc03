/** Peer regions in group 0: settings by revision, feeds that are accepted, pullers with rising fences. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { PutRegionBansCommand } from "../../../../schemas/gen/system.ts";
import { PEER_REGIONS_MAX, REGION_BANS_MAX } from "../../../../src/base/limits.ts";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../../../schemas/gen/audit.ts";
import { encodeRemoveMember } from "../../../../src/record/command.ts";
import {
  encodeAcceptFeed,
  encodeAssignPuller,
  encodePutRegion,
  encodePutRegionBans,
  encodeRegionRecord,
  encodeRemoveRegion,
  REGION_BANS_APPLY_VERSION,
  REGIONS_APPLY_VERSION,
} from "../../../../src/system/regions/region_codec.ts";
import { isBannedBy, type RegionSettings } from "../../../../src/system/regions/region_state.ts";
import { encodeRaiseApplyVersion } from "../../../../src/system/versions/version_state.ts";
import { HEADER, SystemHarness } from "../../../support/system_harness.ts";

const SETTINGS: RegionSettings = {
  name: "us",
  servers: ["192.0.2.7:4443"],
  bundle: "",
  preference: 100,
  bytesPerSecondMax: 1_000,
  logPercentMax: 25,
  isPaused: false,
};

/** A cluster of region `eu` with two nodes. */
class Regions extends SystemHarness {
  constructor({ version = REGIONS_APPLY_VERSION } = {}) {
    super();
    this.admit(1, 1, version);
    this.admit(2, 2, version);
    this.apply(encodeRaiseApplyVersion(HEADER, version));
  }

  region(name = "us") {
    return this.state.regions.of(name);
  }

  setting(fields: Partial<RegionSettings> = {}, replacedRevision?: number) {
    const name = fields.name ?? "us";
    const revision = replacedRevision ?? this.region(name)?.revision ?? 0;
    return this.apply(encodePutRegion(HEADER, {
      ...SETTINGS,
      ...fields,
      replacedRevision: revision,
      detail: "spiffe://x/controller",
    }));
  }

  accept(cluster: number, generation: number, isFirst = false) {
    const clusterId = new Uint8Array(16).fill(cluster);
    const accept = { name: "us", clusterId, generation, isFirst, detail: "" };
    return this.apply(encodeAcceptFeed(HEADER, accept));
  }

  assign(nodeId: number, replacedFence: number, shard = 0) {
    return this.apply(encodeAssignPuller(HEADER, { name: "us", shard, nodeId, replacedFence }));
  }

  drop(name = "us") {
    return this.apply(encodeRemoveRegion(HEADER, { name, detail: "" }));
  }
}

test("RegionState takes no region until the apply version rose", () => {
  const harness = new Regions({ version: REGIONS_APPLY_VERSION - 1 });
  assert.is(harness.setting(), "invalid_argument");
  assert.is(harness.state.regions.isEmpty, true);
});

test("RegionState adds and changes regions by the revision that is replaced", () => {
  const harness = new Regions();
  assert.is(harness.setting(), "ok");
  assert.is(harness.setting({}, 0), "incarnation_mismatch", "it is there already");
  assert.is(harness.setting({ preference: 7, isPaused: true }), "ok");
  assert.equal(harness.region()?.settings, { ...SETTINGS, preference: 7, isPaused: true });
  assert.is(harness.setting({ name: "ap", preference: 3 }), "ok");
  assert.equal(harness.state.regions.all.map(({ settings }) => settings.name), ["ap", "us"]);
  harness.reload();
  assert.equal(harness.region()?.settings.preference, 7);
});

test("RegionState refuses what no region can be", () => {
  const harness = new Regions();
  const refused: Partial<RegionSettings>[] = [
    { name: "eu" },
    { name: "" },
    { name: "US" },
    { name: "x".repeat(64) },
    { servers: [] },
    { servers: Array(17).fill("a:1") },
    { servers: [""] },
    { servers: ["x".repeat(262)] },
    { bundle: "x".repeat(65_537) },
    { logPercentMax: 0 },
    { logPercentMax: 101 },
  ];
  for (const fields of refused) {
    assert.is(harness.setting(fields), "invalid_argument", JSON.stringify(fields).slice(0, 60));
  }
  for (let number = 0; number < PEER_REGIONS_MAX; number++) {
    assert.is(harness.setting({ name: `r${number}` }), "ok");
  }
  assert.is(harness.setting({ name: "one-more" }), "overloaded");
  assert.is(harness.drop("none"), "not_found");
});

test("RegionState accepts a first feed by itself, and another one only when it is told", () => {
  const harness = new Regions();
  harness.setting();
  assert.is(harness.accept(0, 1, true), "invalid_argument", "no cluster");
  const first = harness.accept(7, 1, true) as number;
  assert.equal(harness.region()?.feed, first);
  assert.is(harness.accept(7, 1, true), first, "the same again");
  assert.is(harness.accept(8, 1, true), "incarnation_mismatch", "another cluster");
  assert.is(harness.accept(7, 2, true), "incarnation_mismatch", "another generation");
  harness.assign(1, 0);
  const second = harness.accept(8, 1) as number;
  assert.ok(second > first);
  assert.equal(harness.region()?.pullers, [], "its pullers are those of the earlier feed");
  harness.reload();
  assert.is(harness.region()?.feed, second);
});

test("RegionState assigns a shard under a fence above all before, for the assignment it replaces", () => {
  const harness = new Regions();
  harness.setting();
  const first = harness.assign(1, 0) as number;
  assert.is(harness.assign(2, 0), "incarnation_mismatch");
  const second = harness.assign(2, first) as number;
  assert.ok(second > first);
  const other = harness.assign(1, 0, 1) as number;
  assert.ok(other > second);
  assert.equal(harness.region()?.pullers, [
    { shard: 0, nodeId: 2, fence: second },
    { shard: 1, nodeId: 1, fence: other },
  ]);
  assert.is(harness.assign(3, second), "invalid_argument", "no member");
  assert.is(harness.assign(1, 0, 64), "invalid_argument", "no shard");
  harness.apply(encodeRemoveMember(HEADER, { nodeId: 2, detail: "" }));
  assert.is(harness.assign(2, second), "invalid_argument", "no member any more");
  harness.setting({ isPaused: true });
  assert.is(harness.assign(1, second), "invalid_argument", "paused");
});

test("RegionState: a region that is added again has higher numbers than before its removal", () => {
  const harness = new Regions();
  harness.setting();
  const feed = harness.accept(7, 1, true) as number;
  const fence = harness.assign(1, 0) as number;
  const removal = harness.drop() as number;
  assert.ok(removal > fence && removal > feed);
  assert.equal([...harness.state.regions.removed], [["us", removal]]);
  assert.is(harness.region(), undefined);
  harness.reload();
  assert.equal([...harness.state.regions.removed], [["us", removal]]);
  harness.setting();
  assert.is(harness.state.regions.removed.size, 0);
  assert.is(harness.region()?.feed, 0, "nothing is accepted yet");
  assert.ok((harness.accept(7, 1, true) as number) > removal);
  assert.ok((harness.assign(1, 0) as number) > removal);
});

test("RegionState keeps the bans of a region's nodes, as a whole and with the region", () => {
  const DIGEST = new Uint8Array(32).fill(1);
  const bans = [
    { subject: "spiffe://x/region/us/node/1", lineage: 0, untilMs: 0 },
    { subject: "", lineage: 7, untilMs: 5_000 },
  ];
  const put = (harness: Regions, fields: Partial<PutRegionBansCommand> = {}) =>
    harness.apply(encodePutRegionBans(HEADER, { name: "us", digest: DIGEST, bans, ...fields }));
  const older = new Regions({ version: REGION_BANS_APPLY_VERSION - 1 });
  older.setting();
  assert.is(put(older), "invalid_argument");
  const harness = new Regions({ version: REGION_BANS_APPLY_VERSION });
  assert.is(put(harness), "not_found");
  harness.setting();
  assert.is(put(harness), "ok");
  const many = Array.from({ length: REGION_BANS_MAX + 1 }, () => bans[0]!);
  assert.is(put(harness, { digest: new Uint8Array(32).fill(2), bans: many }), "invalid_argument");
  assert.is(put(harness, { digest: new Uint8Array(31), bans: [] }), "invalid_argument");
  harness.setting({ preference: 3 });
  harness.reload();
  const region = harness.region()!;
  assert.equal([region.bans, region.bansDigest], [bans, DIGEST]);
  const isBanned = (subject: string, lineage: number, nowMs = 1_000) =>
    isBannedBy(region, { subject, lineage }, nowMs);
  const [{ subject }] = bans as [(typeof bans)[0]];
  assert.equal(
    [isBanned(subject, 1), isBanned("b", 7), isBanned("b", 7, 5_000), isBanned("b", 1)],
    [true, true, false, false],
  );
  assert.is(put(harness, { digest: new Uint8Array(32).fill(3), bans: [] }), "ok");
  assert.equal(harness.region()!.bans, []);
  put(harness);
  harness.drop();
  harness.setting();
  assert.equal(harness.region()!.bans, [], "a region that is added again has none");
});

test("RegionState: an image without regions has no section of them", () => {
  const harness = new Regions();
  const sections = () => {
    const [header] = [...harness.store.writeImage()];
    return new DataView(header!.buffer, header!.byteOffset).getUint32(12, true);
  };
  const before = sections();
  harness.setting();
  assert.is(sections(), before + 1);
  harness.drop();
  assert.is(sections(), before + 1, "the next number is state");
  harness.reload();
});

test("RegionState: a record of an image is no command, and changes are audited", () => {
  const harness = new Regions();
  const record = {
    settings: { ...SETTINGS, replacedRevision: 0, detail: "" },
    ...{ revision: 5, clusterId: new Uint8Array(16), generation: 0, feed: 0, pullers: [] },
    ...{ bans: [], bansDigest: new Uint8Array(0) },
  };
  assert.is(harness.apply(encodeRegionRecord(HEADER, record)), "invalid_argument");
  const from = harness.state.audit.log.count + 1;
  harness.setting();
  harness.setting({ preference: 2 });
  harness.accept(7, 1, true);
  harness.assign(1, 0);
  harness.drop();
  const audited = harness.state.audit.log.read(from, 10).map((bytes) => {
    const { action, subject } = auditEntryCodec.decode(bytes);
    return [action, subject];
  });
  const { addRegion, setRegion, acceptFeed, removeRegion } = AUDIT_ACTIONS;
  assert.equal(audited, [addRegion, setRegion, acceptFeed, removeRegion].map((one) => [one, "us"]));
});

test.run();
