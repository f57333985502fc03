/**
 * Rules for issuing leaves to identities that join or renew, as pure decisions over records of
 * group 0.
 *
 * A decision is made on records as read, and its change is committed only if they are unchanged by
 * then (`enrolment_records.ts`). The leaf is created *after* the commit, from the committed record
 * alone. So of two concurrent requests with one token only one is served; and if a reply is lost,
 * or its node fails, any node of the region answers the same request with the same bytes.
 *
 * **A stolen leaf is noticed at the next renewal.** Each leaf has a generation. The rightful owner
 * continues with the newest one. A request by an old generation for a certificate of *another* key
 * therefore comes from a second holder, and the lineage is stopped for both: joining anew is better
 * than sharing an identity. An owner must therefore store a new key on disk before it requests its
 * certificate, and repeat the request with the same key.
 *
 * Clock assumption: `nowMs` is the deciding node's wall clock; tokens and grace periods expire by
 * it.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import {
  IDENTITY_BACKDATE_MS,
  IDENTITY_LIFE_MS,
  IDENTITY_LIFE_MS_MIN,
  MEMBER_RENEWAL_GRACE_MS_DEFAULT,
  RENEWAL_GRACE_MS_DEFAULT,
} from "../../src/base/limits.ts";
import type { StopReason } from "../../schemas/gen/identity.ts";
import type {
  EnrolmentChange,
  IssuedLeaf,
  JoinToken,
  Lineage,
  RecordChange,
} from "../../src/system/enrolment_records.ts";
import type { IdentityLeaf, Validity } from "./authority.ts";
import { type CertifiedRole, parseSpiffeId } from "../pki/spiffe.ts";

/** Reasons why no leaf is issued. */
export type EnrolmentFault =
  | "unknown_token"
  | "token_spent"
  | "token_expired"
  /** The token is for another subject than the request names. */
  | "wrong_subject"
  /** The subject belongs to a region for which this authority does not sign. */
  | "wrong_region"
  | "unknown_lineage"
  /** The lineage is stopped, possibly by this very request. */
  | "lineage_stopped"
  /**
   * The leaf has a generation that group 0 never issued: group 0 was restored from an older state.
   */
  | "unknown_generation"
  /** The newest leaf has been used, so the owner has it and needs no repetition. */
  | "superseded"
  /** The leaf expired longer ago than the grace period. */
  | "expired"
  /** The intermediate expires too soon to sign a useful leaf. */
  | "signer_ending";

/** A leaf to be signed by the intermediate that the record names. */
export interface DecidedLeaf extends IdentityLeaf {
  readonly issuerKeyId: Uint8Array;
}

/**
 * A decision. `issue`: commit the change, then create the leaf. `repeat`: create the same leaf
 * again, without a change. `refuse`: create none; if there is a change, commit it (the lineage is
 * stopped).
 */
export type EnrolmentDecision =
  | { readonly kind: "issue"; readonly change: EnrolmentChange; readonly leaf: DecidedLeaf }
  | { readonly kind: "repeat"; readonly leaf: DecidedLeaf }
  | {
    readonly kind: "refuse";
    readonly fault: EnrolmentFault;
    readonly change?: EnrolmentChange;
  };

/** The currently signing intermediate. */
export interface Signer extends Validity {
  /** Key identifier, 20 bytes. */
  readonly keyId: Uint8Array;
  readonly region: string;
}

/**
 * Grace periods: time after its expiry during which a leaf may be renewed, ms, at most
 * `RENEWAL_GRACE_MS_MAX`.
 */
export interface RenewalGrace {
  /** For agents and gateways. */
  readonly recordMs: number;
  /** For nodes whose key is in the member list. */
  readonly memberMs: number;
}

/** Default grace periods. */
export const DEFAULT_RENEWAL_GRACE: RenewalGrace = Object.freeze({
  recordMs: RENEWAL_GRACE_MS_DEFAULT,
  memberMs: MEMBER_RENEWAL_GRACE_MS_DEFAULT,
});

/** A request for a subject's next certificate. */
export interface SubjectRequest {
  readonly subject: string;
  /** The key of the certificate request, proven to be the requester's. */
  readonly publicKey: Uint8Array;
  /** Current lineage of the subject, if any. */
  readonly existing: Lineage | undefined;
  /** Number for a new lineage. */
  readonly nextLineage: number;
  readonly signer: Signer;
  readonly nowMs: number;
}

/** A join request. Its subject is the one for which the requester believes the token to be. */
export interface JoinRequest extends SubjectRequest {
  /** The stored token of the presented hash; `undefined`: there is none. */
  readonly token: JoinToken | undefined;
}

/** Decides a join request. */
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
  // A subject has one owner: a new join replaces the previous lineage.
  if (existing !== undefined && existing.stopped === undefined) {
    lineages.push(stopped(existing, "replaced"));
  }
  return {
    kind: "issue",
    change: { token: replaced(token, { ...token, spent }), lineages },
    leaf: leafOf(lineage, issued),
  };
}

