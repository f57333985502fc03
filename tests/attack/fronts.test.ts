/**
 * Attacks through fronts on a whole node with real keys: a stolen front, evidence of others, and
 * callers whose identity ends while a front acts for them.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { auditEntryCodec } from "../../schemas/gen/audit.ts";
import type { KeptIdentity } from "../../identity/files/kept_identity.ts";
import { mintCapability, readCapability } from "../../identity/capabilities/capability.ts";
import { rootKeyOf } from "../../identity/capabilities/root_key.ts";
import { readTokenForm } from "../../identity/tokens/token_check.ts";
import type { BanKind } from "../../schemas/gen/wire.ts";
import { type ErrorCode, RegistryError } from "../../src/base/errors.ts";
import { NO_GRANTS, type Role } from "../../src/base/peer.ts";
import { attenuateCapability, type Caveat } from "../../src/client/mod.ts";
import type { Client, DelegatedClient } from "../../src/client/types.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "../support/certified_registry.ts";
import { makeMember } from "../support/auth_realm.ts";
import { rejectionOf } from "../support/refusal.ts";

const AUDIENCE = `spiffe://${TRUST_DOMAIN}/region/${REGION}`;
const folder = await Deno.makeTempDir();
const node = await CertifiedRegistry.open(folder);
const { world } = node;
await node.stateVersion();

let joined = 0;
const opened: { close(): unknown }[] = [];

test.after.each(async () => {
  for (const one of opened.splice(0)) await world.wait(Promise.resolve(one.close()));
  await world.pass(100);
  assert.is(node.delegations.open, 0);
});

/** Enrols a new identity. */
async function join(role: Role, grants = NO_GRANTS): Promise<KeptIdentity> {
  const id = `${++joined}`.padStart(8, "0") + "-1111-4111-8111-111111111111";
  const kept = await world.wait(node.join(role, id, grants));
  opened.push(kept);
  return kept;
}

const idOf = ({ own }: KeptIdentity) => own.identity.subject.split("/").at(-1)!;

async function connect(kept: KeptIdentity): Promise<Client> {
  const client = await world.wait(node.connect(kept));
  opened.unshift(client);
  return client;
}

/** Connects a front, with an identity of its own. */
async function connectFront(): Promise<{ readonly front: Client; readonly kept: KeptIdentity }> {
  const kept = await join("front");
  return { front: await connect(kept), kept };
}

const chainOf = ({ own }: KeptIdentity) => ({ kind: "certificate", chain: own.chain }) as const;

function code(promise: Promise<unknown>): Promise<ErrorCode | "ok"> {
  return world.wait(promise.then(() => "ok" as const, (error) => {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }));
}

const FAR_MS = 60_000;
async function ban(kind: BanKind, name: string): Promise<void> {
  const order = { kind, name, reason: "stolen", untilMs: 0, lifted: false };
  await world.wait(node.registry.identities.administration.ban(order, 0, world.nowMs() + FAR_MS));
}

const read = (client: DelegatedClient) => code(client.getAgent(crypto.randomUUID()));
const administer = (client: DelegatedClient) => code(client.identities.bans(0, 1));
const mint = (client: DelegatedClient) => code(client.identities.mintToken(AUDIENCE, 60_000));

test("a caller with a certificate is served as itself", async () => {
  const { front } = await connectFront();
  const agent = await join("agent", { ...NO_GRANTS, domains: ["a.example"] });
  const client = front.delegate({ ...chainOf(agent), address: "192.0.2.9:1" });
  const record = {
    id: idOf(agent),
    region: REGION,
    domain: "a.example",
    address: "192.0.2.1",
    port: 1,
  };
  assert.is(await code(client.registerAgent(record)), "ok");
  assert.is(
    await code(client.registerAgent({ ...record, domain: "b.example" })),
    "permission_denied",
  );
  assert.is(await code(client.getAgent(record.id)), "ok");
  assert.is(await code(front.getAgent(record.id)), "permission_denied", "nor the front itself");
});

test("an expired delegation is opened again with evidence that is valid still, and not otherwise", async () => {
  const { front } = await connectFront();
  const proxy = await join("proxy");
  const old = front.delegate(chainOf(proxy));
  assert.is(await read(old), "not_found");
  // The caller renews its certificate; the front goes on presenting the one that it has seen.
  await world.pass(61 * 60_000);
  assert.is(await read(old), "unauthenticated");
  assert.is(await read(front.delegate(chainOf(proxy))), "not_found", "the renewed one");
});

