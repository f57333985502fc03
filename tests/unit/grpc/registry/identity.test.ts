/** Identities by `crs.v1.Registry`: what the SDK is asked for, and how its answers are told. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BanKind } from "../../../../schemas/proto/gen/crs/v1/identity_pb.ts";
import { RecordKind } from "../../../../schemas/proto/gen/crs/v1/records_pb.ts";
import { Registry } from "../../../../schemas/proto/gen/crs/v1/registry_pb.ts";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../../../schemas/gen/audit.ts";
import { BANS_PAGE_MAX } from "../../../../src/base/limits.ts";
import { FakeClient } from "../../../support/fake_client.ts";
import { RegistryGrpc } from "../../../support/registry_grpc.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";

const M = Registry.method;
const SUBJECT = "spiffe://example.org/region/eu/agent/0192f0c0-0000-7000-8000-0000000000a1";
const REQUEST = Uint8Array.of(1, 2, 3);
const CHAIN = [Uint8Array.of(4), Uint8Array.of(5)];

/** Opens a face over a client that gives some answers. */
function open(answers: Readonly<Record<string, unknown>>) {
  const { client, calls } = new FakeClient(answers);
  const face = new RegistryGrpc(client, new SteppedWorld());
  /** Returns the arguments of the only call, without its options. */
  const asked = () => {
    assert.is(calls.length, 1);
    return calls[0]!.slice(0, -1);
  };
  return { face, asked };
}

test("a join token is created with the grants that are given", async () => {
  const { face, asked } = open({
    "identities.createJoinToken": { token: "secret", expiresAtMs: 9_000 },
  });
  const made = await face.ask(M.createJoinToken, {
    subject: SUBJECT,
    grants: { domains: ["*.eu"], reads: [{ regions: ["eu"], labels: { k: "v" } }] },
  });
  assert.equal([made.token, made.expiresAtUnixMs], ["secret", 9_000n]);
  const reads = [{ regions: ["eu"], labels: [{ key: "k", value: "v" }], domains: [] }];
  const grants = { domains: ["*.eu"], gateways: [], reads };
  assert.equal(asked(), ["identities.createJoinToken", SUBJECT, grants]);
});

test("certificates are issued, and issued again to those who prove their key", async () => {
  const issued = { chain: CHAIN, bundle: "{}" };
  const enrol = open({ "identities.enrol": issued });
  const first = await enrol.face.ask(M.enrol, {
    ...{ token: "t", subject: SUBJECT, certificateRequest: REQUEST },
  });
  assert.equal([first.certificate?.chain, first.certificate?.trustBundle], [CHAIN, "{}"]);
  const order = { token: "t", subject: SUBJECT, request: REQUEST };
  assert.equal(enrol.asked(), ["identities.enrol", order]);
  assert.match(await enrol.face.refused(M.enrol, { subject: SUBJECT }), /^3 token must be given/);

  const renew = open({ "identities.renew": issued });
  const proof = Uint8Array.of(9);
  await renew.face.ask(M.renewCertificate, {
    ...{ chain: CHAIN, certificateRequest: REQUEST, timeUnixMs: 7n, proof },
  });
  const renewal = { chain: CHAIN, request: REQUEST, timeMs: 7, proof };
  assert.equal(renew.asked(), ["identities.renew", renewal]);
});

test("a token is for the registry of its subject's region unless it names an audience", async () => {
  const issue = open({ "identities.issueToken": "jwt" });
  const { token } = await issue.face.ask(M.issueToken, { subject: SUBJECT, lifeMs: 60_000 });
  assert.is(token, "jwt");
  const [, order] = issue.asked();
  assert.is((order as { audience: string }).audience, "spiffe://example.org/region/eu");
  assert.match(await issue.face.refused(M.issueToken, { subject: "x" }), /^3 /);
  const mint = open({ "identities.mintToken": "jwt" });
  await mint.face.ask(M.mintToken, { audience: "a", lifeMs: 1_000 });
  assert.equal(mint.asked(), ["identities.mintToken", "a", 1_000]);
});

test("a capability is narrowed by each list that is given", async () => {
  const { face, asked } = open({ "identities.mintCapability": "cap" });
  const paths = ["/crs.v1.Registry/GetAgent"];
  await face.ask(M.mintCapability, { scopes: ["registry:read"], lifeMs: 5_000n, paths });
  const caveats = [{ kind: "scope", any: ["registry:read"] }, { kind: "path", any: paths }];
  assert.equal(asked(), ["identities.mintCapability", { caveats, lifeMs: 5_000 }]);
  assert.match(await face.refused(M.mintCapability, {}), /^3 scopes must be given/);
  assert.match(await face.refused(M.mintCapability, { scopes: ["x"] }), /^3 scopes must be names/);
  const verified = { capabilityId: "id", expiresAtMs: 8 };
  const verify = open({ "identities.verifyCapability": verified });
  const { capabilityId, expiresAtUnixMs } = await verify.face.ask(M.verifyCapability, {
    capability: "cap",
  });
  assert.equal([capabilityId, expiresAtUnixMs], ["id", 8n]);
});

