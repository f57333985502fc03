/**
 * Identity service of a node: enrolment, renewal, tokens, bans and documents. It decides on the
 * state of group 0 (`identity/enrolment/enrolment.ts`) and commits each decision as a conditional
 * change before it makes the certificate from the committed record. If another change was committed
 * in between, it decides again, a bounded number of times.
 *
 * A grant is audited by the command that grants it; a refusal is not audited but counted.
 */
import { createHash } from "node:crypto";
import { defined } from "../base/assert.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { IDENTITY_DECISIONS_MAX, RENEWAL_GRACE_MS_MAX, TOKEN_LIFE_MS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { AuthenticatedPeer, Grants } from "../base/peer.ts";
import { formatUuid } from "../base/uuid.ts";
import type { Entropy, MonotonicClock, WallClock } from "../base/world.ts";
import { type CommandHeader, encodeRemoveMember } from "../record/command.ts";
import type { EnrolmentChange, Lineage } from "../system/enrolment_records.ts";
import {
  BAN_KINDS,
  DOCUMENTS,
  encodeAuditNote,
  encodeBan,
  encodeDocument,
  encodeEnrolment,
  encodeGrant,
} from "../system/identity_codec.ts";
import { AUDIT_ACTIONS, type AuditAction } from "../system/audit_log.ts";
import type { IdentityState } from "../system/identity_state.ts";
import type { SystemReply, SystemStore } from "../system/system_store.ts";
import type { BanKind, BanList } from "../../identity/trust/ban_list.ts";
import { checkCertificateRequest } from "../../identity/pki/certificate_request.ts";
import { isRefusal, refusedCertificate } from "../../identity/pki/certificate_refusal.ts";
import {
  decideJoin,
  decideRenewal,
  decideUse,
  type EnrolmentDecision,
  type EnrolmentFault,
  leafOf,
  type RenewalGrace,
} from "../../identity/enrolment/enrolment.ts";
import { createJoinToken, hashJoinToken } from "../../identity/enrolment/join_token.ts";
import { validateIdentity } from "../../identity/pki/path_validation.ts";
import type { ProvenIdentity } from "../../identity/registry_auth/mod.ts";
import { isRenewalProven } from "../../identity/enrolment/renewal_proof.ts";
import { formatRegionScope, formatSpiffeId, parseSpiffeId } from "../../identity/pki/spiffe.ts";
import { decideStanding } from "../../identity/enrolment/standing.ts";
import { mintToken, type TokenOrder } from "../../identity/tokens/token.ts";
import { planFromBytes } from "../../identity/tokens/token_key_plan.ts";
import { publishedKeys } from "../../identity/tokens/token_keys.ts";
import { publicationFromBytes } from "../../identity/trust/bundle_publication.ts";
import { banDetail, canonicalBanName, isKnownName, keptBanName } from "./ban_names.ts";
import type { Group } from "../replication/group_interface.ts";
import type { IdentityAuthority } from "./identity_authority.ts";
import { nodeSubjectId } from "./node_subject.ts";
import type { Refusals } from "./refusals.ts";

/** Dependencies of an {@link IdentityService}. */
export interface IdentityServiceParts {
  readonly group: Group<SystemReply>;
  readonly store: SystemStore;
  readonly bans: BanList;
  readonly grace: RenewalGrace;
  readonly refusals: Refusals;
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly entropy: Entropy;
  readonly logger: Logger;
}

/** Issued certificate chain, leaf first, and the trust bundle ("" if there is none). */
export interface Issued {
  readonly chain: readonly Uint8Array[];
  readonly bundle: string;
}

/** Encoder of a command for group 0, given its header. */
type Command = (header: CommandHeader) => Uint8Array;

/** Timeout of a read barrier or a background proposal of group 0, ms. */
const READ_MS = 3_000;

/** Serves identities from the state of group 0. */
export class IdentityService {
  readonly #parts: IdentityServiceParts;
  #authority: IdentityAuthority | undefined;
  #reserved = 0;

  constructor(parts: IdentityServiceParts) {
    this.#parts = parts;
  }

  /** Identities of group 0, as applied on this node. */
  get state(): IdentityState {
    return this.#parts.store.identities;
  }

  /** Sets the authority that makes certificates and tokens from now on. */
  useAuthority(authority: IdentityAuthority): void {
    this.#authority = authority;
  }

