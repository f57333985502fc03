/**
 * Limits on what a peer reads, through the SDK at a real registry: gets, resolves, lists, rankings and
 * watches show what is within them, and of everything else nothing. Two readers see the same registry:
 * one without limits, as the control, and one with.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import type { AuthenticatedPeer, ReadLimit, Role } from "../../../src/base/peer.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import type { Client, ListedGateway, Page, Watch } from "../../../src/client/mod.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";

const NO_LIMIT: ReadLimit = { regions: [], labels: [], domains: [] };
const TEAM = { key: "team", value: "a" };
const idOf = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

interface Reader {
  readonly reads: readonly ReadLimit[];
  readonly role?: Role;
  readonly id?: string;
}

/** A registry with a writer, a reader without limits, and readers with limits. */
class Scene {
  harness!: RegistryHarness;
  writer!: Client;
  free!: Client;
  readers: Client[] = [];

  static async open(...readers: readonly Reader[]): Promise<Scene> {
    const scene = new Scene();
    const revoked = new AbortController().signal;
    const own = developmentPeer({ region: "eu", revoked });
    const peers: AuthenticatedPeer[] = [
      own,
      { ...own, role: "proxy" },
      ...readers.map(({ reads, role = "proxy", id = idOf(999) }) => ({
        ...own,
        ...{ role, subject: `${role} ${id}`, subjectId: parseUuid(id) },
        grants: { ...own.grants, reads },
      })),
    ];
    scene.harness = await RegistryHarness.open({
      identity: { prove: () => Promise.resolve({ peer: peers.shift()!, close() {} }) },
    });
    scene.writer = await scene.harness.client();
    scene.free = await scene.harness.client();
    for (const _ of readers) scene.readers.push(await scene.harness.client());
    return scene;
  }

  run<T>(call: Promise<T>): Promise<T> {
    return this.harness.world.wait(call) as Promise<T>;
  }

  code(call: Promise<unknown>): Promise<string> {
    return this.run(call.then(() => "ok", (error) => {
      if (error instanceof RegistryError) return error.code as string;
      throw error;
    }));
  }

  async gateway(number: number, more: Record<string, unknown> = {}): Promise<void> {
    const id = idOf(number);
    const input = { id, region: "eu", address: "192.0.2.1", port: 4_000, ...more };
    await this.run(this.writer.registerGateway(input));
  }

  async agent(number: number, more: Record<string, unknown> = {}): Promise<void> {
    const id = idOf(number);
    await this.run(this.writer.registerAgent({ id, region: "eu", ...more }));
  }
}

const numbers = ({ items }: Page<ListedGateway>) =>
  items.map(({ gateway }) => Number(gateway.id.slice(-4)));
const ascending = (list: readonly number[]) => [...list].sort((left, right) => left - right);

test("a get shows records of the region, with all labels, and of the domains", async () => {
  const scene = await Scene.open(
    { reads: [{ ...NO_LIMIT, regions: ["eu"] }] },
    { reads: [{ ...NO_LIMIT, labels: [TEAM, { key: "tier", value: "1" }] }] },
    { reads: [{ ...NO_LIMIT, domains: ["*.bank.example", "a.example"] }] },
    { reads: [{ ...NO_LIMIT, regions: ["eu", "us"] }, { ...NO_LIMIT, labels: [TEAM] }] },
  );
  await scene.gateway(1, { labels: { team: "a", tier: "1" }, domain: "a.example" });
  await scene.gateway(2, { labels: { team: "a" }, domain: "x.bank.example" });
  await scene.gateway(3, {
    region: "us",
    labels: { team: "a", tier: "1" },
    domain: "bank.example",
  });
  await scene.gateway(4, { labels: { team: "b", tier: "1" } });
  const seen = async (client: Client) => {
    const found: number[] = [];
    for (const number of [1, 2, 3, 4]) {
      const code = await scene.code(client.getGateway(idOf(number)));
      if (code === "ok") found.push(number);
      else assert.is(code, "not_found");
    }
    return found;
  };
  assert.equal(await seen(scene.free), [1, 2, 3, 4]);
  const [region, labels, domains, both] = scene.readers as [Client, Client, Client, Client];
  assert.equal(await seen(region), [1, 2, 4]);
  assert.equal(await seen(labels), [1, 3]);
  assert.equal(await seen(domains), [1, 2]);
  assert.equal(await seen(both), [1, 2, 3]);
});

test("a resolve includes of agent and gateway what may be read, alone and with others", async () => {
  const scene = await Scene.open(
    { reads: [{ ...NO_LIMIT, domains: ["*.bank.example"] }] },
    { reads: [{ ...NO_LIMIT, labels: [TEAM] }] },
  );
  await scene.gateway(1, { domain: "g.example" });
  await scene.agent(11, { domain: "a.bank.example", gatewayId: idOf(1) });
  await scene.agent(12, { domain: "a.example", gatewayId: idOf(1), labels: { team: "a" } });
  const [bank, team] = scene.readers as [Client, Client];
  const resolved = async (client: Client, domain: string) => {
    try {
      const { agent, gateway } = await scene.run(client.resolveAgent(domain));
      return [Number(agent.id.slice(-4)), gateway === undefined ? "no gateway" : "gateway"];
    } catch (error) {
      return [(error as RegistryError).code];
    }
  };
  assert.equal(await resolved(scene.free, "a.bank.example"), [11, "gateway"]);
  assert.equal(await resolved(bank, "a.bank.example"), [11, "no gateway"]);
  assert.equal(await resolved(bank, "a.example"), ["not_found"]);
  assert.equal(await resolved(team, "a.bank.example"), ["not_found"]);
  const many = await scene.run(bank.resolveAgents(["a.bank.example", "a.example"]));
  const codes = many.map(({ error }) => error?.code ?? "ok");
  assert.equal(codes, ["ok", "not_found"]);
});

