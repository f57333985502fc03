/** Records of the Maps protocol in a partition: held by a credential, or by an identity. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type MapsAgent, mapsAgentCodec, type MapsGateway } from "../../../schemas/gen/record.ts";
import { mapsGatewayCodec } from "../../../schemas/gen/record.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { encodePut, encodeRaisePartitionVersion } from "../../../src/record/command.ts";
import { KIND_MAPS_AGENT, KIND_MAPS_GATEWAY } from "../../../src/record/key.ts";
import { MAPS_APPLY_VERSION } from "../../../src/record/kind_row.ts";
import { GatewayRanking } from "../../../src/store/free_capacity.ts";
import type { PartitionStore } from "../../../src/store/store.ts";
import { ANY_HOME } from "../../support/mirrors.ts";
import { idOf, imageOf, StoreHarness } from "../../support/store.ts";

const OWN = { process: 11, sequence: 1, ttlMs: 30_000, region: "global", scope: 1 };
const ID = new Uint8Array(32).fill(7);

/** A store, of the version that has such records unless another one is given. */
class MapsHarness extends StoreHarness {
  constructor(version = MAPS_APPLY_VERSION) {
    super();
    assert.is(this.apply(encodeRaisePartitionVersion(this.header, version)).code, "ok");
  }

  mapsAgent(fields: Partial<MapsAgent> = {}) {
    const record = mapsAgentCodec.encode({
      ...mapsAgentCodec.empty(),
      ...{ id: idOf(1), domain: "a1.example", agentId: ID, gatewayId: ID, credential: "c1" },
      ...OWN,
      ...fields,
    });
    const put = { record, kind: KIND_MAPS_AGENT, expected: NO_POSITION };
    return this.apply(encodePut(this.header, put));
  }

  mapsGateway(number: number, fields: Partial<MapsGateway> = {}) {
    const record = mapsGatewayCodec.encode({
      ...mapsGatewayCodec.empty(),
      ...{ id: idOf(number), gatewayId: ID, address: ID.slice(16), port: 1, credential: "c1" },
      ...OWN,
      ...fields,
    });
    const put = { record, kind: KIND_MAPS_GATEWAY, expected: NO_POSITION };
    return this.apply(encodePut(this.header, put));
  }

  stored(): MapsAgent {
    return this.store.recordView(this.slotOf(KIND_MAPS_AGENT, 1)).toPlain() as MapsAgent;
  }
}

test("a partition stores records of the Maps protocol from its apply version on", () => {
  const harness = new MapsHarness(MAPS_APPLY_VERSION - 1);
  assert.is(harness.mapsAgent().code, "invalid_argument");
  assert.is(harness.slotOf(KIND_MAPS_AGENT, 1), -1);
});

test("the same credential updates the record from any process; another one is refused while it lives", () => {
  const harness = new MapsHarness();
  const first = harness.mapsAgent();
  assert.equal([first.code, first.created], ["ok", true]);
  const gatewayId = new Uint8Array(32).fill(8);
  const again = harness.mapsAgent({ process: 12, gatewayId, region: "eu" });
  assert.equal([again.code, again.created], ["ok", false]);
  assert.equal([again.incarnation, harness.stored().region], [first.incarnation, "eu"]);
  const before = imageOf(harness.store).subarray(24);
  assert.is(harness.mapsAgent({ process: 13, credential: "c2" }).code, "permission_denied");
  assert.is(harness.mapsAgent({ process: 14, domain: "b1.example" }).code, "permission_denied");
  assert.equal(imageOf(harness.store).subarray(24), before);
  // A delayed duplicate of the first registration undoes no later one.
  assert.is(harness.mapsAgent({ sequence: 2 }).code, "superseded");
  assert.equal(harness.stored().gatewayId, gatewayId);
});

test("the process of a live record gives nobody else a right to it", () => {
  const harness = new MapsHarness();
  harness.mapsAgent({ owner: idOf(70) });
  const before = imageOf(harness.store).subarray(24);
  for (const sequence of [1, 2]) {
    const own = { owner: idOf(70), sequence };
    assert.is(harness.mapsAgent({ ...own, owner: idOf(71) }).code, "permission_denied");
    assert.is(harness.mapsAgent({ ...own, credential: "c2" }).code, "permission_denied");
    assert.is(harness.mapsAgent({ ...own, domain: "b1.example" }).code, "permission_denied");
  }
  assert.equal(imageOf(harness.store).subarray(24), before);
  assert.is(harness.mapsAgent({ owner: idOf(70), sequence: 2 }).code, "ok");
});

test("an identity takes over what its credential holds, and keeps it from callers without one", () => {
  const harness = new MapsHarness();
  harness.mapsAgent();
  assert.is(harness.mapsAgent({ process: 12, owner: idOf(70) }).code, "ok");
  assert.is(harness.mapsAgent({ process: 13 }).code, "permission_denied");
  assert.is(harness.mapsAgent({ process: 14, owner: idOf(71) }).code, "permission_denied");
  assert.is(harness.mapsAgent({ process: 15, owner: idOf(70) }).code, "ok");
  assert.is(
    harness.mapsAgent({ process: 16, owner: idOf(70), credential: "c2" }).code,
    "permission_denied",
  );
});

test("StoreShared.namedCounts tells kinds by name, and rare ones only if there are records of them", () => {
  const harness = new MapsHarness();
  harness.putGateway();
  const others = {
    stale: 0,
    aliases: 0,
    mirrors: 0,
    mirrorAliases: 0,
    tombstones: 0,
    revocations: 0,
  };
  assert.equal(harness.shared.namedCounts(), { agents: 0, gateways: 1, ...others });
  harness.mapsAgent();
  assert.equal(harness.shared.namedCounts(), {
    agents: 0,
    gateways: 1,
    mapsAgents: 1,
    ...others,
  });
});

test("rankGateways offers the gateways of one kind, the most free capacity first", () => {
  const harness = new MapsHarness();
  harness.putGateway({ number: 9 });
  harness.mapsGateway(1, { cpu: 100, memory: 0 });
  harness.mapsGateway(2, { cpu: 10, memory: 10 });
  harness.mapsGateway(3, { cpu: 10, memory: 11 });
  harness.mapsGateway(4, { cpu: 1_000, memory: 1_000, state: 1 });
  harness.mapsGateway(5, { cpu: 1_000, memory: 1_000, region: "eu" });
  const ranking = new GatewayRanking<PartitionStore>(9, KIND_MAPS_GATEWAY);
  const region = new TextEncoder().encode("global");
  harness.store.rankGateways(region, ranking, ANY_HOME, () => true);
  const ids = ranking.ranked().map(({ id }) => new DataView(id.buffer).getUint32(12));
  assert.equal(ids, [3, 2, 1]);
});

test.run();
