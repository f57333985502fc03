/** Domains (design §3): claim, confirm, revoke, release; two live agents never hold one domain. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TOMBSTONE_MS } from "../../../src/base/limits.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { idOf, StoreHarness } from "../../support/store.ts";

const DOMAIN = "a1.example";

test("claim makes a pending alias, whose claim is where it was logged", () => {
  const harness = new StoreHarness({ generation: 3 });
  const reply = harness.claim(DOMAIN, 1);
  assert.equal(reply.claim, { generation: 3, index: 1 });
  const alias = harness.alias(DOMAIN)!;
  assert.is(alias.state, 0);
  assert.equal(alias.agentId, idOf(1));
  assert.equal(alias.claim, reply.claim);
  assert.is(harness.store.aliasCount, 1);
});

test("claims of two partitions are never alike, at the same index too", () => {
  const claims = [0, 1, 8_191].map((partition) =>
    new StoreHarness({ partition }).claim(DOMAIN, 1).claim
  );
  assert.is(new Set(claims.map(({ index }) => index)).size, 3);
  assert.ok(claims.every(({ index }) => Number.isSafeInteger(index)));
  // An agent that holds one of them does not hold the other.
  const harness = new StoreHarness();
  harness.putAgent({ domain: DOMAIN, claim: claims[0]! });
  assert.ok(harness.revoke(1, claims[0]!).held);
  assert.not(harness.revoke(1, claims[1]!).held);
});

test("claim again by the same agent gives the claim that it has, pending or confirmed", () => {
  const harness = new StoreHarness();
  const { claim } = harness.claim(DOMAIN, 1);
  assert.equal(harness.claim(DOMAIN, 1).claim, claim);
  assert.is(harness.confirm(DOMAIN, 1, claim).code, "ok");
  assert.is(harness.alias(DOMAIN)?.state, 1);
  assert.equal(harness.claim(DOMAIN, 1).claim, claim);
  assert.is(harness.alias(DOMAIN)?.state, 1, "stays confirmed");
});

test("claim of a domain that another holds is refused with the holder and its claim", () => {
  const harness = new StoreHarness();
  const { claim } = harness.claim(DOMAIN, 1);
  for (const replaces of [NO_POSITION, { ...claim, generation: 2 }]) {
    const reply = harness.claim(DOMAIN, 2, replaces);
    assert.is(reply.code, "domain_taken");
    assert.equal(reply.holder, idOf(1));
    assert.equal(reply.claim, claim);
  }
});

test("claim that replaces a revoked claim makes a new one, and the old one is worth nothing", () => {
  const harness = new StoreHarness();
  const first = harness.claim(DOMAIN, 1).claim;
  const second = harness.claim(DOMAIN, 2, first).claim;
  assert.is(second.index, 2);
  assert.is(harness.confirm(DOMAIN, 1, first).code, "claim_revoked");
  assert.is(harness.release(DOMAIN, first).code, "claim_revoked");
  assert.is(harness.confirm(DOMAIN, 1, second).code, "claim_revoked", "of another agent");
  assert.is(harness.confirm(DOMAIN, 2, second).code, "ok");
  assert.is(harness.store.aliasCount, 1);
});

test("claim by its own agent replaces its revoked claim, as a new pending one", () => {
  const harness = new StoreHarness();
  const first = harness.claim(DOMAIN, 1).claim;
  harness.confirm(DOMAIN, 1, first);
  harness.revoke(1, first);
  assert.is(harness.putAgent({ domain: DOMAIN, claim: first }).code, "claim_revoked");
  const second = harness.claim(DOMAIN, 1, first).claim;
  assert.is.not(second.index, first.index);
  assert.is(harness.alias(DOMAIN)?.state, 0);
  assert.is(harness.putAgent({ domain: DOMAIN, claim: second }).code, "ok");
});

test("claim refuses anything but a lower-case host name", () => {
  const harness = new StoreHarness();
  for (const domain of ["", "A.example", "a b", "ä.example", "x".repeat(254)]) {
    assert.is(harness.claim(domain, 1).code, "invalid_argument", domain);
  }
});

test("confirm of an unclaimed domain is revoked", () => {
  const harness = new StoreHarness();
  const claim = { generation: 1, index: 1 };
  assert.is(harness.confirm(DOMAIN, 1, claim).code, "claim_revoked");
});

test("release frees the domain, and is a success where it is free already", () => {
  const harness = new StoreHarness();
  const { claim } = harness.claim(DOMAIN, 1);
  assert.is(harness.release(DOMAIN, claim).count, 1);
  assert.is(harness.alias(DOMAIN), undefined);
  assert.is(harness.store.aliasCount, 0);
  const again = harness.release(DOMAIN, claim);
  assert.is(again.code, "ok");
  assert.is(again.count, 0);
});

test("revoke is refused while the agent's live record holds the claim", () => {
  const harness = new StoreHarness();
  const claim = { generation: 1, index: 40 };
  harness.putAgent({ domain: DOMAIN, claim });
  assert.ok(harness.revoke(1, claim).held);
  assert.is(harness.putAgent({ domain: DOMAIN, claim, sequence: 2 }).code, "ok");
});

test("revoke is logged as a no: a late register with that claim is refused", () => {
  const harness = new StoreHarness();
  const claim = { generation: 1, index: 40 };
  assert.not(harness.revoke(1, claim).held);
  const late = harness.putAgent({ domain: DOMAIN, claim });
  assert.is(late.code, "claim_revoked");
  assert.is(harness.agent(1), undefined);
  assert.is(harness.putAgent({ domain: DOMAIN, claim: { ...claim, index: 41 } }).code, "ok");
  assert.is(harness.putAgent({ number: 2, domain: DOMAIN, claim }).code, "ok", "of another agent");
});

test("revoke again is remembered from then on, and forgotten after its time", () => {
  const harness = new StoreHarness();
  const claim = { generation: 1, index: 40 };
  harness.revoke(1, claim);
  harness.timeMs = 5_000;
  harness.revoke(1, claim);
  assert.is(harness.shared.statistics().revocations, 1);
  harness.timeMs = TOMBSTONE_MS + 4_999;
  assert.is(harness.putAgent({ domain: DOMAIN, claim }).code, "claim_revoked");
  harness.timeMs = TOMBSTONE_MS + 5_000;
  assert.is(harness.putAgent({ domain: DOMAIN, claim }).code, "ok");
  assert.is(harness.shared.statistics().revocations, 0);
});

test("revoke after the agent is gone works although its tombstone stands", () => {
  const harness = new StoreHarness();
  const claim = { generation: 1, index: 40 };
  const { incarnation } = harness.putAgent({ domain: DOMAIN, claim });
  harness.remove(KIND_AGENT, 1, incarnation);
  assert.not(harness.revoke(1, claim).held);
  assert.is(harness.putAgent({ domain: DOMAIN, claim, sequence: 20 }).code, "claim_revoked");
});

test("an agent that ceases to hold its claim tells so", () => {
  const harness = new StoreHarness();
  const claim = { generation: 1, index: 40 };
  const { incarnation } = harness.putAgent({ domain: DOMAIN, claim });
  harness.putAgent({ domain: "b.example", claim: { ...claim, index: 41 }, sequence: 2 });
  harness.putAgent({ domain: "b.example", claim: { ...claim, index: 41 }, sequence: 3 });
  harness.remove(KIND_AGENT, 1, incarnation);
  assert.equal(harness.events.map(({ type }) => type), [
    "registered",
    "claim_dropped",
    "updated",
    "updated",
    "removed",
    "claim_dropped",
  ]);
});

test("put of an agent with a domain needs a claim, and without one must have none", () => {
  const harness = new StoreHarness();
  assert.is(harness.putAgent({ domain: DOMAIN }).field, "claim");
  assert.is(harness.putAgent({ claim: { generation: 1, index: 1 } }).field, "claim");
});

test.run();
