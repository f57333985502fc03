/**
 * Entries of the log: the leaves of the tree. An entry names the entry before it (the first one: the
 * genesis), the payload by its content id, the approvals that decided, the signer set in force, and the
 * root of the heads: which version of each descriptor is the newest after this entry.
 *
 * The payload stands beside the entry, so that an entry stays small enough for an entry bundle of
 * C2SP tlog-tiles, whose entries have at most 65,535 bytes.
 */
import { blake3 } from "@noble/hashes/blake3.js";
import { bytesEqual, toHex } from "../../base/bytes.ts";
import { APPROVALS_MAX, GOVERNED_ID_LENGTH_MAX } from "../../base/limits.ts";
import { canonicalJson, readCanonicalJson } from "../../signing/canonical_json.ts";
import { isContentId, parseSha256 } from "./content_id.ts";
import {
  arrayOf,
  exactMembers,
  integerOf,
  invalidDocument,
  objectOf,
  strictJsonIn,
  textOf,
} from "./json_members.ts";
import { checkWritable, newestSchema, readDocumentOf } from "./schema_gate.ts";
import { type PayloadSignature, readSignature, signatureJson } from "./signature.ts";

/** A signature of an entry, with the signer set from which its key was taken. */
export interface EntryApproval extends PayloadSignature {
  readonly set: number;
}

/** An entry of the log. */
export interface GovernedEntry {
  /** The global version: the entry's place in the log, from 1. */
  readonly version: number;
  /** Hash of the entry before, or of the genesis: `b3:…` or `sha256:…`. */
  readonly previous: string;
  readonly proposal: number;
  /** Wall time of the apply, s since 1970, by the clock of the leader. */
  readonly committedAt: number;
  readonly id: string;
  readonly kind: string;
  /** Version of the descriptor. */
  readonly idVersion: number;
  readonly payloadSchema: string;
  /** Content id of the payload. */
  readonly contentId: string;
  /** Number of the signer set that decided. */
  readonly signers: number;
  /** `sha256:…`: root of the heads after this entry. */
  readonly heads: string;
  readonly approvals: readonly EntryApproval[];
}

const MEMBERS = [
  "version",
  "previous",
  "proposal",
  "committed_at",
  "id",
  "kind",
  "id_version",
  "payload_schema",
  "payload_b3",
  "signers",
  "heads",
  "approvals",
];

/**
 * Returns the bytes of an entry: its leaf.
 *
 * @param applyVersion the group's, whose newest schema is written.
 */
export function entryBytes(entry: GovernedEntry, applyVersion: number): Uint8Array {
  return new TextEncoder().encode(canonicalJson({
    schema: newestSchema("entry", applyVersion),
    version: entry.version,
    previous: entry.previous,
    proposal: entry.proposal,
    committed_at: entry.committedAt,
    id: entry.id,
    kind: entry.kind,
    id_version: entry.idVersion,
    payload_schema: entry.payloadSchema,
    payload_b3: entry.contentId,
    signers: entry.signers,
    heads: entry.heads,
    approvals: entry.approvals.map(({ set, ...given }) => ({ ...signatureJson(given), set })),
  }));
}

/** Reads the bytes of an entry. @throws RegistryError `invalid_argument`, `unsupported_version`. */
export function readEntry(bytes: Uint8Array): GovernedEntry {
  const read = readCanonicalJson(new TextDecoder().decode(bytes));
  if (typeof read === "string") throw invalidDocument("An entry must be canonical JSON: it is not");
  return entryOf(read.value);
}

/**
 * Reads an entry that a command brings: in its canonical bytes, by a schema that the apply version writes.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function readBroughtEntry(bytes: Uint8Array, applyVersion: number): GovernedEntry {
  const value = objectOf(strictJsonIn(bytes, "An entry"), "An entry");
  checkWritable(value["schema"], applyVersion);
  const entry = entryOf(value);
  if (bytesEqual(new TextEncoder().encode(canonicalJson(value)), bytes)) return entry;
  throw invalidDocument("An entry must be canonical JSON: it is not");
}

/** Reads an entry as a JSON value. @throws RegistryError as {@link readEntry}. */
export function entryOf(value: unknown): GovernedEntry {
  const object = readDocumentOf("entry", value, MEMBERS);
  const entry: GovernedEntry = {
    version: integerOf(object, "version", { min: 1 }),
    previous: textOf(object, "previous", 71),
    proposal: integerOf(object, "proposal", { min: 1 }),
    committedAt: integerOf(object, "committed_at"),
    id: textOf(object, "id", GOVERNED_ID_LENGTH_MAX),
    kind: textOf(object, "kind", 40),
    idVersion: integerOf(object, "id_version", { min: 1 }),
    payloadSchema: textOf(object, "payload_schema", 40),
    contentId: textOf(object, "payload_b3", 67),
    signers: integerOf(object, "signers"),
    heads: textOf(object, "heads", 71),
    approvals: arrayOf(object, "approvals", APPROVALS_MAX).map(approvalOf),
  };
  if (!isContentId(entry.contentId) || parseSha256(entry.heads) === undefined) {
    throw invalidDocument("An entry must have the hashes of its payload and of the heads");
  }
  return entry;
}

/** Returns the hash by which the next entry names this one. */
export function entryHash(bytes: Uint8Array): string {
  return `b3:${toHex(blake3(bytes))}`;
}

function approvalOf(value: unknown): EntryApproval {
  const { set, ...given } = exactMembers(value, "An approval", [
    "signer_id",
    "alg",
    "sig_bytes",
    "ts",
    "set",
  ]);
  return { ...readSignature(given), set: integerOf({ set }, "set") };
}
