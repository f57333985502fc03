/** NodeSteps: what a node does at the request of another, and for whom it does nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BanList } from "../../../identity/trust/ban_list.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { TokenBucket } from "../../../src/base/token_bucket.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../../src/record/key.ts";
import { AttachedAgents } from "../../../src/serving/attached_agents.ts";
import { ClaimSteps } from "../../../src/serving/claim_steps.ts";
import { DomainClaims } from "../../../src/serving/domain_claims.ts";
import { LeaderCalls } from "../../../src/serving/leader_calls.ts";
import { NO_NODE_CALLS, REGISTRY_ITSELF } from "../../../src/serving/node_calls.ts";
import { NodeSteps } from "../../../src/serving/node_steps.ts";
import { Proposer } from "../../../src/serving/proposer.ts";
import { RemovalNotes } from "../../../src/serving/removal_notes.ts";
import type { RequestContext } from "../../../src/serving/request_context.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";
import { codeOf } from "../../support/refusal.ts";

const DOMAIN = "a.example";
const SUBJECT = "spiffe://example/region/eu/agent/00000000-0000-4000-8000-000000000001";
const MINE = { lineage: 7, subject: SUBJECT, token: "token-1" };
/** A node that holds the record's partition, and one that does not. */
const HOLDER = 2;
const OTHER = 3;

/** A registry whose partition `placed` node 2 holds too. */
async function scene() {
  const harness = await RegistryHarness.open();
  const { world, registry } = harness;
  const { table, identities } = registry;
  const proposer = new Proposer({ monotonic: world, wall: world });
  const leaders = new LeaderCalls({
    nodeId: 1,
    calls: NO_NODE_CALLS,
    clock: world,
    scheduler: world,
    entropy: world.entropy,
  });
  const bans = new BanList();
  const claims = new ClaimSteps(table, proposer);
  const place = { partition: -1 };
  const steps = new NodeSteps({
    table,
    steps: claims,
    claims: new DomainClaims(table, claims, leaders),
    agents: new AttachedAgents({ table, proposer, leaders, scheduler: world }),
    notes: new RemovalNotes(identities.group, leaders),
    admission: registry.admission,
    bans,
    nodesOf: (partition) => partition === place.partition ? [1, HOLDER] : [1, OTHER],
  });
  const context = (node: number | undefined): RequestContext => ({
    peer: developmentPeer({ region: "eu", revoked: new AbortController().signal }),
    bucket: new TokenBucket({ ratePerSecond: 1, burst: 1, nowMs: 0 }),
    caller: {},
    node,
    deadlineMs: world.nowMs() + 5_000,
    receipts: [],
  });
  const claimOf = (domain: string) => {
    const home = table.held(KIND_ALIAS, domainBytes(domain));
    return claims.find(home, domain);
  };
  return { harness, world, table, bans, steps, context, place, claimOf };
}

test("NodeSteps: a step is taken only for a record that group 0 places on the node that asks", async () => {
  const { harness, world, table, steps, context, place, claimOf } = await scene();
  const peer = await harness.peer();
  await peer.must("registerGateway", gatewayRequest({ number: 9 }));
  await peer.must("registerAgent", agentRequest({ number: 5, gatewayId: idOf(9) }));
  const agentId = idOf(1);
  const ofAgent = table.of(KIND_AGENT, agentId).id;
  const ofGateway = table.of(KIND_GATEWAY, idOf(9)).id;
  const partitions = Array.from({ length: harness.partitionCount }, (_, partition) => partition);
  const claim = { generation: 1, index: 12_345 };
  const claimed = { agentId, claim, domain: DOMAIN };
  const cases: [string, number, (from: RequestContext) => Promise<unknown>][] = [
    [
      "claimDomain",
      ofAgent,
      (from) =>
        steps.claimDomain({ domain: DOMAIN, agentId, replaces: NO_POSITION, ...MINE }, from),
    ],
    [
      "revokeClaim",
      ofAgent,
      (from) => steps.revokeClaim({ agentId: idOf(3), claim, claimant: agentId, ...MINE }, from),
    ],
    ["confirmClaim", ofAgent, (from) => steps.confirmClaim(claimed, from)],
    ["releaseDomain", ofAgent, (from) => steps.releaseDomain(claimed, from)],
    [
      "removeAgents",
      ofGateway,
      (from) => steps.removeAgents({ gatewayId: idOf(9), partitions, ...MINE }, from),
    ],
    [
      "noteRemoval",
      ofAgent,
      (from) => steps.noteRemoval({ kind: 1, id: agentId, detail: "why", ...MINE }, from),
    ],
  ];
  const { groups } = harness.registry;
  for (const [name, partition, step] of cases) {
    place.partition = partition;
    const before = groups.entriesAppended;
    for (const from of [undefined, OTHER]) {
      assert.is(await world.wait(codeOf(step(context(from)))), "permission_denied", name);
    }
    assert.is(groups.entriesAppended, before, `${name}: nothing was logged`);
    assert.is(await world.wait(codeOf(step(context(HOLDER)))), "ok", name);
    assert.ok(groups.entriesAppended > before, `${name}: it was logged`);
  }
  assert.equal(claimOf(DOMAIN)?.agentId, agentId);
  assert.is(harness.agent(idOf(5)), undefined);
});

