/** Runs a development cluster on this machine until it is told to stop. */
import { resolve } from "node:path";
import { VERSION } from "../../base/version.ts";
import { isReplicated } from "../actions/cluster_status.ts";
import { endpointText } from "../endpoint_text.ts";
import { invocation, shellWord } from "../invocation.ts";
import { processWorld } from "../../node/process_world.ts";
import { CLUSTER_FOLDER_DEFAULT } from "../local_nodes.ts";
import { type LocalRun, reportsTo, runLocally, tryNextText } from "../local_run.ts";
import { withProgress } from "../progress.ts";
import type { Shell } from "../shell.ts";
import { indented, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { LocalCluster, type NodeProcessState, wasRemoved } from "./local_cluster.ts";
import {
  type ClusterFlags,
  type ClusterSettings,
  clusterSettings,
  type LocalNode,
  nodeFlags,
} from "./settings.ts";

/** The time limit for all partitions to be on all nodes after a start, ms. */
const REPLICATED_MS_MAX = 120_000;
/** The interval between two looks at the cluster's state, ms. */
const REPLICATED_LOOK_MS = 500;

/**
 * Implements `crs cluster start`.
 *
 * @throws RegistryError as {@link runLocally}.
 */
export async function runCluster(flags: ClusterFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const settings = clusterSettings(flags);
  const reports = reportsTo(
    terminal,
    (node: LocalNode) => isRemoved(node) ? undefined : nodeFlags(node, settings),
  );
  const cluster = new LocalCluster(settings, terminal, reports);
  const run: LocalRun<readonly NodeProcessState[]> = {
    starting: `Starting ${settings.nodes.length} nodes`,
    folder: settings.folder,
    start: () => cluster.start(),
    stop: () => cluster.stop(),
    allEnded: cluster.allEnded,
    json: (begun) => startedJson(begun, settings),
    tell: async (begun, over) => {
      terminal.out(startedText(begun));
      await withProgress(
        terminal,
        "Copying the partitions to all nodes",
        () => untilReplicated(settings, shell, over),
      );
      if (!over.aborted) terminal.out(nextText(begun, settings, terminal));
    },
  };
  return await runLocally(run, flags, terminal);
}

/** Reports whether a node was removed from the cluster, as far as its folder can be read. */
function isRemoved(node: LocalNode): boolean {
  try {
    return wasRemoved(node);
  } catch {
    // Its next start says what is wrong with the folder.
    return false;
  }
}

function startedJson(running: readonly NodeProcessState[], settings: ClusterSettings): unknown {
  return {
    version: VERSION,
    clusterId: running[0]?.started.clusterId,
    dataFolder: resolve(settings.folder),
    nodes: running.map(({ node, processId, started, pin }) => ({
      name: node.name,
      nodeId: started.nodeId,
      processId,
      zone: node.zone,
      addresses: started.addresses,
      peerPort: node.peerPort,
      ops: started.ops,
      pin,
      dataFolder: resolve(node.folder),
    })),
  };
}

/**
 * Waits until every partition is on all nodes, for a limited time: before that the first node alone
 * holds some, and cannot be missed. Never rejects.
 */
async function untilReplicated(
  { folder }: ClusterSettings,
  shell: Shell,
  signal: AbortSignal,
): Promise<void> {
  const { monotonic, scheduler } = processWorld();
  const untilMs = monotonic.nowMs() + REPLICATED_MS_MAX;
  while (!signal.aborted && monotonic.nowMs() < untilMs) {
    // A node that does not answer now is asked again.
    if (await isReplicated({ data: folder }, shell).catch(() => false)) return;
    await new Promise<void>((resolve) => void scheduler.after(REPLICATED_LOOK_MS, resolve));
  }
}

/** Returns the text shown once the nodes serve. */
function startedText(running: readonly NodeProcessState[]): string {
  const rows = running.map(({ node, processId, started: { nodeId, addresses, ops } }) => [
    node.name,
    nodeId,
    processId,
    addresses.map(endpointText).join(", "),
    `http://${endpointText(ops)}`,
    node.folder,
  ]);
  const list = table(["node", "id", "process", "clients", "operators", "data"], rows);
  return `Central registry ${VERSION}: ${running.length} nodes, one cluster

${indented(list)}
`;
}

/** Returns the text shown once all is replicated: commands to try. */
function nextText(
  running: readonly NodeProcessState[],
  settings: ClusterSettings,
  terminal: Terminal,
): string {
  const crs = invocation(terminal.environment);
  const victim = running.at(-1)!;
  const where = settings.folder === CLUSTER_FOLDER_DEFAULT
    ? ""
    : ` --data ${shellWord(settings.folder)}`;
  const next = [
    `${crs} cluster status${where}`,
    `${crs} gateway register --file examples/gateway.json${where}`,
    `${crs} agent register --domain a1.example --gateway <id> --ttl 600${where}`,
    `${crs} partition show a1.example${where}`,
    `kill -9 ${victim.processId}    # ${victim.node.name}, reads and writes go on`,
    `${crs} agent resolve a1.example${where}`,
  ];
  return tryNextText(next, settings.folder);
}
