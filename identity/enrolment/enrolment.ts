/**
 * Who gets a leaf: the rules of joining and renewing, as pure decisions over records of group 0.
 *
 * A decision is made on records as read, and its change is committed only if they still stand
 * (`enrolment_records.ts`); the leaf is made *after* that, from the committed record alone. So of two
 * that race for a token one is served; and when a reply was lost, or its node died, any node of the
 * region answers the same request with the same bytes.
 *
 * **A stolen leaf is noticed at the next renewal.** Each leaf has a generation. The rightful owner goes
 * on with the newest one, so an old generation that asks for a certificate of *another* key has a
 * second holder, and the lineage is stopped for both: better to join anew than to share an identity. An
 * owner must therefore keep a new key on disk before it asks for its certificate, and ask again with
 * the same one.
 *
 * Clock assumption: `nowMs` is the deciding node's wall clock; a token or a grace ends by that.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import {
  IDENTITY_BACKDATE_MS,
  IDENTITY_LIFE_MS,
  IDENTITY_LIFE_MS_MIN,
  MEMBER_RENEWAL_GRACE_MS_DEFAULT,
  RENEWAL_GRACE_MS_DEFAULT,
} from "../../src/base/limits.ts";
import type {
  EnrolmentChange,
  IssuedLeaf,
  JoinToken,
  Lineage,
  RecordChange,
  StopReason,
} from "../../src/system/enrolment_records.ts";
import type { IdentityLeaf, Validity } from "./authority.ts";
import { type CertifiedRole, parseSpiffeId } from "../pki/spiffe.ts";

/** Why nobody gets a leaf. */
export type EnrolmentFault =
  | "unknown_token"
  | "token_spent"
  | "token_expired"
  /** The token is for somebody else than the request says. */
  | "wrong_subject"
  /** The subject belongs to a region that this authority does not sign for. */
  | "wrong_region"
  | "unknown_lineage"
  /** The lineage is, or by this very request was, stopped. */
  | "lineage_stopped"
  /** The leaf is of a generation that group 0 never gave out: it was restored from an older state. */
  | "unknown_generation"
  /** The newest leaf was used already: the owner has it and needs no repetition. */
  | "superseded"
  /** The leaf ended longer ago than the grace allows. */
  | "expired"
  /** The intermediate ends too soon to sign anything of use. */
  | "signer_ending";

/** A leaf to be made by the intermediate that the record names. */
export interface DecidedLeaf extends IdentityLeaf {
  readonly issuerKeyId: Uint8Array;
}

/**
 * A decision. `issue`: commit the change, then make the leaf. `repeat`: make the leaf again, nothing
 * changes. `refuse`: make none; where there is a change, commit it (the lineage is stopped).
 */
export type EnrolmentDecision =
  | { readonly kind: "issue"; readonly change: EnrolmentChange; readonly leaf: DecidedLeaf }
  | { readonly kind: "repeat"; readonly leaf: DecidedLeaf }
  | {
    readonly kind: "refuse";
    readonly fault: EnrolmentFault;
    readonly change?: EnrolmentChange;
  };

/** The intermediate that signs now. */
export interface Signer extends Validity {
  /** 20 bytes. */
  readonly keyId: Uint8Array;
  readonly region: string;
}

/** How long after its end a leaf may be renewed, ms, at most `RENEWAL_GRACE_MS_MAX`. */
export interface RenewalGrace {
  /** Agents and gateways. */
  readonly recordMs: number;
  /** Nodes whose key stands in the member list. */
  readonly memberMs: number;
}

/** The grace unless it is configured. */
export const DEFAULT_RENEWAL_GRACE: RenewalGrace = Object.freeze({
  recordMs: RENEWAL_GRACE_MS_DEFAULT,
  memberMs: MEMBER_RENEWAL_GRACE_MS_DEFAULT,
});

/** A request to join. */
export interface JoinRequest {
  /** The token of the hash; `undefined`: there is none. */
  readonly token: JoinToken | undefined;
  /** Whom the requester takes the token to be for. */
  readonly subject: string;
  /** The key of the certificate request, proven to be the requester's. */
  readonly publicKey: Uint8Array;
  /** The lineage that the subject has, or `undefined`. */
  readonly existing: Lineage | undefined;
  /** The number for a new lineage. */
  readonly nextLineage: number;
  readonly signer: Signer;
  readonly nowMs: number;
}

