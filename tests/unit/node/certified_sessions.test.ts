/**
 * Sessions that begin with a proof of identity, with the product's node and client in one process:
 * admission, the rights of an unpinned session, and the end or continuation of a session.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BanList } from "../../../identity/trust/ban_list.ts";
import type { TokenOrder } from "../../../identity/tokens/token.ts";
import { authorityOf, runHandshake } from "../../../identity/registry_auth/mod.ts";
import { type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import { NO_GRANTS } from "../../../src/base/peer.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { connect } from "../../../src/client/client.ts";
import type { Credentials } from "../../../src/client/credentials.ts";
import type { Client, ConnectionEvent } from "../../../src/client/types.ts";
import { CertifiedIdentity } from "../../../src/node/session_identity.ts";
import type { Session, Stream } from "../../../transport/transport.ts";
import { clientEnd, type Member, Realm, tlsLeaf } from "../../support/auth_realm.ts";
import { controlFrame, GOOD_HELLO } from "../../support/raw_peer.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";
import { STARTED_UNIX_MS, type SteppedWorld } from "../../support/stepped_world.ts";
import { TOKEN_ID, type TokenWorld, tokenWorld } from "../../support/tokens.ts";

const HOST = "node";
const PORT = 4100;
const HOUR_MS = 3_600_000;
const FAR_MS = STARTED_UNIX_MS + 400 * 86_400_000;

const GATEWAY = {
  region: "eu-1",
  domain: "g.example",
  address: "192.0.2.1",
  port: 4_000,
  ttlMs: 86_400_000,
};

class Scene {
  readonly realm = new Realm();
  readonly server = this.realm.enrol("node", 1);
  readonly gateway = this.realm.enrol("gateway", 2);
  readonly other = this.realm.enrol("gateway", 3);
  readonly bans = new BanList();
  harness!: RegistryHarness;
  identity!: CertifiedIdentity;
  readonly events: ConnectionEvent[] = [];
  readonly issuer: TokenWorld;
  /**
   * The token that clients present, the tokens that they were given, and the reasons of refusals.
   */
  shown: string | undefined;
  readonly given: string[] = [];
  readonly refused: ErrorCode[] = [];

  constructor(issuer: TokenWorld) {
    this.issuer = issuer;
  }

  static async open(
    { sessionMsMax = HOUR_MS, trustUnpinned = false, takesTokens = true } = {},
  ): Promise<Scene> {
    const scene = new Scene(await tokenWorld());
    const { rules } = scene.issuer;
    const policy = { trustUnpinned };
    const tokens = { rules: { ...rules, bans: scene.bans }, policy };
    scene.realm.admittance = { expiresAtMs: FAR_MS };
    scene.harness = new RegistryHarness({
      identity: { prove: (session, stream) => scene.identity.prove(session, stream) },
      policy,
    });
    scene.identity = new CertifiedIdentity({
      world: scene.world,
      services: scene.realm.services(scene.server),
      own: () => scene.server,
      tlsLeaves: () => ({ current: tlsLeaf(scene.server, "current") }),
      authorities: () => new Set([authorityOf(HOST, PORT)]),
      bans: scene.bans,
      sessionMsMax,
      ...(takesTokens ? { tokens } : {}),
    });
    await scene.harness.start();
    return scene;
  }

  get world(): SteppedWorld {
    return this.harness.world;
  }

  /**
   * Returns the credentials of a member; `show` may change the presented member for each handshake.
   */
  credentials(member: Member, show: () => Member = () => member): Credentials {
    return {
      kind: "certificate",
      own: () => ({ ...show().identity, chain: show().chain }),
      services: {
        ...this.realm.services(member),
        sign: (content) => Promise.resolve(show().sign(content)),
      },
      serverId: () => this.server.identity.subjectId,
      tokens: {
        current: () => this.shown,
        given: (token) => void this.given.push(token),
        refused: ({ code }) => void this.refused.push(code),
      },
    };
  }

  /** Returns a token for a member's certificate, valid from now on for ten minutes. */
  async token(member: Member, changes: Partial<TokenOrder> = {}): Promise<string> {
    const { subject, leafHash } = member.identity;
    return await this.world.wait(this.issuer.mint({
      subject,
      leafHash,
      nowMs: this.world.unixMs(),
      grants: { domains: ["a.example"], gateways: [] },
      ...changes,
    }));
  }

  async connect(
    credentials: Credentials | undefined,
    pins: readonly Uint8Array[] = [tlsLeaf(this.server, "current")],
  ): Promise<Client> {
    return await this.world.wait(connect({
      endpoints: [{ host: HOST, port: PORT }],
      dialer: this.harness.dialer(),
      trust: { kind: "pins", sha256: pins },
      world: this.world,
      ...(credentials === undefined ? {} : { credentials }),
      options: { onConnection: (event) => void this.events.push(event) },
    }));
  }

  code(promise: Promise<unknown>): Promise<ErrorCode | "ok"> {
    return this.world.wait(promise.then(() => "ok" as const, (error) => {
      if (error instanceof RegistryError) return error.code;
      throw error;
    }));
  }

  get connections(): number {
    return this.events.filter(({ kind }) => kind === "connected").length;
  }
}

