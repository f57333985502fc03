/** A node may propose to the leader of group 0 the work of a puller about regions, but no decision. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RegistryError } from "../../../../src/base/errors.ts";
import { encodeRaisePartitionVersion } from "../../../../src/record/command.ts";
import { checkNodesRegionCommand } from "../../../../src/serving/regions/region_proposals.ts";
import {
  encodeAcceptFeed,
  encodeAssignPuller,
  encodePutRegion,
  encodePutRegionBans,
} from "../../../../src/system/regions/region_codec.ts";
import type { PeerRegion } from "../../../../src/system/regions/region_state.ts";
import { HEADER } from "../../../support/system_harness.ts";

const PULLER = 2;
const SETTINGS = {
  ...{ name: "us", servers: ["h:1"], bundle: "before", preference: 1, bytesPerSecondMax: 5 },
  ...{ logPercentMax: 25, isPaused: false },
};
const REGION = {
  settings: SETTINGS,
  pullers: [{ shard: 0, nodeId: PULLER, fence: 1 }],
} as unknown as PeerRegion;

function answer(command: Uint8Array, from = PULLER): string {
  try {
    checkNodesRegionCommand(command, from, {
      of: (name) => name === "us" ? REGION : undefined,
    });
    return "ok";
  } catch (error) {
    return (error as RegistryError).code;
  }
}

const assign = (nodeId: number, name = "us") =>
  encodeAssignPuller(HEADER, { name, shard: 1, nodeId, replacedFence: 0 });
const accept = (isFirst: boolean) =>
  encodeAcceptFeed(HEADER, {
    ...{ name: "us", clusterId: new Uint8Array(16), generation: 1, isFirst, detail: "" },
  });
const put = (fields: Partial<typeof SETTINGS> = {}) =>
  encodePutRegion(HEADER, { ...SETTINGS, ...fields, replacedRevision: 4, detail: "" });
const bans = encodePutRegionBans(HEADER, { name: "us", digest: new Uint8Array(32), bans: [] });

test("a puller may claim a shard for itself, and accept the first cluster only", () => {
  assert.is(answer(assign(PULLER)), "ok");
  assert.is(answer(assign(3)), "permission_denied", "for another node");
  assert.is(answer(assign(3), 3), "permission_denied", "by a node that pulls nothing");
  assert.is(answer(assign(PULLER, "ap")), "permission_denied");
  assert.is(answer(accept(true)), "ok");
  assert.is(answer(accept(true), 3), "permission_denied");
  assert.is(answer(accept(false)), "permission_denied");
});

test("a puller may replace a region's bundle and bans, and none of its other settings", () => {
  assert.is(answer(bans), "ok");
  assert.is(answer(bans, 3), "permission_denied");
  assert.is(answer(put({ bundle: "after" })), "ok");
  assert.is(answer(put({ bundle: "after" }), 3), "permission_denied");
  const others = [{ servers: ["x:1"] }, { preference: 2 }, { isPaused: true }, { name: "ap" }];
  for (const fields of others) assert.is(answer(put(fields)), "permission_denied");
});

test("other commands are not its business", () => {
  assert.is(answer(encodeRaisePartitionVersion(HEADER, 2), 3), "ok");
});

test.run();
