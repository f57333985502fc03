/** Shows a cluster, as all of its nodes report it. */
import { type ClusterStatusReply, DEPARTURE_GOAL_NAMES } from "../../../schemas/gen/wire.ts";
import { formatUuid } from "../../base/uuid.ts";
import type { World } from "../../base/world.ts";
import { processWorld } from "../../node/process_world.ts";
import {
  addressOf,
  askNodes,
  errorJson,
  noAnswerText,
  type NodeAnswer,
  type NodeAnswers,
} from "../cluster/ask_nodes.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { type Reply, type ServerOptions, type Shell, showReply } from "../shell.ts";
import { type Cell, facts, fitted } from "../table.ts";

type StatusAnswer = NodeAnswer<ClusterStatusReply>;

/** Time for which a leadership that moves may be counted by no node, ms. */
const UNLED_MS_MAX = 1_500;
/** The pause before nodes are asked again, ms. */
const UNLED_PAUSE_MS = 300;

/**
 * Asks every node and prints the state of the cluster. A leadership that moves while the nodes are
 * asked may be counted by none of them, so they are asked again for a while before a partition is
 * reported to have no leader.
 */
export async function clusterStatus(
  flags: ServerOptions,
  shell: Shell,
  { monotonic, scheduler }: Pick<World, "monotonic" | "scheduler"> = processWorld(),
): Promise<number> {
  const untilMs = monotonic.nowMs() + UNLED_MS_MAX;
  let { seen, nodes } = await askStatus(flags, shell);
  while (clusterFacts(seen, nodes).unled > 0 && monotonic.nowMs() < untilMs) {
    await new Promise<void>((resolve) => void scheduler.after(UNLED_PAUSE_MS, resolve));
    ({ seen, nodes } = await askStatus(flags, shell));
  }
  return await showReply(statusReply(seen, nodes), flags, shell.terminal);
}

/** Reports whether every partition is led and has all its replicas, and none is moving. */
export async function isReplicated(flags: ServerOptions, shell: Shell): Promise<boolean> {
  const { seen, nodes } = await askStatus(flags, shell);
  const { newest, unled, underReplicated } = clusterFacts(seen, nodes);
  return unled === 0 && underReplicated === 0 && newest.moving === 0 &&
    nodes.every(({ answer }) => answer !== undefined);
}

/** Asks every node; the first one again, so that all answers are from the same time. */
function askStatus(flags: ServerOptions, shell: Shell): Promise<NodeAnswers<ClusterStatusReply>> {
  return askNodes(flags, shell, (client) => client.call("clusterStatus", {}));
}

/** The state of a cluster, made of its nodes' answers. */
interface ClusterFacts {
  readonly answers: readonly ClusterStatusReply[];
  /** The answer that knows most of group 0. */
  readonly newest: ClusterStatusReply;
  /** Partitions that no answering node leads. */
  readonly unled: number;
  readonly leaderless: readonly number[];
  readonly underReplicated: number;
  readonly underReplicatedNamed: readonly number[];
}

function clusterFacts(seen: ClusterStatusReply, nodes: readonly StatusAnswer[]): ClusterFacts {
  const answers = nodes.flatMap(({ answer }) => answer === undefined ? [] : [answer]);
  const newest = [...answers, seen].reduce((best, answer) => isNewer(answer, best) ? answer : best);
  const leading = answers.reduce((sum, answer) => sum + answer.leading, 0);
  return {
    answers,
    newest,
    unled: Math.max(0, seen.partitionCount - leading),
    leaderless: namedBy(answers, ({ leaderless }) => leaderless),
    underReplicated: answers.reduce((sum, answer) => sum + answer.underReplicatedCount, 0),
    underReplicatedNamed: namedBy(answers, ({ underReplicated }) => underReplicated),
  };
}

function isNewer(one: ClusterStatusReply, other: ClusterStatusReply): boolean {
  if (one.systemTerm !== other.systemTerm) return one.systemTerm > other.systemTerm;
  if ((one.systemLeader === 0) !== (other.systemLeader === 0)) return one.systemLeader !== 0;
  return one.systemApplied > other.systemApplied;
}

function namedBy(
  answers: readonly ClusterStatusReply[],
  named: (answer: ClusterStatusReply) => readonly number[],
): number[] {
  return [...new Set(answers.flatMap(named))].sort((left, right) => left - right);
}

function statusReply(seen: ClusterStatusReply, nodes: readonly StatusAnswer[]): Reply {
  const found = clusterFacts(seen, nodes);
  return {
    json: statusJson(seen, nodes, found),
    exitCode: found.unled > 0 ? EXIT_CODES.unavailable : EXIT_CODES.success,
    text: (columns) => statusText(seen, nodes, found, columns),
  };
}