const idOf = (member: Member) => formatUuid(member.identity.subjectId);

test("a session begins with the handshake, and its peer is who the certificate says", async () => {
  const scene = await Scene.open();
  const client = await scene.connect(scene.credentials(scene.gateway));
  const mine = { ...GATEWAY, id: idOf(scene.gateway) };
  assert.is(await scene.code(client.registerGateway(mine)), "ok");
  const { gateway } = await scene.world.wait(client.getGateway(mine.id));
  assert.is(gateway.domain, "g.example");
  const theirs = { ...GATEWAY, id: idOf(scene.other) };
  assert.is(await scene.code(client.registerGateway(theirs)), "permission_denied");
  assert.is(scene.harness.gateway(scene.gateway.identity.subjectId)?.writer, 1_002);
});

test("a gateway of one region does not register in another", async () => {
  const scene = await Scene.open();
  const client = await scene.connect(scene.credentials(scene.gateway));
  const elsewhere = { ...GATEWAY, id: idOf(scene.gateway), region: "us-1" };
  assert.is(await scene.code(client.registerGateway(elsewhere)), "permission_denied");
});

test("a node of another region is none of this one's nodes", async () => {
  const scene = await Scene.open();
  const node = scene.realm.enrol("node", 5);
  const other = scene.realm.know({
    ...scene.realm.enrol("node", 6),
    identity: { ...scene.realm.enrol("node", 6).identity, region: "us-1" },
  });
  const client = await scene.connect(scene.credentials(node));
  assert.is(await scene.code(client.nodeStatus()), "ok");
  const follower = await scene.connect(scene.credentials(other));
  assert.is(await scene.code(follower.nodeStatus()), "permission_denied");
  assert.is(await scene.code(follower.getGateway(idOf(scene.gateway))), "permission_denied");
});

test("a session without a pin may read and nothing else", async () => {
  const scene = await Scene.open();
  const pins = [tlsLeaf(scene.server, "current"), tlsLeaf(scene.server, "next")];
  const client = await scene.connect(scene.credentials(scene.gateway), []);
  const mine = { ...GATEWAY, id: idOf(scene.gateway) };
  assert.is(await scene.code(client.registerGateway(mine)), "permission_denied");
  assert.is(await scene.code(client.getGateway(mine.id)), "not_found");
  const told = client.registerGateway(mine).then(String, String);
  assert.match(await scene.world.wait(told), "was not pinned: name its pin");
  // Of several pins one is used at a time, so that the matching one is known.
  const pinned = await scene.connect(scene.credentials(scene.gateway), pins);
  assert.is(await scene.code(pinned.registerGateway(mine)), "ok");
});

test("client with several pins: finds the one that the server owns", async () => {
  const scene = await Scene.open();
  const pins = [new Uint8Array(32).fill(1), tlsLeaf(scene.server, "current")];
  const client = await scene.connect(scene.credentials(scene.gateway), pins);
  assert.is(
    await scene.code(client.registerGateway({ ...GATEWAY, id: idOf(scene.gateway) })),
    "ok",
  );
});

test("a client that sends Hello without a proof is refused with a reason", async () => {
  const scene = await Scene.open();
  assert.is(await scene.code(scene.connect(undefined)), "unauthenticated");
  const [caught] = scene.harness.caught;
  assert.match(String(caught?.error), "serves clients that prove an identity only");
  assert.is(scene.harness.sessions.count, 0);
});

test("a client without a certificate of the authority, or a banned one, is refused with a reason", async () => {
  const scene = await Scene.open();
  const foreign = new Realm().enrol("controller", 66);
  assert.is(await scene.code(scene.connect(scene.credentials(foreign))), "unauthenticated");
  scene.realm.banned.add(scene.gateway.identity.subject);
  assert.is(await scene.code(scene.connect(scene.credentials(scene.gateway))), "unauthenticated");
  assert.is(scene.harness.sessions.count, 0);
});

