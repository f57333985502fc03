/** Rights that a token adds to a session, and sessions to which it adds none. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { withToken } from "../../../../identity/tokens/token_grants.ts";
import { checkToken } from "../../../../identity/tokens/token_check.ts";
import { type AuthenticatedPeer, NO_GRANTS } from "../../../../src/base/peer.ts";
import { parseUuid } from "../../../../src/base/uuid.ts";
import { authorize } from "../../../../src/record/access.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import { LEAF_HASH, NOW_MS, SUBJECT, tokenWorld } from "../../../support/tokens.ts";

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

test("withToken gives nothing to a session that could be relayed, unless policy says otherwise", () => {
  const unpinned = { ...peer, pinned: false };
  assert.is(withToken(unpinned, claims), undefined);
  assert.ok(withToken(unpinned, claims, { trustUnpinned: true }));
});

test.run();
