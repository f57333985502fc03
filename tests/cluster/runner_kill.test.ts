/**
 * The node that carries a drain on, which is the leader of group 0, is killed at each step of the drain, on
 * real processes: another node goes on from there, the drain ends, and nothing is lost.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DEPARTURE_GOALS, type DepartureStatus } from "../../schemas/gen/wire.ts";
import { toRegistryError } from "../../src/base/errors.ts";
import type { OperationCaller } from "../../src/client/invoker.ts";
import { Callers, withClient } from "../support/callers.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const PARTITIONS = 64;
const NODES = 4;
/** The time in which a step must be seen, the election of another leader included, ms. */
const STEP_MS_MAX = 60_000;

/** The steps of a drain, each with the state from which on it is under way. */
const STEPS: readonly (readonly [string, (departure: DepartureStatus) => boolean])[] = [
  ["begun", () => true],
  ["handed over", ({ hasHandedOver }) => hasHandedOver],
  ["replicas move", ({ holds, heldAtFirst }) => holds < heldAtFirst],
  ["half of them moved", ({ holds, heldAtFirst }) => holds <= heldAtFirst / 2],
  ["all moved", ({ holds }) => holds === 0],
];

/** Returns the outcome of a call; undefined while no leader answers it. */
async function ifAnswered<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    toRegistryError(error);
    return undefined;
  }
}

/** Returns the departure of a node as its runner knows it; undefined while there is no runner. */
async function departureOf(
  client: OperationCaller,
  nodeId: number,
): Promise<DepartureStatus | undefined> {
  const { departures = [] } = await ifAnswered(client.call("listDepartures", {})) ?? {};
  return departures.find((departure) => departure.nodeId === nodeId);
}

/** Returns the node that leads group 0 now. */
async function runner(client: OperationCaller): Promise<number> {
  let leader = 0;
  await until("a leader of group 0", async () => {
    const { systemLeader = 0 } = await ifAnswered(client.call("clusterStatus", {})) ?? {};
    leader = systemLeader;
    return leader !== 0;
  }, STEP_MS_MAX);
  return leader;
}

test("a drain goes on after kill -9 of its runner at each step", async () => {
  await ThreeNodes.run(async (cluster) => {
    const { nodes } = await cluster.start("--nodes", String(NODES));
    await cluster.spread(NODES);
    await withClient(nodes, async (client) => {
      const callers = await Callers.start(client);
      const first = await runner(client);
      const drained = first === NODES ? 1 : NODES;
      await client.call("depart", {
        ...{ nodeId: drained, goal: DEPARTURE_GOALS.drained, successor: 0, isFewerAllowed: false },
      });
      const killed: string[] = [];
      for (const [step, isUnderWay] of STEPS) {
        let seen: DepartureStatus | undefined;
        await until(`a drain that has ${step}`, async () => {
          seen = await departureOf(client, drained);
          return seen !== undefined && isUnderWay(seen);
        }, STEP_MS_MAX);
        const victim = await runner(client);
        await cluster.kill(victim);
        await cluster.restart(victim);
        killed.push(`${step}: node ${victim}, which held ${seen!.holds}`);
      }
      let last: DepartureStatus | undefined;
      await until("the end of the drain", async () => {
        last = await departureOf(client, drained);
        return last?.holds === 0 && !last.isVoter;
      }, STEP_MS_MAX);
      assert.is(killed.length, STEPS.length);
      assert.ok(last!.heldAtFirst > 0, "The drained node held nothing");
      await callers.endWithoutLoss();
    });
  }, PARTITIONS);
});

test.run();