test("a server that is another than meant is left by the client", async () => {
  const scene = await Scene.open();
  const credentials = {
    ...scene.credentials(scene.gateway),
    serverId: () => scene.other.identity.subjectId,
  } as Credentials;
  assert.is(await scene.code(scene.connect(credentials)), "unauthenticated");
});

test("a ban ends an open session at once", async () => {
  const scene = await Scene.open();
  await scene.connect(scene.credentials(scene.gateway));
  await scene.connect(scene.credentials(scene.other));
  assert.is(scene.harness.sessions.count, 2);
  const subject = scene.gateway.identity.subject;
  scene.bans.ban({ kind: "subject", name: subject, reason: "stolen" });
  scene.realm.banned.add(subject);
  await scene.world.pass(900);
  assert.is(scene.harness.sessions.count, 1);
  const refused = scene.events.find((event) => event.kind === "attempt_failed");
  assert.is(refused?.kind === "attempt_failed" && refused.error.code, "unauthenticated");
});

test("a session that ends leaves nothing that watches", async () => {
  const scene = await Scene.open();
  const client = await scene.connect(scene.credentials(scene.gateway));
  assert.ok(scene.bans.watchedNames > 0);
  await scene.world.wait(client.close());
  await scene.world.pass(1_000);
  assert.is(scene.bans.watchedNames, 0);
});

test("a session is renewed in place, again and again", async () => {
  const scene = await Scene.open();
  const client = await scene.connect(scene.credentials(scene.gateway));
  for (let half = 0; half < 6; half++) {
    await scene.world.pass(HOUR_MS / 2);
    assert.is(await scene.code(client.nodeStatus()), "ok");
  }
  assert.is(scene.connections, 1);
  assert.is(scene.harness.sessions.count, 1);
  assert.equal(scene.harness.caught, []);
});

test("a renewed session may do what the new certificate grants", async () => {
  const scene = await Scene.open();
  const agent = scene.realm.enrol("agent", 5);
  const granted = scene.realm.reissue(agent, { ...NO_GRANTS, domains: ["a.example"] });
  let shown = agent;
  const client = await scene.connect(scene.credentials(agent, () => shown));
  const record = {
    id: idOf(agent),
    region: "eu-1",
    domain: "a.example",
    address: "192.0.2.1",
    port: 1,
  };
  assert.is(await scene.code(client.registerAgent(record)), "permission_denied");
  shown = granted;
  await scene.world.pass(HOUR_MS * 0.75);
  assert.is(await scene.code(client.registerAgent(record)), "ok");
  assert.is(scene.connections, 1);
});

test("a session whose certificate is not renewed ends with it", async () => {
  const scene = await Scene.open();
  scene.realm.admittance = { expiresAtMs: scene.world.unixMs() + 60_000 };
  await scene.connect(scene.credentials(scene.gateway));
  await scene.world.pass(59_000);
  assert.is(scene.harness.sessions.count, 1);
  assert.is(scene.connections, 1);
  await scene.world.pass(2_000);
  assert.ok(
    scene.events.some((event) => event.kind === "lost" && event.error.code === "unauthenticated"),
    JSON.stringify(scene.events),
  );
});

test("a session by TLS ends with its certificate, or with what the node grants", async () => {
  const scene = await Scene.open();
  const startMs = scene.world.unixMs();
  const ends = { certificate: startMs + 60_000, grant: startMs + 90_000 };
  for (const [notAfterMs, expiresAtMs] of [[ends.certificate, ends.grant], [FAR_MS, ends.grant]]) {
    scene.realm.admittance = { expiresAtMs: expiresAtMs! };
    const leaf = { ...scene.gateway.identity, notAfterMs: notAfterMs! };
    const identity = new CertifiedIdentity({
      world: scene.world,
      services: { ...scene.realm.services(scene.server), judge: () => Promise.resolve(leaf) },
      own: () => scene.server,
      tlsLeaves: () => ({ current: tlsLeaf(scene.server, "current") }),
      authorities: () => new Set(),
      bans: scene.bans,
    });
    const session = {
      authenticatesPeers: true,
      peerCertificate: scene.gateway.chain[0]!,
    } as Session;
    const { peer } = await scene.world.wait(identity.prove(session, {} as Stream));
    const endMs = Math.min(notAfterMs!, expiresAtMs!);
    assert.equal([peer.subject, peer.pinned, peer.expiresAtMs], [leaf.subject, true, endMs]);
    await scene.world.pass(endMs - scene.world.unixMs() - 1_000);
    assert.is(peer.revoked.aborted, false);
    await scene.world.pass(2_000);
    assert.is(peer.revoked.aborted, true);
  }
});

