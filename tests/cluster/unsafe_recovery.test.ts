/**
 * Two of three real nodes are lost for good, and the third one continues alone once an operator has typed
 * what he gives up: with everything that it had, under a higher generation, without the former members.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parsePin } from "../../identity/pki/certificate.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { formatUuid } from "../../src/base/uuid.ts";
import { type Client, connect } from "../../src/client/mod.ts";
import { nodeFolderOf } from "../../src/cli/local_nodes.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { idOf } from "../support/store.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const AGENTS = 60;
const TTL_MS = 600_000;
const id = (number: number) => formatUuid(idOf(number));
const agentOf = (number: number) => ({
  ...{ id: id(number), region: "global", domain: `a${number}.example`, ttlMs: TTL_MS },
});

async function withClient<T>(
  folder: string,
  node: number,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const file = await Deno.readTextFile(`${nodeFolderOf(folder, node)}/node.json`);
  const { addresses, currentPin } = JSON.parse(file);
  const world = processWorld();
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const client = await connect({
    ...{ endpoints: addresses, dialer, world },
    trust: { kind: "pins", sha256: [parsePin(currentPin)] },
    options: { timeoutMs: 10_000 },
  });
  try {
    return await use(client);
  } finally {
    await client.close();
    await dialer.close();
  }
}

interface Shown {
  readonly epoch: { readonly generation: number };
  readonly group0: { readonly voters: readonly number[] };
  readonly nodes: readonly { readonly nodeId: number; readonly behind?: unknown }[];
}

async function shown(folder: string, node: number): Promise<Shown> {
  const data = nodeFolderOf(folder, node);
  return JSON.parse((await crsInProcess(["cluster", "status", "--data", data, "--json"])).stdout);
}

/** Tries to recover a node's folder. @returns the code of the refusal, and what was shown. */
async function refused(folder: string, node: number, ...flags: string[]) {
  const { stdout, stderr } = await crsInProcess([
    ...["start", "--data", nodeFolderOf(folder, node), "--partitions", "16", "--port", "0"],
    ...["--ops-port", "0", "--peer-port", "0", "--unsafe-recover", "--json", ...flags],
  ], { input: "" });
  return { code: JSON.parse(stdout).error.code as string, stderr };
}

test("crs start --unsafe-recover continues from one folder of three, after the sentence", async () => {
  await ThreeNodes.run(async (cluster) => {
    const { folder } = cluster;
    await cluster.start();
    await cluster.spread();
    const incarnations = await withClient(folder, 1, async (client) => {
      const answers = await Promise.all(
        Array.from({ length: AGENTS }, (_, number) => client.registerAgent(agentOf(number))),
      );
      return answers.map(({ incarnation }) => incarnation);
    });
    // A write is acknowledged by two of three: the third one must have had time to get it.
    await until("all agents at node 3", () =>
      withClient(folder, 3, async (client) => {
        for (let number = 0; number < AGENTS; number++) {
          await client.getAgent(id(number), { maxStalenessMs: 100 });
        }
        return (await client.nodeStatus()).agents === AGENTS;
      }));
    assert.is((await refused(folder, 3)).code, "locked");
    await cluster.kill(3);
    const early = await refused(folder, 3);
    assert.is(early.code, "invalid_argument");
    assert.match(early.stderr, /majority of the cluster must be lost: node 1, node 2 answer/);

    await cluster.kill(1);
    await cluster.kill(2);
    const asked = await refused(folder, 3);
    assert.is(asked.code, "invalid_argument");
    assert.match(asked.stderr, /Group 0 +1, 2, 3 +index \d+ +index \d+/);
    assert.match(asked.stderr, /Partition 15 +[123, ]+ +index \d+ +index \d+/);
    const [, sentence = ""] = /To go on, type:\n\n {2}(.+)\n/.exec(asked.stderr) ?? [];
    assert.match(
      sentence,
      /^I give up nodes 1, 2 for good: node 3 continues cluster \S+ alone, as generation 2$/,
    );
    const wrong = await refused(folder, 3, "--confirm", sentence.replace("1, 2", "1"));
    assert.is(wrong.code, "invalid_argument");

    const recovered = await cluster.restart(3, ["--unsafe-recover", "--confirm", sentence]);
    assert.equal([recovered.error, recovered.nodeId, recovered.created], [undefined, 3, false]);
    await withClient(folder, 3, async (client) => {
      for (let number = 0; number < AGENTS; number++) {
        const { agent } = await client.resolveAgent(`a${number}.example`);
        assert.equal([agent.id, agent.incarnation], [id(number), incarnations[number]]);
      }
      const { incarnation } = await client.registerAgent(agentOf(AGENTS));
      assert.is(incarnation.generation, 2);
    });
    const alone = await shown(folder, 3);
    assert.equal([alone.epoch.generation, alone.group0.voters], [2, [3]]);
    assert.equal(alone.nodes.map(({ nodeId }) => nodeId), [3]);

    // A member of before is not let in, and serves nothing.
    await cluster.restart(2);
    await until(
      "node 2 has no quorum",
      async () => (await cluster.readiness(2)).includes("no_quorum"),
    );
    assert.equal((await shown(folder, 3)).nodes.map(({ nodeId }) => nodeId), [3]);
    // A second recovery has nothing to recover.
    await cluster.kill(3);
    assert.is((await refused(folder, 3)).code, "invalid_configuration");
    await cluster.restart(3);
    await withClient(folder, 3, async (client) => {
      assert.is((await client.nodeStatus()).agents, AGENTS + 1);
    });
  });
});

test.run();
