/**
 * `<data>/cluster.json`: which cluster the data folder belongs to, and as whom. It is durable before the
 * node sends its first frame, so that a node that crashed returns as what it was. Members and replicas of
 * group 0 in it are those of the last time the node wrote it: by them it finds the others until its own
 * copy of group 0 is recovered.
 */
import type { ClusterMember, SystemReplica } from "../../schemas/gen/wire.ts";
import { fromHex, toHex } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { laterProgram } from "../record/command.ts";
import { APPLY_VERSION_MAX } from "../system/versions/features.ts";
import { PUBLIC_FILE_MODE, readFile, replaceFile } from "../../identity/files/private_file.ts";

/** The file's name in the data folder. */
export const CLUSTER_FILE = "cluster.json";
/** The version of the file. */
export const CLUSTER_FILE_VERSION = 1;

/** The membership of a node. */
export interface Membership {
  readonly nodeId: number;
  readonly clusterId: Uint8Array;
  readonly generation: number;
  readonly partitionCount: number;
  readonly region: string;
  /** Its replica of group 0. */
  readonly replica: number;
  /** Whether the log may have nothing of that replica yet. */
  readonly isNew: boolean;
  readonly members: readonly ClusterMember[];
  readonly systemReplicas: readonly SystemReplica[];
  /** The apply version of group 0 when the node last knew; absent in files of earlier programs. */
  readonly applyVersion?: number;
  /** True once the node has learned that it was removed from the cluster: it takes part no more. */
  readonly isRemoved?: boolean;
}

/** The contents of the file. */
export interface ClusterFile {
  /** The random id of the data folder, 16 bytes. */
  readonly folderId: Uint8Array;
  /** Absent until the folder belongs to a cluster. */
  readonly membership?: Membership;
}

/** Reads the file; undefined if there is none. @throws RegistryError `corrupt`, `unsupported_version`. */
export function readClusterFile(data: string): ClusterFile | undefined {
  const path = `${data}/${CLUSTER_FILE}`;
  const text = readFile(path);
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text, revive) as ClusterFile & { readonly version: number };
    const { version, folderId, membership } = value;
    if (version > CLUSTER_FILE_VERSION) throw laterProgram(`version ${version} of ${path}`);
    const isWhole = version === CLUSTER_FILE_VERSION && isId(folderId) &&
      (membership === undefined || isMembership(membership));
    const { applyVersion = 0 } = membership ?? {};
    // The log may not prove the raise committed, and others may be out of reach.
    if (isWhole && applyVersion > APPLY_VERSION_MAX) {
      throw laterProgram(`apply version ${applyVersion} of ${path}`);
    }
    if (isWhole) return membership === undefined ? { folderId } : { folderId, membership };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new RegistryError(
    "corrupt",
    `${path} must say to which cluster the data folder belongs: it cannot be read. Restore it from a ` +
      "copy, or remove the node from the cluster and join it with an empty data folder",
    { field: path },
  );
}

/** Writes the file atomically and durably. @throws RegistryError `storage_unavailable`. */
export function writeClusterFile(data: string, file: ClusterFile): void {
  const text = JSON.stringify({ version: CLUSTER_FILE_VERSION, ...file }, replacer, 2) + "\n";
  replaceFile(`${data}/${CLUSTER_FILE}`, text, PUBLIC_FILE_MODE);
}

/** Bytes are written as `{"hex": "…"}`. */
function replacer(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { hex: toHex(value) } : value;
}

function revive(_key: string, value: unknown): unknown {
  const hex = typeof value === "object" && value !== null && "hex" in value ? value.hex : undefined;
  return typeof hex === "string" ? fromHex(hex) ?? value : value;
}

function isId(value: unknown): boolean {
  return value instanceof Uint8Array && value.length === 16;
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isMembership(value: Membership): boolean {
  const { nodeId, clusterId, generation, partitionCount, region, replica, isNew } = value;
  return [nodeId, generation, partitionCount, replica].every(isNumber) && isId(clusterId) &&
    typeof region === "string" && typeof isNew === "boolean" &&
    ["boolean", "undefined"].includes(typeof value.isRemoved) &&
    isNumber(value.applyVersion ?? 0) &&
    Array.isArray(value.members) && value.members.every(isMember) &&
    Array.isArray(value.systemReplicas) &&
    value.systemReplicas.every((one) => isNumber(one.replica) && isNumber(one.nodeId));
}

function isMember({ nodeId, folderId, pin, nextPin, addresses }: ClusterMember): boolean {
  return isNumber(nodeId) && isId(folderId) && pin instanceof Uint8Array &&
    nextPin instanceof Uint8Array && Array.isArray(addresses) &&
    addresses.every(({ transport, host, port }) =>
      typeof transport === "string" && typeof host === "string" && isNumber(port)
    );
}