test("bans are made, listed and lifted", async () => {
  const ban = open({ "identities.ban": { name: SUBJECT, known: true } });
  const made = await ban.face.ask(M.ban, {
    ...{ kind: BanKind.SUBJECT, name: SUBJECT, reason: "lost", untilUnixMs: 5n },
  });
  assert.ok(made.known);
  const order = { kind: "subject", name: SUBJECT, reason: "lost", untilMs: 5 };
  assert.equal(ban.asked(), ["identities.ban", order]);
  assert.match(await ban.face.refused(M.ban, { name: SUBJECT }), /^3 kind must be given/);
  const lift = open({ "identities.unban": undefined });
  await lift.face.ask(M.liftBan, { kind: BanKind.TOKEN, name: "t" });
  assert.equal(lift.asked(), ["identities.unban", { kind: "token", name: "t", reason: "" }]);
  const listed = {
    kind: "capability",
    name: "c",
    reason: "",
    untilMs: null,
    writer: 1,
    madeAtMs: 2,
  };
  const list = open({ "identities.bans": { bans: [listed], count: 1 } });
  const { bans: [one] } = await list.face.ask(M.listBans, {});
  assert.equal([one?.kind, one?.untilUnixMs, one?.madeAtUnixMs], [
    BanKind.CAPABILITY,
    undefined,
    2n,
  ]);
  assert.equal(list.asked(), ["identities.bans", 0, BANS_PAGE_MAX]);
});

test("the audit log is told with its entries as they are hashed", async () => {
  const previous = new Uint8Array(32).fill(7);
  const encoded = auditEntryCodec.encode({
    ...{ number: 3, unixS: 4, action: AUDIT_ACTIONS.ban, writer: 1, subject: "s", detail: "d" },
    previous,
  });
  const page = { entries: [encoded], count: 3, anchor: previous, head: previous };
  const { face, asked } = open({ "identities.audit": page });
  const { entries: [entry], count } = await face.ask(M.readAudit, { first: 3n, limit: 1 });
  assert.equal([entry?.number, entry?.action, entry?.encoded, count], [3n, "ban", encoded, 3n]);
  assert.equal(asked(), ["identities.audit", 3, 1]);
});

test("records and members are removed by right of administration", async () => {
  const record = open({ "identities.removeRecord": 1 });
  const id = SUBJECT.slice(-36);
  await record.face.ask(M.removeRecord, { kind: RecordKind.GATEWAY, id });
  assert.equal(record.asked(), ["identities.removeRecord", "gateway", id]);
  const member = open({ "identities.removeMember": undefined });
  await member.face.ask(M.removeMember, { nodeId: 3 });
  assert.equal(member.asked(), ["identities.removeMember", 3]);
  const found = { subject: SUBJECT, generation: 2, stopped: "", notAfterMs: 3 };
  const lineage = open({ "identities.lineage": found });
  assert.is((await lineage.face.ask(M.getLineage, { lineage: 5n })).notAfterUnixMs, 3n);
  assert.equal(lineage.asked(), ["identities.lineage", 5]);
});

test("a caller is told who it is", async () => {
  const reads = [{ regions: ["eu"], labels: [{ key: "k", value: "v" }], domains: [] }];
  const known = {
    ...{ subject: SUBJECT, role: "agent", region: "eu", lineage: 7, expiresAtMs: 9_000 },
    grants: { domains: ["*.eu"], gateways: [], credentialHashes: false, reads },
    ...{ scopes: [], front: "spiffe://front" },
  };
  const { face } = open({ "identities.whoAmI": known });
  const told = await face.ask(M.whoAmI, {});
  assert.equal([told.subject, told.role, told.region, told.lineage, told.expiresAtUnixMs], [
    ...[SUBJECT, "agent", "eu", 7n, 9_000n],
  ]);
  assert.equal([told.front, told.grants?.domains], ["spiffe://front", ["*.eu"]]);
  assert.equal(told.grants?.reads[0]?.labels, { k: "v" });
  const forever = open({ "identities.whoAmI": { ...known, expiresAtMs: null } });
  assert.is((await forever.face.ask(M.whoAmI, {})).expiresAtUnixMs, undefined);
});

test("a registry without a trust bundle says so", async () => {
  const { face } = open({ "identities.trustBundle": "", "identities.tokenKeys": '{"keys":[]}' });
  assert.match(await face.refused(M.getTrustBundle, {}), /^5 This registry has no trust bundle/);
  assert.is((await face.ask(M.getTokenKeys, {})).jwkSet, '{"keys":[]}');
});

test.run();
