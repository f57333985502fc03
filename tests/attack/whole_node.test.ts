/**
 * Attacks on a whole node with real keys, through its sessions: a stolen certificate, tokens used
 * by others than their bearer, and many clients that begin a handshake and never continue.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AUDIT_ACTIONS, auditEntryCodec } from "../../schemas/gen/audit.ts";
import { createCertificateRequest } from "../../identity/pki/certificate_request.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import { type KeptIdentity, renewFolder } from "../../identity/files/kept_identity.ts";
import { readTokenForm } from "../../identity/tokens/token_check.ts";
import { type ErrorCode, RegistryError } from "../../src/base/errors.ts";
import { NO_GRANTS } from "../../src/base/peer.ts";
import { connect } from "../../src/client/client.ts";
import { askUnauthenticated } from "../../src/client/unauthenticated.ts";
import type { Client, ConnectionEvent } from "../../src/client/types.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "../support/certified_registry.ts";

const AUDIENCE = `spiffe://${TRUST_DOMAIN}/region/${REGION}`;
const ENDPOINT = { host: "127.0.0.1", port: 4_100 };
const folder = await Deno.makeTempDir();
const node = await CertifiedRegistry.open(folder);
const { world, registry } = node;

const id = (digit: number) => `${digit}`.repeat(8) + "-1111-4111-8111-111111111111";
const join = (role: "agent" | "gateway" | "controller", digit: number) =>
  world.wait(node.join(role, id(digit)));

function code(promise: Promise<unknown>): Promise<ErrorCode | "ok"> {
  return world.wait(promise.then(() => "ok" as const, (error) => {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }));
}

/** Connects a client that presents a token on its session; a refusal is added to `refused`. */
async function withToken(kept: KeptIdentity, token: string, refused: string[]): Promise<Client> {
  const tokens = {
    current: () => token,
    refused: ({ message }: RegistryError) => void refused.push(message),
  };
  return await world.wait(connect({
    endpoints: [ENDPOINT],
    dialer: node.dialer(),
    trust: { kind: "ca", pem: [] },
    world,
    credentials: { ...kept.credentials, tokens },
  }));
}

const agentRecord = (digit: number) => ({
  id: id(digit),
  region: REGION,
  domain: "bank.example",
  address: "192.0.2.1",
  port: 1,
});

function audited(action: keyof typeof AUDIT_ACTIONS): string[] {
  return registry.identities.group.state.audit.read(1, Infinity)
    .map((bytes) => auditEntryCodec.decode(bytes))
    .filter((entry) => entry.action === AUDIT_ACTIONS[action])
    .map(({ subject, detail }) => `${subject} ${detail}`);
}

test("a stolen certificate that is renewed stops its lineage, and all of its sessions", async () => {
  const owner = await join("gateway", 1);
  const stolen = `${folder}/stolen`;
  Deno.mkdirSync(stolen, { mode: 0o700 });
  for (const file of ["identity.json", "root.pem", "key.pem", "certificate.pem"]) {
    Deno.copyFileSync(`${folder}/${id(1)}/${file}`, `${stolen}/${file}`);
  }
  const events: ConnectionEvent[] = [];
  await world.wait(node.connect(owner, (event) => void events.push(event)));
  // The owner renews automatically after half an hour; then the thief renews with the stolen key.
  await world.pass(40 * 60_000);
  assert.is(events.some(({ kind }) => kind === "lost"), false);
  const thief = new IdentityFolder(stolen);
  const dialer = node.dialer();
  const renewal = renewFolder(thief, {
    ...{ wall: world.wall, entropy: world.entropy },
    ask: (order) =>
      askUnauthenticated("renewIdentity", order, {
        endpoint: ENDPOINT,
        dialer,
        trust: { kind: "pins", sha256: [node.identity.certificates.current.pin] },
        world,
        timeoutMs: 10_000,
      }),
  });
  assert.is(await code(renewal), "unauthenticated");
  await world.pass(1_000);
  assert.ok(
    events.some((event) => event.kind === "lost" && event.error.code === "unauthenticated"),
  );
  assert.is(await code(node.connect(owner)), "unauthenticated", "The owner has to join anew");
  assert.equal(audited("lineageStopped"), [
    `spiffe://${TRUST_DOMAIN}/region/${REGION}/gateway/${id(1)} lineage_stopped`,
  ]);
  owner.close();
  node.troubles.length = 0;
});

