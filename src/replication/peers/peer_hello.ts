/**
 * The hello between two nodes: the facts on which they must agree before a frame passes. Each
 * mismatch has its code and says what to do. Pure.
 */
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import type { NodeId } from "../../base/ids.ts";
import { formatUuid } from "../../base/uuid.ts";
import { VERSION } from "../../base/version.ts";
import {
  APPLY_VERSION_MAX,
  MEMBER_PROGRAMS_APPLY_VERSION,
} from "../../system/versions/features.ts";
import { PEER_VERSION_MAX, PEER_VERSION_MIN, type PeerHello } from "../../wire/peer_control.ts";
import type { PeerMember } from "./peer_member.ts";

/** The apply version that a program knows at most which does not say what it knows. */
const UNSTATED_VERSION_MAX = MEMBER_PROGRAMS_APPLY_VERSION - 1;
const OWN_VERSIONS = { min: PEER_VERSION_MIN, max: PEER_VERSION_MAX } as const;

/** The facts about this node that its hello states. */
export interface PeerFacts {
  readonly nodeId: NodeId;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  /** The random id of this data folder, 16 bytes. */
  readonly folderId: Uint8Array;
  /** A random number of this run of the program, 16 bytes. */
  readonly processId: Uint8Array;
  readonly generation: number;
  readonly partitionCount: number;
  readonly region: string;
  /** The versions of the protocol between nodes; default: those of this program. */
  readonly versions?: { readonly min: number; readonly max: number };
  /** Returns the apply version of group 0; absent: it is not known here. */
  readonly applyVersion?: () => number;
}

/** Returns the hello that states `facts`. */
export function helloOf(facts: PeerFacts): PeerHello {
  const { versions = OWN_VERSIONS, applyVersion: _, ...stated } = facts;
  return {
    ...stated,
    versionMin: versions.min,
    versionMax: versions.max,
    features: 0,
    applyVersionMax: APPLY_VERSION_MAX,
    program: VERSION,
  };
}

/** Returns the version of the protocol that both nodes speak, after {@link refusalOfHello} found none. */
export function agreedVersion(hello: PeerHello, { versions = OWN_VERSIONS }: PeerFacts): number {
  return Math.min(hello.versionMax, versions.max);
}

/**
 * Checks the hello of a node whose identity is that of `member`. Returns the refusal, or undefined if
 * both nodes agree.
 */
export function refusalOfHello(
  hello: PeerHello,
  member: PeerMember,
  facts: PeerFacts,
): RegistryError | undefined {
  const { versions = OWN_VERSIONS } = facts;
  const name = `Node ${hello.nodeId}`;
  if (hello.versionMax < versions.min || hello.versionMin > versions.max) {
    return new RegistryError(
      "unsupported_version",
      `${name} speaks versions ${hello.versionMin} to ${hello.versionMax} of the protocol between ` +
        `nodes, and node ${facts.nodeId} versions ${versions.min} to ${versions.max}: upgrade the ` +
        "older one, through each version in between",
    );
  }
  if (!bytesEqual(hello.clusterId, facts.clusterId)) {
    return new RegistryError(
      "wrong_cluster",
      `${name} belongs to cluster ${formatUuid(hello.clusterId)}, and node ${facts.nodeId} to ` +
        `${formatUuid(facts.clusterId)}: start it with a data folder of this cluster, or with an ` +
        "empty one to join it",
    );
  }
  if (hello.generation !== facts.generation) {
    return new RegistryError(
      "wrong_cluster",
      `${name} has generation ${hello.generation} of the cluster, and node ${facts.nodeId} ` +
        `generation ${facts.generation}: the lower one is outdated. Remove that node from the ` +
        "cluster, and join it again with an empty data folder",
    );
  }
  if (hello.nodeId !== member.nodeId) {
    return new RegistryError(
      "permission_denied",
      `The identity of node ${member.nodeId} claims to be node ${hello.nodeId}: start each node ` +
        "with its own identity",
    );
  }
  if (!bytesEqual(hello.folderId, member.folderId)) {
    return new RegistryError(
      "invalid_configuration",
      `${name} was admitted with data folder ${formatUuid(member.folderId)}: found ` +
        `${
          formatUuid(hello.folderId)
        }. Start it with its own folder, or remove the node and join ` +
        "as a new one",
      { field: "data" },
    );
  }
  return refusalOfProgram(hello, facts) ?? refusalOfSettings(hello, facts);
}

/** Refuses a program that cannot apply what group 0 logs. */
function refusalOfProgram(hello: PeerHello, facts: PeerFacts): RegistryError | undefined {
  const applyVersion = facts.applyVersion?.() ?? 0;
  const known = hello.applyVersionMax || UNSTATED_VERSION_MAX;
  if (known >= applyVersion) return undefined;
  return new RegistryError(
    "unsupported_version",
    `Node ${hello.nodeId} runs a program${
      hello.program === "" ? "" : `, ${hello.program},`
    } that knows ` +
      `apply versions up to ${known}, and the cluster uses ${applyVersion}: start that node with the ` +
      "program that it had before, or with a newer one",
  );
}

function refusalOfSettings(hello: PeerHello, facts: PeerFacts): RegistryError | undefined {
  const differs = (field: string, theirs: string | number, ours: string | number) =>
    theirs === ours ? undefined : new RegistryError(
      "invalid_configuration",
      `Node ${hello.nodeId} has ${field} ${theirs}, and node ${facts.nodeId} ${ours}: start all ` +
        `nodes of a cluster with the same ${field}`,
      { field },
    );
  return differs("region", hello.region, facts.region) ??
    differs("partitions", hello.partitionCount, facts.partitionCount);
}