/** Decides on a request to join by a token. */
export function decideJoin(request: JoinRequest): EnrolmentDecision {
  const { token, existing, nowMs, publicKey } = request;
  if (token === undefined) return refuse("unknown_token");
  if (token.subject !== request.subject) return refuse("wrong_subject");
  if (token.spent !== undefined) return repeatJoin(token.spent, request);
  if (nowMs >= token.expiresAtMs) return refuse("token_expired");
  const issued = issue(token.subject, 1, request);
  if (typeof issued === "string") return refuse(issued);
  const lineage: Lineage = {
    lineage: request.nextLineage,
    version: 1,
    subject: token.subject,
    grants: token.grants,
    latest: issued,
    latestUsed: false,
  };
  const spent = { publicKey, lineage: lineage.lineage };
  const lineages: RecordChange<Lineage>[] = [{ replacedVersion: 0, record: lineage }];
  // One subject has one owner: who joins anew takes the place of the one before.
  if (existing !== undefined && existing.stopped === undefined) {
    lineages.push(stopped(existing, "replaced"));
  }
  return {
    kind: "issue",
    change: { token: replaced(token, { ...token, spent }), lineages },
    leaf: leafOf(lineage, issued),
  };
}

/** A spent token serves again only the request that it was spent on, until its leaf was used. */
function repeatJoin(
  spent: NonNullable<JoinToken["spent"]>,
  { publicKey, existing }: JoinRequest,
): EnrolmentDecision {
  const isRepeated = bytesEqual(spent.publicKey, publicKey) &&
    existing?.lineage === spent.lineage &&
    existing.stopped === undefined && existing.latest.generation === 1 && !existing.latestUsed;
  return isRepeated
    ? { kind: "repeat", leaf: leafOf(existing, existing.latest) }
    : refuse("token_spent");
}

/** A request to renew, by a leaf whose path was validated, with the grace. */
export interface RenewalRequest {
  /** The lineage that the leaf names; `undefined`: there is none. */
  readonly lineage: Lineage | undefined;
  /** What the leaf says; its holder proved to have its key. */
  readonly presented: {
    readonly subject: string;
    readonly generation: number;
    readonly publicKey: Uint8Array;
    readonly notAfterMs: number;
  };
  /** The key of the certificate request, proven to be the requester's. */
  readonly publicKey: Uint8Array;
  /** The key that stands for a node of the member list; `undefined`: none. */
  readonly memberKey: Uint8Array | undefined;
  readonly signer: Signer;
  readonly grace: RenewalGrace;
  readonly nowMs: number;
}

/** Decides on a request to renew. */
export function decideRenewal(request: RenewalRequest): EnrolmentDecision {
  const { lineage, presented, publicKey } = request;
  if (lineage === undefined || lineage.subject !== presented.subject) {
    return refuse("unknown_lineage");
  }
  if (lineage.stopped !== undefined) return refuse("lineage_stopped");
  const { latest, previous } = lineage;
  if (presented.generation > latest.generation) return refuse("unknown_generation");
  const shown = [latest, previous].find((leaf) => leaf?.generation === presented.generation);
  // Two leaves of one generation: somebody else signs with our authority's key.
  if (shown !== undefined && !bytesEqual(shown.publicKey, presented.publicKey)) {
    return stop(lineage);
  }
  const isForLatestKey = bytesEqual(latest.publicKey, publicKey);
  // Before the question of time: a thief who shows an old leaf is to be noticed all the same.
  if (shown !== latest && !isForLatestKey) return stop(lineage);
  if (request.nowMs > presented.notAfterMs + graceMsOf(request)) return refuse("expired");
  if (shown === undefined) return refuse("superseded");
  if (shown !== latest) return { kind: "repeat", leaf: leafOf(lineage, latest) };
  return renew(lineage, request);
}

function renew(lineage: Lineage, request: RenewalRequest): EnrolmentDecision {
  const { latest } = lineage;
  const issued = issue(lineage.subject, latest.generation + 1, request);
  if (typeof issued === "string") return refuse(issued);
  // That the latest was shown proves that its owner has it; now it is the one before.
  const renewed = { ...lineage, latest: issued, latestUsed: false, previous: latest };
  const change = replaced(lineage, renewed);
  return {
    kind: "issue",
    change: { lineages: [change] },
    leaf: leafOf(change.record, issued),
  };
}

