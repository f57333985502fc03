/**
 * Identities over real sockets: the handshake in QUIC and WebTransport, client certificates in TLS,
 * with certificates of the product's own authority. All of them result in the same peer and its
 * rules.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Client } from "../../../src/client/types.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { TlsDialer } from "../../../transport/tls.ts";
import type { Dialer, Trust } from "../../../transport/transport.ts";
import { WebTransportDialer } from "../../../transport/webtransport_dialer.ts";
import { type CertifiedMember, CertifiedNode } from "../../support/certified_node.ts";
import { until, within } from "../../support/until.ts";
import { codeOf } from "../../support/refusal.ts";

const GATEWAY_ID = "11111111-1111-4111-8111-111111111111";
const OTHER_ID = "22222222-2222-4222-8222-222222222222";
const gateway = (id: string) => ({
  id,
  region: "eu-1",
  domain: "g.example",
  address: "192.0.2.1",
  port: 4_000,
});

const node = await CertifiedNode.start();
const member = await node.enrol({ role: "gateway", uuid: GATEWAY_ID });
const onError = () => {};
const { scheduler } = node.world;

async function withClient(
  dialer: Dialer,
  trust: Trust,
  who: CertifiedMember,
  run: (client: Client) => Promise<void>,
): Promise<void> {
  try {
    const client = await within("a connection", node.connect(dialer, trust, who));
    await run(client);
    await client.close();
  } finally {
    await dialer.close();
  }
}

const dialers: [string, (who: CertifiedMember) => Dialer, Trust][] = [
  ["QUIC", () => new QuicDialer({ scheduler, onError }), node.pins],
  ["WebTransport", () => new WebTransportDialer({ scheduler, onError }), node.pins],
  [
    "TLS",
    ({ certificate }) => new TlsDialer({ scheduler, onError, certificate: () => certificate }),
    node.ca,
  ],
];
for (const [index, [name, dialer, trust]] of dialers.entries()) {
  test(`a gateway over ${name} writes its own record, and nobody else's`, async () => {
    const id = `${index + 3}`.repeat(8) + GATEWAY_ID.slice(8);
    const who = await node.enrol({ role: "gateway", uuid: id });
    await withClient(dialer(who), trust, who, async (client) => {
      assert.is(await codeOf(client.registerGateway(gateway(id))), "ok");
      assert.is(await codeOf(client.registerGateway(gateway(OTHER_ID))), "permission_denied");
      assert.is(await codeOf(client.getGateway(id)), "ok");
    });
  });
}

test("a gateway over QUIC that knows a CA alone reads, and writes nothing", async () => {
  const dialer = new QuicDialer({ scheduler, onError });
  await withClient(dialer, node.ca, member, async (client) => {
    assert.is(await codeOf(client.getGateway(GATEWAY_ID)), "not_found");
    assert.is(await codeOf(client.registerGateway(gateway(GATEWAY_ID))), "permission_denied");
  });
});

test("a client without an identity is refused over QUIC", async () => {
  const dialer = new QuicDialer({ scheduler, onError });
  const outcome = await codeOf(node.connect(dialer, node.pins));
  assert.ok(outcome === "unauthenticated" || outcome === "connection_lost", outcome);
  await dialer.close();
});

test("a ban ends sessions of all transports within a second", async () => {
  const banned = await node.enrol({ role: "agent", uuid: OTHER_ID });
  const dialers: [Dialer, Trust][] = [
    [new QuicDialer({ scheduler, onError }), node.pins],
    [new TlsDialer({ scheduler, onError, certificate: () => banned.certificate }), node.ca],
  ];
  const clients = [];
  for (const [dialer, trust] of dialers) {
    clients.push(await within("a connection", node.connect(dialer, trust, banned)));
  }
  const open = () => node.quic.stats.sessions + node.tls.stats.sessions;
  assert.is(open(), 2);
  node.bans.ban({ kind: "subject", name: banned.own.identity.subject, reason: "stolen" });
  await until("both sessions are over", () => open() === 0, 1_000);
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all(dialers.map(([dialer]) => dialer.close()));
});

test("teardown: all sessions end, and the node with them", async () => {
  await within("the end", node.close(), 10_000);
});

test.run();
