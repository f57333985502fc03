/**
 * Implements `crs cluster upgrade status`: shows which program each node runs, which versions of protocols
 * and files it has, and what is not switched on yet because a node's program does not know it.
 */
import type {
  ApplyFeature,
  FileVersion,
  MemberVersions,
  UpgradeStatusReply,
} from "../../../schemas/gen/wire.ts";
import { toRegistryError } from "../../base/errors.ts";
import { formatUuid } from "../../base/uuid.ts";
import {
  askNodes,
  errorJson,
  noAnswerText,
  type NodeAnswer,
  type NodeAnswers,
} from "../cluster/ask_nodes.ts";
import { type Connected, type Reply, type ServerOptions, type Shell, showReply } from "../shell.ts";
import { type Cell, facts, fitted } from "../table.ts";

/** The answer of a node; without versions if its program is from before this operation. */
interface Versions {
  readonly program: string;
  readonly versions: UpgradeStatusReply | undefined;
}

/** A feature that is not switched on. */
interface Waiting extends ApplyFeature {
  /** The nodes whose programs do not know it. */
  readonly waitsFor: readonly number[];
}

/** Known facts about a node. */
interface NodeVersions {
  readonly nodeId: number;
  readonly node: NodeAnswer<Versions>;
  /** Empty: not known. */
  readonly program: string;
  /** As group 0 has it; undefined: no answer tells. */
  readonly applyVersionMax: number | undefined;
  readonly versions: UpgradeStatusReply | undefined;
}

/** Asks every node and prints the versions. */
export async function upgradeStatus(flags: ServerOptions, shell: Shell): Promise<number> {
  const answers = await askNodes(flags, shell, versionsOf);
  return await showReply(upgradeReply(answers), flags, shell.terminal);
}

async function versionsOf(client: Connected["client"]): Promise<Versions> {
  try {
    const versions = await client.call("upgradeStatus", {});
    return { program: versions.program, versions };
  } catch (error) {
    if (toRegistryError(error).code !== "unknown_operation") throw error;
    return { program: (await client.call("clusterStatus", {})).version, versions: undefined };
  }
}

function upgradeReply({ seen, nodes }: NodeAnswers<Versions>): Reply {
  const answered = nodes.flatMap(({ answer }) => answer?.versions ?? []);
  const applyVersion = answered.reduce((most, one) => Math.max(most, one.applyVersion), 0);
  const known = nodes.map((node) => knownOf(node, answered));
  const waiting = waitingFeatures(answered, applyVersion, known);
  return {
    json: {
      clusterId: formatUuid(seen.clusterId),
      applyVersion: applyVersion || null,
      waiting,
      nodes: known.map(nodeJson),
    },
    text: (columns) => upgradeText({ applyVersion, waiting, known, columns }),
  };
}

function knownOf(
  node: NodeAnswer<Versions>,
  answered: readonly UpgradeStatusReply[],
): NodeVersions {
  const { member: { nodeId }, answer } = node;
  const told: readonly MemberVersions[] = answered.flatMap(({ members }) =>
    members.filter((member) => member.nodeId === nodeId)
  );
  return {
    nodeId,
    node,
    program: answer?.program ?? told.find(({ program }) => program !== "")?.program ?? "",
    applyVersionMax: answer?.versions?.applyVersionMax ?? told[0]?.applyVersionMax,
    versions: answer?.versions,
  };
}

function waitingFeatures(
  answered: readonly UpgradeStatusReply[],
  applyVersion: number,
  known: readonly NodeVersions[],
): Waiting[] {
  const features = new Map<number, ApplyFeature>();
  for (const feature of answered.flatMap(({ features }) => features)) {
    if (feature.applyVersion > applyVersion) features.set(feature.applyVersion, feature);
  }
  return [...features.values()].sort((left, right) => left.applyVersion - right.applyVersion)
    .map((feature) => ({
      ...feature,
      waitsFor: known.filter(({ applyVersionMax = 0 }) => applyVersionMax < feature.applyVersion)
        .map(({ nodeId }) => nodeId),
    }));
}

