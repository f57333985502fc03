/** A region's bans and trust bundle, on their way into group 0. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createTrustBundle } from "../../../identity/trust/trust_bundle.ts";
import type { TrustBundle } from "../../../identity/trust/trust_bundle_content.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { REGION_KEEP_MS } from "../../../src/base/limits.ts";
import { RegionKeeper } from "../../../src/region/region_keeper.ts";
import type { RegionLink, SourceStatus } from "../../../src/region/region_link.ts";
import {
  REGION_BANS_APPLY_VERSION,
  REGION_KINDS,
} from "../../../src/system/regions/region_codec.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import { commandOf } from "../../../src/system/system_store.ts";
import { PutRegionBansCommandView, PutRegionCommandView } from "../../../schemas/gen/system.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import { HEADER } from "../../support/system_harness.ts";
import {
  createTestPki,
  createTestRoot,
  DAY_MS,
  NOW_MS,
  TRUST_DOMAIN,
} from "../../support/test_pki.ts";

const CLUSTER = new Uint8Array(16).fill(5);
const DIGEST = new Uint8Array(32).fill(1);
const NO_BYTES = new Uint8Array(0);
const BAN = { subject: "spiffe://x/region/us-1/node/1", lineage: 0, untilMs: 0 };

/** A region that is followed, and what it answers. */
function opened(bundle = "") {
  const world = new SteppedWorld(1);
  world.wallOffsetMs += NOW_MS - world.unixMs();
  const region = {
    settings: {
      ...{ name: "us-1", servers: ["h:1"], bundle, preference: 100, isPaused: false },
      ...{ bytesPerSecondMax: 1_000, logPercentMax: 25 },
    },
    ...{ revision: 9, clusterId: CLUSTER, generation: 1, bans: [], bansDigest: NO_BYTES },
  } as unknown as PeerRegion;
  const scene = {
    ...{ world, region, isConnected: true, applyVersion: REGION_BANS_APPLY_VERSION, asked: 0 },
    status: {
      ...{ region: "us-1", clusterId: CLUSTER, generation: 1, partitionCount: 1, hashKey: CLUSTER },
      trust: { bundle: "", bansDigest: DIGEST, bans: [BAN] },
    } as SourceStatus,
    proposed: [] as Uint8Array[],
    warnings: 0,
  };
  const link = {
    get contact() {
      return { isConnected: scene.isConnected };
    },
    status: () => {
      scene.asked++;
      return Promise.resolve(scene.status);
    },
  } as unknown as RegionLink;
  const keeper = new RegionKeeper({
    ...{ name: "us-1", link, world },
    logger: { ...SILENT_LOGGER, warn: () => scene.warnings++ },
    group: {
      regions: () => [scene.region],
      members: () => [1],
      isLeading: () => true,
      applyVersion: () => scene.applyVersion,
      propose: (command) => {
        scene.proposed.push(command(HEADER));
        return Promise.resolve(undefined);
      },
    },
  });
  keeper.start();
  return { scene, keeper, wait: async () => await world.pass(REGION_KEEP_MS + 10) };
}

test("RegionKeeper: takes over the bans of the accepted cluster, while it is reached", async () => {
  const { scene, keeper, wait } = opened();
  scene.isConnected = false;
  await wait();
  assert.is(scene.asked, 0);
  scene.isConnected = true;
  scene.status = { ...scene.status, generation: 2 };
  await wait();
  assert.is(scene.asked, 1);
  assert.equal(scene.proposed, [], "a region that was re-created decides nothing");
  scene.status = { ...scene.status, generation: 1 };
  scene.applyVersion = REGION_BANS_APPLY_VERSION - 1;
  await wait();
  assert.equal(scene.proposed, []);
  scene.applyVersion = REGION_BANS_APPLY_VERSION;
  await wait();
  const [command] = scene.proposed;
  assert.is(commandOf(command!).kind, REGION_KINDS.putBans);
  const body = commandOf(command!).bodyInto(new PutRegionBansCommandView()).toPlain();
  assert.equal(body, { name: "us-1", digest: DIGEST, bans: [BAN] });
  scene.region = { ...scene.region, bans: [BAN], bansDigest: DIGEST };
  await wait();
  assert.is(scene.proposed.length, 1, "what is known is not logged again");
  keeper.stop();
  await wait();
  assert.is(scene.asked, 4);
});

test("RegionKeeper: takes a later bundle that the roots of the one before vouch for", async () => {
  const pki = await createTestPki();
  const { entropy } = pki;
  const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 80 * DAY_MS };
  const bundleOf = async (root: typeof pki.root, changes: Partial<TrustBundle> = {}) =>
    await createTrustBundle({
      ...{ trustDomain: TRUST_DOMAIN, sequence: 1, issuedAtMs: NOW_MS - 1_000 },
      ...{ expiresAtMs: NOW_MS + DAY_MS, roots: [root.certificate.der] },
      ...{ intermediates: [], servers: [] },
      ...changes,
    }, await root.authority.createBundleSigner({ ...validity, entropy }));
  const { scene, wait } = opened(await bundleOf(pki.root));
  scene.region = { ...scene.region, bans: [BAN], bansDigest: DIGEST };
  const told = async (bundle: string) => {
    scene.status = { ...scene.status, trust: { ...scene.status.trust!, bundle } };
    await wait();
    return scene.proposed.splice(0);
  };
  const stolen = await createTestRoot(entropy);
  const foreign = await bundleOf(stolen, { sequence: 2 });
  assert.equal([await told(foreign), await told(foreign)], [[], []]);
  assert.is(scene.warnings, 1, "a bundle is refused with one warning, however often it is sent");
  assert.equal(await told(await bundleOf(pki.root, { sequence: 1, servers: [] })), []);
  assert.equal(await told("{}"), []);
  const next = await bundleOf(pki.root, { sequence: 2, roots: [stolen.certificate.der] });
  const [command] = await told(next);
  assert.is(commandOf(command!).kind, REGION_KINDS.put);
  const { bundle, replacedRevision } = commandOf(command!).bodyInto(new PutRegionCommandView())
    .toPlain();
  assert.equal([bundle, replacedRevision], [next, 9]);
});

test.run();
