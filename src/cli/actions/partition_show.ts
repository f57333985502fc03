/** Shows a partition, as the nodes that may hold it report it. */
import type { PartitionStatusReply } from "../../../schemas/gen/wire.ts";
import { isUuidText, parseUuid } from "../../base/uuid.ts";
import { canonicalDomain } from "../../record/domain.ts";
import { keyOfDomain, keyOfId, KIND_AGENT, KIND_GATEWAY } from "../../record/key.ts";
import { Partitioner } from "../../ring/partition.ts";
import { askNodes, errorJson, noAnswerText, type NodeAnswer } from "../cluster/ask_nodes.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { usageFailure } from "../failure.ts";
import { type Reply, type ServerOptions, type Shell, showReply } from "../shell.ts";
import { type Cell, facts, fitted } from "../table.ts";

type PartitionAnswer = NodeAnswer<PartitionStatusReply>;

/** Finds the partition, asks every node about it, and prints the answers. */
export async function showPartition(
  what: string,
  flags: ServerOptions & { readonly kind?: string },
  shell: Shell,
): Promise<number> {
  const find = finderOf(what, flags.kind);
  const { seen, nodes } = await askNodes(
    flags,
    shell,
    (client, { clusterId, partitionCount }) =>
      client.call("partitionStatus", { partition: find(clusterId, partitionCount) }),
  );
  const partition = find(seen.clusterId, seen.partitionCount);
  return await showReply(partitionReply(what, partition, nodes), flags, shell.terminal);
}

/** Returns a function that finds the partition in a cluster, whose id is the key of its hash. */
function finderOf(
  what: string,
  kind: string | undefined,
): (clusterId: Uint8Array, partitionCount: number) => number {
  if (kind !== undefined && kind !== "agent" && kind !== "gateway") {
    throw usageFailure(
      `--kind must be agent or gateway: found ${JSON.stringify(kind)}`,
      "Omit it for an agent's id, a domain or a number.",
      "kind",
    );
  }
  if (/^\d{1,5}$/.test(what)) {
    return (_, partitionCount) => {
      if (Number(what) < partitionCount) return Number(what);
      throw usageFailure(
        `The partition must be in [0, ${partitionCount}): found ${what}`,
        "Pass a number in that range, a domain or an id.",
        "partition",
      );
    };
  }
  const key = isUuidText(what)
    ? keyOfId(kind === "gateway" ? KIND_GATEWAY : KIND_AGENT, parseUuid(what))
    : keyOfDomain(canonicalDomain(what));
  return (clusterId, partitionCount) =>
    new Partitioner(clusterId, partitionCount).partitionOfKey(key);
}

function partitionReply(
  what: string,
  partition: number,
  nodes: readonly PartitionAnswer[],
): Reply {
  const answers = nodes.flatMap(({ answer }) => answer === undefined ? [] : [answer]);
  const leader = leaderAmong(answers);
  const newest = answers.reduce<PartitionStatusReply | undefined>(
    (best, answer) => best === undefined || answer.revision > best.revision ? answer : best,
    undefined,
  );
  const replicas = nodes.flatMap((node) => {
    const { member: { nodeId, zone }, answer } = node;
    const placed = newest?.placed.find((one) => one.nodeId === nodeId);
    if (placed === undefined && (answer?.replica ?? 0) === 0) return [];
    const match = leader?.members.find((one) => one.nodeId === nodeId)?.match;
    return [{ node, nodeId, zone, placed: placed?.role ?? "none", answer, match }];
  });
  return {
    exitCode: leader === undefined ? EXIT_CODES.unavailable : EXIT_CODES.success,
    json: {
      partition,
      of: what,
      leader: leader?.nodeId ?? null,
      term: leader?.term ?? null,
      hasLease: leader?.hasLease ?? false,
      committed: leader?.committed ?? null,
      replicas: replicas.map(({ node, nodeId, zone, placed, answer, match }) => ({
        nodeId,
        zone,
        replica: answer?.replica ?? null,
        placed,
        role: answer?.role ?? null,
        term: answer?.term ?? null,
        applied: answer?.applied ?? null,
        last: answer?.last ?? null,
        provenAgeMs: answer?.isAgeProven === true ? answer.ageBoundMs : null,
        knownToLeader: match ?? null,
        error: errorJson(node),
      })),
    },
    text: (columns) => {
      const rows = replicas.map(({ node, nodeId, zone, placed, answer, match }): Cell[] => [
        nodeId,
        zone === "" ? "-" : zone,
        answer === undefined ? "-" : String(answer.replica),
        placed,
        answer === undefined ? noAnswerText(node) : answer.role,
        answer === undefined ? "-" : String(answer.applied),
        answer === undefined ? "-" : String(answer.last),
        match === undefined ? "-" : String(match),
        answer?.isAgeProven === true ? `${answer.ageBoundMs} ms` : "-",
      ]);
      const head = [
        ...["node", "zone", "replica", "placed", "role", "applied", "last", "acknowledged"],
        "proven age",
      ];
      return `Partition ${partition}${/^\d+$/.test(what) ? "" : ` of ${what}`}\n\n` +
        fitted(head, rows, { columns, shrinks: [] }) + "\n" + facts(leaderFacts(leader));
    },
  };
}

function leaderFacts(leader: PartitionStatusReply | undefined): [string, Cell][] {
  if (leader === undefined) return [["leader", "none that answered"]];
  return [
    ["leader", `node ${leader.nodeId} in term ${leader.term}`],
    ["lease", leader.hasLease ? "valid: it serves reads at once" : "none: reads ask the others"],
    ["committed", `up to index ${leader.committed}`],
  ];
}

/** Returns the answer of the leader of the latest term; a former one may not know it yet. */
function leaderAmong(answers: readonly PartitionStatusReply[]): PartitionStatusReply | undefined {
  return answers.filter(({ role }) => role === "leader")
    .sort((left, right) => right.term - left.term)[0];
}
