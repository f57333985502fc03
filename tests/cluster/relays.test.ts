/**
 * Relays and placements on three real nodes, whose leaders are spread, by several fronts: what renews
 * outlives the loss of a node, an agent moves once, and it ends with its relay.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Client, connect } from "../../src/client/mod.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { BackedRelayRegistry } from "../../src/relay/backed_registry.ts";
import { ClusterRelayBackend } from "../../src/relay/cluster_backend.ts";
import type { RelayRegistry } from "../../src/relay/relay_registry.ts";
import { parsePin } from "../../identity/pki/certificate.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { codeOf } from "../support/refusal.ts";
import { type RunningCluster, ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const TIMES = { relayTtlMs: 12_000, agentTtlMs: 12_000 };
const CALL_MS = 10_000;
const AGENTS = 24;
const RELAYS = ["r0", "r1", "r2"] as const;

const agentOf = (number: number) => `agent ${number}`;
const NUMBERS = Array.from({ length: AGENTS }, (_, number) => number);

/** Calls `use` with a front for each node, which knows that node first. */
async function withFronts(
  { nodes }: RunningCluster,
  use: (fronts: readonly RelayRegistry[]) => Promise<void>,
): Promise<void> {
  const world = processWorld();
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const clients: Client[] = [];
  try {
    for (const { addresses, pin } of nodes) {
      clients.push(
        await connect({
          endpoints: addresses,
          dialer,
          trust: { kind: "pins", sha256: [parsePin(pin)] },
          ...{ world, options: { timeoutMs: CALL_MS } },
        }),
      );
    }
    await use(
      clients.map((client) =>
        new BackedRelayRegistry(new ClusterRelayBackend(client, { times: TIMES }), world)
      ),
    );
  } finally {
    for (const client of clients) await client.close();
    await dialer.close();
  }
}

const options = { timeoutMs: CALL_MS };

/** Renews relays and agents, by all fronts in turn, and notes what was refused. */
class Heartbeats {
  readonly refused: string[] = [];
  /** The relay of each agent. */
  readonly at = new Map<string, string>();
  readonly relays = new Set<string>();
  readonly #fronts: readonly RelayRegistry[];
  #beats = 0;

  constructor(fronts: readonly RelayRegistry[]) {
    this.#fronts = fronts;
  }

  front(number: number): RelayRegistry {
    return this.#fronts[number % this.#fronts.length]!;
  }

  async beat(): Promise<void> {
    const note = async (what: string, call: Promise<void>) => {
      const code = await codeOf(call);
      if (code !== "ok") this.refused.push(`${what}: ${code}`);
    };
    const calls: Promise<void>[] = [];
    for (const relay of this.relays) {
      calls.push(note(relay, this.front(this.#beats++).heartbeatRelay(relay, options)));
    }
    for (const [agent, relay] of this.at) {
      calls.push(note(agent, this.front(this.#beats++).heartbeatAgent(agent, relay, options)));
    }
    await Promise.all(calls);
  }
}

async function agentsIn(front: RelayRegistry): Promise<readonly string[]> {
  return (await front.listAgents(options)).map(({ agentId }) => agentId);
}

/** Registers relays and agents over all fronts, and has each agent taken over once. */
async function placesAndMoves(beats: Heartbeats): Promise<void> {
  for (const [index, relayId] of RELAYS.entries()) {
    const relay = { relayId, address: "192.0.2.1", grpcPort: index };
    // The first one waits until the nodes have agreed on what they all know.
    await until(
      `${relayId} is registered`,
      async () => await codeOf(beats.front(index).registerRelay(relay, options)) === "ok",
    );
    beats.relays.add(relayId);
  }
  await Promise.all(NUMBERS.map(async (number) => {
    await beats.front(number).registerAgent(agentOf(number), "r0", options);
    await beats.front(number + 1).registerAgent(agentOf(number), RELAYS[number % 2]!, options);
    beats.at.set(agentOf(number), RELAYS[number % 2]!);
  }));
}

/** Keeps everything alive for longer than a lease, while a node dies in between. */
async function outlivesANode(beats: Heartbeats, kill: () => Promise<void>): Promise<void> {
  const untilMs = Date.now() + TIMES.agentTtlMs * 1.5;
  await beats.beat();
  const killed = kill();
  while (Date.now() < untilMs) await beats.beat();
  await killed;
  assert.equal(beats.refused, [], "no lease ended, and no heartbeat was refused");
  assert.equal(await agentsIn(beats.front(0)), [...beats.at.keys()].sort());
  await Promise.all(NUMBERS.map(async (number) => {
    const { relayId } = await beats.front(number).placement(agentOf(number), options);
    assert.is(relayId, RELAYS[number % 2]);
  }));
}

/** Ends a relay, which takes its agents with it for good, and no others. */
async function endsWithItsRelay(beats: Heartbeats): Promise<void> {
  const kept = NUMBERS.filter((number) => number % 2 === 1).map(agentOf).sort();
  beats.relays.delete("r0");
  await until("relay r0 ends", async () => {
    await beats.beat();
    return (await beats.front(0).listRelays(options)).every(({ relayId }) => relayId !== "r0");
  }, 60_000);
  assert.equal(await agentsIn(beats.front(1)), kept);
  await beats.front(0).registerRelay({ relayId: "r0", address: "b", grpcPort: 1 }, options);
  assert.equal(await agentsIn(beats.front(1)), kept);
  assert.equal(await beats.front(0).agentsOf("r0", options), []);
  assert.is(await codeOf(beats.front(0).placement(agentOf(0), options)), "not_found");
  assert.is(await codeOf(beats.front(0).heartbeatAgent(agentOf(0), "r0", options)), "not_found");
  await beats.front(0).registerAgent(agentOf(0), "r0", options);
  assert.is((await beats.front(1).placement(agentOf(0), options)).relayId, "r0");
}

test("relays and their agents outlive the loss of one of three nodes, and end together", async () => {
  await ThreeNodes.run(async (nodes) => {
    const cluster = await nodes.start();
    await nodes.spread();
    await withFronts(cluster, async (fronts) => {
      const beats = new Heartbeats(fronts);
      await placesAndMoves(beats);
      await outlivesANode(beats, () => nodes.kill(3));
      const args = ["relay", "agents", "r1", "--data", nodes.folder, "--json"];
      const { code, stdout } = await crsInProcess(args);
      assert.is(code, 0, stdout);
      assert.is(JSON.parse(stdout).agents.length, AGENTS / 2);
      await endsWithItsRelay(beats);
    });
  });
});

test.run();
