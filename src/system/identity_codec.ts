/**
 * Conversion of identity records, and of the group 0 commands that put them, between plain values
 * and Cap'n Proto (schemas/identity.capnp). Invalid values are `malformed`.
 */
import { commandCodec } from "../../schemas/gen/command.ts";
import {
  type AuditNoteCommand,
  auditNoteCommandCodec,
  type AuditPage,
  auditPageCodec,
  type BanCommand,
  banCommandCodec,
  type DocumentCommand,
  documentCommandCodec,
  type EnrolmentCommand,
  enrolmentCommandCodec,
  type GrantCommand,
  grantCommandCodec,
  type GrantsRecord,
  type JoinTokenRecord,
  type LeafRecord,
  type LineageRecord,
  STOP_REASON_NAMES,
} from "../../schemas/gen/identity.ts";
import type { Input } from "../../schemas/runtime.ts";
import { RegistryError } from "../base/errors.ts";
import { TOKEN_NAME_BYTES_MAX } from "../base/limits.ts";
import { type Grants, NO_GRANTS } from "../base/peer.ts";
import { COMMAND_KINDS, type CommandHeader } from "../record/command.ts";
import { AUDIT_ACTIONS, type AuditAction } from "../../schemas/gen/audit.ts";
import type {
  EnrolmentChange,
  IssuedLeaf,
  JoinToken,
  Lineage,
  RecordChange,
} from "./enrolment_records.ts";
import type { TokenGrant } from "./token_grants.ts";

/** The apply version with bans and audit entries of capabilities. */
export const CAPABILITIES_APPLY_VERSION = 8;
/** The apply version with limits on what identities may read. */
export const READ_LIMITS_APPLY_VERSION = 9;

const NO_KEY = new Uint8Array(32);

/** Encodes the put of join tokens and lineages, all or none, if what they replace is current. */
export function encodeEnrolment(
  from: CommandHeader,
  change: EnrolmentChange,
  audit?: { readonly action: AuditAction; readonly detail: string },
): Uint8Array {
  const { token, lineages } = change;
  const body: Input<EnrolmentCommand> = {
    tokens: token === undefined ? [] : [changeToWire(token, tokenToWire)],
    lineages: lineages.map((lineage) => changeToWire(lineage, lineageToWire)),
    action: audit === undefined ? 0 : AUDIT_ACTIONS[audit.action],
    detail: audit?.detail ?? "",
  };
  return commandCodec.encode(header(from, COMMAND_KINDS.enrolment), enrolmentCommandCodec, body);
}

/** Encodes a ban, or the lifting of one. */
export function encodeBan(
  from: CommandHeader,
  body: Omit<Input<BanCommand>, "detail"> & { readonly detail?: string },
): Uint8Array {
  const command = { detail: "", ...body };
  return commandCodec.encode(header(from, COMMAND_KINDS.ban), banCommandCodec, command);
}

/** Encodes the put of a document, if the one that it replaces is current. */
export function encodeDocument(from: CommandHeader, body: Input<DocumentCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.document), documentCommandCodec, body);
}

/** Encodes the record of a token's grants beyond its subject's certificate; it is audited too. */
export function encodeGrant(
  from: CommandHeader,
  { grants, ...grant }: TokenGrant,
  detail = "",
): Uint8Array {
  const body: Input<GrantCommand> = { ...grant, grants: grantsToWire(grants), detail };
  return commandCodec.encode(header(from, COMMAND_KINDS.grant), grantCommandCodec, body);
}

/** Returns a logged grant as a plain value. */
export function grantFromWire({ detail: _, grants, ...rest }: GrantCommand): TokenGrant {
  if (rest.tokenId === "" || rest.tokenId.length > TOKEN_NAME_BYTES_MAX) {
    throw malformed("a token without an id");
  }
  if (rest.lineage < 2) throw malformed(`a grant for lineage ${rest.lineage}`);
  return { ...rest, grants: grantsFromWire(grants) };
}

/** Encodes an audit entry about an action performed elsewhere. */
export function encodeAuditNote(from: CommandHeader, body: Input<AuditNoteCommand>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.auditNote), auditNoteCommandCodec, body);
}

/** Encodes a page of the audit log; used in images only. */
export function encodeAuditPage(from: CommandHeader, body: Input<AuditPage>): Uint8Array {
  return commandCodec.encode(header(from, COMMAND_KINDS.auditPage), auditPageCodec, body);
}

function header({ timeMs, unixS, writer }: CommandHeader, kind: number) {
  return { timeMs, unixS, writer, kind };
}

function changeToWire<T, W>(change: RecordChange<T>, toWire: (record: T) => W) {
  return { replacedVersion: change.replacedVersion, record: toWire(change.record) };
}

function tokenToWire({ spent, ...token }: JoinToken): Input<JoinTokenRecord> {
  return {
    ...token,
    lineage: spent?.lineage ?? 0,
    publicKey: spent?.publicKey ?? NO_KEY,
    grants: grantsToWire(token.grants),
  };
}

function lineageToWire({ stopped, previous, ...lineage }: Lineage): Input<LineageRecord> {
  return {
    ...lineage,
    stopped: STOP_REASON_NAMES.indexOf(stopped),
    grants: grantsToWire(lineage.grants),
    previous,
  };
}

function grantsToWire(grants: Grants): Input<GrantsRecord> {
  return {
    ...grants,
    credentialHashes: grants.credentialHashes ?? false,
    reads: grants.reads ?? [],
  };
}

/** Returns a logged join token as a plain value. */
export function tokenFromWire(wire: JoinTokenRecord | undefined): JoinToken {
  const { hash, version, subject, expiresAtMs, lineage, publicKey, grants } = present(wire);
  const token = { hash, version, subject, expiresAtMs, grants: grantsFromWire(grants) };
  return lineage === 0 ? token : { ...token, spent: { lineage, publicKey } };
}

/** Returns a logged lineage as a plain value. */
export function lineageFromWire(wire: LineageRecord | undefined): Lineage {
  const { lineage, version, subject, latestUsed, stopped, ...rest } = present(wire);
  const reason = STOP_REASON_NAMES[stopped];
  if (stopped !== 0 && reason === undefined) throw malformed(`stop reason ${stopped}`);
  const { previous } = rest;
  return {
    lineage,
    version,
    subject,
    grants: grantsFromWire(rest.grants),
    latest: leafFromWire(present(rest.latest)),
    latestUsed,
    ...(reason === undefined ? {} : { stopped: reason }),
    ...(previous === undefined || previous.generation === 0
      ? {}
      : { previous: leafFromWire(previous) }),
  };
}

function leafFromWire(leaf: LeafRecord): IssuedLeaf {
  if (leaf.generation === 0) throw malformed("generation 0");
  const { length } = leaf.issuerKeyId;
  if (length !== 20) throw malformed(`a key identifier of ${length} bytes`);
  return leaf;
}

function grantsFromWire(wire: GrantsRecord | undefined): Grants {
  if (wire === undefined) return NO_GRANTS;
  const { domains, gateways, credentialHashes, reads } = wire;
  return {
    ...{ domains, gateways },
    ...(credentialHashes ? { credentialHashes } : {}),
    ...(reads.length === 0 ? {} : { reads }),
  };
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw malformed("no record");
  return value;
}

function malformed(what: string): RegistryError {
  return new RegistryError("malformed", `Identity record must be valid: found ${what}`);
}
