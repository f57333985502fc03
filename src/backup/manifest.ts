/**
 * `backup.json`, the file that describes a backup: the cluster, and for each group one file with its
 * image. It is written last, and names its own checksum, so a folder that has it is complete.
 */
import { createHash } from "node:crypto";
import { RegistryError } from "../base/errors.ts";
import {
  GOVERNED_GROUP,
  type GroupId,
  groupId,
  partitionOfGroup,
  SYSTEM_GROUP,
} from "../base/ids.ts";
import { isUuidText } from "../base/uuid.ts";
import { isPartitionCount } from "../ring/partition.ts";

/** The name of the file. */
export const MANIFEST_FILE = "backup.json";
/** The version of the format that this program writes and reads. */
const FORMAT = 1;

/** The image of one group in a backup. */
export interface BackedUpGroup {
  readonly groupId: GroupId;
  /** The name of its file in the folder. */
  readonly file: string;
  readonly bytes: number;
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  /** Index of the last entry that the image contains, and the group's term at that time. */
  readonly index: number;
  readonly term: number;
  /** Live records and domains; for group 0 members, for the governed plane entries of its log. */
  readonly records: number;
  /** The node that made the image, and whether it led the group. */
  readonly nodeId: number;
  readonly isLeader: boolean;
}

/** A description of a backup. */
export interface BackupManifest {
  readonly clusterId: string;
  readonly generation: number;
  readonly partitionCount: number;
  readonly region: string;
  /** Wall time at which the backup began, s since 1970: everything acknowledged before is in it. */
  readonly beganUnixS: number;
  /** Version of the program that wrote it. */
  readonly program: string;
  readonly groups: readonly BackedUpGroup[];
}

/** Returns the name of a group's file. */
export function imageFileOf(group: GroupId): string {
  if (group === SYSTEM_GROUP) return "group-0.image";
  if (group === GOVERNED_GROUP) return "governed.image";
  return `partition-${String(partitionOfGroup(group)).padStart(4, "0")}.image`;
}

/** Encodes a description. */
export function encodeManifest(manifest: BackupManifest): string {
  const body = { format: FORMAT, ...manifest };
  return JSON.stringify({ ...body, sha256: checksumOf(body) }, undefined, 2) + "\n";
}

/** Decodes a description. @throws RegistryError `corrupt`; `unsupported_version` for a later format. */
export function decodeManifest(text: string, path: string): BackupManifest {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw corruptFile(path, "it is no JSON document");
  }
  if (typeof read !== "object" || read === null) throw corruptFile(path, "it is no object");
  const { sha256, ...body } = read as Record<string, unknown>;
  const { format, ...manifest } = body;
  if (typeof format === "number" && format > FORMAT) {
    throw new RegistryError(
      "unsupported_version",
      `Cannot read ${path} as it has format ${format}: this program reads up to ${FORMAT}. Use the ` +
        "version of the program that wrote it, or a later one",
      { field: path },
    );
  }
  if (format !== FORMAT) throw corruptFile(path, `its format must be ${FORMAT}`);
  if (sha256 !== checksumOf(body)) throw corruptFile(path, "its checksum does not hold");
  if (!isManifest(manifest)) throw corruptFile(path, "it does not describe a backup");
  return manifest;
}

/** Returns the error of a file of a backup that cannot be used. */
export function corruptFile(path: string, what: string): RegistryError {
  return new RegistryError(
    "corrupt",
    `Cannot use ${path}: ${what}. Use another copy of the backup, or an earlier one`,
    { field: path },
  );
}

function checksumOf(body: unknown): string {
  return createHash("sha256").update(JSON.stringify(body)).digest("hex");
}

function isManifest(value: unknown): value is BackupManifest {
  const { clusterId, generation, partitionCount, region, beganUnixS, program, groups } =
    value as Record<keyof BackupManifest, unknown>;
  const isHeader = typeof clusterId === "string" && isUuidText(clusterId) &&
    isNumber(generation) && isNumber(partitionCount) && isPartitionCount(partitionCount) &&
    typeof region === "string" && isNumber(beganUnixS) && typeof program === "string";
  if (!isHeader || !Array.isArray(groups) || !groups.every(isGroup)) return false;
  // One image of each group, and no other files.
  const found = new Set(groups.map((group: BackedUpGroup) => group.groupId));
  const wanted = [...Array(partitionCount + 1).keys()];
  return found.size === groups.length && wanted.every((group) => found.has(groupId(group))) &&
    groups.length === partitionCount + 1 + Number(found.has(GOVERNED_GROUP));
}

function isGroup(value: unknown): value is BackedUpGroup {
  const { groupId: id, file, bytes, sha256, index, term, records, nodeId, isLeader } =
    value as Record<keyof BackedUpGroup, unknown>;
  const isCounted = [id, bytes, index, term, records, nodeId].every(isNumber);
  return isCounted && (id as number) <= GOVERNED_GROUP && file === imageFileOf(id as GroupId) &&
    typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256) && typeof isLeader === "boolean";
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