test("NodeSteps: nothing is done on behalf of who is banned, by subject, lineage or token", async () => {
  const { harness, world, table, bans, steps, context, place, claimOf } = await scene();
  const agentId = idOf(1);
  place.partition = table.of(KIND_AGENT, agentId).id;
  const request = { domain: DOMAIN, agentId, replaces: NO_POSITION, ...MINE };
  const ask = () => world.wait(codeOf(steps.claimDomain(request, context(HOLDER))));
  const names = [["subject", SUBJECT], ["lineage", "7"], ["token", "token-1"]] as const;
  for (const [kind, name] of names) {
    bans.ban({ kind, name, reason: "stolen" });
    assert.is(await ask(), "unauthenticated", kind);
    assert.is(claimOf(DOMAIN), undefined);
    bans.unban(kind, name);
  }
  assert.is(await ask(), "ok");
  assert.is(harness.alias(DOMAIN)?.state, 0);
});

test("NodeSteps: the domain's own partition may give up a claim, and only that one", async () => {
  const { harness, world, table, steps, context, place, claimOf } = await scene();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: DOMAIN }));
  const { agentId, claim } = claimOf(DOMAIN)!;
  const request = { agentId, claim, claimant: new Uint8Array(16), ...REGISTRY_ITSELF };
  place.partition = table.of(KIND_ALIAS, domainBytes(DOMAIN)).id;
  const revoked = await world.wait(steps.revokeClaim(request, context(HOLDER)));
  assert.equal(revoked, { held: true }, "the agent holds it");
  place.partition = (place.partition + 1) % harness.partitionCount;
  const refused = await world.wait(codeOf(steps.revokeClaim(request, context(HOLDER))));
  assert.is(refused, "permission_denied");
});

test("NodeSteps: a domain is released only for the agent that claimed it", async () => {
  const { harness, world, table, steps, context, place, claimOf } = await scene();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: DOMAIN }));
  const { claim } = claimOf(DOMAIN)!;
  place.partition = table.of(KIND_AGENT, idOf(2)).id;
  const ofAnother = { domain: DOMAIN, agentId: idOf(2), claim };
  const released = await world.wait(steps.releaseDomain(ofAnother, context(HOLDER)));
  assert.equal(released, { released: false });
  assert.equal(claimOf(DOMAIN)?.agentId, idOf(1));
});

test("NodeSteps: a claim replaces one of another agent only after that one does not hold it", async () => {
  const { harness, world, table, steps, context, place, claimOf } = await scene();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: DOMAIN }));
  const { claim } = claimOf(DOMAIN)!;
  place.partition = table.of(KIND_AGENT, idOf(2)).id;
  const request = { domain: DOMAIN, agentId: idOf(2), replaces: claim, ...MINE };
  const ask = () => world.wait(steps.claimDomain(request, context(HOLDER)));
  assert.equal((await ask()).agentId, idOf(1), "it is held");
  assert.equal(claimOf(DOMAIN)?.agentId, idOf(1));
  const other = table.held(KIND_AGENT, idOf(1));
  const slot = other.store.find(KIND_AGENT, idOf(1), 0, 16);
  const incarnation = other.store.incarnationOf(slot);
  await peer.must("deregisterAgent", {
    id: idOf(1),
    incarnation,
    process: 0,
    sequence: 0,
    withAgents: false,
  });
  const claimed = await ask();
  assert.equal(claimed.agentId, idOf(2), "it was left");
  assert.equal(claimOf(DOMAIN)?.claim, claimed.claim);
});

test("NodeSteps: domains are canonical and partitions exist, or the step is refused", async () => {
  const { world, table, steps, context, place } = await scene();
  const agentId = idOf(1);
  place.partition = table.of(KIND_AGENT, agentId).id;
  for (const domain of ["A.example", "a.example.", "", "a..b", "x".repeat(300)]) {
    const request = { domain, agentId, replaces: NO_POSITION, ...MINE };
    const code = await world.wait(codeOf(steps.claimDomain(request, context(HOLDER))));
    assert.is(code, "invalid_argument", domain);
  }
  place.partition = table.of(KIND_GATEWAY, agentId).id;
  const request = { gatewayId: agentId, partitions: [8], ...MINE };
  assert.is(
    await world.wait(codeOf(steps.removeAgents(request, context(HOLDER)))),
    "invalid_argument",
  );
});

test("NodeSteps: a claim repeated after a lost reply is the same claim", async () => {
  const { world, table, steps, context, place } = await scene();
  const agentId = idOf(1);
  place.partition = table.of(KIND_AGENT, agentId).id;
  const request = { domain: DOMAIN, agentId, replaces: NO_POSITION, ...MINE };
  const first = await world.wait(steps.claimDomain(request, context(HOLDER)));
  assert.equal(await world.wait(steps.claimDomain(request, context(HOLDER))), first);
});

test.run();
