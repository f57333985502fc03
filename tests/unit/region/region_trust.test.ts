/** Trust in peer regions, with real certificates: a region's bundle vouches for its own nodes only. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { writeCertificate } from "../../../identity/pki/certificate_writer.ts";
import { BanList } from "../../../identity/trust/ban_list.ts";
import { createTrustBundle } from "../../../identity/trust/trust_bundle.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { checkedBundle } from "../../../src/region/checked_bundle.ts";
import { RegionJudge } from "../../../src/region/region_trust.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import {
  AGENT_ID,
  agentLeaf,
  createTestIntermediate,
  createTestPki,
  createTestRoot,
  DAY_MS,
  leafContents,
  NOW_MS,
  type TestAuthority,
  TRUST_DOMAIN,
} from "../../support/test_pki.ts";

const pki = await createTestPki();
const { entropy } = pki;
const LINEAGE = 7;

const subjectIn = (region: string, role = "node") =>
  `spiffe://${TRUST_DOMAIN}/region/${region}/${role}/${AGENT_ID}`;

/** Returns a leaf that an intermediate issues. */
async function leafOf(by: TestAuthority, subject: string): Promise<Uint8Array[]> {
  const registryIdentity = { lineage: LINEAGE, generation: 1, grants: NO_GRANTS };
  return [await by.authority.issueIdentity(agentLeaf(pki, { subject, registryIdentity }))];
}

/** Returns a leaf of a region that an authority would not issue, signed by an intermediate's key. */
async function forged(by: TestAuthority, region: string): Promise<Uint8Array[]> {
  const names = { dns: [], ips: [], uris: [subjectIn(region)] };
  return [await writeCertificate(leafContents(pki, {}, { names }), by.key, by.certificate)];
}

/** A region with a root of its own; `names` are the regions of its intermediates. */
async function regionOf(...names: string[]) {
  const root = await createTestRoot(entropy);
  const intermediates = await Promise.all(
    names.map((name) => createTestIntermediate(root, entropy, name)),
  );
  const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 80 * DAY_MS };
  const signer = await root.authority.createBundleSigner({ ...validity, entropy });
  const bundle = await createTrustBundle({
    trustDomain: TRUST_DOMAIN,
    sequence: 1,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 7 * DAY_MS,
    roots: [root.certificate.der],
    intermediates: intermediates.map(({ certificate }) => certificate.der),
    servers: [],
  }, signer);
  return { bundle, root, intermediates };
}

const us = await regionOf("us-1", "ap-1", "eu-1");
const ap = await regionOf("ap-1");
const [ofUs, apOfUs, euOfUs] = us.intermediates as [TestAuthority, TestAuthority, TestAuthority];
const bundles = new Map([["us-1", us.bundle], ["ap-1", ap.bundle], ["sa-1", ""]]);

const banned = new Map<string, PeerRegion["bans"]>();
const bans = new BanList();
let nowMs = NOW_MS;
const judge = new RegionJudge({
  own: "eu-1",
  regionOf: (name) => {
    const bundle = bundles.get(name);
    const bans = banned.get(name) ?? [];
    return bundle === undefined ? undefined : { settings: { bundle }, bans } as PeerRegion;
  },
  bans,
  wall: { unixMs: () => nowMs },
});

/** Returns the region that a chain proves, the fault, or `own` if it is for the own trust. */
async function judged(chain: readonly Uint8Array[]): Promise<string> {
  const result = await judge.judge(chain);
  if (result === undefined) return "own";
  return "fault" in result ? result.fault : `${result.role} of ${result.region}`;
}

test("RegionJudge: a node is proven by its own region's bundle", async () => {
  assert.is(await judged(await leafOf(ofUs, subjectIn("us-1"))), "node of us-1");
  assert.is(await judged(await leafOf(ap.intermediates[0]!, subjectIn("ap-1"))), "node of ap-1");
});

test("RegionJudge: a stolen region cannot pass for another one, even if its bundle names it", async () => {
  assert.is(await judged(await leafOf(apOfUs, subjectIn("ap-1"))), "certificate");
  // An intermediate is limited to its region, whatever its key signs.
  assert.is(await judged(await forged(ofUs, "ap-1")), "certificate");
  assert.is(await judged(await forged(ap.intermediates[0]!, "us-1")), "certificate");
});