test("a stolen front cannot administer by the certificate of a controller, nor mint a token for it", async () => {
  const { front } = await connectFront();
  const controller = await join("controller");
  const claimed = front.delegate(chainOf(controller));
  assert.is(await read(claimed), "not_found");
  assert.is(await administer(claimed), "permission_denied");
  assert.is(await mint(claimed), "permission_denied");
  assert.is(
    await code(
      claimed.identities.createJoinToken(`${AUDIENCE}/agent/${crypto.randomUUID()}`, NO_GRANTS),
    ),
    "permission_denied",
  );
  assert.is(await code(front.identities.bans(0, 1)), "permission_denied");
});

test("a controller administers through a front with a token of its own", async () => {
  const { front } = await connectFront();
  const controller = await join("controller");
  const direct = await connect(controller);
  const token = await world.wait(direct.identities.mintToken(AUDIENCE, 600_000));
  const { leafHash } = controller.own.identity;
  assert.is(await administer(front.delegate({ ...chainOf(controller), token })), "ok");
  assert.is(await administer(front.delegate({ kind: "token", token, leafHash })), "ok");
  // What it does is audited as its own.
  const caller = front.delegate({ kind: "token", token, leafHash });
  const { subject } = (await join("proxy")).own.identity;
  await world.wait(caller.identities.ban({ kind: "subject", name: subject, reason: "test" }));
  const [last] = node.registry.identities.group.state.audit.read(1, Infinity).slice(-1)
    .map((bytes) => auditEntryCodec.decode(bytes));
  assert.equal([last?.subject, last?.writer], [subject, controller.own.identity.lineage]);
});

test("a front that claims another's certificate: the chain must be valid, and of a role that calls through fronts", async () => {
  const { front, kept } = await connectFront();
  const foreign = makeMember("controller", 66);
  const agent = await join("agent");
  const [leaf, ...issuers] = agent.own.chain;
  const forged = leaf!.slice();
  forged[forged.length - 1]! ^= 1;
  const chains: readonly (readonly Uint8Array[])[] = [
    foreign.chain,
    [forged, ...issuers],
    [new Uint8Array(100)],
    issuers,
  ];
  for (const chain of chains) {
    assert.is(await read(front.delegate({ kind: "certificate", chain })), "unauthenticated");
  }
  // Neither a front nor a node is a caller: their rights are for their own sessions alone.
  assert.is(await read(front.delegate(chainOf(kept))), "permission_denied");
});

test("a token is of use with the certificate to which it is bound alone", async () => {
  const { front } = await connectFront();
  const [agent, other] = [await join("agent"), await join("agent")];
  const direct = await connect(agent);
  const token = await world.wait(direct.identities.mintToken(AUDIENCE, 600_000));
  const { leafHash } = agent.own.identity;
  const accepted = front.delegate({ kind: "token", token, leafHash });
  assert.is(await code(accepted.getAgent(idOf(agent))), "not_found");
  const refused = [
    { kind: "token", token, leafHash: other.own.identity.leafHash },
    { ...chainOf(other), token },
    { kind: "token", token: `${token.slice(0, -4)}AAAA`, leafHash },
    { kind: "token", token: "", leafHash },
    { kind: "token", token: "a.b.c", leafHash },
  ] as const;
  for (const evidence of refused) {
    assert.is(await code(front.delegate(evidence).getAgent(idOf(agent))), "unauthenticated");
  }
});

test("a ban of a subject or its lineage ends its delegations within a second, and keeps it out", async () => {
  const { front } = await connectFront();
  for (const kind of ["subject", "lineage"] as const) {
    const [proxy, other] = [await join("proxy"), await join("proxy")];
    const [banned, spared] = [front.delegate(chainOf(proxy)), front.delegate(chainOf(other))];
    assert.equal([await read(banned), await read(spared)], ["not_found", "not_found"]);
    const watch = banned.watch({}, { signal: AbortSignal.timeout(60_000) });
    const watched = code((async () => {
      for await (const _ of watch) { /* Nothing is registered. */ }
    })());
    await world.pass(1_000);
    const { subject, lineage } = proxy.own.identity;
    await ban(kind, kind === "subject" ? subject : String(lineage));
    await world.pass(900);
    assert.is(await read(banned), "unauthenticated", kind);
    assert.is(await watched, "unauthenticated", "its watch has ended too");
    assert.is(await read(front.delegate(chainOf(proxy))), "unauthenticated", "nor opened anew");
    assert.is(await read(spared), "not_found", "the front serves others");
  }
});