function nodeJson({ nodeId, node, program, applyVersionMax, versions }: NodeVersions): unknown {
  return {
    nodeId,
    answered: node.answer !== undefined,
    error: errorJson(node),
    program: program === "" ? null : program,
    applyVersionMax: applyVersionMax ?? null,
    protocols: versions === undefined ? null : {
      clients: { min: versions.clientVersionMin, max: versions.clientVersionMax },
      nodes: { min: versions.peerVersionMin, max: versions.peerVersionMax },
    },
    files: versions?.files ?? null,
    partitions: versions?.partitions ?? null,
    governedVersion: versions?.governedVersion || null,
    links: (versions?.members ?? []).filter((member) => member.nodeId !== nodeId)
      .map((member) => ({ nodeId: member.nodeId, version: member.peerVersion || null })),
  };
}

function upgradeText(
  { applyVersion, waiting, known, columns }: {
    readonly applyVersion: number;
    readonly waiting: readonly Waiting[];
    readonly known: readonly NodeVersions[];
    readonly columns: number;
  },
): string {
  const head = ["node", "program", "state", "knows up to", "clients", "nodes"];
  const rows = known.map(({ nodeId, node, program, applyVersionMax, versions }): Cell[] => [
    nodeId,
    program === "" ? "-" : program,
    node.answer === undefined ? noAnswerText(node) : "up",
    applyVersionMax ?? "-",
    versions === undefined ? "-" : rangeText(versions.clientVersionMin, versions.clientVersionMax),
    versions === undefined ? "-" : rangeText(versions.peerVersionMin, versions.peerVersionMax),
  ]);
  const waits = waiting.map((one): [string, Cell] => ["not switched on", waitingText(one)]);
  return fitted(head, rows, { columns, shrinks: [head.indexOf("state")] }) + "\n" +
    facts([
      ["apply version", applyVersion === 0 ? "not known" : applyVersion],
      ["partitions", partitionsText(known)],
      ...filesTexts(known).map((text): [string, Cell] => ["files", text]),
      ...(waits.length === 0 ? [["not switched on", "nothing"] as const] : waits),
    ]);
}

function rangeText(min: number, max: number): string {
  return min === max ? String(max) : `${min} to ${max}`;
}

/** Returns the versions of files, once for all nodes that have the same. */
function filesTexts(known: readonly NodeVersions[]): string[] {
  const nodesOf = new Map<string, number[]>();
  for (const { nodeId, versions } of known) {
    if (versions === undefined) continue;
    const text = versions.files.map(({ name, version }: FileVersion) => `${name} ${version}`)
      .join(", ");
    nodesOf.set(text, [...nodesOf.get(text) ?? [], nodeId]);
  }
  return [...nodesOf].map(([text, nodes]) => `node ${nodes.join(", ")}: ${text}`);
}

/** Returns how many replicas have which apply version. */
function partitionsText(known: readonly NodeVersions[]): string {
  const counts = new Map<number, number>();
  for (
    const { applyVersion, count } of known.flatMap(({ versions }) => versions?.partitions ?? [])
  ) {
    counts.set(applyVersion, (counts.get(applyVersion) ?? 0) + count);
  }
  const texts = [...counts].sort(([left], [right]) => left - right)
    .map(([version, count]) => `${count} ${count === 1 ? "replica" : "replicas"} at ${version}`);
  return texts.length === 0 ? "not known" : `${texts.join(", ")}; each rises when it needs to`;
}

function waitingText({ applyVersion, name, waitsFor }: Waiting): string {
  const reason = waitsFor.length === 0
    ? "is being switched on"
    : `waits for a newer program on node ${waitsFor.join(", ")}`;
  return `${name} (${applyVersion}) ${reason}`;
}