test("a token is of use to whom it was issued alone, until it is banned", async () => {
  const [agent, other, controller] = [
    await join("agent", 2),
    await join("agent", 3),
    await join("controller", 4),
  ];
  const admin = await world.wait(node.connect(controller));
  const { subject } = agent.own.identity;
  const order = {
    subject,
    audience: AUDIENCE,
    lifeMs: 600_000,
    grants: { ...NO_GRANTS, domains: ["bank.example"] },
  };
  const plain = await world.wait(node.connect(agent));
  assert.is(await code(plain.identities.issueToken(order)), "permission_denied");
  const unknown = { ...order, subject: subject.slice(0, -4) + "0000" };
  assert.is(await code(admin.identities.issueToken(unknown)), "not_found");
  const token = await world.wait(admin.identities.issueToken(order));
  const claims = readTokenForm(token);
  assert.ok(typeof claims === "object");
  assert.equal(audited("token"), [`${subject} token ${claims.tokenId}: domain bank.example`]);

  assert.is(await code(plain.registerAgent(agentRecord(2))), "permission_denied");
  const refused: string[] = [];
  const thief = await withToken(other, token, refused);
  assert.is(await code(thief.registerAgent(agentRecord(3))), "permission_denied");
  assert.match(refused[0]!, "wrong_subject");

  const holder = await withToken(agent, token, refused);
  assert.is(await code(holder.registerAgent(agentRecord(2))), "ok");
  // The rights that a token adds are not passed on to further tokens, which its ban would not
  // reach.
  const minted = await world.wait(holder.identities.mintToken(AUDIENCE, 600_000));
  const child = readTokenForm(minted);
  assert.ok(typeof child === "object");
  assert.equal(child.grants.domains, []);
  assert.is(refused.length, 1);

  await world.wait(
    admin.identities.ban({ kind: "token", name: claims.tokenId, reason: "leaked" }),
  );
  await world.pass(1_000);
  assert.match(refused[1]!, "banned");
  const draining = { ...agentRecord(2), port: 2 };
  assert.is(await code(holder.registerAgent(draining)), "permission_denied");
  assert.is(await code(plain.nodeStatus()), "ok", "Sessions without it go on");
  assert.is(await code(plain.getAgent(id(2))), "not_found", "What it granted has ended");
  for (const client of [admin, plain, thief, holder]) await world.wait(client.close());
  // A token for another service grants nothing here.
  const foreign = await world.wait(
    registry.identities.tokens.issue(
      { ...order, audience: "api.example" },
      0,
      world.nowMs() + 5_000,
    ),
  );
  const client = await withToken(agent, foreign, refused);
  assert.match(refused[2]!, "wrong_audience");
  await world.wait(client.close());
});

test("2,000 that begin a handshake and stop keep nobody out", async () => {
  const kept = await join("gateway", 5);
  const started = performance.now();
  for (let count = 0; count < 2_000; count++) {
    const trust = { kind: "ca", pem: [] } as const;
    // From many addresses: a single one would reach its limit of sessions.
    const dialer = node.network.dialer(`crowd-${Math.floor(count / 100)}`);
    const session = await world.wait(dialer.dial(ENDPOINT, { trust }));
    const stream = await world.wait(session.open("control"));
    // The header of a frame that announces an M1, and the beginning of it.
    if (count % 2 === 0) await world.wait(stream.write(Uint8Array.of(1, 0, 0, 90, 1)));
    if (count % 500 !== 499) continue;
    const client = await world.wait(node.connect(kept));
    assert.is((await world.wait(client.nodeStatus())).nodeId, 1);
    await world.wait(client.close());
  }
  const tookMs = performance.now() - started;
  console.log(`2,000 half-open handshakes took ${Math.round(tookMs)} ms`);
  await world.pass(7_000);
  assert.is(node.sessions, 0, "Nothing of them is left");
});

test("a request for a certificate is worth nothing without a token or a known key", async () => {
  const thief = new IdentityFolder(`${folder}/thief`);
  const subject = `spiffe://${TRUST_DOMAIN}/region/${REGION}/controller/${id(6)}`;
  thief.create(subject);
  const request = await createCertificateRequest(await thief.firstKey(world.entropy));
  const trust = {
    kind: "pins",
    sha256: [node.identity.certificates.current.pin],
  } as const;
  const unauthenticated = {
    endpoint: ENDPOINT,
    dialer: node.dialer(),
    trust,
    world,
    timeoutMs: 5_000,
  };
  for (const token of ["", "crs-join-" + "A".repeat(43), "x"]) {
    const asked = askUnauthenticated("enrol", { token, subject, request }, unauthenticated);
    assert.is(await code(asked), "unauthenticated");
  }
});

