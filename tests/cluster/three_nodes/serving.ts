/**
 * Writes that span partitions, on three real nodes: claims on domains, takeovers, the removal of a gateway
 * with its agents; and the loss of a node in the middle of claims.
 */
import * as assert from "uvu/assert";
import { type Client, connect, type RegistryCalls } from "../../../src/client/mod.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { processWorld } from "../../../src/node/process_world.ts";
import { parsePin } from "../../../identity/pki/certificate.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { idOf } from "../../support/store.ts";
import type { RunningCluster } from "../../support/three_nodes.ts";
import { codeOf } from "../../support/refusal.ts";

/** Deadline of a call: it outlasts the elections after the loss of a node. */
const CALL_MS = 15_000;
const AGENTS = 48;
/** Agents that an administrator removes. */
const STRAYS = 24;
/** Domains that two agents want, each. */
const RIVALRIES = 40;
/** Calls that are answered before a node is killed. */
const ANSWERED_BEFORE_KILL = 12;

/** Calls `use` with a client that knows the first node. */
async function withClient(
  { nodes: [first] }: RunningCluster,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const world = processWorld();
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const client = await connect({
    endpoints: first!.addresses,
    dialer,
    trust: { kind: "pins", sha256: [parsePin(first!.pin)] },
    world,
    options: { timeoutMs: CALL_MS },
  });
  try {
    await use(client);
  } finally {
    await client.close();
    await dialer.close();
  }
}

const id = (number: number) => formatUuid(idOf(number));
const agent = (number: number, domain: string, gatewayId?: string) => ({
  id: id(number),
  region: "global",
  domain,
  ...(gatewayId === undefined ? {} : { gatewayId }),
});

async function agentIds(client: Client): Promise<string[]> {
  const { items } = await client.listAgents("global", { limit: 1_000 });
  return items.map((item) => item.agent.id);
}

/** Registers, resolves, refuses a taken domain, moves a domain, and removes a gateway with its agents. */
async function serves(client: Client): Promise<void> {
  const gateway = await client.registerGateway({
    id: id(900),
    region: "global",
    domain: "g.example",
    address: "192.0.2.1",
    port: 4_000,
  });
  const numbers = Array.from({ length: AGENTS }, (_, index) => index + 1);
  await Promise.all(
    numbers.map((number) => client.registerAgent(agent(number, `a${number}.example`, gateway.id))),
  );
  for (const number of numbers) {
    const found = await client.resolveAgent(`a${number}.example`);
    assert.equal([found.agent.id, found.gateway?.id], [id(number), gateway.id]);
  }
  assert.equal((await agentIds(client)).sort(), numbers.map(id));
  assert.is((await client.resolveGateways("global")).items.length, 1);

  // An administrator removes records whoever leads them, and group 0 audits each removal.
  const strays = Array.from({ length: STRAYS }, (_, index) => 500 + index);
  await Promise.all(
    strays.map((number) => client.registerAgent(agent(number, `s${number}.example`))),
  );
  const { count: before } = await client.identities.audit(1, 1);
  const remove = (number: number) => client.identities.removeRecord("agent", id(number));
  assert.equal(await Promise.all(strays.map(remove)), strays.map(() => 1));
  const gone = strays.map((number) => codeOf(client.getAgent(id(number))));
  assert.equal(await Promise.all(gone), strays.map(() => "not_found"));
  assert.is((await client.identities.audit(1, 1)).count, before + STRAYS);

  const rival = AGENTS + 1;
  assert.is(await codeOf(client.registerAgent(agent(rival, "a1.example"))), "domain_taken");
  // The holder moves to another domain, and the rival gets the one that it left.
  await client.registerAgent(agent(1, "moved.example", gateway.id));
  await client.registerAgent(agent(rival, "a1.example", gateway.id));
  assert.is((await client.resolveAgent("a1.example")).agent.id, id(rival));
  assert.is((await client.resolveAgent("moved.example")).agent.id, id(1));

  const { removed } = await client.deregisterGateway(gateway.id, { withAgents: true });
  assert.is(removed, AGENTS + 2);
  assert.equal(await agentIds(client), []);
  assert.is(await codeOf(client.resolveAgent("a2.example")), "not_found");
  await client.registerAgent(agent(rival + 1, "a2.example"));
  assert.is((await client.resolveAgent("a2.example")).agent.id, id(rival + 1));
}

/** Two agents claim each domain while a node dies; then a third claims what nobody got. */
async function survives(client: RegistryCalls, processId: number): Promise<void> {
  const codes = new Map<number, string>();
  const claim = async (number: number, domain: string) => {
    codes.set(number, await codeOf(client.registerAgent(agent(number, domain))));
    if (codes.size === ANSWERED_BEFORE_KILL) Deno.kill(processId, "SIGKILL");
  };
  const rivals = Array.from({ length: RIVALRIES }, (_, index) => ({
    domain: `rival${index}.example`,
    numbers: [1_000 + index, 2_000 + index] as const,
  }));
  await Promise.all(
    rivals.flatMap(({ domain, numbers }) => numbers.map((number) => claim(number, domain))),
  );
  assert.ok(codes.size > ANSWERED_BEFORE_KILL);
  for (const { domain, numbers } of rivals) {
    const told = numbers.filter((number) => codes.get(number) === "ok");
    const shown = `${domain}: ${numbers.map((number) => codes.get(number))}`;
    assert.ok(told.length <= 1, `two agents hold ${shown}`);
    const code = await codeOf(client.registerAgent(agent(numbers[0] + 2_000, domain)));
    const resolved = (await client.resolveAgent(domain)).agent.id;
    // Whoever was told that it holds the domain does; one whose outcome is unknown may.
    const holders = told.length > 0 ? told : code === "ok" ? [numbers[0] + 2_000] : numbers;
    assert.is(
      code,
      told.length > 0 || !holders.includes(numbers[0] + 2_000) ? "domain_taken" : "ok",
    );
    assert.ok(holders.map(id).includes(resolved), `${resolved} resolves for ${shown}`);
  }
  const named = (await client.listAgents("global", { limit: 1_000 })).items
    .map((item) => item.agent.domain).filter((domain) => domain !== "");
  assert.is(new Set(named).size, named.length, "no two live agents name one domain");
}

/**
 * Checks writes that span partitions, on three nodes without records of which each leads some
 * partitions; kills the third node in the middle of claims, and checks that the others go on.
 */
export async function servesAndSurvives(cluster: RunningCluster): Promise<void> {
  await withClient(cluster, async (client) => {
    await serves(client);
    // As a front does for one of its callers, who has a delegation at each node.
    const caller = client.delegate({ kind: "none" });
    await survives(caller, cluster.nodes[2]!.processId);
    for (const { ops } of cluster.nodes.slice(0, 2)) {
      const metrics = await fetch(`http://${ops.host}:${ops.port}/metrics`);
      assert.match(await metrics.text(), /^crs_delegations 1$/m);
    }
    caller.close();
    assert.is(await codeOf(caller.getAgent(id(1))), "shutting_down");
  });
}
