/**
 * A cluster of the last release becomes one of this program, node by node, on real processes, while a client
 * with a deadline of three seconds calls without pause: no call fails, a node may go back until the new
 * features are switched on, and not afterwards.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../../src/base/version.ts";
import { APPLY_VERSION_MAX } from "../../src/system/versions/features.ts";
import { Callers, withClient } from "../support/callers.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { RELEASE, Release } from "../support/release.ts";
import { testWith } from "../support/requirement.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const PARTITIONS = 16;

interface Shown {
  readonly applyVersion: number | null;
  readonly waiting: readonly {
    readonly applyVersion: number;
    readonly name: string;
    readonly waitsFor: readonly number[];
  }[];
  readonly nodes: readonly {
    readonly nodeId: number;
    readonly program: string | null;
    readonly applyVersionMax: number | null;
  }[];
}

async function shown({ folder }: ThreeNodes): Promise<Shown> {
  const command = ["cluster", "upgrade", "status", "--data", folder, "--json"];
  const { code, stdout, stderr } = await crsInProcess(command);
  assert.is(code, 0, stderr + stdout);
  return JSON.parse(stdout) as Shown;
}

/**
 * The deadline of a call, ms. Nodes of the last release hand nothing over when they stop, so that each of their
 * stops costs an election, of 2.4 s on a machine that has nothing else to do.
 */
const ELECTION_CALL_MS = 5_000;

/** Restarts a node with the program of `source`, and waits until the cluster is whole again. */
async function restart(cluster: ThreeNodes, node: number, source: string | undefined) {
  await cluster.stop(node);
  cluster.source = source;
  await cluster.restart(node);
  await cluster.whole();
}

/**
 * Starts a node with the older program, and checks that it does not come back: it refuses to start if its log
 * proves that the raise was committed, and otherwise the others refuse its sessions.
 */
async function refusedBack(cluster: ThreeNodes, node: number): Promise<void> {
  const { error } = await cluster.restart(node);
  if (error !== undefined) {
    assert.is(error.code, "unsupported_version");
    assert.match(error.message, new RegExp(`apply version ${APPLY_VERSION_MAX}`));
    return;
  }
  const isRefusal = (sample: string) =>
    sample.startsWith("crs_peer_rejected_total{") && sample.includes(`peer="${node}"`) &&
    sample.includes(`reason="unsupported_version"`);
  await until("its sessions are refused", async () => {
    return (await cluster.metrics(1)).split("\n").some(isRefusal);
  });
  await cluster.stop(node);
}

/** Waits until the cluster uses all that this program knows. */
async function switchedOn(cluster: ThreeNodes): Promise<Shown> {
  let last: Shown | undefined;
  await until("what the new program knows is switched on", async () => {
    last = await shown(cluster);
    return last.applyVersion === APPLY_VERSION_MAX;
  }, 15_000);
  return last!;
}

const releaseTest = testWith(RELEASE);

releaseTest(
  "a cluster of the last release is upgraded while a client sees no failed call",
  async (commit) => {
    const release = await Release.open(commit);
    try {
      await ThreeNodes.run(async (cluster) => {
        cluster.source = release.folder;
        const { nodes } = await cluster.start();
        await cluster.spread();
        await withClient(nodes, async (client) => {
          const callers = await Callers.start(client);
          await restart(cluster, 3, undefined);
          const mixed = await shown(cluster);
          assert.is(mixed.nodes[2]!.program, VERSION);
          assert.ok(mixed.nodes[0]!.program !== VERSION);
          assert.ok(mixed.applyVersion! < APPLY_VERSION_MAX);
          assert.equal(mixed.waiting.at(-1)!.applyVersion, APPLY_VERSION_MAX);
          assert.equal(mixed.waiting.at(-1)!.waitsFor, [1, 2]);

          // Nothing is switched on yet, so the node may go back, and come again.
          await restart(cluster, 3, release.folder);
          await restart(cluster, 3, undefined);
          await restart(cluster, 1, undefined);
          assert.equal((await shown(cluster)).waiting.at(-1)!.waitsFor, [2]);

          await restart(cluster, 2, undefined);
          const { nodes: programs, waiting } = await switchedOn(cluster);
          assert.equal(waiting, []);
          assert.equal(programs.map(({ program }) => program), [VERSION, VERSION, VERSION]);
          await callers.endWithoutFailure();
        }, ELECTION_CALL_MS);

        await cluster.stop(3);
        cluster.source = release.folder;
        await refusedBack(cluster, 3);
        cluster.source = undefined;
        await cluster.restart(3);
        await cluster.whole();
      }, PARTITIONS);
    } finally {
      await release.remove();
    }
  },
);

releaseTest(
  "a node of this program joins a cluster of the last release, and serves with it",
  async (commit) => {
    const release = await Release.open(commit);
    try {
      await ThreeNodes.run(async (cluster) => {
        cluster.source = release.folder;
        const { nodes } = await cluster.start();
        await cluster.whole();
        await withClient(nodes, async (client) => {
          const callers = await Callers.start(client);
          cluster.source = undefined;
          const { nodeId } = await cluster.join("zone-4");
          assert.is(nodeId, 4);
          await until("its replicas and leaderships", async () => {
            const command = ["cluster", "status", "--data", cluster.folder, "--json"];
            const { nodes } = JSON.parse((await crsInProcess(command)).stdout) as {
              nodes: { replicas: number; leading: number }[];
            };
            return (nodes[3]?.replicas ?? 0) > 0 && nodes[3]!.leading > 0;
          }, 30_000);
          const { waiting } = await shown(cluster);
          assert.equal(waiting.at(-1)?.waitsFor, [1, 2, 3]);
          await callers.endWithoutFailure();
        });
      }, PARTITIONS);
    } finally {
      await release.remove();
    }
  },
);

test.run();
