/**
 * Records end with the right that they depend on: the grant of a token, or an identity that is
 * banned. Whole nodes with real keys, a gateway that renews for its agents, and restarts in
 * between.
 */
import { KIND_AGENT } from "../../../src/record/key.ts";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { KeptIdentity } from "../../../identity/files/kept_identity.ts";
import type { BanKind } from "../../../schemas/gen/wire.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { type Grants, NO_GRANTS } from "../../../src/base/peer.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import type { Client, Registered } from "../../../src/client/types.ts";
import { CertifiedRegistry, REGION, TRUST_DOMAIN } from "../../support/certified_registry.ts";
import { DAY_MS, MINUTE_MS } from "../../support/test_pki.ts";

const SECOND_MS = 1_000;
const AGENT_ID = "aaaaaaaa-1111-4111-8111-111111111111";
const GATEWAY_ID = "bbbbbbbb-1111-4111-8111-111111111111";
const DOMAIN = "bank.example";
const CERTIFIED: Grants = { ...NO_GRANTS, gateways: [GATEWAY_ID] };
/** The audience of tokens for the registry itself. */
const REGISTRY = `spiffe://${TRUST_DOMAIN}/region/${REGION}`;
const TTL_MS = 6 * SECOND_MS;

/** A node with a gateway, its agent, and a proxy. */
class House {
  readonly node: CertifiedRegistry;
  agent!: KeptIdentity;
  gateway!: KeptIdentity;
  asGateway!: Client;
  asProxy!: Client;
  readonly #clients: Client[] = [];

  constructor(node: CertifiedRegistry) {
    this.node = node;
  }

  get world() {
    return this.node.world;
  }

  async connect(kept: KeptIdentity, token?: string): Promise<Client> {
    const client = await this.world.wait(this.node.connect(kept, () => {}, token));
    this.#clients.push(client);
    return client;
  }

  /** Registers the gateway, and connects a proxy. */
  async open(grants: Grants): Promise<void> {
    const { node, world } = this;
    this.gateway = await world.wait(
      node.join("gateway", GATEWAY_ID, { ...NO_GRANTS, domains: ["g.example"] }),
    );
    this.agent = await world.wait(node.join("agent", AGENT_ID, grants));
    const proxy = await world.wait(node.join("proxy", "cccccccc-1111-4111-8111-111111111111"));
    this.asGateway = await this.connect(this.gateway);
    this.asProxy = await this.connect(proxy);
    await world.wait(this.asGateway.registerGateway({
      region: REGION,
      domain: "g.example",
      address: "192.0.2.1",
      port: 4_000,
      ttlMs: DAY_MS / 24,
    }));
  }

  async token(grants: Partial<Grants>, lifeMs: number, audience = REGISTRY): Promise<string> {
    return await this.world.wait(this.node.registry.identities.tokens.issue(
      {
        subject: subjectOf("agent", AGENT_ID),
        audience,
        lifeMs,
        grants: { ...NO_GRANTS, ...grants },
      },
      0,
      this.world.nowMs() + MINUTE_MS,
    ));
  }

  async ban(kind: BanKind, name: string, lifted = false): Promise<void> {
    const order = { kind, name, reason: "", untilMs: 0, lifted };
    await this.world.wait(
      this.node.registry.identities.administration.ban(order, 0, this.world.nowMs() + MINUTE_MS),
    );
  }

  async register(client: Client, ttlMs = TTL_MS): Promise<Registered> {
    const agent = { region: REGION, domain: DOMAIN, gatewayId: GATEWAY_ID, ttlMs };
    return await this.world.wait(client.registerAgent(agent));
  }

  /** Returns the result of the gateway's renewal of the agent. */
  async renew({ incarnation }: Registered): Promise<string> {
    const item = { kind: "agent", id: AGENT_ID, incarnation } as const;
    const { failures } = await this.world.wait(this.asGateway.renew([item]));
    return failures[0]?.error.code ?? "renewed";
  }

  /** Renews for the agent every 2 s, for `ms` or until it fails. @returns the last result */
  async keep(registered: Registered, ms: number): Promise<string> {
    for (let passed = 0; passed < ms; passed += 2 * SECOND_MS) {
      await this.world.pass(2 * SECOND_MS);
      const answer = await this.renew(registered);
      if (answer !== "renewed") return answer;
    }
    return "renewed";
  }

  async resolved(): Promise<string> {
    return await this.world.wait(
      this.asProxy.resolveAgent(DOMAIN).then(() => "found", (error) => error.code),
    );
  }

  auditOf(subject: string): number {
    return this.node.registry.identities.group.state.audit.read(1, Infinity)
      .filter((entry) => new TextDecoder().decode(entry).includes(subject)).length;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await this.world.wait(client.close());
    await this.node.close();
  }
}

function subjectOf(role: string, id: string): string {
  return `spiffe://${TRUST_DOMAIN}/region/${REGION}/${role}/${id}`;
}