test("a ban of a token ends the delegation opened with it", async () => {
  const { front } = await connectFront();
  const controller = await join("controller");
  const direct = await connect(controller);
  const token = await world.wait(direct.identities.mintToken(AUDIENCE, 600_000));
  const client = front.delegate({ ...chainOf(controller), token });
  assert.is(await administer(client), "ok");
  const claims = readTokenForm(token);
  assert.ok(typeof claims === "object");
  await ban("token", claims.tokenId);
  await world.pass(900);
  assert.is(await administer(client), "unauthenticated");
});

test("a banned front ends with all its delegations", async () => {
  const { front, kept } = await connectFront();
  const proxy = await join("proxy");
  const client = front.delegate(chainOf(proxy));
  assert.is(await read(client), "not_found");
  await ban("subject", kept.own.identity.subject);
  assert.is(node.delegations.open, 0);
  assert.not.equal(await read(client), "not_found");
  assert.is(await code(node.connect(kept)), "unauthenticated");
  // The caller is not concerned.
  const { front: another } = await connectFront();
  assert.is(await read(another.delegate(chainOf(proxy))), "not_found");
});

test("a delegation is opened again after a reconnect, and ended when its caller is closed", async () => {
  const { front } = await connectFront();
  const client = front.delegate(chainOf(await join("proxy")));
  assert.is(await read(client), "not_found");
  const before = node.delegations.open;
  await node.stop();
  await node.start();
  await world.pass(5_000);
  assert.is(await read(client), "not_found");
  assert.is(node.delegations.open, 1);
  assert.ok(before >= 1);
  client.close();
  await world.pass(100);
  assert.is(node.delegations.open, 0);
  assert.is(await read(client), "shutting_down");
  node.troubles.length = 0;
});

test("a client that is no front delegates nothing", async () => {
  const controller = await join("controller");
  const client = await connect(controller);
  assert.is(await read(client.delegate(chainOf(await join("proxy")))), "permission_denied");
  assert.is(await read(client.delegate({ kind: "none" })), "permission_denied");
});

/** Mints a capability as a controller. */
async function capability(caveats: readonly Caveat[], lifeMs = 600_000): Promise<string> {
  const controller = await connect(await join("controller"));
  return await world.wait(controller.identities.mintCapability({ caveats, lifeMs }));
}

const REQUEST = { method: "GET", path: "/v1/agents", address: "192.0.2.9" };
const RECORDS: Caveat = { kind: "scope", any: ["records:read"] };

/** Returns the client of whoever presents a capability with a request. */
function presented(front: Client, text: string, request = REQUEST): DelegatedClient {
  const opened = front.delegateCapability(text, request.address).open(request);
  if ("fault" in opened) throw new Error(opened.fault);
  return opened.value;
}

test("a capability has the rights of its scopes, and no others", async () => {
  const { front } = await connectFront();
  const records = await capability([RECORDS]);
  const client = presented(front, records);
  assert.is(await read(client), "not_found");
  assert.is(await code(client.identities.trustBundle()), "permission_denied");
  assert.is(await code(client.governed.status()), "permission_denied");
  assert.is(await administer(client), "permission_denied");
  assert.is(await mint(client), "permission_denied");
  const agent = { id: crypto.randomUUID(), region: REGION, address: "192.0.2.1", port: 1 };
  assert.is(await code(client.registerAgent(agent)), "permission_denied");
  const status = presented(front, await capability([{ kind: "scope", any: ["status:read"] }]));
  assert.is(await code(status.identities.trustBundle()), "ok");
  assert.is(await read(status), "permission_denied");
  // Who may mint may not do so for a front.
  const order = { caveats: [RECORDS], lifeMs: 60_000 };
  assert.is(await code(front.identities.mintCapability(order)), "permission_denied");
});

test("caveats narrow a capability to operations, to ids and to requests", async () => {
  const { front } = await connectFront();
  const whole = await capability([RECORDS]);
  const id = crypto.randomUUID();
  const other = (id.startsWith("0") ? "1" : "0") + id.slice(1);
  const byId = presented(
    front,
    attenuateCapability(whole, [{ kind: "idPrefix", any: [id.slice(0, 8)] }]),
  );
  assert.is(await code(byId.getAgent(id)), "not_found");
  assert.is(await code(byId.getAgent(other)), "permission_denied");
  assert.is(await code(byId.resolveAgent("a.example")), "permission_denied", "it names no id");
  const one = presented(
    front,
    attenuateCapability(whole, [{ kind: "operation", any: ["getAgent"] }]),
  );
  assert.is(await code(one.getAgent(id)), "not_found");
  assert.is(await code(one.getGateway(id)), "permission_denied");
  const posts = attenuateCapability(whole, [{ kind: "method", any: ["POST"] }]);
  const guarded = front.delegateCapability(posts);
  assert.equal(guarded.open(REQUEST), { fault: "wrong_method" });
  assert.ok("value" in guarded.open({ ...REQUEST, method: "POST" }));
});