test("a list has pages of what may be read, and a ranking fills up with it", async () => {
  const scene = await Scene.open({ reads: [{ ...NO_LIMIT, labels: [TEAM] }] });
  const capacity = (free: number) => ({ capacity: { cpu: 100 }, used: { cpu: 100 - free } });
  for (let number = 1; number <= 40; number++) {
    // Those that may be read have the least to offer.
    const isVisible = number % 4 === 0;
    const more = isVisible ? { labels: { team: "a" }, ...capacity(5) } : capacity(90);
    await scene.gateway(number, more);
  }
  const [reader] = scene.readers as [Client];
  const wanted = Array.from({ length: 10 }, (_, index) => 4 * (index + 1));
  const listed: number[] = [];
  let pages = 0;
  let cursor: Uint8Array | undefined;
  do {
    const options = { limit: 7, ...(cursor === undefined ? {} : { cursor }) };
    const page = await scene.run(reader.listGateways("eu", options));
    listed.push(...numbers(page));
    pages++;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  assert.equal(ascending(listed), wanted);
  assert.ok(pages > 1);
  assert.is((await scene.run(scene.free.listGateways("eu", { limit: 100 }))).items.length, 40);
  const best = await scene.run(reader.resolveGateways("eu", { limit: 10 }));
  assert.equal(ascending(numbers(best)), wanted);
});

/** Reads a watch into texts. */
function read(watch: Watch): string[] {
  const texts: string[] = [];
  (async () => {
    for await (const event of watch) {
      if (!("record" in event)) continue;
      const { type, isState, hasLeft, record, before } = event;
      const number = Number(record.id.slice(-4));
      const was = before === undefined ? "" : ` was ${before.port}`;
      texts.push(
        `${isState ? "state" : type}${hasLeft ? " left" : ""} ${number} ${record.port}${was}`,
      );
    }
  })().catch((error) => texts.push((error as RegistryError).code));
  return texts;
}

test("a watch delivers the state and the changes of what may be read, and a removal of what no longer may", async () => {
  const scene = await Scene.open({ reads: [{ ...NO_LIMIT, labels: [TEAM] }] });
  const labels = { team: "a" };
  await scene.gateway(1, { labels, port: 1 });
  await scene.gateway(2, { port: 2 });
  const [reader] = scene.readers as [Client];
  const watches = [reader, scene.free].map((client) =>
    client.watch({ kind: "gateway" }, { state: true, before: true })
  );
  const [limited, free] = watches.map(read) as [string[], string[]];
  for (const { begun } of watches) await scene.run(begun);
  await scene.harness.world.pass(500);
  assert.equal(limited, ["state 1 1"]);
  assert.equal(free.slice().sort(), ["state 1 1", "state 2 2"]);
  limited.length = free.length = 0;
  await scene.gateway(2, { port: 3 });
  await scene.gateway(1, { labels, port: 4 });
  await scene.gateway(2, { labels, port: 5 });
  await scene.gateway(2, { port: 6 });
  await scene.gateway(2, { port: 7 });
  await scene.gateway(3, { port: 8 });
  await scene.run(scene.writer.deregisterGateway(idOf(3)));
  await scene.run(scene.writer.deregisterGateway(idOf(1)));
  await scene.harness.world.pass(500);
  // Of a record that appears only the new form is told, of one that disappears only the old one.
  assert.equal(
    limited.filter((text) => text.includes(" 1 ")),
    ["put 1 4 was 1", "deregistered 1 4"],
  );
  assert.equal(
    limited.filter((text) => !text.includes(" 1 ")),
    ["put 2 5", "deregistered left 2 5"],
  );
  assert.ok(free.some((text) => text.startsWith("put 2 6")));
  for (const watch of watches) watch.close();
});

test("a domain is followed by who may know its holder by the domain alone", async () => {
  const scene = await Scene.open(
    { reads: [{ ...NO_LIMIT, domains: ["*.bank.example"] }] },
    { reads: [{ ...NO_LIMIT, regions: ["eu"] }] },
  );
  await scene.agent(11, { domain: "a.bank.example" });
  const [bank, region] = scene.readers as [Client, Client];
  const follow = async (client: Client, domain: string) => {
    const watch = client.watch({ domain }, { state: true });
    const texts = read(watch);
    const code = await scene.code(watch.begun);
    await scene.harness.world.pass(500);
    watch.close();
    return [code, ...texts];
  };
  assert.equal(await follow(bank, "a.bank.example"), ["ok", "state 11 0"]);
  assert.equal(await follow(bank, "a.example"), ["ok"]);
  assert.is((await follow(region, "a.bank.example"))[0], "permission_denied");
});

test("the own record, and those attached to it, are always within the limits", async () => {
  const reads = [{ ...NO_LIMIT, labels: [{ key: "no", value: "such" }] }];
  const scene = await Scene.open({ reads, role: "gateway", id: idOf(1) });
  await scene.gateway(1);
  await scene.gateway(2);
  await scene.agent(11, { gatewayId: idOf(1) });
  await scene.agent(12, { gatewayId: idOf(2) });
  const [gateway] = scene.readers as [Client];
  assert.is(await scene.code(gateway.getGateway(idOf(1))), "ok");
  assert.is(await scene.code(gateway.getGateway(idOf(2))), "not_found");
  assert.is(await scene.code(gateway.getAgent(idOf(11))), "ok");
  assert.is(await scene.code(gateway.getAgent(idOf(12))), "not_found");
});

test.run();
