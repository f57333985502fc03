/** The command group `crs cluster …`: runs several nodes on this machine, shows and changes a cluster. */
import type { Command } from "commander";
import { CLUSTER_BOUNDS, type ClusterFlags } from "../cluster/settings.ts";
import { CLUSTER_FOLDER_DEFAULT } from "../local_nodes.ts";
import type { DepartureFlags } from "../actions/departure.ts";
import type { RebalanceFlags } from "../actions/rebalance.ts";
import type { RunAction, ServerOptions, Shell } from "../shell.ts";
import { newGroup, newLocalRun, newServerCommand } from "./options.ts";

/** Creates `crs cluster`. */
export function clusterCommand(shell: Shell, run: RunAction): Command {
  return newGroup(
    "cluster",
    "Runs nodes of one cluster on this machine, shows or changes a cluster.",
    [
      startCommand(shell, run),
      statusCommand(shell, run),
      drainCommand(shell, run),
      removeCommand(shell, run),
      replaceCommand(shell, run),
      rebalanceCommand(shell, run),
      newGroup("upgrade", "Shows the versions of a cluster.", [upgradeStatusCommand(shell, run)]),
    ],
  );
}

function startCommand(shell: Shell, run: RunAction): Command {
  const { nodes, port, partitions } = CLUSTER_BOUNDS;
  return newLocalRun(
    "start",
    "Runs nodes of one cluster on this machine until it is told to stop, with a development " +
      "identity. Each is a process with a folder of its own; at the next start they return as " +
      "they were. A node that ends is reported, and not started again.",
    ["cluster start", "cluster start --data /tmp/cluster --partitions 64"],
  )
    .option("--data <folder>", `folder of the nodes' data (default: ${CLUSTER_FOLDER_DEFAULT})`)
    .option("--nodes <count>", `number of nodes, up to ${nodes.max} (default: ${nodes.default})`)
    .option(
      "--partitions <count>",
      `number of partitions of a new cluster (default: ${partitions.default})`,
    )
    .option(
      "--port <number>",
      `UDP port of the first node; those of the other nodes follow it, then ports between nodes ` +
        `and for operators (default: ${port.default})`,
    )
    .action(async (flags: ClusterFlags) => {
      await run(async () => {
        const { runCluster } = await import("../cluster/run_cluster.ts");
        return await runCluster(flags, shell);
      });
    });
}

function statusCommand(shell: Shell, run: RunAction): Command {
  return newServerCommand(
    "status",
    "Shows all nodes of a cluster, as each of them reports. The exit code is 4 if a partition has " +
      "no leader.",
    ["cluster status", "cluster status --server 127.0.0.1:4452 --pin sha256:…"],
  ).action(async (flags: ServerOptions) => {
    await run(async () => {
      const { clusterStatus } = await import("../actions/cluster_status.ts");
      return await clusterStatus(flags, shell);
    });
  });
}

function upgradeStatusCommand(shell: Shell, run: RunAction): Command {
  return newServerCommand(
    "status",
    "Shows which program each node runs, its versions of protocols and files, and what the cluster has not " +
      "switched on yet because a node's program does not know it. Whatever all nodes know is switched on " +
      "by itself, and stays on: from then on no node can go back to a program without it.",
    ["cluster upgrade status"],
  ).action(async (flags: ServerOptions) => {
    await run(async () => {
      const { upgradeStatus } = await import("../actions/upgrade_status.ts");
      return await upgradeStatus(flags, shell);
    });
  });
}

function drainCommand(shell: Shell, run: RunAction): Command {
  return departureCommand(
    "drain",
    "Moves everything away from a node: first what it leads, then its replicas. The cluster does it by " +
      "itself, so the command may be interrupted, and run again to watch it. The node stays a member.",
    ["cluster drain node-2", "cluster drain node-2 --undo"],
    shell,
    run,
  );
}

function removeCommand(shell: Shell, run: RunAction): Command {
  return departureCommand(
    "remove",
    "Takes a node out of the cluster for good, after it was drained. Its process then stops, and its data " +
      "folder takes part no more. A node that has died is removed in the same way.",
    ["cluster remove node-2", "cluster remove node-2 --undo"],
    shell,
    run,
  );
}

function replaceCommand(shell: Shell, run: RunAction): Command {
  return departureCommand(
    "replace",
    "Takes a node out of the cluster as remove does, once the member that comes in its place is there. A " +
      "member that holds nothing (crs start --standby, or drained) gets all of its replicas, and no others " +
      "move; otherwise they go to that member and to others, as the placement has it.",
    ["cluster replace node-2 --by node-4", "cluster replace node-2 --undo"],
    shell,
    run,
  ).option("--by <node>", "the member that comes in its place");
}

function rebalanceCommand(shell: Shell, run: RunAction): Command {
  return newServerCommand(
    "rebalance",
    "Spreads leaderships evenly again where they were moved by hand, and shows which replicas move, why, " +
      "and how much they copy, until they have. Replicas move by themselves when nodes come or depart.",
    ["cluster rebalance --dry-run", "cluster rebalance", "cluster rebalance --pause"],
  )
    .option("--dry-run", "changes nothing, and shows what would move")
    .option(
      "--pause",
      "lets replicas stay where they are, until --resume: what is being copied ends, and then only replicas " +
        "move that are missing, or whose node departs",
    )
    .option("--resume", "ends a pause, and goes on until the replicas have moved")
    .action(async (flags: RebalanceFlags) => {
      await run(async () => {
        const { rebalance } = await import("../actions/rebalance.ts");
        return await rebalance(flags, shell);
      });
    });
}

function departureCommand(
  name: "drain" | "remove" | "replace",
  description: string,
  examples: readonly string[],
  shell: Shell,
  run: RunAction,
): Command {
  return newServerCommand(name, description, examples)
    .argument("<node>", "number of the node, or its name, such as node-2")
    .option(
      "--allow-fewer-replicas",
      "goes on although fewer than three nodes stay, so that partitions have fewer replicas",
    )
    .option(
      "--undo",
      "ends the departure while it is under way, and lets the node stay: it gets its share of the partitions " +
        "again",
    )
    .action(async (node: string, flags: DepartureFlags) => {
      await run(async () => {
        const { depart } = await import("../actions/departure.ts");
        return await depart(name, node, flags, shell);
      });
    });
}
