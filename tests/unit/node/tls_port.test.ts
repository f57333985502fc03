/**
 * A node with real keys that listens by QUIC and by TLS: the same certificate results in the same
 * peer on both, with the same rules, and group 0 ends the sessions of both.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { initAuthority } from "../../../identity/enrolment/authority_init.ts";
import { createCertificateRequest } from "../../../identity/pki/certificate_request.ts";
import { IdentityFolder } from "../../../identity/files/identity_folder.ts";
import { KeptIdentity } from "../../../identity/files/kept_identity.ts";
import { proveRenewal } from "../../../identity/enrolment/renewal_proof.ts";
import { readNodeFile } from "../../../identity/files/node_file.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { connect } from "../../../src/client/client.ts";
import { askUnauthenticated } from "../../../src/client/unauthenticated.ts";
import type { Client } from "../../../src/client/types.ts";
import { resolveConfig } from "../../../src/node/config.ts";
import { startNode } from "../../../src/node/node.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { TlsDialer } from "../../../transport/tls.ts";
import type { Dialer, Endpoint, Trust } from "../../../transport/transport.ts";
import { testWorld } from "../../support/production_world.ts";
import { until, within } from "../../support/until.ts";
import { codeOf } from "../../support/refusal.ts";

const OTHER_ID = "22222222-2222-4222-8222-222222222222";
const folder = await Deno.makeTempDir();
const data = `${folder}/data`;
const world = testWorld();
const { wall, entropy, scheduler } = world;
const onError = () => {};
const keeping = { wall, scheduler, entropy, onError };
const made = await initAuthority({
  folder: `${folder}/pki`,
  trustDomain: "test.example",
  region: "eu-1",
  nowMs: wall.unixMs(),
  entropy,
});
const flags = {
  data,
  authority: made.authorityFolder,
  region: "eu-1",
  found: true,
  peerPort: "0",
  tls: "on",
  partitions: "2",
};
const node = await startNode({
  config: resolveConfig({
    flags: { ...flags, port: "0", tlsPort: "0", opsPort: "0" },
    environment: {},
  }),
  world,
  logger: SILENT_LOGGER,
});
const quic = new QuicDialer({ scheduler, onError });
const endpoint = node.addresses[0]!;
const pins: Trust = { kind: "pins", sha256: [readNodeFile(data)!.currentPin] };
const unauthenticated = { endpoint, dialer: quic, trust: pins, world, timeoutMs: 5_000 };
const clients: Client[] = [];

async function issue(path: string, subject: string, token: string): Promise<KeptIdentity> {
  const identity = new IdentityFolder(path);
  identity.create(subject);
  identity.keepRoots(Deno.readTextFileSync(`${made.authorityFolder}/root.pem`));
  const request = await createCertificateRequest(await identity.firstKey(entropy));
  const timeMs = Math.floor(wall.unixMs());
  const content = { request, timeMs, purpose: "administrator" } as const;
  const proof = await proveRenewal(content, await identity.key());
  const order = { token, subject, request, timeMs, proof };
  const { chain, bundle } = await askUnauthenticated("enrol", order, unauthenticated);
  await identity.keep(chain, bundle, wall.unixMs());
  const ask = () => Promise.reject(new RegistryError("connection_lost", "Not asked"));
  return await KeptIdentity.open({ folder: path, ...keeping, ask });
}

async function connected(
  kept: KeptIdentity,
  { dialer, at, trust }: { dialer: Dialer; at: Endpoint; trust: Trust },
): Promise<Client> {
  const client = await within(
    "a connection",
    connect({ endpoints: [at], dialer, trust, world, credentials: kept.credentials }),
  );
  clients.push(client);
  return client;
}

const byQuic = { dialer: quic, at: endpoint, trust: pins };
const administrator = await issue(made.administratorFolder, made.administrator, "");
const controller = await connected(administrator, byQuic);
const subject = "spiffe://test.example/region/eu-1/gateway/11111111-1111-4111-8111-111111111111";
const { token } = await controller.identities.createJoinToken(subject, {
  ...NO_GRANTS,
  domains: ["g.example"],
});
const gateway = await issue(`${folder}/gateway`, subject, token);
const tls = new TlsDialer({ scheduler, onError, certificate: () => gateway.tlsCertificate });
const root = Deno.readTextFileSync(`${made.authorityFolder}/root.pem`);
const byTls = {
  dialer: tls,
  at: node.tlsAddresses[0]!,
  trust: { kind: "ca", pem: [root] } as const,
};

test("node.json and the ring map tell of the TLS port", async () => {
  const tcp = node.tlsAddresses.map((address) => ({ transport: "tls", ...address }));
  assert.is(tcp.length, 1);
  const isTls = ({ transport }: { readonly transport: string }) => transport === "tls";
  assert.equal(readNodeFile(data)!.addresses.filter(isTls), tcp);
  const { nodes } = await controller.ringMap();
  assert.equal(nodes[0]!.addresses.filter(isTls), tcp);
});

test("a gateway is the same peer over QUIC and over TLS", async () => {
  const record = {
    id: subject.slice(-36),
    region: "eu-1",
    domain: "g.example",
    address: "192.0.2.1",
    port: 4_000,
  };
  const writers: number[] = [];
  for (const way of [byQuic, byTls]) {
    const client = await connected(gateway, way);
    assert.is(await codeOf(client.registerGateway(record, { takeOver: true })), "ok");
    assert.is(
      await codeOf(client.registerGateway({ ...record, id: OTHER_ID })),
      "permission_denied",
    );
    const { gateway: { writer } } = await client.getGateway(record.id);
    writers.push(writer);
  }
  const { lineage } = gateway.own.identity;
  assert.equal(writers, [lineage, lineage]);
});

test("a certificate is renewed over the proven session, by TLS and by QUIC", async () => {
  for (const way of [byTls, byQuic]) {
    const ask = () => Promise.reject(new Error("It needs no session without a proof"));
    const kept = await KeptIdentity.open({ folder: `${folder}/gateway`, ...keeping, ask });
    const before = kept.own.identity.leafHash;
    await connected(kept, way);
    assert.not.equal((await within("a renewal", kept.renewNow())).identity.leafHash, before);
    kept.close();
  }
});

test("a client without a certificate comes in by neither", async () => {
  const refused = connect({ endpoints: [byTls.at], dialer: quic, trust: byTls.trust, world });
  assert.is.not(await codeOf(refused), "ok");
  const isPlain = codeOf(connect({ endpoints: [endpoint], dialer: quic, trust: pins, world }));
  assert.ok(["unauthenticated", "connection_lost"].includes(await isPlain));
});

test("a ban by subject ends the sessions of both within a second", async () => {
  const openBefore = (await controller.nodeStatus()).sessions;
  await controller.identities.ban({ kind: "subject", name: subject, reason: "stolen" });
  const open = async () => (await controller.nodeStatus()).sessions;
  await until("both sessions are over", async () => await open() === openBefore - 4, 1_000);
});

test("teardown: node and dialers end", async () => {
  await Promise.all(clients.map((client) => client.close()));
  administrator.close();
  gateway.close();
  await Promise.all([quic.close(), tls.close()]);
  await within("the end of the node", node.stop(), 10_000);
  await Deno.remove(folder, { recursive: true });
});

test.run();
