/** Rights that a token adds to a session, and sessions to which it adds none. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { withToken } from "../../../../identity/tokens/token_grants.ts";
import { checkToken } from "../../../../identity/tokens/token_check.ts";
import { type AuthenticatedPeer, NO_GRANTS } from "../../../../src/base/peer.ts";
import { parseUuid } from "../../../../src/base/uuid.ts";
import { authorize } from "../../../../src/record/access.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import {
  goodHeader,
  goodPayload,
  LEAF_HASH,
  NOW_MS,
  SUBJECT,
  tokenWorld,
} from "../../../support/tokens.ts";

const ID = parseUuid(SUBJECT.slice(-36));
const peer: AuthenticatedPeer = {
  subject: SUBJECT,
  subjectId: ID,
  role: "agent",
  region: "eu",
  leafHash: LEAF_HASH,
  lineage: 7,
  grants: { ...NO_GRANTS, domains: ["own.example"] },
  expiresAtMs: NOW_MS + 3_600_000,
  pinned: true,
  revoked: new AbortController().signal,
};
const world = await tokenWorld();
const claims = checkToken(await world.mint(), world.bearer, world.rules, NOW_MS);
if (typeof claims === "string") throw new Error(claims);

const mayClaim = (who: AuthenticatedPeer | undefined, domain: string) =>
  who !== undefined && authorize(who, "write", { kind: KIND_AGENT, id: ID, domain }) === "allowed";

test("withToken adds the token's domains to the certificate's, until the first of them ends", () => {
  assert.not(mayClaim(peer, "bank.example"));
  const holder = withToken(peer, claims);
  assert.ok(mayClaim(holder, "bank.example"));
  assert.ok(mayClaim(holder, "own.example"));
  assert.not(mayClaim(holder, "cash.example"));
  assert.is(holder?.expiresAtMs, claims.expiresAtMs);
  const short = withToken({ ...peer, expiresAtMs: NOW_MS + 1 }, claims);
  assert.is(short?.expiresAtMs, NOW_MS + 1);
});

test("withToken leaves the peer as it is, its signal and role included", () => {
  const holder = withToken(peer, claims);
  assert.is(holder?.revoked, peer.revoked);
  assert.is(holder?.role, "agent");
  assert.equal(peer.grants.domains, ["own.example"]);
  assert.is(holder?.grants.credentialHashes, false);
  const seeing = { ...claims, grants: { ...claims.grants, credentialHashes: true } };
  assert.is(withToken(peer, seeing)?.grants.credentialHashes, true);
});

test("withToken joins the limits on reads of certificate and token, those in common once", async () => {
  const limit = (region: string) => ({ regions: [region], labels: [], domains: [] });
  const grants = { ...NO_GRANTS, reads: [limit("eu"), limit("us")] };
  const limited = checkToken(await world.mint({ grants }), world.bearer, world.rules, NOW_MS);
  if (typeof limited === "string") throw new Error(limited);
  assert.equal(limited.grants.reads, grants.reads);
  assert.equal(withToken(peer, limited)?.grants.reads, grants.reads);
  const narrow = { ...peer, grants: { ...peer.grants, reads: [limit("us"), limit("ap")] } };
  const reads = withToken(narrow, limited)?.grants.reads;
  assert.equal(reads, [limit("us"), limit("ap"), limit("eu")]);
  assert.equal(withToken(narrow, claims)?.grants.reads, narrow.grants.reads);
});

test("a token with limits on reads of another form is refused", async () => {
  const header = JSON.stringify(goodHeader(world.keyId));
  const check = async (reads: unknown) => {
    const grants = { credentialHashes: false, domains: [], gateways: [], reads };
    const payload = JSON.stringify({ ...goodPayload(), grants });
    return checkToken(await world.sign(header, payload), world.bearer, world.rules, NOW_MS);
  };
  const limit = { domains: [], labels: [{ key: "k", value: "v" }], regions: [] };
  assert.type(await check([limit]), "object");
  const bad = [null, {}, [], [{}], [{ ...limit, zones: 1 }], [{
    ...limit,
    labels: [{ key: "k" }],
  }]];
  for (const reads of [...bad, [{ ...limit, regions: [1] }], [{ ...limit, labels: ["k=v"] }]]) {
    assert.is(await check(reads), "wrong_claims", JSON.stringify(reads));
  }
});

test("withToken gives nothing to a session that could be relayed, unless policy says otherwise", () => {
  const unpinned = { ...peer, pinned: false };
  assert.is(withToken(unpinned, claims), undefined);
  assert.ok(withToken(unpinned, claims, { trustUnpinned: true }));
});

test.run();