/**
 * What changes when a leaf of a generation opens a session: `undefined` unless it is the first use of
 * the latest one. From then on the leaf before it is an old one.
 */
export function decideUse(lineage: Lineage, generation: number): EnrolmentChange | undefined {
  const { latest, latestUsed, stopped: reason } = lineage;
  if (reason !== undefined || latestUsed || generation !== latest.generation) return undefined;
  const { previous: _, ...rest } = lineage;
  return { lineages: [replaced(lineage, { ...rest, latestUsed: true })] };
}

/** What changes when an operator bans a lineage; `undefined` where it is stopped already. */
export function decideBan(lineage: Lineage): EnrolmentChange | undefined {
  return lineage.stopped === undefined ? { lineages: [stopped(lineage, "banned")] } : undefined;
}

/** The leaf of a record, the same whenever and wherever it is made. */
export function leafOf(lineage: Lineage, issued: IssuedLeaf): DecidedLeaf {
  return {
    serialNumber: serialNumberOf(lineage.lineage, issued),
    subject: lineage.subject,
    publicKey: issued.publicKey,
    notBeforeMs: issued.notBeforeMs,
    notAfterMs: issued.notAfterMs,
    issuerKeyId: issued.issuerKeyId,
    registryIdentity: {
      lineage: lineage.lineage,
      generation: issued.generation,
      grants: lineage.grants,
    },
  };
}

/** Lineage and generation, which no two leaves share, after a mark and a part of the key. */
function serialNumberOf(lineage: number, { generation, publicKey }: IssuedLeaf): Uint8Array {
  const serial = new Uint8Array(16);
  serial.set(publicKey.subarray(0, 8));
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const view = new DataView(serial.buffer);
  view.setUint32(8, lineage);
  view.setUint32(12, generation);
  return serial;
}

/** What a new leaf is made from, or why none can be. */
function issue(
  subject: string,
  generation: number,
  { signer, nowMs, publicKey }: Pick<JoinRequest, "signer" | "nowMs" | "publicKey">,
): IssuedLeaf | EnrolmentFault {
  if (parseSpiffeId(subject).region !== signer.region) return "wrong_region";
  const notBeforeMs = Math.max(cut(nowMs - IDENTITY_BACKDATE_MS), signer.notBeforeMs);
  const notAfterMs = Math.min(cut(nowMs + IDENTITY_LIFE_MS), signer.notAfterMs);
  if (notBeforeMs > nowMs || notAfterMs < nowMs + IDENTITY_LIFE_MS_MIN) return "signer_ending";
  return { generation, publicKey, notBeforeMs, notAfterMs, issuerKeyId: signer.keyId };
}

/** Whole seconds, as X.509 has them. */
function cut(unixMs: number): number {
  return Math.floor(unixMs / 1_000) * 1_000;
}

function graceMsOf({ presented, publicKey, memberKey, grace }: RenewalRequest): number {
  const role: CertifiedRole = parseSpiffeId(presented.subject).role;
  if (role === "agent" || role === "gateway") return grace.recordMs;
  if (role !== "node" || memberKey === undefined) return 0;
  // The requester has both keys; the leaf's is the one before where the last reply was lost.
  const isMember = [presented.publicKey, publicKey].some((key) => bytesEqual(key, memberKey));
  return isMember ? grace.memberMs : 0;
}

function stop(lineage: Lineage): EnrolmentDecision {
  return {
    kind: "refuse",
    fault: "lineage_stopped",
    change: { lineages: [stopped(lineage, "stolen")] },
  };
}

function stopped(lineage: Lineage, reason: StopReason): RecordChange<Lineage> {
  return replaced(lineage, { ...lineage, stopped: reason });
}

function replaced<T extends { readonly version: number }>(before: T, after: T): RecordChange<T> {
  return {
    replacedVersion: before.version,
    record: { ...after, version: before.version + 1 },
  };
}

function refuse(fault: EnrolmentFault): EnrolmentDecision {
  return { kind: "refuse", fault };
}
