/** The rules of access: each sentence of design §8 about permissions. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type AuthenticatedPeer, NO_GRANTS, type Role } from "../../../src/base/peer.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import {
  authorize,
  authorizeRole,
  grantsDomain,
  type KeyFacts,
  seesCredentialHash,
} from "../../../src/record/access.ts";
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

test("authorize: a record of an unknown kind is nobody's own, attached or granted", () => {
  for (const kind of [0, 3, 16, 0xffff]) {
    for (const role of ["agent", "gateway"] as const) {
      for (const rule of ["write", "renew"] as const) {
        assert.is(
          authorize(peer(role), rule, { kind, id: OWN, gatewayId: OWN }),
          "permission_denied",
        );
      }
    }
    assert.is(authorize(peer("agent"), "read", { kind, id: OTHER }), "permission_denied");
  }
});

test("authorize: a record is registered in the region of its owner's certificate", () => {
  const facts = (region: string) => ({ ...gatewayFacts(OWN), region });
  assert.is(authorize(peer("gateway"), "write", facts("eu")), "allowed");
  assert.is(authorize(peer("gateway"), "write", facts("us")), "permission_denied");
  const agent = agentFacts(OWN, { domain: "a.example" });
  assert.is(authorize(peer("agent"), "write", { ...agent, region: "eu" }), "allowed");
  assert.is(authorize(peer("agent"), "write", { ...agent, region: "us" }), "permission_denied");
  assert.is(authorize(peer("development"), "write", facts("us")), "allowed");
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

test("authorize: an agent reads its own record and the gateways that it may name", () => {
  const read = (facts?: KeyFacts) => authorize(peer("agent"), "read", facts);
  assert.is(read(agentFacts(OWN)), "allowed");
  assert.is(read(gatewayFacts(OTHER)), "allowed");
  assert.is(read(agentFacts(OTHER)), "permission_denied");
  assert.is(read(gatewayFacts(new Uint8Array(16).fill(9))), "permission_denied");
  assert.is(read(), "permission_denied");
});

test("authorize: proxies read, nodes speak with nodes, controllers administer and write nothing", () => {
  for (const role of ["proxy", "node", "controller"] as const) {
    for (const rule of ["write", "renew"] as const) {
      for (const facts of [agentFacts(OWN), gatewayFacts(OWN), agentFacts(OTHER), undefined]) {
        assert.is(authorize(peer(role), rule, facts), "permission_denied");
      }
    }
  }
  assert.is(authorize(peer("proxy"), "read"), "allowed");
  assert.is(authorize(peer("node"), "read"), "permission_denied");
  assert.is(authorize(peer("node"), "peer"), "allowed");
  assert.is(authorize(peer("controller"), "administer"), "allowed");
  for (const role of ["agent", "gateway", "proxy", "node"] as const) {
    assert.is(authorize(peer(role), "administer"), "permission_denied");
  }
  for (const role of ["agent", "gateway", "proxy", "controller"] as const) {
    assert.is(authorize(peer(role), "peer"), "permission_denied");
  }
});

test("authorize: development does everything, pinned or not", () => {
  const development = peer("development", { pinned: false });
  assert.is(authorize(development, "administer"), "allowed");
  assert.is(authorize(development, "write", agentFacts(OTHER, { domain: "any" })), "allowed");
});

test("authorize: a session that was not pinned is read-only, unless policy says otherwise", () => {
  const unpinned = peer("agent", { pinned: false });
  assert.is(authorize(unpinned, "read", agentFacts(OWN)), "allowed");
  assert.is(authorize(unpinned, "write", agentFacts(OWN)), "permission_denied");
  assert.is(authorize(unpinned, "renew", agentFacts(OWN)), "permission_denied");
  const loose = { trustUnpinned: true };
  assert.is(authorize(unpinned, "write", agentFacts(OWN), loose), "allowed");
  assert.is(authorize(unpinned, "write", agentFacts(OTHER), loose), "permission_denied");
  const controller = peer("controller", { pinned: false });
  assert.is(authorize(controller, "administer"), "permission_denied");
});

test("authorizeRole denies what no record would allow, and decides nothing else", () => {
  assert.is(authorizeRole(peer("proxy"), "write"), "permission_denied");
  assert.is(authorizeRole(peer("agent"), "write"), "allowed");
  assert.is(authorizeRole(peer("agent", { pinned: false }), "write"), "permission_denied");
  assert.is(
    authorizeRole(peer("agent", { revoked: AbortSignal.abort() }), "read"),
    "unauthenticated",
  );
});

test("seesCredentialHash: the owner, the agent's gateway, and whoever was granted it", () => {
  const grants = { ...NO_GRANTS, credentialHashes: true };
  const attached = agentFacts(OTHER, { gatewayId: OWN });
  assert.ok(seesCredentialHash(peer("agent"), agentFacts(OWN)));
  assert.not(seesCredentialHash(peer("agent"), agentFacts(OTHER)));
  assert.ok(seesCredentialHash(peer("gateway"), attached));
  assert.not(seesCredentialHash(peer("gateway"), agentFacts(OTHER, { gatewayId: OTHER })));
  assert.not(seesCredentialHash(peer("proxy"), attached));
  assert.ok(seesCredentialHash(peer("proxy", { grants }), attached));
  assert.not(seesCredentialHash(peer("proxy", { grants, pinned: false }), attached));
  assert.ok(seesCredentialHash(peer("proxy", { grants, pinned: false }), attached, {
    trustUnpinned: true,
  }));
});

test("authorize: a revoked identity may do nothing", () => {
  const revoked = AbortSignal.abort();
  assert.is(authorize(peer("proxy", { revoked }), "read"), "unauthenticated");
  assert.is(authorize(peer("development", { revoked }), "read"), "unauthenticated");
});

test("grantsDomain: a wildcard stands for whole labels before its suffix, and not for none", () => {
  const grants = { ...NO_GRANTS, domains: ["*.b.example"] };
  assert.ok(grantsDomain(grants.domains, "a.b.example"));
  assert.ok(grantsDomain(grants.domains, "x.a.b.example"));
  assert.not(grantsDomain(grants.domains, "b.example"));
  assert.not(grantsDomain(grants.domains, "ab.example"));
  assert.not(grantsDomain(grants.domains, ".b.example"));
});

test.run();
