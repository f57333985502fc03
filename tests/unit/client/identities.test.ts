/**
 * Identities in the SDK: the calls, requests without an identity, and the pins used to dial a
 * server.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { connect } from "../../../src/client/client.ts";
import { askUnauthenticated } from "../../../src/client/unauthenticated.ts";
import type { Dialer, Trust } from "../../../transport/transport.ts";
import { Realm } from "../../support/auth_realm.ts";
import { FakeRegistry, GATEWAY_ID, HOST, PORT, rejection } from "./fake_registry.ts";

const PIN = new Uint8Array(32).fill(1);
const PINS: Trust = { kind: "pins", sha256: [PIN] };
const SUBJECT = `spiffe://test.example/region/eu-1/gateway/${GATEWAY_ID}`;
const ORDER = { token: "crs-join-x", subject: SUBJECT, request: Uint8Array.of(1, 2) };

function enrol(registry: FakeRegistry, trust = PINS) {
  return askUnauthenticated("enrol", ORDER, {
    endpoint: { host: HOST, port: PORT },
    dialer: registry.network.dialer("client"),
    trust,
    world: registry.world,
    timeoutMs: 1_000,
  });
}

test("createJoinToken passes subject and grants, and returns the token", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const grants = { domains: ["a.example"], gateways: [GATEWAY_ID], credentialHashes: true };
  const answer = client.identities.createJoinToken(SUBJECT, grants);
  const request = await registry.next("createJoinToken");
  assert.equal(request.body, { subject: SUBJECT, ...grants, reads: [] });
  const made = { token: "crs-join-y", expiresAtMs: 5 };
  request.reply("createJoinToken", { ...made, readLimits: 0 });
  assert.equal(await registry.wait(answer), made);
  await registry.wait(client.close());
});

test("createJoinToken returns no token of a registry that ignored the limits on reads", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const reads = [{ regions: ["eu"], labels: [{ key: "team", value: "a" }], domains: [] }];
  for (const readLimits of [0, 1]) {
    const answer = client.identities.createJoinToken(SUBJECT, { ...NO_GRANTS, reads });
    const request = await registry.next("createJoinToken");
    assert.equal((request.body as { reads: unknown }).reads, reads);
    request.reply("createJoinToken", { token: "crs-join-y", expiresAtMs: 5, readLimits });
    const code = answer.then(() => "ok", (error: RegistryError) => error.code);
    assert.is(await registry.wait(code), readLimits === 0 ? "unsupported_version" : "ok");
  }
  await registry.wait(client.close());
});

test("ban and unban name what they are about", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const ban = { kind: "lineage", name: "7", reason: "stolen" } as const;
  const banned = client.identities.ban({ ...ban, untilMs: 9 });
  const request = await registry.next("ban");
  assert.equal(request.body, { kind: 2, name: "7", reason: "stolen", untilMs: 9 });
  request.reply("ban", { name: "t", known: false });
  await registry.wait(banned);
  const lifted = client.identities.unban({ kind: "token", name: "t" });
  const second = await registry.next("unban");
  assert.equal(second.body, { kind: 3, name: "t", reason: "", untilMs: 0 });
  second.refuse("not_found");
  assert.is((await rejection(registry, lifted)).code, "not_found");
  await registry.wait(client.close());
});

test("tokens, keys, bundle, lineage and audit come back as the server has them", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const { identities } = client;
  const minted = identities.mintToken("api.example", 60_000);
  const mint = await registry.next("mintToken");
  assert.equal(mint.body, { audience: "api.example", lifeMs: 60_000 });
  mint.reply("mintToken", { text: "a.b.c" });
  assert.is(await registry.wait(minted), "a.b.c");

  const keys = identities.tokenKeys();
  (await registry.next("getTokenKeys")).reply("getTokenKeys", { text: "{}" });
  assert.is(await registry.wait(keys), "{}");
  const bundle = identities.trustBundle();
  (await registry.next("getTrustBundle")).reply("getTrustBundle", { text: "[]" });
  assert.is(await registry.wait(bundle), "[]");

  const known = { subject: SUBJECT, generation: 3, stopped: "", notAfterMs: 8 };
  const lineage = identities.lineage(7);
  const asked = await registry.next("getLineage");
  assert.equal(asked.body, { lineage: 7 });
  asked.reply("getLineage", known);
  assert.equal(await registry.wait(lineage), known);

  const page = { entries: [PIN], count: 1, anchor: PIN, head: PIN };
  const audit = identities.audit(1, 10);
  const read = await registry.next("readAudit");
  assert.equal(read.body, { first: 1, limit: 10 });
  read.reply("readAudit", page);
  assert.equal(await registry.wait(audit), page);

  const removed = identities.removeRecord("gateway", GATEWAY_ID);
  const order = await registry.next("removeRecord");
  assert.equal(order.body.id, parseUuid(GATEWAY_ID));
  order.reply("removeRecord", { removed: 1 });
  assert.is(await registry.wait(removed), 1);
  await registry.wait(client.close());
});

test("askUnauthenticated asks without a hello, and ends the session", async () => {
  const registry = new FakeRegistry();
  const answer = enrol(registry);
  const request = await registry.next("enrol");
  const { token, subject, request: certificateRequest } = request.body;
  assert.equal({ token, subject, request: certificateRequest }, ORDER);
  assert.is(request.session.control, undefined);
  request.reply("enrol", { chain: [PIN], bundle: "{}" });
  const issued = await registry.wait(answer);
  assert.equal(issued, { chain: [PIN], bundle: "{}" });
  await registry.wait(request.session.session.closed);
});

test("askUnauthenticated asks a pinned server only, before it dials", async () => {
  const registry = new FakeRegistry();
  const asked = enrol(registry, { kind: "ca", pem: [] });
  assert.is((await rejection(registry, asked)).code, "invalid_argument");
  assert.is(registry.sessions.length, 0);
});

test("askUnauthenticated rejects with the server's refusal and its fields", async () => {
  const registry = new FakeRegistry();
  const answer = enrol(registry);
  (await registry.next("enrol")).refuse("unauthenticated", { field: "token_spent" });
  const { code, fields } = await rejection(registry, answer);

  assert.equal([code, fields.field], ["unauthenticated", "token_spent"]);
});

test("askUnauthenticated gives up in time, and where the session is lost", async () => {
  const registry = new FakeRegistry();
  const silent = enrol(registry);
  const request = await registry.next("enrol");
  assert.is((await rejection(registry, silent)).code, "deadline_exceeded");
  await registry.wait(request.session.session.closed);
  const lost = enrol(registry);
  (await registry.next("enrol")).session.drop();
  assert.is((await rejection(registry, lost)).code, "connection_lost");
});

/** A dialer without a network: each pin fails as the test specifies. */
class RefusingDialer implements Dialer {
  readonly transport = "quic";
  readonly authenticatesPeers = false;
  readonly pinsServer = true;
  readonly pins: number[] = [];
  readonly #codeOf: (pin: number) => "tls_failed" | "unauthenticated";

