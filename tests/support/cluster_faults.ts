/**
 * Faults of a cluster of three real nodes under a recorded load. Each function makes one fault, ends
 * it, and returns the longest gaps of reads and writes once the cluster is whole again.
 */
import * as assert from "uvu/assert";
import { nodeFolderOf } from "../../src/cli/local_nodes.ts";
import type { ClusterLoad, Gaps } from "./cluster_load.ts";
import type { ThreeNodes } from "./three_nodes.ts";

/** Longer than the time after which a silent session is given up, and than a leader's lease. */
const FAULT_MS = 5_000;
const NUMBERS = [1, 2, 3];
/** The nodes that others dial, which are those with lower numbers. */
const RELAYED = [2, 3] as const;

/**
 * Kills a node by SIGKILL and starts it again.
 *
 * @param meanwhile called while the node is dead, and awaited before it is started.
 */
export async function killed(
  cluster: ThreeNodes,
  load: ClusterLoad,
  number: number,
  meanwhile: () => Promise<void> = async () => {},
): Promise<Gaps> {
  await cluster.spread();
  await load.allSucceed("before the kill");
  load.newPhase();
  await cluster.kill(number);
  await load.allSucceed(`after the kill of node ${number}`);
  await meanwhile();
  const gaps = load.gaps;
  await cluster.restart(number);
  await cluster.whole();
  await load.allSucceed(`after the return of node ${number}`);
  return gaps;
}

/**
 * Kills all nodes at once and starts them again, the second and the third each behind a relay from
 * then on. Calls may fail meanwhile, because no node can answer.
 */
export async function allKilled(cluster: ThreeNodes, load: ClusterLoad): Promise<Gaps> {
  load.newPhase();
  const failed = load.failures.length;
  await Promise.all(NUMBERS.map((number) => cluster.kill(number)));
  for (const number of RELAYED) cluster.relayTo(number);
  await Promise.all(NUMBERS.map((number) => cluster.restart(number)));
  await cluster.whole();
  await load.allSucceed("after the restart of all nodes", 30_000);
  load.failures.splice(failed);
  return load.gaps;
}

/**
 * Cuts the links from lower nodes to a node that is behind a relay: the one between the first node and
 * the second, or both of the third, which is then cut off from the others and still serves clients.
 *
 * @param lost the datagrams to that node, from it, or both.
 */
export async function cut(
  cluster: ThreeNodes,
  load: ClusterLoad,
  number: (typeof RELAYED)[number],
  lost: "to" | "from" | "both",
): Promise<Gaps> {
  const relay = cluster.relayTo(number);
  if (relay.fromClientCount === 0) throw new Error(`Nothing reaches node ${number} by its relay`);
  await cluster.spread();
  await load.allSucceed("before the cut");
  load.newPhase();
  relay.dropToServer = lost !== "from";
  relay.dropToClient = lost !== "to";
  await pause();
  await load.allSucceed("while the links are cut");
  relay.heal();
  await cluster.whole();
  await load.allSucceed("after the cut");
  return load.gaps;
}

/** Stops a node by SIGSTOP for longer than its leases last, and lets it go on. */
export async function stopped(
  cluster: ThreeNodes,
  load: ClusterLoad,
  number: number,
): Promise<Gaps> {
  await cluster.spread();
  await load.allSucceed("before the stop");
  load.newPhase();
  cluster.signal(number, "SIGSTOP");
  try {
    await pause();
  } finally {
    cluster.signal(number, "SIGCONT");
  }
  await load.allSucceed(`after the stop of node ${number}`);
  await cluster.whole();
  return load.gaps;
}

/**
 * Kills a node and removes its data. It cannot come back as what it was, and joins under another number:
 * the cluster is not whole afterwards.
 */
export async function emptied(
  cluster: ThreeNodes,
  load: ClusterLoad,
  number: number,
): Promise<Gaps> {
  await load.allSucceed("before a folder is emptied");
  load.newPhase();
  await cluster.kill(number);
  const folder = nodeFolderOf(cluster.folder, number);
  for await (const { name } of Deno.readDir(folder)) {
    await Deno.remove(`${folder}/${name}`, { recursive: true });
  }
  await load.allSucceed("without the node");
  const join = cluster.joinFlags();
  const former = await cluster.restart(number, [...join, "--node-id", String(number)]);
  assert.is(former.error?.code, "locked", JSON.stringify(former));
  assert.is((await cluster.restart(number, join)).nodeId, NUMBERS.length + 1);
  await load.allSucceed("with a new node");
  return load.gaps;
}

/** Resolves when the fault has lasted for its whole time, which is its purpose. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, FAULT_MS));
}
