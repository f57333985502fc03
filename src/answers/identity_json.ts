/** Answers about identities as JSON documents: bans, entries of the audit log, claims of tokens. */
import { AUDIT_ACTION_NAMES, auditEntryCodec } from "../../schemas/gen/audit.ts";
import { formatPin } from "../../identity/pki/certificate.ts";
import { readTokenForm } from "../../identity/tokens/token_check.ts";
import { toHex } from "../base/bytes.ts";
import type { ListedBan } from "../client/identity_types.ts";
import type { JsonDocument } from "./record_json.ts";

/** A ban in a document. */
export interface BanJson extends ListedBan {
  /** Whether it is over. */
  readonly ended: boolean;
}

/** An entry of the audit log in a document. */
export interface AuditEntryJson {
  readonly number: number;
  readonly unixS: number;
  readonly action: string;
  /** The lineage of the author. */
  readonly writer: number;
  readonly subject: string;
  readonly detail: string;
  /** Hash of the entry before, hexadecimal. */
  readonly previous: string;
}

/** Returns a ban. @param nowMs Unix ms. */
export function banJson(ban: ListedBan, nowMs: number): BanJson {
  return { ...ban, ended: ban.untilMs !== null && ban.untilMs <= nowMs };
}

/** Returns an encoded entry of the audit log. @throws RegistryError `malformed`. */
export function auditEntryJson(bytes: Uint8Array): AuditEntryJson {
  const { previous, action, ...entry } = auditEntryCodec.decode(bytes);
  return {
    ...entry,
    action: AUDIT_ACTION_NAMES[action] ?? String(action),
    previous: toHex(previous),
  };
}

/** Returns the claims of a token, which are not verified; `undefined` if it is no token. */
export function claimsJson(token: string): JsonDocument | undefined {
  const claims = readTokenForm(token);
  if (typeof claims === "string") return undefined;
  return { ...claims, leafHash: formatPin(claims.leafHash) };
}
