/** Calls with the option `home`: which region is asked, with what, and what its refusals say. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Client } from "../../../src/client/mod.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { AGENT_ID, FakeRegistry, rejection, storedAgentBytes } from "./fake_registry.ts";

const US_HOST = "us.example";
const SERVERS = { servers: [{ address: `${US_HOST}:4100`, pins: [] }], authorities: "" };
const HOME = { home: true };
const OTHER_ID = "01890000-0000-7000-8000-0000000000ff";

/** Two registries, with a client of the first. */
async function opened(): Promise<{ here: FakeRegistry; us: FakeRegistry; client: Client }> {
  const here = new FakeRegistry();
  const us = new FakeRegistry(here, US_HOST);
  us.clusterId = new Uint8Array(16).fill(9);
  us.nodeId = 3;
  return { here, us, client: await here.connect() };
}

const record = storedAgentBytes({ domain: "a1.example" });
const OWN = { record, remainingMs: 7_000, source: undefined };
const MIRROR = {
  record,
  remainingMs: 0,
  source: { home: "us-1", revision: { generation: 1, index: 9 }, ageMs: 5, isSuspended: false },
};

/** Answers the request for the servers of a region. */
async function tellServers(here: FakeRegistry): Promise<void> {
  const request = await here.next("regionServers");
  assert.equal(request.body, { name: "us-1" });
  request.reply("regionServers", SERVERS);
}

test("getAgent goes to the home that the mirror names, and from then on over one client", async () => {
  const { here, us, client } = await opened();
  const first = client.getAgent(AGENT_ID, HOME);
  (await here.next("getAgent")).reply("getAgent", MIRROR);
  await tellServers(here);
  const asked = await us.next("getAgent");
  assert.equal(asked.body, { id: parseUuid(AGENT_ID), home: { name: "us-1" } });
  asked.reply("getAgent", OWN);
  const answer = await here.wait(first);
  assert.equal([answer.remainingMs, answer.source], [7_000, undefined]);
  // The region is known now, and named: nobody else is asked.
  const second = client.getAgent(AGENT_ID, { ...HOME, region: "us-1" });
  (await us.next("getAgent")).reply("getAgent", OWN);
  await here.wait(second);
  assert.is(us.sessions.length, 1);
  // An own record is answered by the own region.
  const own = client.getAgent(AGENT_ID, HOME);
  (await here.next("getAgent")).reply("getAgent", OWN);
  assert.is((await here.wait(own)).remainingMs, 7_000);
  const closed = client.close();
  await here.wait(closed);
  assert.is(us.sessions[0]!.heard.at(-1)?.kind, "goodbye");
});

test("a region without servers is the own one: its own records are asked for", async () => {
  const { here, client } = await opened();
  const answer = client.getAgent(AGENT_ID, { ...HOME, region: "global" });
  (await here.next("regionServers")).reply("regionServers", { servers: [], authorities: "" });
  const asked = await here.next("getAgent");
  assert.equal(asked.body.home, { name: "global" });
  asked.reply("getAgent", OWN);
  await here.wait(answer);
  await here.wait(client.close());
});

test("registrations and deregistrations go home when they are refused here", async () => {
  const { here, us, client } = await opened();
  const agent = { id: AGENT_ID, region: "us-1" };
  const registered = client.registerAgent(agent, HOME);
  (await here.next("registerAgent")).refuse("foreign_region", { homeRegion: "us-1" });
  await tellServers(here);
  const incarnation = { generation: 1, index: 40 };
  (await us.next("registerAgent")).reply("registerAgent", {
    ...{ id: parseUuid(AGENT_ID), incarnation, revision: incarnation },
    ...{ remainingMs: 9_000, renewAfterMs: 4_000, created: true },
  });
  assert.is((await here.wait(registered)).id, AGENT_ID);
  const gone = client.deregisterAgent(AGENT_ID, { ...HOME, incarnation });
  (await here.next("getAgent")).reply("getAgent", MIRROR);
  (await here.next("deregisterAgent")).refuse("foreign_region", { homeRegion: "us-1" });
  (await us.next("getAgent")).reply("getAgent", OWN);
  (await us.next("deregisterAgent")).reply("deregisterAgent", { removed: 1 });
  assert.is((await here.wait(gone)).removed, 1);
  // Without the option the refusal names the home.
  const refused = client.registerAgent(agent);
  refused.catch(() => {});
  (await here.next("registerAgent")).refuse("foreign_region", { homeRegion: "us-1" });
  const { code, fields } = await rejection(here, refused);
  assert.equal([code, fields.homeRegion], ["foreign_region", "us-1"]);
  await here.wait(client.close());
});