test("forged, expired and foreign capabilities open nothing", async () => {
  const { front } = await connectFront();
  const good = await capability([RECORDS], 60_000);
  assert.throws(() => front.delegateCapability("x"), (error: RegistryError) => {
    return error.code === "unauthenticated";
  });
  const forged = good.slice(0, -4) + (good.endsWith("AAAA") ? "BBBB" : "AAAA");
  assert.is(await read(presented(front, forged)), "unauthenticated");
  const expiry: Caveat = { kind: "expiry", atMs: 4_000_000_000_000 };
  const foreign = mintCapability(rootKeyOf(new Uint8Array(32)), new Uint8Array(16), [
    RECORDS,
    expiry,
  ]);
  assert.is(await read(presented(front, foreign)), "unauthenticated");
  const client = presented(front, good);
  assert.is(await read(client), "not_found");
  await world.pass(61_000);
  assert.is(await read(client), "unauthenticated");
});

test("a ban of a capability ends its delegations within a second, and keeps it out", async () => {
  const { front } = await connectFront();
  const [text, other] = [await capability([RECORDS]), await capability([RECORDS])];
  const [client, spared] = [presented(front, text), presented(front, other)];
  assert.equal([await read(client), await read(spared)], ["not_found", "not_found"]);
  const form = readCapability(text);
  if (typeof form === "string") throw new Error(form);
  await ban("capability", form.capabilityId);
  await world.pass(1_000);
  assert.is(node.delegations.open, 1);
  assert.is(await read(client), "unauthenticated");
  assert.is(await read(presented(front, text)), "unauthenticated");
  assert.is(await read(spared), "not_found");
});

test("a session of anyone but a front takes no capability", async () => {
  const proxy = await connect(await join("proxy"));
  assert.is(await read(presented(proxy, await capability([RECORDS]))), "permission_denied");
});

test("limits on reads are in certificates and tokens, and no token alone is without those of the certificate", async () => {
  const { front } = await connectFront();
  const limit = (region: string) => ({ regions: [region], labels: [], domains: [] });
  const gateway = await join("gateway", { ...NO_GRANTS, domains: ["g.example"] });
  const owner = await connect(gateway);
  const record = { id: idOf(gateway), region: REGION, address: "192.0.2.1", port: 1 };
  assert.is(await code(owner.registerGateway(record)), "ok");
  const proxy = await join("proxy", { ...NO_GRANTS, reads: [limit(REGION)] });
  const far = await join("proxy", { ...NO_GRANTS, reads: [limit("far-1")] });
  const [near, away] = [await connect(proxy), await connect(far)];
  assert.is(await code(near.getGateway(record.id)), "ok");
  assert.is(await code(away.getGateway(record.id)), "not_found");
  assert.is(await code(front.delegate(chainOf(proxy)).getGateway(record.id)), "ok");
  assert.is(await code(front.delegate(chainOf(far)).getGateway(record.id)), "not_found");

  const controller = await connect(await join("controller"));
  const issue = (kept: KeptIdentity, reads?: readonly ReturnType<typeof limit>[]) => {
    const grants = { ...NO_GRANTS, ...(reads === undefined ? {} : { reads }) };
    const order = { subject: kept.own.identity.subject, audience: AUDIENCE, lifeMs: 600_000 };
    return world.wait(controller.identities.issueToken({ ...order, grants }));
  };
  const alone = (kept: KeptIdentity, token: string) => {
    const { leafHash } = kept.own.identity;
    return code(front.delegate({ kind: "token", token, leafHash }).getGateway(record.id));
  };
  assert.is(await alone(proxy, await issue(proxy)), "ok");
  assert.is(await alone(proxy, await issue(proxy, [limit("far-1")])), "not_found");
  assert.is(await alone(far, await issue(far)), "not_found");
  assert.is(await alone(far, await issue(far, [limit(REGION)])), "not_found");
  const own = await world.wait(away.identities.mintToken(AUDIENCE, 600_000));
  assert.is(await alone(far, own), "not_found");
});

test("an anonymous caller reads no records by default", async () => {
  const { front } = await connectFront();
  const caller = front.delegate({ kind: "none" });
  assert.is(await read(caller), "permission_denied");
  const refused = await world.wait(rejectionOf(caller.listAgents("eu-1")));
  assert.match(refused.message, /^An anonymous caller may not listAgentsByRegion/);
});

test("teardown: nothing is left", async () => {
  await node.close();
  await Deno.remove(folder, { recursive: true });
});

test.run();
