/**
 * The identity of a node that has its region's authority: its TLS certificates, its leaf certificate,
 * the trust bundle and the token keys. All of them are checked once a minute. The parts that others
 * must know are published in group 0 before they are used.
 */
import { isIP } from "node:net";
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { IDENTITY_CHECK_MS, REQUEST_TIMEOUT_MS_DEFAULT, ROOT_REMINDER_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import { DOCUMENTS } from "../system/identity_codec.ts";
import { parseAddress } from "../record/address.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";
import { readFile } from "../../identity/files/private_file.ts";
import { ROOT_FILE } from "../../identity/files/authority_folder.ts";
import { handshakeServices } from "../../identity/trust/handshake_services.ts";
import { IdentityFolder } from "../../identity/files/identity_folder.ts";
import type { OwnIdentity } from "../../identity/trust/own_identity.ts";
import { authorityOf, type Candidate } from "../../identity/registry_auth/mod.ts";
import { renewAtMs } from "../../identity/enrolment/renewal_schedule.ts";
import { ServerCertificates } from "../../identity/trust/server_certificates.ts";
import { formatRegionScope, formatSpiffeId } from "../../identity/pki/spiffe.ts";
import { planFromBytes } from "../../identity/tokens/token_key_plan.ts";
import { PublishedTokenKeys } from "../../identity/tokens/token_keys.ts";
import type { TrustedServer } from "../../identity/trust/trust_bundle_content.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { IdentityAuthority } from "../serving/identities/identity_authority.ts";
import type { IdentityService } from "../serving/identities/identity_service.ts";
import type { NodeIdentity } from "./node_identity.ts";
import { nodeSubjectId } from "../serving/node_subject.ts";
import type { Registry } from "./registry.ts";
import { CertifiedIdentity, type SessionIdentity } from "./session_identity.ts";

/** The dependencies and settings of a certified node's identity. */
export interface CertifiedNodeOptions {
  /** Path of the folder that `crs identity init` created. */
  readonly authority: string;
  readonly data: string;
  /** Addresses and names that clients connect to. */
  readonly hosts: readonly string[];
  readonly nodeId: number;
  readonly region: string;
  /** Audience of the token that each session gets; "" for no token. */
  readonly sessionTokenAudience: string;
  readonly registry: Registry;
  readonly world: World;
  readonly logger: Logger;
  /** Whether a trust bundle of the future is replaced: the clock was ahead, and is right now. */
  readonly acceptClockSetBack?: boolean;
}

/** Opens the identity. @throws RegistryError `invalid_configuration` if the folder cannot be used. */
export async function openCertifiedIdentity(options: CertifiedNodeOptions): Promise<NodeIdentity> {
  const { world, region, registry, data } = options;
  const authority = await IdentityAuthority.open(options.authority, world.wall);
  if (authority.region !== region) {
    throw new RegistryError(
      "invalid_configuration",
      `region must be that of the authority folder, ${authority.region}: found ${region}`,
      { field: "region" },
    );
  }
  await registry.identities.group.current();
  await authority.learn(registry.identities.group.state, options.acceptClockSetBack);
  authority.checkSigners();
  registry.identities.group.knownAuthority = authority;
  const certificates = await ServerCertificates.open({
    folder: identityFolder(data),
    names: namesOf(options.hosts),
    signer: () => authority.signer(world.wall.unixMs()).authority,
    authorities: () => authority.held,
    ...world,
  });
  return new CertifiedNodeIdentity(options, authority, certificates);
}

class CertifiedNodeIdentity implements NodeIdentity {
  readonly certificates: ServerCertificates;
  readonly notice: string;
  readonly clientAuthorities: readonly string[];
  readonly #options: CertifiedNodeOptions;
  readonly #authority: IdentityAuthority;
  readonly #service: IdentityService;
  readonly #subject: string;
  readonly #folder: IdentityFolder;
  readonly #tokenKeys = new PublishedTokenKeys();
  #authorities: readonly string[] = [];
  #own: OwnIdentity | undefined;
  #renewAtMs = 0;
  #previousPin: Uint8Array | undefined;
  #shownPin: Uint8Array;
  #remindAtMs = 0;
  #stopped = false;
  /** Settles when the last publication has ended. */
  #published: Promise<void> = Promise.resolve();
  #checking = false;
  /** The clock was set during a check. */
  #stepped = false;
  #timer: Timer | undefined;

  constructor(
    options: CertifiedNodeOptions,
    authority: IdentityAuthority,
    certificates: ServerCertificates,
  ) {
    const { registry, region, nodeId, data } = options;
    this.#options = options;
    const roots = readFile(`${options.authority}/${ROOT_FILE}`);
    this.clientAuthorities = [defined(roots, "The authority folder has its root")];
    this.#authority = authority;
    this.#service = registry.identities;
    this.certificates = certificates;
    this.#shownPin = certificates.current.pin;
    const { trustDomain } = authority;
    const subjectId = nodeSubjectId(registry.cluster.clusterId, nodeId);
    this.#subject = formatSpiffeId({ trustDomain, region, role: "node", subjectId });
    this.notice = `${this.#subject}: peers are believed by certificates of ${trustDomain}.`;
    this.#folder = new IdentityFolder(`${identityFolder(data)}/node`);
  }

  async begin(addresses: readonly Endpoint[]): Promise<SessionIdentity> {
    const named = addresses.flatMap(({ host, port }) => [
      authorityOf(host, port),
      authorityOf("localhost", port),
    ]);
    this.#authorities = [...new Set(named)];
    await this.#publish();
    this.#folder.create(this.#subject);
    this.#folder.keepRoots(this.clientAuthorities.join(""));
    await this.#renewOwn();
    this.#plan();
    const { world, registry } = this.#options;
    registry.wallWatch.onStep(() => this.#clockStepped());
    const own = () => defined(this.#own, "A node has a certificate before it listens to peers");
    const services = handshakeServices({
      own,
      trust: () => this.#authority.trust,
      wall: world.wall,
      bans: registry.bans,
      mintToken: (candidate, expiresAtMs) => this.#tokenFor(candidate, expiresAtMs),
    });
    const { admit } = services;
    const rules = {
      issuer: this.#authority.issuer,
      audience: formatRegionScope(this.#authority),
      keys: this.#tokenKeys,
      bans: registry.bans,
    };
    return new CertifiedIdentity({
      world,
      onClockStep: registry.wallWatch.onStep,
      tokens: { rules, policy: registry.policy },
      services: {
        ...services,
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
      bans: registry.bans,
      refusals: registry.refusals,
    });
  }

  /** Returns the token of a new session, if the operator wants one. On failure there is no token. */
  async #tokenFor(
    { identity, pinned }: Candidate,
    expiresAtMs: number,
  ): Promise<string | undefined> {
    const { sessionTokenAudience: audience, registry, logger } = this.#options;
    if (audience === "" || !(pinned || registry.policy.trustUnpinned)) return undefined;
    try {
      return await this.#service.tokens.mintForSession(identity, audience, expiresAtMs);
    } catch (error) {
      logger.warn("A session got no token", { subject: identity.subject, error });
      return undefined;
    }
  }

  async rotated(): Promise<void> {
    this.#previousPin = this.#shownPin;
    this.#shownPin = this.certificates.current.pin;
    await this.#publish();
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

  /** Bundle, leaf or token keys may have ended by the clock as it was set. */
  #clockStepped(): void {
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
    await this.#attempt("The authority folder cannot be used", () => this.#authority.reload());
    await this.#attempt("Trust could not be published", () => this.#publish());
    if (wall.unixMs() >= this.#renewAtMs) {
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
    for (const part of this.#authority.dueOfRoot(nowMs)) {
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
    await this.#service.group.current();
    const { state } = this.#service.group;
    await this.#authority.learn(state);
    const bundle = await this.#authority.dueBundle(this.#server);
    if (bundle !== undefined) {
      await this.#service.group.putDocument("trustBundle", bundle.bytes, bundle.detail);
      await this.#authority.learn(state);
    }
    const document = state.document(DOCUMENTS.tokenKeys);
    const due = this.#authority.duePlan(
      document === undefined ? [] : planFromBytes(document.bytes),
    );
    if (due !== undefined) {
      await this.#service.group.putDocument("tokenKeys", due.bytes, due.detail);
    }
    this.#tokenKeys.replace(this.#service.tokens.keys());
  }

  get #server(): TrustedServer {
    return {
      subject: this.#subject,
      authorities: this.#authorities,
      currentPin: this.#shownPin,
      nextPin: this.certificates.next.pin,
    };
  }

  async #renewOwn(): Promise<void> {
    const { world } = this.#options;
    const key = await this.#folder.firstKey(world.entropy);
    const { chain, bundle } = await this.#service.enrolment.enrolStanding(
      { subject: this.#subject, publicKey: key.verifying.bytes, detail: "node" },
      world.monotonic.nowMs() + REQUEST_TIMEOUT_MS_DEFAULT,
    );
    const own = await this.#folder.keep(chain, bundle, world.wall.unixMs());
    this.#own = own;
    const lineage = this.#service.group.state.lineage(own.identity.lineage);
    const { latest } = defined(lineage, "The certificate was made from its lineage");
    this.#renewAtMs = renewAtMs(latest, world.entropy);
  }
}

/** Returns the names for the TLS certificates: this machine's, and the hosts that clients dial. */
function namesOf(hosts: readonly string[]): { readonly dns: string[]; readonly ips: Uint8Array[] } {
  const all = [...new Set(["localhost", "127.0.0.1", "::1", ...hosts])];
  return {
    dns: all.filter((host) => isIP(host) === 0),
    ips: all.filter((host) => isIP(host) !== 0).map(literalBytes),
  };
}

/** Returns the address as 4 bytes (IPv4) or 16 (IPv6). */
function literalBytes(text: string): Uint8Array {
  const bytes = parseAddress(text);
  return text.includes(":") ? bytes : bytes.slice(-4);
}