async function inHouse(run: (house: House) => Promise<void>, grants = CERTIFIED): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const house = new House(
      await CertifiedRegistry.open(folder, REGION, {
        renewalGrace: { recordMs: MINUTE_MS, memberMs: DAY_MS },
      }),
    );
    await house.open(grants);
    await run(house);
    await house.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("a domain that a token granted ends with the token, whoever renews", () =>
  inHouse(async (house) => {
    const { world } = house;
    const token = await house.token({ domains: [DOMAIN] }, 12 * SECOND_MS);
    const registered = await house.register(await house.connect(house.agent, token));
    assert.is(await house.keep(registered, 18 * SECOND_MS), "renewed");
    assert.is(await house.resolved(), "found", "within the grace");
    assert.is(await house.keep(registered, 8 * SECOND_MS), "not_found");
    assert.is(await house.resolved(), "not_found");
    const own = await house.connect(house.agent);
    const again = await house.register(own).catch((error: RegistryError) => error.code);
    assert.is(again, "permission_denied");
    await world.pass(MINUTE_MS);
    assert.equal(house.node.troubles, []);
  }));

test("the next token, issued in time, keeps the record of the last one", () =>
  inHouse(async (house) => {
    const token = await house.token({ domains: [DOMAIN] }, 12 * SECOND_MS);
    const registered = await house.register(await house.connect(house.agent, token));
    assert.is(await house.keep(registered, 10 * SECOND_MS), "renewed");
    await house.token({ domains: ["*.example"] }, 30 * SECOND_MS);
    assert.is(await house.keep(registered, 28 * SECOND_MS), "renewed");
    assert.is(await house.resolved(), "found");
    // A token for another domain, or for another service, does not.
    await house.token({ domains: ["*.example"] }, 600 * SECOND_MS, "api.example");
    await house.token({ domains: ["other.test"] }, 600 * SECOND_MS);
    assert.is(await house.keep(registered, 20 * SECOND_MS), "not_found");
  }));

test("rights of the certificate do not end with a token that was also used", () =>
  inHouse(async (house) => {
    const token = await house.token({ domains: [DOMAIN] }, 2 * SECOND_MS);
    const registered = await house.register(await house.connect(house.agent, token));
    assert.is(await house.keep(registered, 40 * SECOND_MS), "renewed");
    assert.is(await house.resolved(), "found");
  }, { ...CERTIFIED, domains: [DOMAIN] }));

test("a token that ended while the node was down ends its record after the start", () =>
  inHouse(async (house) => {
    const { node, world } = house;
    const token = await house.token({ domains: [DOMAIN] }, 60 * SECOND_MS);
    await house.register(await house.connect(house.agent, token));
    await node.stop();
    world.wallOffsetMs += 10 * MINUTE_MS;
    await node.start();
    assert.is(node.registry.shared.counts.records[KIND_AGENT]!, 1);
    await world.pass(3 * SECOND_MS);
    assert.is(node.registry.shared.counts.records[KIND_AGENT]!, 0);
    // It was logged: the record is missing after the next start, too.
    await node.stop();
    await node.start();
    assert.is(node.registry.shared.counts.records[KIND_AGENT]!, 0);
  }));

test("a grant that ended by a step of the clock ends its record within seconds", () =>
  inHouse(async (house) => {
    const { node, world } = house;
    const token = await house.token({ domains: [DOMAIN] }, 10 * MINUTE_MS);
    await house.register(await house.connect(house.agent, token), 60 * MINUTE_MS);
    // After the checks that follow a start.
    await world.pass(5 * SECOND_MS);
    world.wallOffsetMs += 11 * MINUTE_MS;
    await world.pass(4 * SECOND_MS);
    assert.is(node.registry.shared.counts.records[KIND_AGENT]!, 0);
  }));

test("renewals of a banned owner's record are refused while its removal is not on disk", () =>
  inHouse(async (house) => {
    const { node, world } = house;
    const registered = await house.register(await house.connect(house.agent));
    // The ban itself is logged; its consequences wait.
    const banned = house.ban("subject", subjectOf("agent", AGENT_ID));
    node.disk.intercept = ({ kind }) =>
      kind === "sync" && node.registry.identities.group.state.bans().length > 0
        ? "hold"
        : undefined;
    await banned;
    const renewing = house.asGateway.renew([
      { kind: "agent", id: AGENT_ID, incarnation: registered.incarnation },
    ]);
    const { failures } = await world.wait(renewing);
    assert.is(failures[0]?.error.code, "permission_denied");
    node.disk.intercept = () => undefined;
    node.disk.releaseHeld();
  }, { ...CERTIFIED, domains: [DOMAIN] }));

test("a record that the leader before has left behind ends within seconds of the next one's election", () =>
  inHouse(async (house) => {
    const { node, world } = house;
    await house.register(await house.connect(house.agent), 60 * MINUTE_MS);
    const count = () => node.registry.shared.counts.records[KIND_AGENT]!;
    const partition = node.registry.table.held(KIND_AGENT, parseUuid(AGENT_ID));
    // Another node leads the partition, and does not remove the record in time.
    let isLeading = false;
    Object.defineProperty(partition.group, "isLeading", { get: () => isLeading });
    await house.ban("subject", subjectOf("agent", AGENT_ID));
    await world.pass(20 * SECOND_MS);
    assert.is(count(), 1);
    isLeading = true;
    partition.store.onBecomeLeader(partition.group.timeMs());
    await world.pass(3 * SECOND_MS);
    assert.is(count(), 0);
  }, { ...CERTIFIED, domains: [DOMAIN] }));