test("a ban by subject, by lineage or of a token ends its open sessions within a second", async () => {
  const [victim, other, controller] = [
    await join("gateway", 7),
    await join("gateway", 8),
    await join("controller", 9),
  ];
  const admin = await world.wait(node.connect(controller));
  const { subject, lineage } = victim.own.identity;
  const order = { subject, audience: AUDIENCE, lifeMs: 600_000, grants: NO_GRANTS };
  const token = await world.wait(admin.identities.issueToken(order));
  const claims = readTokenForm(token);
  assert.ok(typeof claims === "object");
  const bystander: ConnectionEvent[] = [];
  const bystanding = await world.wait(node.connect(other, (event) => void bystander.push(event)));
  const bans = [
    { kind: "subject", name: subject },
    { kind: "lineage", name: String(lineage) },
    { kind: "token", name: claims.tokenId },
  ] as const;
  for (const { kind, name } of bans) {
    const sessions = node.sessions;
    const events: ConnectionEvent[] = [];
    const refused: string[] = [];
    const client = kind === "token"
      ? await withToken(victim, token, refused)
      : await world.wait(node.connect(victim, (event) => void events.push(event)));
    assert.equal([node.sessions, refused], [sessions + 1, []], kind);
    const before = world.nowMs();
    await world.wait(admin.identities.ban({ kind, name, reason: "lost" }));
    assert.ok(world.nowMs() - before < 1_000, "The ban was committed");
    if (kind === "token") {
      // The session was ended and a new one began, without the token.
      await world.pass(1_000 - (world.nowMs() - before));
      assert.match(refused[0]!, "banned");
    } else {
      assert.is(node.sessions, sessions, kind);
      await world.pass(100);
      const lost = events.find((event) => event.kind === "lost");
      assert.is(lost?.kind === "lost" && lost.error.code, "unauthenticated");
      assert.is(await code(node.connect(victim)), "unauthenticated");
    }
    await world.wait(client.close());
    await world.wait(admin.identities.unban({ kind, name }));
    await world.wait((await world.wait(node.connect(victim))).close());
  }
  assert.equal(bystander.filter(({ kind }) => kind === "lost"), []);
  for (const client of [admin, bystanding]) await world.wait(client.close());
});

test("a banned identity gets no certificate, by a join token or by its previous one", async () => {
  const { identities } = registry;
  const victim = await join("agent", 6);
  const { subject } = victim.own.identity;
  const deadlineMs = () => world.nowMs() + 5_000;
  const ban = { kind: "subject", name: subject, reason: "", untilMs: 0 } as const;
  const { token } = await world.wait(
    identities.enrolment.createJoinToken({ subject, grants: NO_GRANTS }, 0, deadlineMs()),
  );
  const anew = new IdentityFolder(`${folder}/anew`);
  anew.create(subject);
  const request = await createCertificateRequest(await anew.firstKey(world.entropy));
  const order = { token, subject, request, timeMs: 0, proof: new Uint8Array(0) };
  const renewal = () =>
    renewFolder(new IdentityFolder(`${folder}/${id(6)}`), {
      wall: world,
      entropy: world.entropy,
      ask: (renewing) => identities.enrolment.renew(renewing, deadlineMs()),
    });
  await world.wait(identities.administration.ban({ ...ban, lifted: false }, 0, deadlineMs()));
  assert.is(await code(identities.enrolment.enrol(order, deadlineMs())), "unauthenticated");
  assert.is(await code(renewal()), "unauthenticated");
  await world.wait(identities.administration.ban({ ...ban, lifted: true }, 0, deadlineMs()));
  assert.is(await code(renewal()), "ok");
  assert.is(
    await code(identities.enrolment.enrol(order, deadlineMs())),
    "ok",
    "The token was not spent",
  );
  victim.close();
});

test("a renewal whose reply was lost is answered again, until its certificate was used", async () => {
  const { identities } = registry;
  const owner = await join("agent", 0);
  owner.close();
  const path = `${folder}/${id(0)}`;
  let again = () => Promise.reject<unknown>(new Error("Nothing was asked yet"));
  const issued: unknown[] = [];
  await world.wait(renewFolder(new IdentityFolder(path), {
    wall: world,
    entropy: world.entropy,
    ask: async (order) => {
      again = async () =>
        void issued.push(await identities.enrolment.renew(order, world.nowMs() + 5_000));
      await again();
      return issued[0] as Awaited<ReturnType<typeof identities.enrolment.renew>>;
    },
  }));
  assert.is(await code(again()), "ok");
  assert.equal(issued[1], issued[0]);
  const renewed = await world.wait(node.keep(path));
  await world.wait((await world.wait(node.connect(renewed))).close());
  assert.is(await code(again()), "unauthenticated");
  assert.is(registry.refusals.counts.get("superseded"), 1);
  renewed.close();
});

test("refused identities are counted and occasionally logged, and do not fill the audit log", async () => {
  const { refusals, identities } = registry;
  const handshakes = refusals.counts.get("banned") ?? 0;
  assert.ok(handshakes >= 2, "Handshakes of the banned one");
  const { count } = identities.group.state.audit;
  node.troubles.length = 0;
  const thief = new IdentityFolder(`${folder}/thief`);
  const request = await createCertificateRequest(await thief.key());
  const unknown = refusals.counts.get("unknown_token") ?? 0;
  for (let attempt = 0; attempt < 200; attempt++) {
    const order = { token: "x", subject: thief.subject, request, timeMs: 0, proof: request };
    const asked = identities.enrolment.enrol(order, world.nowMs() + 5_000);
    assert.is(await code(asked), "unauthenticated");
  }
  assert.is(refusals.counts.get("unknown_token"), unknown + 200);
  assert.ok(node.troubles.length <= 1, String(node.troubles.length));
  assert.is(identities.group.state.audit.count, count);
});

test("teardown: the node and its clients end", async () => {
  await node.close();
  await Deno.remove(folder, { recursive: true });
});

test.run();
