/** The routes of identities: how requests become calls, and answers documents. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { auditEntryCodec } from "../../../schemas/gen/audit.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { encodeBase64 } from "../../../src/base/base64.ts";
import { encodePem } from "../../../identity/pki/pem.ts";
import { bundleToJson } from "../../../identity/trust/trust_bundle_content.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { HttpFace } from "../../support/http_face.ts";
import { STARTED_UNIX_MS } from "../../support/stepped_world.ts";
import { AGENT, createTestPki, derOf, TRUST_DOMAIN } from "../../support/test_pki.ts";

const V = "/v1/identity";
const DER = Uint8Array.of(48, 3, 2, 1, 5);

function fake(answers: Readonly<Record<string, unknown>>) {
  const { client, calls } = new FakeClient(answers);
  // The signal of each request is not compared.
  const made = () =>
    calls.map((call) =>
      call.map((part) =>
        typeof part === "object" && part !== null && "signal" in part ? "options" : part
      )
    );
  return { face: new HttpFace({ client }), made };
}

test("a caller is told who it is", async () => {
  const known = {
    ...{ subject: AGENT, role: "agent", region: "eu-1", lineage: 7, expiresAtMs: null },
    grants: { domains: ["a.example"], gateways: [], credentialHashes: false, reads: [] },
    ...{ scopes: [], front: "spiffe://front" },
  };
  const { face, made } = fake({ "identities.whoAmI": known });
  const { status, json } = await face.ask("GET", "/v1/whoami");
  assert.equal([status, json], [200, known]);
  assert.equal(made(), [["identities.whoAmI", "options"]]);
  const denied = new RegistryError("unauthenticated", "The certificate has expired");
  const refused = fake({ "identities.whoAmI": () => Promise.reject(denied) });
  assert.is((await refused.face.ask("GET", "/v1/whoami")).status, 401);
});

test("join tokens are created for a subject with its grants", async () => {
  const { face, made } = fake({
    "identities.createJoinToken": { token: "crs-join-x", expiresAtMs: 9 },
  });
  const grants = { domains: ["a.example"], credentialHashes: true };
  const { status, json } = await face.ask("POST", `${V}/join-tokens`, {
    body: { subject: AGENT, grants },
  });
  assert.equal([status, json], [201, { subject: AGENT, token: "crs-join-x", expiresAtMs: 9 }]);
  assert.equal(made(), [[
    "identities.createJoinToken",
    AGENT,
    { domains: ["a.example"], gateways: [], credentialHashes: true },
    "options",
  ]]);
  const reads = [{ labels: [{ key: "team", value: "a" }] }];
  await face.ask("POST", `${V}/join-tokens`, { body: { subject: AGENT, grants: { reads } } });
  assert.equal(made()[1]![2], {
    ...{ domains: [], gateways: [] },
    reads: [{ regions: [], labels: [{ key: "team", value: "a" }], domains: [] }],
  });
  const wrong = await face.ask("POST", `${V}/join-tokens`, { body: { subject: AGENT, role: "x" } });
  assert.is(wrong.status, 400);
});

test("certificates are enrolled and renewed from PEM or base64", async () => {
  const issued = { chain: [DER], bundle: '{"bundle":{}}' };
  const { face, made } = fake({ "identities.enrol": issued, "identities.renew": issued });
  const answer = { chain: [encodePem("CERTIFICATE", DER)], bundle: { bundle: {} } };
  for (const request of [encodePem("CERTIFICATE REQUEST", DER), encodeBase64(DER)]) {
    const body = { token: "crs-join-x", subject: AGENT, request };
    const { status, json } = await face.ask("POST", `${V}/enrol`, { body });
    assert.equal([status, json], [201, answer]);
  }
  const body = {
    chain: [encodePem("CERTIFICATE", DER)],
    request: encodeBase64(DER),
    timeMs: 5,
    proof: encodeBase64(DER),
  };
  assert.equal((await face.ask("POST", `${V}/renew`, { body })).json, answer);
  const order = { token: "crs-join-x", subject: AGENT, request: DER };
  const enrolled = ["identities.enrol", order, "options"];
  const renewed = { chain: [DER], request: DER, timeMs: 5, proof: DER };
  assert.equal(made(), [enrolled, enrolled, ["identities.renew", renewed, "options"]]);
  for (const request of ["?", encodePem("CERTIFICATE", DER), "AAB="]) {
    const wrong = await face.ask("POST", `${V}/enrol`, {
      body: { token: "t", subject: AGENT, request },
    });
    assert.is(wrong.status, 400, request);
  }
  const wrong = await face.ask("POST", `${V}/renew`, { body: { ...body, proof: "?" } });
  assert.equal([wrong.status, wrong.json.error.message], [400, "proof must be canonical base64"]);
});

test("tokens are issued for the registry of the subject's region unless named otherwise", async () => {
  const { face, made } = fake({ "identities.issueToken": "not.a.token" });
  const { status, json } = await face.ask("POST", `${V}/tokens`, {
    body: { subject: AGENT, lifeMs: 60_000 },
  });
  assert.equal([status, json], [201, { token: "not.a.token", claims: null }]);
  assert.equal(made()[0]![1], {
    subject: AGENT,
    audience: `spiffe://${TRUST_DOMAIN}/region/eu-1`,
    lifeMs: 60_000,
    grants: { domains: [], gateways: [] },
  });
  const long = await face.ask("POST", `${V}/tokens`, { body: { subject: AGENT, lifeMs: 1e9 } });
  assert.is(long.status, 400);
  const wrong = await face.ask("POST", `${V}/tokens`, { body: { subject: "x", lifeMs: 60_000 } });
  assert.is(wrong.status, 400);
});

test("capabilities are minted with their caveats, and verified", async () => {
  const { face, made } = fake({
    "identities.mintCapability": "crs-cap-x",
    "identities.verifyCapability": { capabilityId: AGENT, expiresAtMs: 9 },
  });
  const { status, json } = await face.ask("POST", `${V}/capabilities`, {
    body: { scope: ["registry:propose"], lifeMs: 60_000, path: ["/v1/registry"], method: ["GET"] },
  });
  assert.equal([status, json], [201, { capability: "crs-cap-x" }]);
  assert.equal(made(), [["identities.mintCapability", {
    caveats: [
      { kind: "scope", any: ["registry:propose"] },
      { kind: "path", any: ["/v1/registry"] },
      { kind: "method", any: ["GET"] },
    ],
    lifeMs: 60_000,
  }, "options"]]);
  const verified = await face.ask("POST", `${V}/capabilities/verify`, {
    body: { capability: "crs-cap-x" },
  });
  assert.equal([verified.status, verified.json.expiresAtMs], [200, 9]);
  const wrong = await face.ask("POST", `${V}/capabilities`, {
    body: { scope: ["all"], lifeMs: 60_000 },
  });
  assert.is(wrong.status, 400);
});

test("bans are made, listed with their ends, and lifted", async () => {
  const ban = { kind: "token", name: "t", reason: "", untilMs: 5, writer: 2, madeAtMs: 1 };
  const { face, made } = fake({
    "identities.ban": { name: "t", known: true },
    "identities.bans": { bans: [ban, { ...ban, untilMs: null }], count: 2 },
    "identities.unban": undefined,
  });
  const banned = await face.ask("POST", `${V}/bans`, {
    body: { kind: "token", name: "t", untilMs: STARTED_UNIX_MS },
  });
  assert.equal([banned.status, banned.json.known, banned.json.untilMs], [
    201,
    true,
    STARTED_UNIX_MS,
  ]);
  const { json } = await face.ask("GET", `${V}/bans?first=1&limit=2`);
  assert.equal(json.bans.map(({ ended }: { ended: boolean }) => ended), [true, false]);
  const lifted = await face.ask(
    "DELETE",
    `${V}/bans?kind=subject&name=${encodeURIComponent(AGENT)}`,
  );
  assert.equal([lifted.status, lifted.json.banned], [200, false]);
  assert.equal(made().slice(1), [
    ["identities.bans", 1, 2, "options"],
    ["identities.unban", { kind: "subject", name: AGENT, reason: "" }, "options"],
  ]);
});

test("the audit log is shown entry by entry with the ends of its chain", async () => {
  const entry = auditEntryCodec.encode({
    ...auditEntryCodec.empty(),
    number: 3,
    subject: AGENT,
    previous: new Uint8Array(32).fill(1),
  });
  const page = { entries: [entry], count: 9, anchor: Uint8Array.of(1), head: Uint8Array.of(2) };
  const { face } = fake({ "identities.audit": page });
  const { json } = await face.ask("GET", `${V}/audit?first=3`);
  const [{ number, subject, previous }] = json.entries;
  assert.equal([number, subject, previous], [3, AGENT, "01".repeat(32)]);
  assert.equal([json.count, json.anchor, json.head], [9, "01", "02"]);
});

test("keys and trust bundle are published, also in SPIFFE's format, or are not there", async () => {
  const pki = await createTestPki();
  const bundle = {
    bundle: bundleToJson({
      trustDomain: TRUST_DOMAIN,
      sequence: 7,
      issuedAtMs: 1,
      expiresAtMs: 2,
      roots: [derOf(pki.root.pair)],
      intermediates: [],
      servers: [],
    }),
    signature: "AA",
    signer: "AA",
  };
  const key = { kty: "OKP", crv: "Ed25519", x: "AA", kid: "k" };
  const { face } = fake({
    "identities.tokenKeys": JSON.stringify({ keys: [key] }),
    "identities.trustBundle": JSON.stringify(bundle),
  });
  for (const path of [`${V}/jwks`, "/.well-known/jwks.json"]) {
    assert.equal((await face.ask("GET", path)).json, { keys: [key] });
  }
  assert.equal((await face.ask("GET", `${V}/bundle`)).json, bundle);
  const { json } = await face.ask("GET", `${V}/bundle/spiffe`);
  assert.equal([json.spiffe_sequence, json.keys.length], [7, 2]);
  const [root, token] = json.keys;
  assert.equal([root.use, root.x5c], ["x509-svid", [encodeBase64(derOf(pki.root.pair))]]);
  assert.ok(root.kty === "EC" ? root.x && root.y : root.x);
  assert.equal(token, { ...key, use: "jwt-svid" });
  const discovery = await face.ask("GET", "/.well-known/openid-configuration");
  assert.equal([discovery.json.issuer, discovery.json.jwks_uri], [
    `spiffe://${TRUST_DOMAIN}`,
    "http://localhost:9402/.well-known/jwks.json",
  ]);
  const none = fake({ "identities.trustBundle": "" });
  assert.is((await none.face.ask("GET", `${V}/bundle`)).status, 404);
  const denied = new RegistryError("permission_denied", "Controllers only");
  const refused = fake({ "identities.bans": () => Promise.reject(denied) });
  assert.is((await refused.face.ask("GET", `${V}/bans`)).status, 403);
});

test.run();
