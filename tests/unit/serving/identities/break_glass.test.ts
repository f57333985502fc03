/**
 * The administrator whose key is offline: is admitted when no certificate is valid any more, ends
 * another's record or a node's membership, and leaves an audit entry of each; its requests are
 * bound to its key and the current time.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../../../schemas/gen/audit.ts";
import { createCertificateRequest } from "../../../../identity/pki/certificate_request.ts";
import { generateSigningKey, type SigningKey } from "../../../../identity/pki/ed25519.ts";
import { IdentityFolder } from "../../../../identity/files/identity_folder.ts";
import { proveRenewal } from "../../../../identity/enrolment/renewal_proof.ts";
import { bytesEqual } from "../../../../src/base/bytes.ts";
import type { Client } from "../../../../src/client/types.ts";
import { verifyAudit } from "../../../../src/system/audit_log.ts";
import { CertifiedRegistry } from "../../../support/certified_registry.ts";
import { codeOf } from "../../../support/refusal.ts";

const HOUR_MS = 3_600_000;
const GATEWAY_ID = "11111111-1111-4111-8111-111111111111";
const folder = await Deno.makeTempDir();
const node = await CertifiedRegistry.open(folder);
const { world, registry } = node;
const { identities } = registry;
const administrator = new IdentityFolder(`${folder}/pki/administrator`);
const key = await administrator.key();

type Order = Parameters<typeof identities.enrolment.enrol>[0];

async function order(signer: SigningKey = key, subject = administrator.subject): Promise<Order> {
  const request = await createCertificateRequest(signer);
  const timeMs = world.unixMs();
  const proof = await proveRenewal({ request, timeMs, purpose: "administrator" }, signer);
  return { token: "", subject, request, timeMs, proof };
}

const ask = (made: Order) => world.wait(identities.enrolment.enrol(made, world.nowMs() + 5_000));

/** Returns the content of the audit log, the newest last: `action subject detail`. */
function audited(): string[] {
  const { audit } = registry.identities.group.state;
  const entries = audit.read(1, Infinity);
  assert.ok(verifyAudit(audit.anchor, entries).ok);
  return entries.map((bytes) => {
    const { action, subject, detail } = auditEntryCodec.decode(bytes);
    const name = Object.entries(AUDIT_ACTIONS).find(([, number]) => number === action)?.[0];
    return `${name} ${subject} ${detail}`;
  });
}

/** Returns a client of the administrator, with a new certificate. */
async function comeIn(): Promise<Client> {
  const { chain, bundle } = await ask(await order());
  await administrator.keep(chain, bundle, world.unixMs());
  return await world.wait(node.connect(await node.keep(administrator.path)));
}

test("an unknown key, and a known key in another's name, are refused", async () => {
  const before = audited().length;
  const { key: foreign } = await generateSigningKey(world.entropy);
  assert.is(await codeOf(ask(await order(foreign))), "unauthenticated");
  const other = administrator.subject.slice(0, -4) + "0000";
  assert.is(await codeOf(ask(await order(key, other))), "unauthenticated");
  // The known request is of no use without its key.
  const { request, timeMs } = await order();
  const content = { request, timeMs, purpose: "administrator" } as const;
  const proof = await proveRenewal(content, foreign);
  const forged = { token: "", subject: administrator.subject, request, timeMs, proof };
  assert.is(await codeOf(ask(forged)), "unauthenticated");
  assert.is(audited().length, before, "Whoever is refused cannot fill the log");
});

test("a request that is played again gets nothing new, and soon nothing at all", async () => {
  const made = await order();
  const first = await ask(made);
  const entries = audited().length;
  const again = await ask(made);
  assert.ok(bytesEqual(again.chain[0]!, first.chain[0]!));
  assert.is(audited().length, entries);
  await world.pass(6 * 60_000);
  assert.is(await codeOf(ask(made)), "unauthenticated");
  const later = { ...made, timeMs: world.unixMs() };
  assert.is(await codeOf(ask(later)), "unauthenticated", "The time is signed");
  // The proof of a renewal is not accepted as an administrator's.
  const timeMs = world.unixMs();
  const renewal = await proveRenewal({ request: made.request, timeMs }, key);
  assert.is(await codeOf(ask({ ...made, timeMs, proof: renewal })), "unauthenticated");
  assert.is(audited().length, entries);
});

test("administrator's key: works when all certificates have expired, and removes another's record", async () => {
  const kept = await world.wait(
    node.join("gateway", GATEWAY_ID, { domains: ["g.example"], gateways: [] }),
  );
  const gateway = await world.wait(node.connect(kept));
  await world.wait(gateway.registerGateway({
    id: GATEWAY_ID,
    region: "eu-1",
    domain: "g.example",
    address: "192.0.2.1",
    port: 4_000,
    ttlMs: 24 * HOUR_MS,
  }));
  await world.wait(gateway.close());
  kept.close();
  await world.pass(3 * HOUR_MS);
  assert.ok(kept.own.identity.notAfterMs < world.unixMs(), "The gateway's certificate has ended");

  const client = await comeIn();
  assert.is((await world.wait(client.getGateway(GATEWAY_ID))).gateway.domain, "g.example");
  assert.is(await world.wait(client.identities.removeRecord("gateway", GATEWAY_ID)), 1);
  assert.is(await codeOf(world.wait(client.getGateway(GATEWAY_ID))), "not_found");
  const gone = client.identities.removeRecord("gateway", GATEWAY_ID);
  assert.is(await codeOf(world.wait(gone)), "not_found");
  const { subject } = administrator;
  const uses = audited().filter((line) =>
    line.startsWith("removeRecord") || line.includes(subject)
  );
  assert.is(uses.filter((line) => line === `enrol ${subject} administrator`).length, 2);
  assert.is(uses.at(-1), `removeRecord gateway ${GATEWAY_ID} ${subject}`);
  await world.wait(client.close());
});

test("administrator's key: ends a node's membership and certificate for good", async () => {
  const member = {
    nodeId: 2,
    addresses: [{ transport: "quic", host: "192.0.2.9", port: 4_443 }],
    pin: new Uint8Array(32).fill(1),
    nextPin: new Uint8Array(32),
  };
  const client = await comeIn();
  const [own] = (await world.wait(client.ringMap())).nodes;
  if (own === undefined) await world.wait(registry.putMember({ ...member, nodeId: 1 }));
  await world.wait(registry.putMember(member));
  assert.is((await world.wait(client.ringMap())).nodes.length, 2);
  assert.is(await codeOf(world.wait(client.identities.removeMember(3))), "not_found");
  await world.wait(client.identities.removeMember(2));
  assert.equal((await world.wait(client.ringMap())).nodes.map(({ nodeId }) => nodeId), [1]);
  assert.is(await codeOf(world.wait(registry.putMember(member))), "not_replica");
  assert.is(
    await codeOf(world.wait(client.identities.removeMember(1))),
    "invalid_argument",
  );
  const [removed, banned] = audited().slice(-2);
  assert.is(removed, `removeMember node 2 ${administrator.subject}`);
  assert.match(banned!, /^ban spiffe:\/\/registry\.example\/region\/eu-1\/node\//);
  await world.wait(client.close());
});

test("administrator's key: a banned one is refused", async () => {
  const client = await comeIn();
  const name = administrator.subject;
  await world.wait(
    client.identities.ban({ kind: "subject", name, reason: "key lost" }),
  );
  assert.is(await codeOf(ask(await order())), "unauthenticated");
});

test("teardown: all sessions end", async () => {
  await node.close();
  await Deno.remove(folder, { recursive: true });
});

test.run();