test("a lineage that two hold ends its record, whoever renews", () =>
  inHouse(async (house) => {
    const { node, world } = house;
    const registered = await house.register(await house.connect(house.agent), 60 * MINUTE_MS);
    const [own, stolen] = [`${node.folder}/${AGENT_ID}`, `${node.folder}/stolen`];
    Deno.mkdirSync(stolen, { mode: 0o700 });
    for (const { name } of Deno.readDirSync(own)) {
      Deno.copyFileSync(`${own}/${name}`, `${stolen}/${name}`);
    }
    const thief = await world.wait(node.keep(stolen, () => {}));
    const theftMs = world.nowMs();
    const { state } = node.registry.identities.group;
    const { lineage } = state.lineageOf(subjectOf("agent", AGENT_ID))!;
    const isStopped = () => state.lineage(lineage)?.stopped === "stolen";
    // Both renew before their certificate ends, each with a key of its own.
    while (!isStopped() && world.nowMs() < theftMs + 60 * MINUTE_MS) await world.pass(MINUTE_MS);
    assert.ok(isStopped());
    await world.pass(2 * SECOND_MS);
    assert.is(await house.renew(registered), "not_found");
    thief.close();
  }, { ...CERTIFIED, domains: [DOMAIN] }));

for (const kind of ["subject", "lineage", "token"] as const) {
  test(`a ban of a ${kind} ends the record, however its gateway renews it`, () =>
    inHouse(async (house) => {
      const { node, world } = house;
      const token = await house.token({ domains: [DOMAIN] }, 600 * SECOND_MS);
      const registered = await house.register(await house.connect(house.agent, token));
      assert.is(await house.keep(registered, 10 * SECOND_MS), "renewed");
      const subject = subjectOf("agent", AGENT_ID);
      const { state } = node.registry.identities.group;
      const lineage = state.lineageOf(subject)!.lineage;
      const { tokenId } = state.grants.of(lineage)![0]!;
      const before = house.auditOf(AGENT_ID);
      await house.ban(kind, { subject, lineage: String(lineage), token: tokenId }[kind]);
      await world.pass(SECOND_MS);
      assert.is(await house.renew(registered), "not_found");
      assert.is(await house.resolved(), "not_found");
      assert.ok(house.auditOf(AGENT_ID) > before, "its end is audited");
      await node.stop();
      await node.start();
      assert.is(node.registry.shared.counts.records[KIND_AGENT]!, 0);
    }));
}

test("a gateway that is banned is offered no more, and its agents stay", () =>
  inHouse(async (house) => {
    const { world } = house;
    const registered = await house.register(await house.connect(house.agent));
    assert.ok(registered.created);
    const offered = async () =>
      (await world.wait(house.asProxy.resolveGateways(REGION))).items.length;
    assert.is(await offered(), 1);
    await house.ban("subject", subjectOf("gateway", GATEWAY_ID));
    await world.pass(SECOND_MS);
    assert.is(await offered(), 0);
    assert.is(await house.resolved(), "found");
  }, { ...CERTIFIED, domains: [DOMAIN] }));

test("a ban of others, or of the lineage before, ends nothing", () =>
  inHouse(async (house) => {
    const { node, world } = house;
    const subject = subjectOf("agent", AGENT_ID);
    const old = node.registry.identities.group.state.lineageOf(subject)!.lineage;
    Deno.removeSync(`${node.folder}/${AGENT_ID}`, { recursive: true });
    house.agent.close();
    house.agent = await world.wait(
      node.join("agent", AGENT_ID, { ...CERTIFIED, domains: [DOMAIN] }),
    );
    const registered = await house.register(await house.connect(house.agent));
    await house.ban("lineage", String(old));
    await house.ban("subject", subjectOf("agent", "dddddddd-1111-4111-8111-111111111111"));
    await house.ban("token", "eeeeeeee-1111-4111-8111-111111111111");
    assert.is(await house.keep(registered, 70 * SECOND_MS), "renewed");
  }, { ...CERTIFIED, domains: [DOMAIN] }));

test("a gateway keeps no agent alive whose certificate can be renewed no more", () =>
  inHouse(async (house) => {
    const { world } = house;
    const registered = await house.register(await house.connect(house.agent), 60 * MINUTE_MS);
    house.agent.close();
    await world.pass(50 * MINUTE_MS);
    assert.is(await house.renew(registered), "renewed");
    // It ends after an hour, and could be renewed for one more minute.
    await world.pass(15 * MINUTE_MS);
    assert.is(await house.renew(registered), "permission_denied");
    assert.is(await house.resolved(), "found", "its lease was promised");
  }, { ...CERTIFIED, domains: [DOMAIN] }));

test.run();