/**
 * Repeats the answer for a spent token: only for the request on which it was spent, and only until
 * its leaf was used.
 */
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

/** A renewal request with a leaf whose path was validated, grace period included. */
export interface ValidatedRenewal {
  /** The lineage that the leaf names; `undefined`: it does not exist. */
  readonly lineage: Lineage | undefined;
  /** Contents of the leaf; the requester proved possession of its key. */
  readonly presented: {
    readonly subject: string;
    readonly generation: number;
    readonly publicKey: Uint8Array;
    readonly notAfterMs: number;
  };
  /** The key of the certificate request, proven to be the requester's. */
  readonly publicKey: Uint8Array;
  /** Key of the node in the member list, if any. */
  readonly memberKey: Uint8Array | undefined;
  readonly signer: Signer;
  readonly grace: RenewalGrace;
  readonly nowMs: number;
}

/** Decides a renewal request. */
export function decideRenewal(request: ValidatedRenewal): EnrolmentDecision {
  const { lineage, presented, publicKey } = request;
  if (lineage === undefined || lineage.subject !== presented.subject) {
    return refuse("unknown_lineage");
  }
  if (lineage.stopped !== undefined) return refuse("lineage_stopped");
  const { latest, previous } = lineage;
  if (presented.generation > latest.generation) return refuse("unknown_generation");
  const shown = [latest, previous].find((leaf) => leaf?.generation === presented.generation);
  // Two leaves of one generation exist: somebody else signs with the authority's key.
  if (shown !== undefined && !bytesEqual(shown.publicKey, presented.publicKey)) {
    return stop(lineage);
  }
  const isForLatestKey = bytesEqual(latest.publicKey, publicKey);
  // Checked before expiry, so that a thief who presents an old leaf is noticed in any case.
  if (shown !== latest && !isForLatestKey) return stop(lineage);
  if (request.nowMs > presented.notAfterMs + graceMsOf(request)) return refuse("expired");
  if (shown === undefined) return refuse("superseded");
  if (shown !== latest) return { kind: "repeat", leaf: leafOf(lineage, latest) };
  return renew(lineage, request);
}

function renew(lineage: Lineage, request: ValidatedRenewal): EnrolmentDecision {
  const { latest } = lineage;
  const issued = issue(lineage.subject, latest.generation + 1, request);
  if (typeof issued === "string") return refuse(issued);
  // The request with the latest leaf proves that its owner has it; it becomes the previous one.
  const renewed = { ...lineage, latest: issued, latestUsed: false, previous: latest };
  const change = replaced(lineage, renewed);
  return {
    kind: "issue",
    change: { lineages: [change] },
    leaf: leafOf(change.record, issued),
  };
}

/**
 * Returns the change when a leaf of `generation` opens a session: `undefined` unless it is the
 * first use of the latest leaf. From then on the previous leaf counts as an old one.
 */
export function decideUse(lineage: Lineage, generation: number): EnrolmentChange | undefined {
  const { latest, latestUsed, stopped: reason } = lineage;
  if (reason !== undefined || latestUsed || generation !== latest.generation) return undefined;
  const { previous: _, ...rest } = lineage;
  return { lineages: [replaced(lineage, { ...rest, latestUsed: true })] };
}

/** Returns the change when an operator bans a lineage, or `undefined` if it is already stopped. */
export function decideBan(lineage: Lineage): EnrolmentChange | undefined {
  return lineage.stopped === undefined ? { lineages: [stopped(lineage, "banned")] } : undefined;
}

/** Returns the leaf of a record; the result is the same on every node at any time. */
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

/**
 * Returns the serial number: 8 bytes of the key with marker bits, then lineage and generation,
 * which together are unique per leaf.
 */
function serialNumberOf(lineage: number, { generation, publicKey }: IssuedLeaf): Uint8Array {
  const serial = new Uint8Array(16);
  serial.set(publicKey.subarray(0, 8));
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const view = new DataView(serial.buffer);
  view.setUint32(8, lineage);
  view.setUint32(12, generation);
  return serial;
}

/** Returns the data of a new leaf, or the reason why none can be issued. */
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

/** Rounds down to whole seconds, the precision of X.509. */
function cut(unixMs: number): number {
  return Math.floor(unixMs / 1_000) * 1_000;
}

function graceMsOf({ presented, publicKey, memberKey, grace }: ValidatedRenewal): number {
  const role: CertifiedRole = parseSpiffeId(presented.subject).role;
  if (role === "agent" || role === "gateway") return grace.recordMs;
  if (role !== "node" || memberKey === undefined) return 0;
  // The requester holds both keys; if the last reply was lost, the leaf's key is the previous one.
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