test("RegionJudge: the own region's name, and all but nodes, are left to the own trust", async () => {
  assert.is(await judged(await leafOf(euOfUs, subjectIn("eu-1"))), "own");
  assert.is(await judged(await leafOf(ofUs, subjectIn("us-1", "controller"))), "own");
  assert.is(await judged(await leafOf(ofUs, subjectIn("us-1", "agent"))), "own");
  assert.is(await judged([Uint8Array.of(1, 2, 3)]), "own");
  assert.is(await judged([]), "own");
});

test("RegionJudge: a region that is no peer, or has no bundle, proves nothing", async () => {
  const stranger = await regionOf("eu-9");
  assert.is(
    await judged(await leafOf(stranger.intermediates[0]!, subjectIn("eu-9"))),
    "certificate",
  );
  const without = await regionOf("sa-1");
  assert.is(
    await judged(await leafOf(without.intermediates[0]!, subjectIn("sa-1"))),
    "certificate",
  );
  const chain = await leafOf(ofUs, subjectIn("us-1"));
  bundles.delete("us-1");
  assert.is(await judged(chain), "certificate");
  bundles.set("us-1", "{}");
  assert.is(await judged(chain), "certificate");
  bundles.set("us-1", us.bundle.replace('"sequence":1', '"sequence":2'));
  assert.is(await judged(chain), "certificate", "the bundle is not what its region signed");
  bundles.set("us-1", us.bundle);
  assert.is(await judged(chain), "node of us-1");
});

test("RegionJudge: bans of a subject hold, those of an own lineage with the same number do not", async () => {
  const chain = await leafOf(ofUs, subjectIn("us-1"));
  bans.ban({ kind: "lineage", name: String(LINEAGE), reason: "" });
  assert.is(await judged(chain), "node of us-1");
  bans.ban({ kind: "subject", name: subjectIn("us-1"), reason: "" });
  assert.is(await judged(chain), "banned");
  bans.replaceAll([]);
});

test("RegionJudge: a node that its own region has banned is refused, by subject or lineage", async () => {
  const chain = await leafOf(ofUs, subjectIn("us-1"));
  const ban = { subject: subjectIn("us-1"), lineage: 0, untilMs: 0 };
  for (const one of [ban, { ...ban, subject: "", lineage: LINEAGE }]) {
    banned.set("us-1", [one]);
    assert.is(await judged(chain), "banned");
    banned.set("us-1", [{ ...one, untilMs: NOW_MS }]);
    assert.is(await judged(chain), "node of us-1", "the ban has ended");
    banned.clear();
    banned.set("ap-1", [one]);
    assert.is(await judged(chain), "node of us-1", "bans are about a region's own nodes");
    banned.clear();
  }
});

test("RegionJudge: a bundle that has ended still verifies, a leaf that has ended is refused", async () => {
  nowMs = NOW_MS + 8 * DAY_MS;
  assert.is(await judged(await leafOf(ofUs, subjectIn("us-1"))), "certificate");
  const valid = { notBeforeMs: nowMs - 60_000, notAfterMs: nowMs + 60_000 };
  const registryIdentity = { lineage: LINEAGE, generation: 1, grants: NO_GRANTS };
  const leaf = agentLeaf(pki, { subject: subjectIn("us-1"), registryIdentity, ...valid });
  assert.is(await judged([await ofUs.authority.issueIdentity(leaf)]), "node of us-1");
  nowMs = NOW_MS;
});

test("checkedBundle takes a bundle from a file, and refuses one that was changed", async () => {
  assert.is(await checkedBundle(`${us.bundle}\n`, NOW_MS), us.bundle);
  assert.is(await checkedBundle("\n", NOW_MS), "");
  const changed = us.bundle.replace('"sequence":1', '"sequence":2');
  assert.not.equal(changed, us.bundle);
  try {
    await checkedBundle(changed, NOW_MS);
    assert.unreachable("its signature is of another text");
  } catch (error) {
    const { code, fields } = error as RegistryError;
    assert.equal([code, fields.field], ["invalid_argument", "bundle"]);
  }
});

test.run();