test("a session ends with its wall clock, even one that was set", async () => {
  const scene = await Scene.open();
  scene.realm.admittance = { expiresAtMs: scene.world.unixMs() + HOUR_MS };
  await scene.connect(scene.credentials(scene.gateway));
  scene.world.wallOffsetMs += 2 * HOUR_MS;
  await scene.world.pass(61_000);
  assert.ok(scene.events.some(({ kind }) => kind === "lost"));
});

test("a session is not renewed by another than who began it", async () => {
  const scene = await Scene.open();
  let shown = scene.gateway;
  await scene.connect(scene.credentials(scene.gateway, () => shown));
  shown = scene.other;
  await scene.world.pass(HOUR_MS * 0.75);
  assert.ok(
    scene.events.some((event) => event.kind === "lost" && event.error.code === "unauthenticated"),
    JSON.stringify(scene.events),
  );
});

test("a session is not proven again and again in a hurry", async () => {
  const scene = await Scene.open();
  const { world } = scene;
  const endpoint = { host: HOST, port: PORT };
  const trust = { kind: "pins", sha256: [] } as const;
  const session = await world.wait(scene.harness.dialer().dial(endpoint, { trust }));
  /** Proves the gateway on a new control stream; `undefined` if the node does not listen. */
  const prove = async () => {
    const stream = await world.wait(session.open("control"));
    const { handshake } = clientEnd(scene.realm, scene.gateway, scene.server, {
      alpn: "memory",
      authority: authorityOf(HOST, PORT),
    }, world.nowMs());
    const services = scene.realm.services(scene.gateway);
    const outcome = runHandshake(handshake, { stream, services, ...world });
    return { stream, outcome: await scene.code(outcome) };
  };
  const { stream, outcome } = await prove();
  assert.is(outcome, "ok");
  await world.wait(stream.write(controlFrame({ kind: "hello", hello: GOOD_HELLO })));
  assert.is((await prove()).outcome, "connection_lost");
  await world.pass(500);
  assert.is((await prove()).outcome, "ok");
  assert.is(scene.harness.sessions.count, 1);
});

const agentRecord = (agent: Member) => ({
  id: idOf(agent),
  region: "eu-1",
  domain: "a.example",
  address: "192.0.2.1",
  port: 1,
});

test("a token adds its grants to the session that shows it", async () => {
  const scene = await Scene.open();
  const agent = scene.realm.enrol("agent", 5);
  const without = await scene.connect(scene.credentials(agent));
  assert.is(await scene.code(without.registerAgent(agentRecord(agent))), "permission_denied");
  scene.shown = await scene.token(agent);
  const client = await scene.connect(scene.credentials(agent));
  assert.is(await scene.code(client.registerAgent(agentRecord(agent))), "ok");
  const other = { ...agentRecord(agent), domain: "b.example" };
  assert.is(await scene.code(client.registerAgent(other)), "permission_denied");
  assert.equal(scene.refused, []);
});

test("a token of another certificate, or an expired one, adds no grants, and its session continues", async () => {
  const scene = await Scene.open();
  const agent = scene.realm.enrol("agent", 5);
  const other = scene.realm.enrol("agent", 6);
  const { subject } = agent.identity;
  for (
    const token of [
      await scene.token(other),
      await scene.token(other, { subject }),
      await scene.token(agent, { nowMs: scene.world.unixMs() - 600_000 }),
    ]
  ) {
    scene.shown = token;
    const client = await scene.connect(scene.credentials(agent));
    assert.is(await scene.code(client.registerAgent(agentRecord(agent))), "permission_denied");
    assert.is(await scene.code(client.getAgent(idOf(agent))), "not_found");
  }
  assert.equal(scene.refused, ["unauthenticated", "unauthenticated", "unauthenticated"]);
});

test("a session ends with its token, and goes on where another is shown in time", async () => {
  for (const isRenewed of [false, true]) {
    const scene = await Scene.open();
    const agent = scene.realm.enrol("agent", 5);
    scene.shown = await scene.token(agent);
    const client = await scene.connect(scene.credentials(agent));
    await scene.world.pass(200_000);
    const tokenId = "0b5d3c52-6b1f-4b6e-9a3e-0d1b2c3d4e60";
    if (isRenewed) scene.shown = await scene.token(agent, { tokenId });
    await scene.world.pass(399_000);
    assert.is(scene.events.some(({ kind }) => kind === "lost"), false);
    assert.is(await scene.code(client.registerAgent(agentRecord(agent))), "ok");
    await scene.world.pass(2_000);
    assert.is(scene.events.some(({ kind }) => kind === "lost"), !isRenewed);
    if (isRenewed) assert.is(await scene.code(client.registerAgent(agentRecord(agent))), "ok");
  }
});