function statusJson(
  seen: ClusterStatusReply,
  nodes: readonly StatusAnswer[],
  { newest, unled, leaderless, underReplicated, underReplicatedNamed }: ClusterFacts,
): unknown {
  return {
    clusterId: formatUuid(seen.clusterId),
    region: seen.region,
    partitionCount: seen.partitionCount,
    epoch: { generation: newest.generation, ring: newest.ring },
    partitions: {
      withoutLeader: unled,
      leaderless,
      underReplicated,
      underReplicatedNamed,
      moving: newest.moving,
      areMovesPaused: newest.areMovesPaused,
    },
    group0: {
      leader: newest.systemLeader,
      term: newest.systemTerm,
      voters: newest.systemVoters,
      learners: newest.systemLearners,
    },
    nodes: nodes.map((node) => {
      const { member: { nodeId, zone, host, addresses, departure }, answer } = node;
      return {
        nodeId,
        zone,
        host,
        addresses,
        departure: DEPARTURE_GOAL_NAMES[departure] ?? null,
        answered: answer !== undefined,
        error: errorJson(node),
        version: answer?.version ?? null,
        leading: answer?.leading ?? null,
        replicas: answer?.replicas ?? null,
        group0Applied: answer?.systemApplied ?? null,
        ring: answer?.ring ?? null,
        lag: lagOf(node, nodes),
        links: (answer?.members ?? []).filter((other) => other.nodeId !== nodeId)
          .map((other) => ({
            nodeId: other.nodeId,
            isConnected: other.isConnected,
            roundTripUs: other.roundTripUs === 0 ? null : other.roundTripUs,
          })),
      };
    }),
  };
}

/** Returns what a node's replicas lack, as the leaders of the partitions know it. */
function lagOf(
  { member: { nodeId } }: StatusAnswer,
  nodes: readonly StatusAnswer[],
): { readonly partitions: number; readonly entriesMax: number } {
  let partitions = 0;
  let entriesMax = 0;
  for (const { answer } of nodes) {
    const view = answer?.members.find((member) => member.nodeId === nodeId);
    partitions += view?.laggingCount ?? 0;
    entriesMax = Math.max(entriesMax, view?.lagEntriesMax ?? 0);
  }
  return { partitions, entriesMax };
}

function statusText(
  seen: ClusterStatusReply,
  nodes: readonly StatusAnswer[],
  found: ClusterFacts,
  columns: number,
): string {
  const { newest } = found;
  const { systemLeader, systemVoters, systemLearners, systemTerm } = newest;
  const by = nodes.find(({ member }) => member.nodeId === seen.nodeId);
  const at = by === undefined ? undefined : addressOf(by.member);
  const rows = nodes.map((node): Cell[] => {
    const { member, answer } = node;
    const { partitions, entriesMax } = lagOf(node, nodes);
    return [
      member.nodeId,
      member.zone === "" ? "-" : member.zone,
      addressOf(member) ?? "-",
      stateText(node),
      answer === undefined ? "-" : String(answer.leading),
      answer === undefined ? "-" : String(answer.replicas),
      partitions === 0 ? "-" : `${partitions} partitions, up to ${entriesMax} entries`,
      linksText(node),
    ];
  });
  const head = ["node", "zone", "address", "state", "leads", "replicas", "behind", "links"];
  return `Cluster ${formatUuid(seen.clusterId)} of region ${seen.region}, ` +
    `as node ${seen.nodeId} at ${at ?? "an unknown address"} and the others report it\n\n` +
    fitted(head, rows, { columns, shrinks: [head.indexOf("behind"), head.indexOf("links")] }) +
    "\n" +
    facts([
      ["partitions", partitionsText(seen, found)],
      [
        "group 0",
        `led by ${
          systemLeader === 0 ? "no node" : `node ${systemLeader}`
        } in term ${systemTerm}, ` +
        `voters ${listText(systemVoters)}, learners ${listText(systemLearners)}`,
      ],
      ["epoch", `${newest.generation}.${newest.ring}`],
    ]);
}

function partitionsText(
  { partitionCount }: ClusterStatusReply,
  { newest, unled, leaderless, underReplicated, underReplicatedNamed }: ClusterFacts,
): string {
  const parts = [String(partitionCount)];
  if (unled > 0) parts.push(`${unled} without a leader${namesText(leaderless)}`);
  if (underReplicated > 0) {
    parts.push(`${underReplicated} under-replicated${namesText(underReplicatedNamed)}`);
  }
  if (newest.moving > 0) parts.push(`${newest.moving} moving`);
  if (parts.length === 1) parts.push("all led and fully replicated");
  if (newest.areMovesPaused) parts.push("moves are paused");
  return parts.join(", ");
}

/** Partitions that a line names. */
const NAMED = 8;

function namesText(partitions: readonly number[]): string {
  if (partitions.length === 0) return "";
  const more = partitions.length > NAMED ? ", …" : "";
  return ` (${partitions.slice(0, NAMED).join(", ")}${more})`;
}

function listText(numbers: readonly number[]): string {
  return numbers.length === 0 ? "none" : numbers.join(", ");
}

/** Returns the state of a node: whether it answers, and whether it is departing. */
function stateText(node: StatusAnswer): string {
  const { member: { departure }, answer } = node;
  const state = answer === undefined ? noAnswerText(node) : "up";
  if (departure === 0) return state;
  return `${state}, ${answer?.replicas === 0 ? "drained" : "departing"}`;
}

/** Returns the links of a node, as it reports them: the round trip, or that there is none. */
function linksText({ member, answer }: StatusAnswer): string {
  if (answer === undefined) return "-";
  return answer.members.filter(({ nodeId }) => nodeId !== member.nodeId)
    .map(({ nodeId, isConnected, roundTripUs }) => {
      if (!isConnected) return `${nodeId}: none`;
      return roundTripUs === 0
        ? `${nodeId}: up`
        : `${nodeId}: ${(roundTripUs / 1_000).toFixed(1)} ms`;
    }).join(", ");
}
