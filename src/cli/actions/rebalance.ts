/** Implements `crs cluster rebalance` and `crs partition transfer`: who leads what, and which replicas move. */
import {
  type ClusterStatusReply,
  DEPARTURE_GOAL_NAMES,
  type PartitionStatusReply,
  type RebalanceReply,
} from "../../../schemas/gen/wire.ts";
import { RegistryError } from "../../base/errors.ts";
import type { World } from "../../base/world.ts";
import { processWorld } from "../../node/process_world.ts";
import { askNodes } from "../cluster/ask_nodes.ts";
import { formatBytes } from "../byte_size.ts";
import { usageFailure } from "../failure.ts";
import { nodeNumber } from "../node_name.ts";
import { withProgress } from "../progress.ts";
import { type Connected, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { indented, table } from "../table.ts";

/** The time within which what was asked for must have happened, ms. */
const DONE_MS_MAX = 60_000;
const LOOK_MS = 300;

/** Flags of `rebalance`, as typed. */
export interface RebalanceFlags extends ServerOptions {
  readonly dryRun?: boolean;
  readonly pause?: boolean;
  readonly resume?: boolean;
}

type Clock = Pick<World, "monotonic" | "scheduler">;

/** Shows what would move, or lets it move or stay and waits until it does. */
export async function rebalance(
  flags: RebalanceFlags,
  shell: Shell,
  clock: Clock = processWorld(),
): Promise<number> {
  const given = [flags.dryRun, flags.pause, flags.resume].filter((flag) => flag === true);
  if (given.length > 1) {
    throw usageFailure(
      "Only one of --dry-run, --pause and --resume may be given",
      "--dry-run alone shows what would move, also while moves are paused.",
      "pause",
    );
  }
  const isDryRun = flags.dryRun === true;
  const isPause = flags.pause === true || flags.resume === true;
  return await withClient(shell, flags, async ({ client }) => {
    const status = await client.call("clusterStatus", {});
    const plan = isPause
      ? await client.call("pauseMoves", { arePaused: flags.pause === true })
      : await client.call("rebalance", { isDryRun });
    const leaders = isPause ? "" : leadersText(plan, isDryRun);
    const reply = {
      json: planJson(plan, isDryRun),
      text: () => leaders + planText(plan, status, isDryRun),
    };
    const code = await showReply(reply, flags, shell.terminal);
    if (isDryRun || plan.moves.length === 0) return code;
    await withProgress(shell.terminal, "Moving replicas", () => untilMoved(client, clock));
    return code;
  });
}

async function untilMoved(client: Connected["client"], clock: Clock): Promise<void> {
  // The cluster goes on by itself, so a partition that takes longer is waited for as long as it moves.
  for (;;) {
    const { moves } = await client.call("rebalance", { isDryRun: true });
    if (moves.length === 0) return;
    await passed(clock);
  }
}

function planJson(
  { chosenLeaders, moves, arePaused }: RebalanceReply,
  isDryRun: boolean,
): unknown {
  return {
    isDryRun,
    arePaused,
    chosenLeaders,
    bytes: moves.reduce((sum, { bytes, joining }) => sum + bytes * joining.length, 0),
    moves,
  };
}

function leadersText({ chosenLeaders }: RebalanceReply, isDryRun: boolean): string {
  if (chosenLeaders === 0) return "No leader was chosen by hand: leaderships are spread evenly.\n";
  return `${
    chosenLeaders === 1 ? "1 leader was" : `${chosenLeaders} leaders were`
  } chosen by hand: ` +
    (isDryRun
      ? "that would end, and leaderships be spread evenly.\n"
      : "that has ended, and leaderships are spread evenly again.\n");
}

/** Said while moves are paused. */
const PAUSED =
  "Moves are paused: only replicas move that are missing, or whose node departs. To let them " +
  "go on: crs cluster rebalance --resume\n";

function planText(
  { moves, arePaused }: RebalanceReply,
  { members }: ClusterStatusReply,
  isDryRun: boolean,
): string {
  const paused = arePaused ? PAUSED : "";
  if (moves.length === 0) {
    return paused +
      (arePaused ? "No replica moves.\n" : "No replica moves: each is where it is wished.\n");
  }
  const departing = new Set(
    members.filter(({ departure }) => DEPARTURE_GOAL_NAMES[departure] !== undefined)
      .map(({ nodeId }) => nodeId),
  );
  const sums = new Map<string, { partitions: number; bytes: number }>();
  for (const { joining, leaving, bytes } of moves) {
    const key = [listOf(joining), listOf(leaving), reasonOf(joining, leaving, departing)].join("|");
    const sum = sums.get(key) ?? { partitions: 0, bytes: 0 };
    sum.partitions++;
    sum.bytes += bytes * joining.length;
    sums.set(key, sum);
  }
  const rows = [...sums].map(([key, { partitions, bytes }]) => {
    const [to, from, reason] = key.split("|");
    return [partitions, from!, to!, `about ${formatBytes(bytes)}`, reason!];
  });
  const list = table(["partitions", "from node", "to node", "to copy", "because"], rows);
  const said = isDryRun ? "These replicas move by themselves" : "These replicas move";
  return `${paused}${said}:\n\n${indented(list)}\n`;
}

function listOf(nodes: readonly number[]): string {
  return nodes.length === 0 ? "-" : [...nodes].sort((a, b) => a - b).join(", ");
}

function reasonOf(
  joining: readonly number[],
  leaving: readonly number[],
  departing: ReadonlySet<number>,
): string {
  const gone = leaving.filter((node) => departing.has(node));
  if (gone.length > 0) return `node ${listOf(gone)} departs`;
  if (joining.length + leaving.length === 0) return "a move is taken back";
  if (joining.length === 0) return "there is one replica too many";
  return leaving.length === 0
    ? "there is a replica too few"
    : `node ${listOf(joining)} takes its share`;
}

/** Makes a node the leader of a partition, and waits until it is. */
export async function transferPartition(
  partitionText: string,
  nodeText: string,
  flags: ServerOptions,
  shell: Shell,
  clock: Clock = processWorld(),
): Promise<number> {
  if (!/^\d{1,5}$/.test(partitionText)) {
    throw usageFailure(
      `<partition> must be a number: found ${partitionText}`,
      "crs partition show tells the partition of a domain or id.",
      "partition",
    );
  }
  const partition = Number(partitionText);
  const nodeId = nodeNumber(nodeText, "<node>");
  await withClient(
    shell,
    flags,
    ({ client }) => client.call("transferLeader", { partition, nodeId }),
  );
  const { terminal } = shell;
  await withProgress(
    terminal,
    `Node ${nodeId} becomes the leader of partition ${partition}`,
    () => untilLed({ partition, nodeId }, flags, shell, clock),
  );
  const text =
    `Node ${nodeId} leads partition ${partition}, as long as it can. To let leaderships be spread ` +
    "evenly again: crs cluster rebalance\n";
  const reply = { json: { partition, leader: nodeId }, text: () => text };
  return await showReply(reply, flags, terminal);
}

/** @throws RegistryError `deadline_exceeded` if the node does not lead the partition in time. */
async function untilLed(
  { partition, nodeId }: { readonly partition: number; readonly nodeId: number },
  flags: ServerOptions,
  shell: Shell,
  clock: Clock,
): Promise<void> {
  const untilMs = clock.monotonic.nowMs() + DONE_MS_MAX;
  while (clock.monotonic.nowMs() < untilMs) {
    const { nodes } = await askNodes<PartitionStatusReply>(
      flags,
      shell,
      (client) => client.call("partitionStatus", { partition }),
    );
    if (nodes.some(({ member, answer }) => member.nodeId === nodeId && answer?.role === "leader")) {
      return;
    }
    await passed(clock);
  }
  throw new RegistryError(
    "deadline_exceeded",
    `Node ${nodeId} does not lead partition ${partition} yet: it may lack part of the log, or be out of ` +
      "reach. It will lead it once it can; crs partition show tells how far it is",
  );
}

function passed({ scheduler }: Clock): Promise<void> {
  return new Promise((resolve) => void scheduler.after(LOOK_MS, resolve));
}
