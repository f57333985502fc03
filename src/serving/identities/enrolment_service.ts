/**
 * Enrolment: join tokens, first certificates and renewals. It decides on the state of group 0
 * (`identity/enrolment/enrolment.ts`) and commits each decision as a conditional change before it
 * makes the certificate from the committed record. If another change was committed in between, it
 * decides again, a bounded number of times.
 */
import { defined } from "../../base/assert.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { IDENTITY_DECISIONS_MAX, RENEWAL_GRACE_MS_MAX } from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { AuthenticatedPeer, Grants } from "../../base/peer.ts";
import type { Entropy, WallClock } from "../../base/world.ts";
import type { AuditAction } from "../../../schemas/gen/audit.ts";
import type { EnrolmentChange, JoinToken, Lineage } from "../../system/enrolment_records.ts";
import { encodeEnrolment, READ_LIMITS_APPLY_VERSION } from "../../system/identity_codec.ts";
import { encodeAdmitMember } from "../../system/members/member_state.ts";
import type { ReplyOf, RequestOf } from "../../wire/operations/mod.ts";
import {
  decideJoin,
  decideRenewal,
  decideUse,
  type EnrolmentDecision,
  type EnrolmentFault,
  type RenewalGrace,
  type SubjectRequest,
} from "../../../identity/enrolment/enrolment.ts";
import { createJoinToken, hashJoinToken } from "../../../identity/enrolment/join_token.ts";
import { isRenewalProven } from "../../../identity/enrolment/renewal_proof.ts";
import { decideStanding } from "../../../identity/enrolment/standing.ts";
import { isRefusal, refusedCertificate } from "../../../identity/pki/certificate_refusal.ts";
import { checkCertificateRequest } from "../../../identity/pki/certificate_request.ts";
import { type ValidatedIdentity, validateIdentity } from "../../../identity/pki/path_validation.ts";
import { formatSpiffeId, parseSpiffeId } from "../../../identity/pki/spiffe.ts";
import type { ProvenIdentity } from "../../../identity/registry_auth/mod.ts";
import type { BanList } from "../../../identity/trust/ban_list.ts";
import { nodeSubjectId } from "../node_subject.ts";
import type { Refusals } from "../refusals.ts";
import { bridgingChain } from "./bridging.ts";
import { checkVersion, grantsText, type IdentityGroup, invalid } from "./identity_group.ts";
import { memberOf, serverOrderOf } from "./server_order.ts";

/** Dependencies of an {@link EnrolmentService}. */
export interface EnrolmentServiceParts {
  readonly bans: BanList;
  readonly grace: RenewalGrace;
  readonly refusals: Refusals;
  readonly wall: WallClock;
  readonly entropy: Entropy;
  readonly logger: Logger;
  /** Reports whether a node with this UUID is a member, as far as this node knows without a leader. */
  readonly isMember: (subjectId: Uint8Array) => boolean;
  /** Throws if a node with this description may not join. */
  readonly checkJoining: (node: NodeOrder) => void;
}

/** A node that asks for its first certificate. */
export type NodeOrder = RequestOf<"enrolNode">;

/** Issued certificate chain, leaf first, and the trust bundle ("" if there is none). */
export interface Issued {
  readonly chain: readonly Uint8Array[];
  readonly bundle: string;
}

/** Issues certificates. */
export class EnrolmentService {
  readonly #group: IdentityGroup;
  readonly #parts: EnrolmentServiceParts;
  #reserved = 0;

  constructor(group: IdentityGroup, parts: EnrolmentServiceParts) {
    this.#group = group;
    this.#parts = parts;
  }

  /**
   * Creates a one-time join token for the future holder of `subject`.
   *
   * @throws RegistryError `not_leader` with the hint to a node that has the authority's keys.
   */
  async createJoinToken(
    order: { readonly subject: string; readonly grants: Grants },
    writer: number,
    deadlineMs: number,
  ): Promise<ReplyOf<"createJoinToken">> {
    const { reads } = order.grants;
    if (reads !== undefined) checkVersion(this.#group, READ_LIMITS_APPLY_VERSION, "read limits");
    const subject = parseSpiffeId(order.subject);
    const { trustDomain } = this.#group.authority;
    if (subject.trustDomain !== trustDomain) {
      throw invalid("subject", `be of the trust domain ${trustDomain}`);
    }
    const { wall, entropy } = this.#parts;
    const nowMs = wall.unixMs();
    const { text, record } = createJoinToken({
      subject,
      grants: order.grants,
      nowMs,
      entropy,
    });
    await this.#commit(
      { token: { replacedVersion: 0, record }, lineages: [] },
      { action: "joinToken", detail: grantsText(order.grants), writer },
      deadlineMs,
    );
    return { token: text, expiresAtMs: record.expiresAtMs, readLimits: reads?.length ?? 0 };
  }

