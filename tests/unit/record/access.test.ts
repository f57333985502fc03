/** The rules of access: each sentence of design §8 about who may do what. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AuthenticatedPeer, NO_GRANTS, type Role } from "../../../src/base/peer.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { authorize, grantsDomain, type KeyFacts } from "../../../src/record/access.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";

const OWN = new Uint8Array(16).fill(1);
const OTHER = new Uint8Array(16).fill(2);

function peer(role: Role, fields: Partial<AuthenticatedPeer> = {}): AuthenticatedPeer {
  return {
    subject: `spiffe://test/region/eu/${role}/x`,
    subjectId: OWN,
    role,
    region: "eu",
    leafHash: new Uint8Array(32),
    lineage: 1,
    grants: {
      ...NO_GRANTS,
      domains: ["a.example", "*.agents.example"],
      gateways: [formatUuid(OTHER)],
    },
    expiresAtMs: Infinity,
    pinned: true,
    revoked: new AbortController().signal,
    ...fields,
  };
}

const agentFacts = (id: Uint8Array, more: Partial<KeyFacts> = {}): KeyFacts => ({
  kind: KIND_AGENT,
  id,
  ...more,
});
const gatewayFacts = (id: Uint8Array): KeyFacts => ({ kind: KIND_GATEWAY, id });

test("authorize: agents and gateways write and renew their own record, and no other", () => {
  for (const rule of ["write", "renew"] as const) {
    assert.is(authorize(peer("agent"), rule, agentFacts(OWN)), "allowed");
    assert.is(authorize(peer("agent"), rule, agentFacts(OTHER)), "permission_denied");
    assert.is(authorize(peer("agent"), rule, gatewayFacts(OWN)), "permission_denied");
    assert.is(authorize(peer("gateway"), rule, gatewayFacts(OWN)), "allowed");
    assert.is(authorize(peer("gateway"), rule, gatewayFacts(OTHER)), "permission_denied");
  }
});

test("authorize: gateways renew the agents attached to them, and write none", () => {
  const attached = agentFacts(OTHER, { gatewayId: OWN });
  assert.is(authorize(peer("gateway"), "renew", attached), "allowed");
  assert.is(authorize(peer("gateway"), "write", attached), "permission_denied");
  const foreign = agentFacts(OTHER, { gatewayId: OTHER });
  assert.is(authorize(peer("gateway"), "renew", foreign), "permission_denied");
  assert.is(authorize(peer("agent"), "renew", attached), "permission_denied");
});

test("authorize: an agent claims and names only what its identity grants", () => {
  const write = (more: Partial<KeyFacts>) =>
    authorize(peer("agent"), "write", agentFacts(OWN, more));
  assert.is(write({ domain: "a.example", gatewayId: OTHER }), "allowed");
  assert.is(write({ domain: "x.agents.example" }), "allowed");
  assert.is(write({ domain: "b.example" }), "permission_denied");
  assert.is(write({ gatewayId: OWN }), "permission_denied");
  assert.is(write({ domain: "", gatewayId: new Uint8Array(16) }), "allowed");
});

test("authorize: proxies and nodes read, controllers administer, development does everything", () => {
  for (const role of ["proxy", "node"] as const) {
    assert.is(authorize(peer(role), "read"), "allowed");
    for (const rule of ["write", "renew", "administer"] as const) {
      assert.is(authorize(peer(role), rule, agentFacts(OWN)), "permission_denied");
    }
  }
  assert.is(authorize(peer("controller"), "administer"), "allowed");
  assert.is(authorize(peer("controller"), "write", agentFacts(OTHER)), "allowed");
  assert.is(authorize(peer("agent"), "administer"), "permission_denied");
  const development = peer("development", { pinned: false });
  assert.is(authorize(development, "administer"), "allowed");
  assert.is(authorize(development, "write", agentFacts(OTHER, { domain: "any" })), "allowed");
});

test("authorize: a session that was not pinned is read-only, unless policy says otherwise", () => {
  const unpinned = peer("agent", { pinned: false });
  assert.is(authorize(unpinned, "read"), "allowed");
  assert.is(authorize(unpinned, "write", agentFacts(OWN)), "permission_denied");
  const loose = { unpinnedMayWrite: true };
  assert.is(authorize(unpinned, "write", agentFacts(OWN), loose), "allowed");
  const controller = peer("controller", { pinned: false });
  assert.is(authorize(controller, "administer"), "permission_denied");
});

test("authorize: a revoked identity may do nothing", () => {
  const revoked = AbortSignal.abort();
  assert.is(authorize(peer("proxy", { revoked }), "read"), "unauthenticated");
  assert.is(authorize(peer("development", { revoked }), "read"), "unauthenticated");
});

test("grantsDomain: a wildcard stands for whole labels before its suffix, and not for none", () => {
  const grants = { ...NO_GRANTS, domains: ["*.b.example"] };
  assert.ok(grantsDomain(grants, "a.b.example"));
  assert.ok(grantsDomain(grants, "x.a.b.example"));
  assert.not(grantsDomain(grants, "b.example"));
  assert.not(grantsDomain(grants, "ab.example"));
  assert.not(grantsDomain(grants, ".b.example"));
});

test.run();