  /** Creates a one-time join token for the future holder of `subject`. @throws RegistryError */
  async createJoinToken(
    order: { readonly subject: string; readonly grants: Grants },
    writer: number,
    deadlineMs: number,
  ): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const subject = parseSpiffeId(order.subject);
    const authority = this.#must();
    if (subject.trustDomain !== authority.trustDomain) {
      throw invalid("subject", `be of the trust domain ${authority.trustDomain}`);
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
    return { token: text, expiresAtMs: record.expiresAtMs };
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
      const { administrators } = this.#must();
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
      (nowMs) => {
        const { state } = this;
        return decideJoin({
          token: state.token(hash),
          subject,
          publicKey,
          existing: state.lineageOf(subject),
          nextLineage: this.#nextLineage(),
          signer: this.#must().signer(nowMs),
          nowMs,
        });
      },
      { action: "enrol", detail: "join token", subject },
      deadlineMs,
    );
  }

  /** Issues the next certificate for a key listed in this node's files. @throws RegistryError */
  async enrolStanding(
    { subject, publicKey, detail }: { subject: string; publicKey: Uint8Array; detail: string },
    deadlineMs: number,
  ): Promise<Issued> {
    this.#checkBans(subject, this.state.lineageOf(subject));
    return await this.#decide(
      (nowMs) =>
        decideStanding({
          subject,
          publicKey,
          existing: this.state.lineageOf(subject),
          nextLineage: this.#nextLineage(),
          signer: this.#must().signer(nowMs),
          nowMs,
        }),
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
    const authority = this.#must();
    const leaf = await validateIdentity({
      chain,
      trust: authority.trust,
      nowMs: this.#parts.wall.unixMs(),
      graceMs: RENEWAL_GRACE_MS_MAX,
    });
    if (isRefusal(leaf)) {
      this.#refuse(leaf.fault, "");
      throw refusedCertificate(leaf);
    }
    const nowMs = this.#parts.wall.unixMs();
    const isProven = isRenewalProven({ request, timeMs }, proof, {
      publicKey: leaf.publicKey,
      nowMs,
    });
    if (!isProven) throw this.#refuse("not_proven", leaf.subject);
    this.#checkBans(leaf.subject, this.state.lineage(leaf.lineage));
    const presented = { ...leaf, notAfterMs: leaf.certificate.notAfterMs };
    return await this.#decide(
      (nowMs) =>
        decideRenewal({
          lineage: this.state.lineage(leaf.lineage),
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

  /** Records the first use of a certificate, which supersedes the previous one. Never rejects. */
  async noteUse({ lineage: number, publicKey, notAfterMs }: ProvenIdentity): Promise<void> {
    const lineage = this.state.lineage(number);
    if (lineage === undefined || lineage.latestUsed) return;
    const { latest } = lineage;
    if (latest.notAfterMs !== notAfterMs || !bytesEqual(latest.publicKey, publicKey)) return;
    const change = decideUse(lineage, latest.generation);
    if (change === undefined) return;
    try {
      await this.#propose((header) => encodeEnrolment(header, change), 0, this.#soon());
    } catch (error) {
      // Another node recorded it, or the next session will.
      this.#parts.logger.debug("The first use of a certificate was not noted", { error });
    }
  }

  /**
   * Mints a token bound to the certificate of the peer's session, with the grants of the
   * certificate. Grants that a token added to the session are left out, as otherwise they would
   * outlive that token's ban.
   *
   * @throws RegistryError
   */
  async mint(peer: AuthenticatedPeer, audience: string, lifeMs: number): Promise<string> {
    if (peer.leafHash.length === 0) {
      throw new RegistryError(
        "permission_denied",
        "A token is bound to a certificate, and this session has none",
      );
    }
    const { subject, leafHash, expiresAtMs } = peer;
    const grants = peer.token?.certified ?? peer.grants;
    return await this.#mint({ subject, leafHash, grants, audience, lifeMs }, expiresAtMs);
  }

  /**
   * Mints a token as {@link mint} does, for a new session, with the longest lifetime.
   *
   * @throws RegistryError
   */
  async mintForSession(
    { subject, leafHash, grants }: ProvenIdentity,
    audience: string,
    expiresAtMs: number,
  ): Promise<string> {
    const order = { subject, leafHash, grants, audience, lifeMs: TOKEN_LIFE_MS_MAX };
    return await this.#mint(order, expiresAtMs);
  }

  /**
   * Issues a token for a subject's latest certificate, with grants given by a controller; audited.
   *
   * @throws RegistryError `not_found` if the subject has no certificate, and those of a commit.
   */
  async issueToken(
    { subject, grants, ...order }: {
      readonly subject: string;
      readonly audience: string;
      readonly lifeMs: number;
      readonly grants: Grants;
    },
    writer: number,
    deadlineMs: number,
  ): Promise<string> {
    await this.current();
    const lineage = this.state.lineageOf(subject);
    if (lineage === undefined) {
      throw new RegistryError("not_found", `${subject} has no valid certificate`);
    }
    const { latest } = lineage;
    // A leaf made again from its record has the same bytes.
    const [leaf] = await this.#must().issue(leafOf(lineage, latest));
    const hash = createHash("sha256").update(defined(leaf, "A chain has a leaf")).digest();
    const leafHash = new Uint8Array(hash);
    const tokenId = this.#newId();
    const endsAtMs = Math.min(this.#parts.wall.unixMs() + order.lifeMs, latest.notAfterMs);
    const token = await this.#mint(
      { ...order, subject, grants, leafHash, tokenId },
      latest.notAfterMs,
    );
    const detail = `token ${tokenId}: ${grantsText(grants)}`;
    const untilMs = Math.ceil(endsAtMs / 1_000) * 1_000;
    const grant = { tokenId, lineage: lineage.lineage, subject, grants, untilMs };
    // Group 0 knows the grant before the token is handed out: records that depend on it end with
    // it.
    const isForRegistry = order.audience === formatRegionScope(this.#must());
    if (isForRegistry && grants.domains.length + grants.gateways.length > 0) {
      await this.#propose((header) => encodeGrant(header, grant, detail), writer, deadlineMs);
    } else await this.note({ action: "token", subject, detail }, writer, deadlineMs);
    return token;
  }

  async #mint(
    { lifeMs, tokenId = this.#newId(), ...order }:
      & Pick<TokenOrder, "subject" | "audience" | "leafHash" | "grants" | "lifeMs">
      & { readonly tokenId?: string },
    expiresAtMs: number,
  ): Promise<string> {
    const authority = this.#must();
    const nowMs = this.#parts.wall.unixMs();
    return await mintToken({
      ...order,
      issuer: authority.issuer,
      tokenId,
      nowMs,
      lifeMs: Math.min(lifeMs, expiresAtMs - nowMs),
    }, authority.tokenSigner(planFromState(this.state), nowMs));
  }

  #newId(): string {
    const bytes = new Uint8Array(16);
    this.#parts.entropy.fill(bytes);
    return formatUuid(bytes);
  }

  /** Returns the public keys of tokens as a JWK Set. */
  tokenKeys(): string {
    return publishedKeys(planFromState(this.state), this.#parts.wall.unixMs());
  }

  /** Returns the trust bundle; "" if there is none. */
  trustBundle(): string {
    const document = this.state.document(DOCUMENTS.trustBundle);
    return document === undefined ? "" : publicationFromBytes(document.bytes).text;
  }

  /**
   * Bans a name, or lifts a ban.
   *
   * @returns the stored name, and whether group 0 knows something of that name.
   * @throws RegistryError `not_found` if there is no ban to lift, or no such lineage;
   * `invalid_argument` for a name that no peer can have, or an end in the past.
   */
  async ban(
    ban: { kind: BanKind; name: string; reason: string; untilMs: number; lifted: boolean },
    writer: number,
    deadlineMs: number,
  ): Promise<{ readonly name: string; readonly known: boolean }> {
    const { kind, lifted, untilMs } = ban;
    await this.current();
    const name = lifted
      ? keptBanName(ban, this.state)
      : canonicalBanName(ban, this.#authority?.trustDomain);
    const known = isKnownName({ kind, name }, this.state);
    if (!lifted && kind === "lineage" && !known) {
      throw new RegistryError("not_found", `There is no lineage ${name} to ban`);
    }
    if (!lifted && untilMs !== 0 && untilMs <= this.#parts.wall.unixMs()) {
      throw invalid("untilMs", "be later than now");
    }
    const body = { ...ban, name, kind: BAN_KINDS[kind], detail: banDetail(ban) };
    await this.#propose((header) => encodeBan(header, body), writer, deadlineMs);
    return { name, known };
  }

  /**
   * Ends a node's membership and its certificates permanently; audited. Placement moves the
   * replicas of the node to other nodes.
   *
   * @throws RegistryError `not_found`, `invalid_argument` for the last member.
   */
  async removeMember(
    nodeId: number,
    { subject, lineage }: AuthenticatedPeer,
    deadlineMs: number,
  ): Promise<void> {
    await this.#propose(
      (header) => encodeRemoveMember(header, { nodeId, detail: subject }),
      lineage,
      deadlineMs,
    );
    const { genesis } = this.#parts.store;
    if (this.#authority === undefined || genesis === undefined) return;
    const { trustDomain, region } = this.#authority;
    const subjectId = nodeSubjectId(genesis.clusterId, nodeId);
    const name = formatSpiffeId({ trustDomain, region, role: "node", subjectId });
    const reason = "it was removed from the cluster";
    await this.ban(
      { kind: "subject", name, reason, untilMs: 0, lifted: false },
      lineage,
      deadlineMs,
    );
  }

  /**
   * Audits an action of an administrator that takes place elsewhere, before it is done.
   *
   * @throws RegistryError
   */
  async note(
    note: { readonly action: AuditAction; readonly subject: string; readonly detail: string },
    writer: number,
    deadlineMs: number,
  ): Promise<void> {
    const body = { ...note, action: AUDIT_ACTIONS[note.action] };
    await this.#propose((header) => encodeAuditNote(header, body), writer, deadlineMs);
  }

  /** Replaces the current version of a document. @throws RegistryError as a commit does. */
  async putDocument(
    name: keyof typeof DOCUMENTS,
    bytes: Uint8Array,
    detail: string,
  ): Promise<void> {
    const number = DOCUMENTS[name];
    const replacedVersion = this.state.document(number)?.version ?? 0;
    const body = { name: number, replacedVersion, version: replacedVersion + 1, bytes, detail };
    await this.#propose((header) => encodeDocument(header, body), 0, this.#soon());
  }

  /**
   * Waits until all previously committed changes are applied on this node.
   *
   * @throws RegistryError
   */
  async current(): Promise<void> {
    const { group } = this.#parts;
    if (group.readPoint(0) !== undefined) return;
    const permitted = await group.readBarrier(0, READ_MS);
    if (permitted instanceof RegistryError) throw permitted;
  }

  #must(): IdentityAuthority {
    if (this.#authority !== undefined) return this.#authority;
    throw new RegistryError(
      "invalid_configuration",
      "This node has the development identity and issues none: create a real one with " +
        "`crs identity init`, and start the node with --authority",
      { field: "authority" },
    );
  }

  #soon(): number {
    return this.#parts.monotonic.nowMs() + READ_MS;
  }

  #nextLineage(): number {
    // Concurrent decisions each take a number of their own; gaps are harmless.
    this.#reserved = Math.max(this.state.nextLineage, this.#reserved + 1);
    return this.#reserved;
  }

  /** Returns the key of the newest certificate of a member node; `undefined` for other subjects. */
  #memberKeyOf(subject: string): Uint8Array | undefined {
    const { role, subjectId } = parseSpiffeId(subject);
    const { genesis, members } = this.#parts.store;
    if (role !== "node" || genesis === undefined) return undefined;
    const isMember = members.some(({ nodeId }) =>
      bytesEqual(nodeSubjectId(genesis.clusterId, nodeId), subjectId)
    );
    return isMember ? this.state.lineageOf(subject)?.latest.publicKey : undefined;
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
    await this.current();
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
        const chain = await this.#must().issue(decision.leaf);
        return { chain, bundle: this.trustBundle() };
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
    await this.#propose(
      (header) => encodeEnrolment(header, change, { action, detail }),
      writer,
      deadlineMs,
    );
  }

  async #propose(command: Command, writer: number, deadlineMs: number): Promise<void> {
    const { group, monotonic, wall } = this.#parts;
    const leftMs = deadlineMs - monotonic.nowMs();
    if (leftMs <= 0) {
      throw new RegistryError(
        "deadline_exceeded",
        "The request's deadline passed before it was logged",
      );
    }
    const header = {
      timeMs: Math.floor(group.timeMs()),
      unixS: Math.min(0xffff_ffff, Math.floor(wall.unixMs() / 1_000)),
      writer,
    };
    const proposed = await group.propose(command(header), leftMs);
    if (!proposed.ok) throw proposed.error;
    const { outcome } = proposed;
    if (outcome.code !== "ok") throw new RegistryError(outcome.code, outcome.message);
  }

  /** Counts a refusal and returns its error. */
  #refuse(fault: EnrolmentFault | string, subject: string): RegistryError {
    this.#parts.refusals.note("A request for an identity was refused", fault, { subject });
    const reason = FAULT_TEXTS[fault as EnrolmentFault] ?? fault;
    const code = fault === "signer_ending" ? "invalid_configuration" : "unauthenticated";
    return new RegistryError(code, `No certificate is issued: ${reason}`, { field: fault });
  }
}

/** Reasons for refusing a certificate. */
const FAULT_TEXTS: Readonly<Record<EnrolmentFault, string>> = {
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

function planFromState(state: IdentityState) {
  const document = state.document(DOCUMENTS.tokenKeys);
  return document === undefined ? [] : planFromBytes(document.bytes);
}

function grantsText({ domains, gateways, credentialHashes }: Grants): string {
  const parts = [
    ...domains.map((domain) => `domain ${domain}`),
    ...gateways.map((gateway) => `gateway ${gateway}`),
    ...(credentialHashes === true ? ["credential hashes"] : []),
  ];
  return parts.length === 0 ? "no grants" : parts.join(", ");
}

function invalid(field: string, wanted: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}`, { field });
}