  /**
   * Issues the first certificate of a subject for a join token or, without one, for the key of an
   * administrator.
   *
   * @throws RegistryError `unauthenticated`, `invalid_argument`, and those of a commit.
   */
  async enrol(
    { token, subject, ...proven }: {
      readonly token: string;
      readonly subject: string;
      readonly request: Uint8Array;
      readonly timeMs: number;
      readonly proof: Uint8Array;
    },
    deadlineMs: number,
  ): Promise<Issued> {
    const publicKey = await this.#keyOf(proven.request);
    if (token === "") {
      const { administrators } = this.#group.authority;
      const known = administrators.some((one) =>
        one.subject === subject && bytesEqual(one.publicKey, publicKey)
      );
      if (!known) throw this.#refuse("unknown_key", subject);
      // Without a fresh proof an observer could replay the request for as long as the key is
      // listed.
      const nowMs = this.#parts.wall.unixMs();
      const content = { ...proven, purpose: "administrator" } as const;
      const isFresh = isRenewalProven(content, proven.proof, { publicKey, nowMs });
      if (!isFresh) throw this.#refuse("not_proven", subject);
      return await this.enrolStanding({ subject, publicKey, detail: "administrator" }, deadlineMs);
    }
    const hash = hashJoinToken(token);
    if (hash === undefined) throw this.#refuse("unknown_token", subject);
    this.#checkBans(subject);
    return await this.#decide(
      (nowMs) =>
        decideJoin({
          ...this.#requestOf(subject, publicKey, nowMs),
          token: this.#group.state.token(hash),
        }),
      { action: "enrol", detail: "join token", subject },
      deadlineMs,
    );
  }

  /**
   * Gives a data folder its number in the cluster, and the node its first certificate, for a join token
   * for any node of the region: the subject follows from the number.
   *
   * @throws RegistryError `unauthenticated`, those of `Joining.check`, and those of a commit.
   */
  async enrolNode(order: NodeOrder, deadlineMs: number): Promise<ReplyOf<"enrolNode">> {
    const publicKey = await this.#keyOf(order.request);
    const hash = hashJoinToken(order.token);
    if (hash === undefined) throw this.#refuse("unknown_token", "");
    await this.#group.current();
    this.#checkNodeToken(this.#group.state.token(hash), publicKey);
    this.#parts.checkJoining(order);
    const { nodeId, folderId, zone, host, applyVersionMax } = order;
    const admission = { nodeId, folderId, zone, host, applyVersionMax };
    const assigned = await this.#group.propose(
      (header) => encodeAdmitMember(header, admission),
      0,
      deadlineMs,
    );
    const { trustDomain, region } = this.#group.authority;
    const { clusterId } = defined(this.#group.store.genesis, "A cluster was created");
    const number = assigned ?? nodeId;
    const subjectId = nodeSubjectId(clusterId, number);
    const subject = formatSpiffeId({ trustDomain, region, role: "node", subjectId });
    this.#checkBans(subject);
    const { chain, bundle } = await this.#decide(
      (nowMs) => {
        const token = this.#group.state.token(hash);
        return decideJoin({
          ...this.#requestOf(subject, publicKey, nowMs),
          token: token === undefined ? undefined : { ...token, subject },
        });
      },
      { action: "enrol", detail: `join token of node ${number}`, subject },
      deadlineMs,
    );
    return { nodeId: number, subject, chain: [...chain], bundle };
  }

  /**
   * Signs another node's TLS certificate.
   *
   * @throws RegistryError `invalid_argument`; `permission_denied` for names of another node.
   */
  async signServer(
    request: RequestOf<"signServer">,
    { subjectId }: Pick<AuthenticatedPeer, "subjectId">,
  ): Promise<ReplyOf<"signServer">> {
    const { wall, entropy } = this.#parts;
    const group = this.#group;
    // The member may be newer than this node's copy of group 0, which may have no leader now.
    if (memberOf(subjectId, group.store) === undefined) await group.current();
    const order = serverOrderOf(request, memberOf(subjectId, group.store), {
      members: group.store.members,
      nowMs: wall.unixMs(),
    });
    return await group.authority.signServer(order, entropy);
  }

  /** Checks a token before a number is given for it. */
  #checkNodeToken(token: JoinToken | undefined, publicKey: Uint8Array): void {
    if (token === undefined) throw this.#refuse("unknown_token", "");
    const { role, region } = parseSpiffeId(token.subject);
    if (role !== "node") throw this.#refuse("wrong_role", token.subject);
    if (region !== this.#group.authority.region) throw this.#refuse("wrong_region", token.subject);
    const { spent, expiresAtMs } = token;
    if (spent !== undefined && !bytesEqual(spent.publicKey, publicKey)) {
      throw this.#refuse("token_spent", token.subject);
    }
    if (spent === undefined && expiresAtMs <= this.#parts.wall.unixMs()) {
      throw this.#refuse("token_expired", token.subject);
    }
  }

  /** Issues the next certificate for a key listed in this node's files. @throws RegistryError */
  async enrolStanding(
    { subject, publicKey, detail }: { subject: string; publicKey: Uint8Array; detail: string },
    deadlineMs: number,
  ): Promise<Issued> {
    this.#checkBans(subject, this.#group.state.lineageOf(subject));
    return await this.#decide(
      (nowMs) => decideStanding(this.#requestOf(subject, publicKey, nowMs)),
      { action: "enrol", detail, subject },
      deadlineMs,
    );
  }

  /**
   * Issues the next certificate to the holder of the current one.
   *
   * @throws RegistryError `unauthenticated`, and those of a commit.
   */
  async renew(
    { chain, request, timeMs, proof }: {
      chain: readonly Uint8Array[];
      request: Uint8Array;
      timeMs: number;
      proof: Uint8Array;
    },
    deadlineMs: number,
  ): Promise<Issued> {
    const publicKey = await this.#keyOf(request);
    const { authority, trust } = this.#group;
    const nowMs = this.#parts.wall.unixMs();
    const leaf = await validateIdentity({ chain, trust, nowMs, graceMs: RENEWAL_GRACE_MS_MAX });
    if (isRefusal(leaf)) {
      this.#refuse(leaf.fault, "");
      throw refusedCertificate(leaf);
    }
    const by = { publicKey: leaf.publicKey, nowMs };
    const isProven = isRenewalProven({ request, timeMs }, proof, by);
    if (!isProven) throw this.#refuse("not_proven", leaf.subject);
    this.#checkBans(leaf.subject, this.#group.state.lineage(leaf.lineage));
    const presented = { ...leaf, notAfterMs: leaf.certificate.notAfterMs };
    try {
      await this.#group.current();
    } catch (error) {
      const bridged = await this.#bridge(leaf, publicKey);
      if (bridged === undefined) throw error;
      return bridged;
    }
    return await this.#decide(
      (nowMs) =>
        decideRenewal({
          lineage: this.#group.state.lineage(leaf.lineage),
          presented,
          publicKey,
          memberKey: this.#memberKeyOf(leaf.subject),
          signer: authority.signer(nowMs),
          grace: this.#parts.grace,
          nowMs,
        }),
      { action: "renew", detail: "", subject: leaf.subject },
      deadlineMs,
    );
  }

  /**
   * Issues a certificate without a record, to a member whose own has ended while group 0 has no leader:
   * without it the member cannot vote for one. It is of the presented lineage and generation, so that the
   * next renewal is recorded as the one after that.
   */
  async #bridge(
    leaf: ValidatedIdentity,
    publicKey: Uint8Array,
  ): Promise<Issued | undefined> {
    const { wall, grace, isMember } = this.#parts;
    const { role, subjectId } = leaf.spiffe;
    const endedMs = wall.unixMs() - leaf.certificate.notAfterMs;
    const isBridged = role === "node" && endedMs >= 0 && endedMs <= grace.memberMs &&
      bytesEqual(publicKey, leaf.publicKey) && isMember(subjectId);
    if (!isBridged) return undefined;
    const { stopped } = this.#group.state.lineage(leaf.lineage) ?? {};
    if (stopped !== undefined) throw this.#refuse("lineage_stopped", leaf.subject);
    const chain = await bridgingChain(this.#group.authority, leaf, this.#parts);
    const { subject } = leaf;
    const message = "A member's certificate was issued without a record, as group 0 has no leader";
    this.#parts.logger.warn(message, { subject });
    return { chain, bundle: this.#group.trustBundle };
  }

  /** Records the first use of a certificate, which supersedes the previous one. Never rejects. */
  async noteUse({ lineage: number, publicKey, notAfterMs }: ProvenIdentity): Promise<void> {
    const lineage = this.#group.state.lineage(number);
    if (lineage === undefined || lineage.latestUsed) return;
    const { latest } = lineage;
    if (latest.notAfterMs !== notAfterMs || !bytesEqual(latest.publicKey, publicKey)) return;
    const change = decideUse(lineage, latest.generation);
    if (change === undefined) return;
    try {
      await this.#group.propose((header) => encodeEnrolment(header, change), 0, this.#group.soon());
    } catch (error) {
      // Another node recorded it, or the next session will.
      this.#parts.logger.debug("The first use of a certificate was not noted", { error });
    }
  }

  #requestOf(subject: string, publicKey: Uint8Array, nowMs: number): SubjectRequest {
    return {
      subject,
      publicKey,
      existing: this.#group.state.lineageOf(subject),
      nextLineage: this.#nextLineage(),
      signer: this.#group.authority.signer(nowMs),
      nowMs,
    };
  }

  #nextLineage(): number {
    // Concurrent decisions each take a number of their own; gaps are harmless.
    this.#reserved = Math.max(this.#group.state.nextLineage, this.#reserved + 1);
    return this.#reserved;
  }

  /** Returns the key of the newest certificate of a member node; `undefined` for other subjects. */
  #memberKeyOf(subject: string): Uint8Array | undefined {
    const { role, subjectId } = parseSpiffeId(subject);
    const { genesis, members } = this.#group.store;
    if (role !== "node" || genesis === undefined) return undefined;
    const isMember = members.some(({ nodeId }) =>
      bytesEqual(nodeSubjectId(genesis.clusterId, nodeId), subjectId)
    );
    return isMember ? this.#group.state.lineageOf(subject)?.latest.publicKey : undefined;
  }

  async #keyOf(request: Uint8Array): Promise<Uint8Array> {
    const checked = await checkCertificateRequest(request);
    if (!isRefusal(checked)) return checked.publicKey;
    this.#refuse(checked.fault, "");
    throw invalid("request", `be a certificate request: ${checked.message}`);
  }

  #checkBans(subject: string, lineage?: Lineage): void {
    const ban = this.#parts.bans.banOf({
      subject,
      ...(lineage === undefined ? {} : { lineage: lineage.lineage }),
    });
    // The ban list contains stopped lineages too; their refusal has a more precise reason.
    if (ban !== undefined && lineage?.stopped === undefined) throw this.#refuse("banned", subject);
  }

  /**
   * Decides, commits and makes the leaf; decides again if a concurrent change was committed first.
   */
  async #decide(
    decide: (nowMs: number) => EnrolmentDecision,
    audit: { readonly action: AuditAction; readonly detail: string; readonly subject: string },
    deadlineMs: number,
  ): Promise<Issued> {
    await this.#group.current();
    for (let tries = 1;; tries++) {
      const decision = decide(this.#parts.wall.unixMs());
      try {
        const change = decision.kind === "repeat" ? undefined : decision.change;
        if (change !== undefined) {
          const [first] = change.lineages;
          const isStop = decision.kind === "refuse";
          await this.#commit(change, {
            action: isStop ? "lineageStopped" : audit.action,
            detail: isStop ? decision.fault : audit.detail,
            writer: first?.record.lineage ?? 0,
          }, deadlineMs);
        }
        if (decision.kind === "refuse") throw this.#refuse(decision.fault, audit.subject);
        const chain = await this.#group.authority.issue(decision.leaf);
        return { chain, bundle: this.#group.trustBundle };
      } catch (error) {
        const isRaced = error instanceof RegistryError && error.code === "incarnation_mismatch";
        if (!isRaced || tries === IDENTITY_DECISIONS_MAX) throw error;
      }
    }
  }

  async #commit(
    change: EnrolmentChange,
    { action, detail, writer }: { action: AuditAction; detail: string; writer: number },
    deadlineMs: number,
  ): Promise<void> {
    await this.#group.propose(
      (header) => encodeEnrolment(header, change, { action, detail }),
      writer,
      deadlineMs,
    );
  }

  /** Counts a refusal and returns its error. */
  #refuse(fault: EnrolmentFault | string, subject: string): RegistryError {
    this.#parts.refusals.note("A request for an identity was refused", fault, { subject });
    const reason = FAULT_TEXTS[fault as keyof typeof FAULT_TEXTS] ?? fault;
    const code = fault === "signer_ending" ? "invalid_configuration" : "unauthenticated";
    return new RegistryError(code, `No certificate is issued: ${reason}`, { field: fault });
  }
}

/** Reasons for refusing a certificate. */
const FAULT_TEXTS: Readonly<Record<EnrolmentFault | "wrong_role", string>> = {
  wrong_role: "the join token is not for a node: create one with crs identity join-token node",
  unknown_token: "there is no such join token",
  token_spent: "the join token was already used",
  token_expired: "the join token has expired",
  wrong_subject: "the join token is for another subject",
  wrong_region: "the subject is of another region",
  unknown_lineage: "the certificate's lineage is unknown",
  lineage_stopped: "the certificate's lineage was stopped: its owner must join again",
  unknown_generation: "the certificate is newer than any issued one",
  superseded: "a newer certificate is in use",
  expired: "the certificate expired too long ago: join again",
  signer_ending: "the intermediate is about to expire: give the nodes a new one",
};