test("a ban of a token ends the sessions that use it, and no others", async () => {
  const scene = await Scene.open();
  const agent = scene.realm.enrol("agent", 5);
  await scene.connect(scene.credentials(agent));
  scene.shown = await scene.token(agent);
  await scene.connect(scene.credentials(agent));
  assert.is(scene.harness.sessions.count, 2);
  scene.bans.ban({ kind: "token", name: TOKEN_ID, reason: "leaked" });
  await scene.world.pass(500);
  assert.is(scene.events.filter(({ kind }) => kind === "lost").length, 1);
  assert.equal(scene.refused, ["unauthenticated"]);
});

test("a token stays with a session that is renewed by the same certificate, not by another", async () => {
  for (const isReissued of [false, true]) {
    const scene = await Scene.open({ sessionMsMax: 400_000 });
    const agent = scene.realm.enrol("agent", 5);
    const next = scene.realm.reissue(agent, NO_GRANTS);
    let own = agent;
    scene.shown = await scene.token(agent);
    const client = await scene.connect(scene.credentials(agent, () => own));
    if (isReissued) own = next;
    scene.shown = undefined;
    await scene.world.pass(300_000);
    const outcome = await scene.code(client.registerAgent(agentRecord(agent)));
    assert.is(outcome, isReissued ? "permission_denied" : "ok");
    assert.is(scene.connections, 1);
  }
});

test("a session that was not pinned takes no token and is given none", async () => {
  for (const isClientStrict of [false, true]) {
    const scene = await Scene.open();
    scene.realm.admittance = { expiresAtMs: FAR_MS, token: "a.b.c" };
    const agent = scene.realm.enrol("agent", 5);
    scene.shown = await scene.token(agent);
    const credentials = { ...scene.credentials(agent), trustUnpinned: !isClientStrict };
    const client = await scene.connect(credentials as Credentials, []);
    assert.is(await scene.code(client.registerAgent(agentRecord(agent))), "permission_denied");
    assert.equal(scene.given, []);
    // A strict client does not even present it to a server that may be an intermediary.
    assert.equal(scene.refused, isClientStrict ? [] : ["permission_denied"]);
  }
});

test("policy may trust sessions that were not pinned: they write, and take tokens", async () => {
  const scene = await Scene.open({ trustUnpinned: true });
  scene.realm.admittance = { expiresAtMs: FAR_MS, token: "a.b.c" };
  const agent = scene.realm.enrol("agent", 5);
  scene.shown = await scene.token(agent);
  const credentials = { ...scene.credentials(agent), trustUnpinned: true } as Credentials;
  const client = await scene.connect(credentials, []);
  assert.is(await scene.code(client.registerAgent(agentRecord(agent))), "ok");
  assert.equal(scene.given, ["a.b.c"]);
});

test("a pinned session is given its token again with each renewal", async () => {
  const scene = await Scene.open();
  scene.realm.admittance = { expiresAtMs: FAR_MS, token: "a.b.c" };
  await scene.connect(scene.credentials(scene.gateway));
  assert.equal(scene.given, ["a.b.c"]);
  await scene.world.pass(HOUR_MS * 0.75);
  assert.equal(scene.given, ["a.b.c", "a.b.c"]);
});

test("a node without tokens says so", async () => {
  const scene = await Scene.open({ takesTokens: false });
  scene.shown = await scene.token(scene.gateway);
  await scene.connect(scene.credentials(scene.gateway));
  assert.equal(scene.refused, ["invalid_configuration"]);
});

test("sessions: silent peers do not keep others out, however many connect", async () => {
  const scene = await Scene.open();
  for (let count = 0; count < 300; count++) {
    const peer = await scene.harness.unauthenticated();
    // A third begins the handshake and stops.
    if (count % 3 === 0) await peer.control.write(Uint8Array.of(1, 0, 0));
  }
  const client = await scene.connect(scene.credentials(scene.gateway));
  assert.is(await scene.code(client.nodeStatus()), "ok");
  await scene.world.pass(6_000);
  assert.is(scene.harness.sessions.count, 1);
});

test.run();