test("renewals go home one by one, and failures keep the positions of their items", async () => {
  const { here, us, client } = await opened();
  const incarnation = { generation: 1, index: 40 };
  const items = [AGENT_ID, OTHER_ID, AGENT_ID].map((id) => ({
    kind: "agent" as const,
    id,
    incarnation,
  }));
  const renewal = client.renew(items, HOME);
  const current = { generation: 0, index: 0 };
  const foreign = { code: 31, current, home: { name: "us-1" } };
  (await here.next("renew")).reply("renew", {
    renewAfterMs: 9_000,
    renewed: 1,
    failures: [{ position: 1, ...foreign }, { position: 2, ...foreign }],
  });
  await tellServers(here);
  const there = await us.next("renew");
  assert.equal(
    there.body.items.map(({ id }: { id: Uint8Array }) => id),
    [parseUuid(OTHER_ID), parseUuid(AGENT_ID)],
  );
  there.reply("renew", {
    renewAfterMs: 8_000,
    renewed: 1,
    failures: [{ position: 1, code: 9, current, home: undefined }],
  });
  const { renewed, renewAfterMs, failures } = await here.wait(renewal);
  assert.equal([renewed, renewAfterMs], [2, 8_000]);
  assert.equal(failures.map(({ position, error }) => [position, error.code]), [[2, "not_found"]]);
  await here.wait(client.close());
});

test("a home that does not take the client's identity says so, and is looked up again", async () => {
  const { here, us, client } = await opened();
  us.refuseHello = "unauthenticated";
  const ask = () => client.getAgent(AGENT_ID, { ...HOME, region: "us-1", timeoutMs: 2_000 });
  const refused = ask();
  refused.catch(() => {});
  await tellServers(here);
  const { code, message, fields } = await rejection(here, refused);
  assert.equal([code, fields.homeRegion], ["unauthenticated", "us-1"]);
  assert.match(message, /^Region us-1 does not serve this client's identity: /);
  us.refuseHello = undefined;
  const answer = ask();
  await tellServers(here);
  (await us.next("getAgent")).reply("getAgent", OWN);
  assert.is((await here.wait(answer)).remainingMs, 7_000);
  await here.wait(client.close());
});

test("a home out of reach is named once the time of the call is over", async () => {
  const { here, us, client } = await opened();
  await us.stop();
  const late = client.getAgent(AGENT_ID, { ...HOME, region: "us-1", timeoutMs: 1_000 });
  late.catch(() => {});
  await tellServers(here);
  const { code, message, fields } = await rejection(here, late);
  assert.equal([code, fields.homeRegion], ["deadline_exceeded", "us-1"]);
  assert.match(message, /^Region us-1, which was asked as the home: /);
  await here.wait(client.close());
});

test("a call that fails ends neither the other calls to that region nor its leases", async () => {
  const { here, us, client } = await opened();
  const region = { ...HOME, region: "us-1" };
  const kept = client.keepAgent({ id: AGENT_ID, region: "us-1" }, region);
  await tellServers(here);
  const incarnation = { generation: 1, index: 40 };
  (await us.next("registerAgent")).reply("registerAgent", {
    ...{ id: parseUuid(AGENT_ID), incarnation, revision: incarnation },
    ...{ remainingMs: 30_000, renewAfterMs: 20_000, created: true },
  });
  const lease = await here.wait(kept);
  await us.stop();
  const patient = client.getAgent(AGENT_ID, { ...region, timeoutMs: 3_000 });
  const hasty = client.getAgent(AGENT_ID, { ...region, timeoutMs: 500 });
  for (const call of [patient, hasty]) call.catch(() => {});
  assert.is((await rejection(here, hasty)).code, "deadline_exceeded");
  assert.is((await rejection(here, patient)).code, "deadline_exceeded");
  assert.is(lease.state, "active");
  await here.wait(client.close());
  assert.is((await lease.ended).reason, "released");
});

test("home is refused for many records at once", async () => {
  const { here, client } = await opened();
  const item = { kind: "agent" as const, agent: { id: AGENT_ID, region: "us-1" } };
  assert.is((await rejection(here, client.registerMany([item], HOME))).code, "invalid_argument");
  assert.is((await rejection(here, client.keepMany([item], HOME))).code, "invalid_argument");
  await here.wait(client.close());
});

test.run();
