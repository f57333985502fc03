/**
 * Runs a development cluster on this machine until it is told to stop. A node that ends by itself is
 * reported and not started again, so that the loss of a node can be tried; the others go on.
 */
import { resolve } from "node:path";
import { VERSION } from "../../base/version.ts";
import { isReplicated } from "../actions/cluster_status.ts";
import { endpointText } from "../endpoint_text.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { CliFailure } from "../failure.ts";
import { invocation, shellWord, startInvocation } from "../invocation.ts";
import { processWorld } from "../../node/process_world.ts";
import { CLUSTER_FOLDER_DEFAULT } from "../local_nodes.ts";
import { withProgress } from "../progress.ts";
import { jsonDocument, type Shell } from "../shell.ts";
import { StopRequest } from "../stop_request.ts";
import { indented, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { LocalCluster, type NodeProcessState } from "./local_cluster.ts";
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
 * Implements `crs cluster start`. Returns 0 after a requested stop.
 *
 * @throws RegistryError if a node does not start, or `connection_lost` once no node is left.
 */
export async function runCluster(flags: ClusterFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const settings = clusterSettings(flags);
  const cluster = new LocalCluster(settings, terminal, {
    onLine: ({ name }, line) => terminal.err(`${name}  ${line}\n`),
    onDeath: (node, { code, signal, processId }) => {
      const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
      const again = restartCommand(node, settings, terminal);
      terminal.err(
        `${node.name} (process ${processId}) ended ${how}; the others go on. ` +
          `To start it again, in another terminal:\n  ${again}\n`,
      );
    },
  });
  const stop = new StopRequest(terminal, () => terminal.err("Stopping all nodes\n"));
  try {
    if (flags.stopWithStdin === true) terminal.onInputEnd(() => stop.request("SIGTERM"));
    const starting = withProgress(
      terminal,
      `Starting ${settings.nodes.length} nodes`,
      () => cluster.start(),
    );
    // A start that is stopped fails, because its nodes end before they serve.
    starting.catch(() => {});
    const begun = await Promise.race([starting, stop.requested]);
    if (begun === undefined) {
      await cluster.stop();
      return EXIT_CODES.success;
    }
    if (flags.json === true) terminal.out(jsonDocument(startedJson(begun, settings)));
    else {
      terminal.out(startedText(begun));
      const over = new AbortController();
      const end = Promise.race([stop.requested, cluster.allEnded]).then(() => over.abort());
      const waiting = withProgress(
        terminal,
        "Copying the partitions to all nodes",
        () => untilReplicated(settings, shell, over.signal),
      );
      await Promise.race([waiting, end]);
      if (!over.signal.aborted) terminal.out(nextText(begun, settings, terminal));
    }
    await Promise.race([stop.requested, cluster.allEnded]);
    await cluster.stop();
    if (!stop.isRequested) throw noNodeLeft(settings);
    return EXIT_CODES.success;
  } finally {
    stop.end();
  }
}

function noNodeLeft({ folder }: ClusterSettings): CliFailure {
  return new CliFailure("connection_lost", "No node of the cluster is left: all have ended", {
    advice: `Start the cluster again: its data is in ${folder}.`,
  });
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
  return `Try next, in a second terminal:

${next.map((command) => `  ${command}\n`).join("")}
Stop all nodes with ^C. Their data stays in ${settings.folder}.
`;
}

/** Returns the command that starts one node of the cluster. */
function restartCommand(node: LocalNode, settings: ClusterSettings, terminal: Terminal): string {
  const flags = nodeFlags(node, settings).map(shellWord);
  return `${startInvocation(terminal.environment)} ${flags.join(" ")}`;
}