  constructor(codeOf: (pin: number) => "tls_failed" | "unauthenticated") {
    this.#codeOf = codeOf;
  }

  dial(_: unknown, { trust }: { readonly trust: Trust }): Promise<never> {
    const pin = trust.kind === "pins" ? trust.sha256[0]![0]! : 0;
    this.pins.push(pin);
    return Promise.reject(new RegistryError(this.#codeOf(pin), `pin ${pin} fails`));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const pin = (number: number) => new Uint8Array(32).fill(number);

function connectBy(registry: FakeRegistry, dialer: Dialer, given: Trust, known: number[]) {
  const realm = new Realm();
  const member = realm.enrol("gateway", 2);
  return rejection(
    registry,
    connect({
      endpoints: [{ host: HOST, port: PORT }],
      dialer,
      trust: given,
      world: registry.world,
      credentials: {
        kind: "certificate",
        own: () => ({ ...member.identity, chain: member.chain }),
        services: realm.services(member),
        pins: () => known.map(pin),
      },
    }),
  );
}

test("pins that the identity knows are tried before those that were given, each once", async () => {
  const dialer = new RefusingDialer(() => "tls_failed");
  const given: Trust = { kind: "pins", sha256: [pin(1), pin(3)] };
  const { code } = await connectBy(new FakeRegistry(), dialer, given, [3, 4]);
  assert.equal([code, dialer.pins], ["tls_failed", [3, 4, 1]]);
});

test("with only a CA given, the identity's pins make the session a pinned one", async () => {
  const dialer = new RefusingDialer(() => "tls_failed");
  await connectBy(new FakeRegistry(), dialer, { kind: "ca", pem: [] }, [5]);
  assert.equal(dialer.pins, [5]);
});

test("a refusal by the server is told, not that its other pin was not shown", async () => {
  for (const refusing of [1, 2]) {
    const dialer = new RefusingDialer((pin) => pin === refusing ? "unauthenticated" : "tls_failed");
    const given: Trust = { kind: "pins", sha256: [pin(1), pin(2)] };
    const { code } = await connectBy(new FakeRegistry(), dialer, given, []);
    assert.is(code, "unauthenticated", `pin ${refusing}`);
  }
});

test.run();
