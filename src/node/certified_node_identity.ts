/**
 * The identity of a node that proves itself by certificates: its TLS certificates, its leaf certificate,
 * the trust bundle and the token keys. All of them are checked once a minute. A node that has its
 * region's authority issues its own and publishes in group 0 what others must know before it is used; a
 * node without the authority's keys gets its certificates from one that has them.
 */
import { defined } from "../base/assert.ts";
import { IDENTITY_CHECK_MS, REQUEST_TIMEOUT_MS_DEFAULT, ROOT_REMINDER_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import { DOCUMENTS } from "../../schemas/gen/identity.ts";
import { RegionJudge } from "../region/region_trust.ts";
import type { RequestOf } from "../wire/operations/mod.ts";
import type { BanList } from "../../identity/trust/ban_list.ts";
import { readFile } from "../../identity/files/private_file.ts";
import { ROOT_FILE } from "../../identity/files/authority_folder.ts";
import { handshakeServices } from "../../identity/trust/handshake_services.ts";
import { authorityOf, type Candidate } from "../../identity/registry_auth/mod.ts";
import type { ServerCertificates } from "../../identity/trust/server_certificates.ts";
import type { SignedServer } from "../../identity/trust/server_signing.ts";
import { formatRegionScope, formatSpiffeId, type RegionScope } from "../../identity/pki/spiffe.ts";
import { planFromBytes } from "../../identity/tokens/token_key_plan.ts";
import { PublishedTokenKeys } from "../../identity/tokens/token_keys.ts";
import type { TrustedServer } from "../../identity/trust/trust_bundle_content.ts";
import type { TrustStore } from "../../identity/trust/trust_store.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { IdentityAuthority } from "../serving/identities/identity_authority.ts";
import type { IdentityService } from "../serving/identities/identity_service.ts";
import { keyHolders, nextKeyHolders } from "../serving/identities/key_holders.ts";
import { enrolFront } from "./front_enrolment.ts";
import type { DialedMember, NodeCertificate } from "./node_certificate.ts";
import { credentialsOf } from "./node_enrolment.ts";
import type { NodeIdentity, PeerIdentity } from "./node_identity.ts";
import type { CertificateCredentials } from "../client/credentials.ts";
import { authoritiesOf } from "./peer_address.ts";
import { nodeSubjectId } from "../serving/node_subject.ts";
import type { Registry } from "./registry.ts";
import { CertifiedIdentity, isOfOtherRegion, type SessionIdentity } from "./session_identity.ts";

/** The dependencies and settings of a certified node's identity. */
export interface CertifiedNodeOptions {
  /** Path of the folder that `crs identity init` created; "" if this node does not have it. */
  readonly authority: string;
  readonly data: string;
  /** Addresses and names that clients connect to. */
  readonly hosts: readonly string[];
  readonly region: string;
  /** Audience of the token that each session gets; "" for no token. */
  readonly sessionTokenAudience: string;
  readonly world: World;
  readonly logger: Logger;
}

/** {@link CertifiedNodeOptions} of a node that is alone: its registry is opened first. */
export interface SoleNodeOptions extends CertifiedNodeOptions {
  readonly nodeId: number;
  readonly registry: Registry;
  /** Whether a trust bundle of the future is replaced: the clock was ahead, and is right now. */
  readonly acceptClockSetBack?: boolean;
}

/** {@link CertifiedNodeOptions} of a node of several, which has a certificate in its folder. */
export interface MemberNodeOptions extends CertifiedNodeOptions {
  readonly certificate: NodeCertificate;
  readonly bans: BanList;
  /** Has this node's TLS certificates signed, without an authority folder. */
  readonly sign: (order: RequestOf<"signServer">) => Promise<SignedServer>;
  /** Returns the other members, for a renewal when no session with them is possible. */
  readonly members: () => readonly DialedMember[];
}

/** The identity of a node that proves itself by certificates; it must be attached to the registry. */
export class CertifiedNodeIdentity implements NodeIdentity {
  readonly certificates: ServerCertificates;
  readonly #options: CertifiedNodeOptions & Pick<MemberNodeOptions, "bans" | "members">;
  readonly #certificate: NodeCertificate;
  readonly #authority: IdentityAuthority | undefined;
  readonly #tokenKeys = new PublishedTokenKeys();
  #registry: Registry | undefined;
  #nodeId = 0;
  #authorities: readonly string[] = [];
  #previousPin: Uint8Array | undefined;
  #shownPin: Uint8Array;
  #remindAtMs = 0;
  #stopped = false;
  /** Settles when the last publication has ended. */
  #published: Promise<void> = Promise.resolve();
  #checking = false;
  /** Another check was asked for during a check. */
  #stepped = false;
  #timer: Timer | undefined;

  constructor(
    options: CertifiedNodeOptions & Pick<MemberNodeOptions, "bans" | "members" | "certificate">,
    authority: IdentityAuthority | undefined,
    certificates: ServerCertificates,
  ) {
    this.#options = options;
    this.#certificate = options.certificate;
    this.#authority = authority;
    this.certificates = certificates;
    this.#shownPin = certificates.current.pin;
  }

  get clientAuthorities(): readonly string[] {
    const { authority } = this.#options;
    if (authority === "") return [this.#certificate.folder.rootsPem];
    const roots = readFile(`${authority}/${ROOT_FILE}`);
    return [defined(roots, "The authority folder has its root")];
  }

  get notice(): string {
    const { trustDomain } = this.#scope;
    return `${this.#subject}: peers prove their identity by certificates of ${trustDomain}.`;
  }

  get peers(): PeerIdentity {
    const { world, bans } = this.#options;
    const own = () => this.#certificate.own;
    const trust = () => this.#trust;
    return { own, bans, services: handshakeServices({ own, trust, wall: world.wall, bans }) };
  }

  get credentials(): CertificateCredentials {
    return credentialsOf(this.#certificate, this.#options.world);
  }

  attach(registry: Registry, nodeId: number): void {
    this.#registry = registry;
    this.#nodeId = nodeId;
    const { group } = registry.identities;
    if (this.#authority === undefined) group.keylessScope = this.#scope;
    else group.knownAuthority = this.#authority;
    if (this.#certificate.exists) group.keptTrust = () => this.#certificate.trust;
    registry.checkpoints.keys = {
      own: () => Promise.resolve(this.#authority?.checkpointKeys ?? []),
      ask: (request) => group.askKeyHolder("signCheckpoint", request),
    };
  }

  get #scope(): RegionScope {
    return this.#authority ?? this.#certificate.scope;
  }

  get #trust(): TrustStore {
    return this.#authority?.hasTrust === true ? this.#authority.trust : this.#certificate.trust;
  }

  get #open(): Registry {
    return defined(this.#registry, "The identity was attached");
  }

  get #subject(): string {
    const subjectId = nodeSubjectId(this.#open.cluster.clusterId, this.#nodeId);
    const { trustDomain, region } = this.#scope;
    return formatSpiffeId({ trustDomain, region, role: "node", subjectId });
  }

  async begin(addresses: readonly Endpoint[]): Promise<SessionIdentity> {
    const named = addresses.flatMap(({ host, port }) => [
      authorityOf(host, port),
      authorityOf("localhost", port),
    ]);
    this.#authorities = [...new Set(named)];
    const registry = this.#open;
    registry.wallWatch.onStep(() => this.#checkNow());
    const { isLeading } = registry.groups.system.group;
    if (this.#certificate.exists && !(isLeading && this.#authority !== undefined)) {
      // Group 0 may have no leader yet, perhaps because the other nodes wait for this one.
      void this.#check();
    } else await this.#beginFirst();
    return this.#sessions();
  }

  async #beginFirst(): Promise<void> {
    const { folder } = this.#certificate;
    await this.#publish();
    folder.create(this.#subject);
    folder.keepRoots(this.clientAuthorities.join(""));
    await this.#renewOwn();
    this.#plan();
  }

  #sessions(): SessionIdentity {
    const { world, bans } = this.#options;
    const registry = this.#open;
    const own = () => this.#certificate.own;
    const services = handshakeServices({
      own,
      trust: () => this.#trust,
      wall: world.wall,
      bans,
      mintToken: (candidate, expiresAtMs) => this.#tokenFor(candidate, expiresAtMs),
    });
    const { admit } = services;
    const { trustDomain, region } = this.#scope;
    const regionOf = (name: string) => registry.groups.system.store.state.regions.of(name);
    const others = new RegionJudge({ own: region, regionOf, bans, wall: world.wall });
    const rules = {
      issuer: `spiffe://${trustDomain}`,
      audience: formatRegionScope(this.#scope),
      keys: this.#tokenKeys,
      bans,
    };
    return new CertifiedIdentity({
      world,
      onClockStep: registry.wallWatch.onStep,
      tokens: { rules, policy: registry.policy },
      services: {
        ...services,
        judge: async (end, chain) => await others.judge(chain) ?? services.judge(end, chain),
        admit: (candidate) => {
          // Not awaited: a session need not wait for group 0.
          void this.#service.enrolment.noteUse(candidate.identity);
          return admit(candidate);
        },
      },
      own,
      tlsLeaves: () => ({
        current: this.#shownPin,
        next: this.certificates.next.pin,
        ...(this.#previousPin === undefined ? {} : { previous: this.#previousPin }),
      }),
      authorities: () => new Set(this.#authorities),
      bans,
      refusals: registry.refusals,
      verify: (capability) => this.#service.capabilities.verify(capability, true),
      lineageOf: (subject) => registry.identities.group.state.lineageOf(subject),
    });
  }

  get #service(): IdentityService {
    return this.#open.identities;
  }

  /** Returns the token of a new session, if the operator wants one. On failure there is no token. */
  async #tokenFor(
    { identity, pinned }: Candidate,
    expiresAtMs: number,
  ): Promise<string | undefined> {
    const { sessionTokenAudience: audience, logger } = this.#options;
    const isWanted = audience !== "" && this.#authority !== undefined &&
      !isOfOtherRegion(identity, this.#scope.region);
    if (!isWanted || !(pinned || this.#open.policy.trustUnpinned)) return undefined;
    try {
      return await this.#service.tokens.mintForSession(identity, audience, expiresAtMs);
    } catch (error) {
      logger.warn("A session got no token", { subject: identity.subject, error });
      return undefined;
    }
  }

  membersChanged(): void {
    // Before it began, it publishes them anyway.
    if (this.#registry !== undefined && this.#certificate.exists) this.#checkNow();
  }

  async rotated(): Promise<void> {
    this.#previousPin = this.#shownPin;
    this.#shownPin = this.certificates.current.pin;
    await this.#publish();
  }

  async enrolFront(folder: string): Promise<void> {
    await enrolFront(folder, {
      ...{ enrolment: this.#service.enrolment, nodeSubject: this.#subject },
      rootsPem: this.clientAuthorities.join(""),
      world: this.#options.world,
      hasKeys: this.#authority !== undefined,
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #plan(): void {
    if (this.#stopped) return;
    const { scheduler } = this.#options.world;
    this.#timer = scheduler.after(IDENTITY_CHECK_MS, () => void this.#check());
  }

  /** Checks now: bundle, leaf or token keys may have ended by the clock as it was set. */
  #checkNow(): void {
    if (this.#checking) {
      this.#stepped = true;
      return;
    }
    this.#timer?.cancel();
    if (!this.#stopped) void this.#check();
  }

  /** Does the tasks that are due, and again if the clock was set meanwhile. */
  async #check(): Promise<void> {
    this.#checking = true;
    do {
      this.#stepped = false;
      await this.#doTasks();
    } while (this.#stepped && !this.#stopped);
    this.#checking = false;
    this.#plan();
  }

  /** Does the tasks that are due, each on its own; a failed one is retried at the next check. */
  async #doTasks(): Promise<void> {
    const { wall } = this.#options.world;
    const authority = this.#authority;
    if (authority !== undefined) {
      await this.#attempt("The authority folder cannot be used", () => authority.reload());
    }
    await this.#attempt("Trust could not be published", () => this.#publish());
    if (this.#certificate.isDue) {
      await this.#attempt("The node's certificate was not renewed", () => this.#renewOwn());
    }
    await this.#attempt("The root's tasks could not be checked", () => this.#remind(wall.unixMs()));
  }

  async #attempt(trouble: string, run: () => Promise<void> | void): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!this.#stopped) this.#options.logger.warn(trouble, { error });
    }
  }

  /** Logs, once a day, what only the root's key can sign. */
  #remind(nowMs: number): void {
    if (nowMs < this.#remindAtMs) return;
    for (const part of this.#authority?.dueOfRoot(nowMs) ?? []) {
      this.#remindAtMs = nowMs + ROOT_REMINDER_MS;
      const advice = `run crs identity rotate ${part} where the root's key is`;
      this.#options.logger.warn("The root must sign a renewal", { part, advice });
    }
  }

  /**
   * Publishes bundle and token keys in group 0 if they are due, and adopts the published ones. One
   * at a time: a check and a rotation may fall together, and would publish the same version twice.
   */
  #publish(): Promise<void> {
    const publishing = this.#published.then(() => this.#publishNow());
    // The caller handles the failure; the next one starts afresh.
    this.#published = publishing.catch(() => {});
    return publishing;
  }

  async #publishNow(): Promise<void> {
    const { group, tokens } = this.#service;
    await group.current();
    await this.#listKeyHolder();
    if (this.#authority !== undefined) await this.#publishDue(this.#authority);
    this.#tokenKeys.replace(tokens.keys());
    const bundle = group.trustBundle;
    if (this.#certificate.exists && bundle !== "") await this.#certificate.keepBundle(bundle);
  }

  async #listKeyHolder(): Promise<void> {
    const { group } = this.#service;
    const hasKeys = this.#authority !== undefined;
    const next = nextKeyHolders(keyHolders(group.state), this.#nodeId, hasKeys);
    if (next !== undefined) await group.putDocument("keyHolders", next, "nodes with the keys");
  }

  async #publishDue(authority: IdentityAuthority): Promise<void> {
    const { group } = this.#service;
    const { state } = group;
    await authority.learn(state);
    const bundle = await authority.dueBundle(this.#servers());
    if (bundle !== undefined) {
      await group.putDocument("trustBundle", bundle.bytes, bundle.detail);
      await authority.learn(state);
    }
    const document = state.document(DOCUMENTS.tokenKeys);
    const due = authority.duePlan(document === undefined ? [] : planFromBytes(document.bytes));
    if (due !== undefined) await group.putDocument("tokenKeys", due.bytes, due.detail);
  }

  /** Returns the nodes of the region with their pins, from group 0; this node as it is now. */
  #servers(): TrustedServer[] {
    const { store } = this.#service.group;
    const { clusterId } = this.#open.cluster;
    const { trustDomain, region } = this.#scope;
    const others = store.members.filter(({ nodeId, addresses }) =>
      nodeId !== this.#nodeId && addresses.length > 0
    );
    const own = {
      subject: this.#subject,
      authorities: this.#authorities,
      currentPin: this.#shownPin,
      nextPin: this.certificates.next.pin,
    };
    return [
      own,
      ...others.map(({ nodeId, addresses, pin, nextPin }) => ({
        subject: formatSpiffeId({
          trustDomain,
          region,
          role: "node",
          subjectId: nodeSubjectId(clusterId, nodeId),
        }),
        authorities: authoritiesOf(addresses),
        currentPin: pin,
        nextPin,
      })),
    ].sort((left, right) => left.subject < right.subject ? -1 : 1);
  }

  async #renewOwn(): Promise<void> {
    const { world, members } = this.#options;
    const certificate = this.#certificate;
    try {
      if (this.#authority === undefined) await this.#renewElsewhere();
      else await this.#renewHere();
    } catch (error) {
      const hasEnded = certificate.exists && world.wall.unixMs() >= certificate.notAfterMs;
      if (!hasEnded) throw error;
      if (this.#authority !== undefined) await certificate.bridge(this.#authority);
      else await certificate.renewFromMembers(members(), () => {});
    }
  }

  /** Issues this node's next certificate with the authority's keys. */
  async #renewHere(): Promise<void> {
    const { world } = this.#options;
    const key = await this.#certificate.folder.firstKey(world.entropy);
    const { chain, bundle } = await this.#service.enrolment.enrolStanding(
      { subject: this.#subject, publicKey: key.verifying.bytes, detail: "node" },
      world.monotonic.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT,
    );
    await this.#certificate.keep(chain, bundle);
    this.#service.group.keptTrust ??= () => this.#certificate.trust;
  }

  /** Gets this node's next certificate from a node that has the authority's keys. */
  async #renewElsewhere(): Promise<void> {
    const { group } = this.#service;
    await this.#certificate.renew((order) => group.askKeyHolder("renewIdentity", order));
  }
}
