/**
 * The identity of a program that runs for longer than its certificate is valid: opened from its
 * folder, presented at each handshake, and renewed at half of its life, with retries until renewal
 * succeeds. It is renewed over a session that a client has proven with it; without one, or if that
 * fails, by a separate request. A certificate that expired while the program was down is renewed
 * first, within the registry's grace period.
 */
import { ERROR_TABLE, RegistryError, toRegistryError } from "../../src/base/errors.ts";
import {
  RENEWAL_RETRY_MS_MAX,
  RENEWAL_SESSION_LEFT_MS_MIN,
  RENEWAL_SESSION_WAIT_MS,
} from "../../src/base/limits.ts";
import type { Entropy, Scheduler, Timer, WallClock } from "../../src/base/world.ts";
import { readCertificate } from "../pki/certificate_reader.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import { createCertificateRequest } from "../pki/certificate_request.ts";
import { handshakeServices } from "../trust/handshake_services.ts";
import { type FolderTrust, IdentityFolder } from "./identity_folder.ts";
import type { OwnIdentity } from "../trust/own_identity.ts";
import { authorityOf, type HandshakeServices, type ProvenIdentity } from "../registry_auth/mod.ts";
import { proveRenewal } from "../enrolment/renewal_proof.ts";
import { renewalRetryMs, renewAtMs } from "../enrolment/renewal_schedule.ts";

/** Returns the currently known pins of a server; empty: the server is unknown. */
export type PinsOf = (server: DialedServer) => readonly Uint8Array[];

/** A renewal request. */
export interface RenewalRequest {
  readonly chain: Uint8Array[];
  readonly request: Uint8Array;
  readonly timeMs: number;
  readonly proof: Uint8Array;
}

/** A renewed certificate, and the trust bundle that came with it. */
export interface RenewedCertificate {
  readonly chain: readonly Uint8Array[];
  readonly bundle: string;
}

/**
 * Requests the next certificate from a node: `RenewIdentity`, over an unauthenticated session.
 * Called only if the certificate cannot be renewed over a client's proven session.
 *
 * @param pinsOf pins of the newest trust bundle; other pins become outdated while a program runs.
 */
export type AskRenewal = (order: RenewalRequest, pinsOf: PinsOf) => Promise<RenewedCertificate>;

/** Requests the next certificate over a session that a client has proven. */
export type RenewOverSession = (order: RenewalRequest) => Promise<RenewedCertificate>;

/** Options of {@link KeptIdentity}. */
export interface KeptIdentityOptions {
  readonly folder: string;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
  readonly ask: AskRenewal;
  /** Receives the error of a failed renewal, which is retried. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** Credentials of a client; satisfies `CertificateCredentials` of the SDK. */
export interface KeptCredentials {
  readonly kind: "certificate";
  readonly own: () => ProvenIdentity & { readonly chain: readonly Uint8Array[] };
  readonly services: HandshakeServices;
  readonly pins: PinsOf;
  readonly onRenewed: (listener: () => void) => () => void;
  /** Registers a proven session for renewals; returns a function that unregisters it. */
  readonly onSession: (renew: RenewOverSession) => () => void;
}

/** Address at which a server is dialed. */
export interface DialedServer {
  readonly host: string;
  readonly port: number;
}

/** An identity that is kept valid by renewal. */
export class KeptIdentity {
  readonly #options: KeptIdentityOptions;
  readonly #folder: IdentityFolder;
  readonly #listeners = new Set<() => void>();
  /** Sessions of connected clients, the latest last. */
  readonly #sessions = new Set<RenewOverSession>();
  #own: OwnIdentity;
  #trust: FolderTrust;
  #renewAtMs = 0;
  #failures = 0;
  #timer: Timer | undefined;
  /** The renewal in progress. */
  #renewing: Promise<void> | undefined;
  #renewals = 0;
  #closed = false;

  private constructor(
    options: KeptIdentityOptions,
    folder: IdentityFolder,
    own: OwnIdentity,
    trust: FolderTrust,
  ) {
    this.#options = options;
    this.#folder = folder;
    this.#own = own;
    this.#trust = trust;
    this.#plan();
  }

  /**
   * Opens the folder's identity. A certificate that has expired, or is about to, is renewed first.
   * One that is due for renewal is renewed as soon as a client has connected with it, or after a
   * few seconds without one.
   *
   * @throws RegistryError `invalid_argument` if the folder has no certificate, `unauthenticated` if
   * it can be neither presented nor renewed.
   */
  static async open(options: KeptIdentityOptions): Promise<KeptIdentity> {
    const folder = new IdentityFolder(options.folder);
    const nowMs = options.wall.unixMs();
    const { notAfterMs } = validityOf(folder);
    let own: OwnIdentity;
    let renewals = 0;
    if (nowMs > notAfterMs - RENEWAL_SESSION_LEFT_MS_MIN) {
      try {
        own = await renewFolder(folder, options);
        renewals++;
      } catch (error) {
        options.onError(error);
        // The certificate may still be valid; if not, the failed renewal is the error to report.
        if (nowMs > notAfterMs) throw error;
        own = await folder.open(nowMs);
      }
    } else own = await folder.open(nowMs);
    const kept = new KeptIdentity(options, folder, own, await folder.trust(nowMs));
    kept.#renewals = renewals;
    return kept;
  }

  /** The current certificate. */
  get own(): OwnIdentity {
    return this.#own;
  }

  /**
   * Credentials for a client. Their functions are called at each handshake, because the certificate
   * changes.
   */
  get credentials(): KeptCredentials {
    return {
      kind: "certificate",
      own: () => ({ ...this.#own.identity, chain: this.#own.chain }),
      services: handshakeServices({
        own: () => this.#own,
        trust: () => this.#trust.store,
        wall: this.#options.wall,
      }),
      pins: (endpoint) => pinsOf(this.#trust, endpoint),
      onRenewed: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      onSession: (renew) => {
        this.#sessions.add(renew);
        if (this.#isDue) this.#look();
        return () => void this.#sessions.delete(renew);
      },
    };
  }

  /** The current certificate with its chain, and its key, in PEM, for a TLS client. */
  get tlsCertificate(): { readonly chainPem: string; readonly keyPem: string } {
    return this.#folder.pem;
  }

  /** Resolves when no renewal is in progress; failures are reported to `onError` only. */
  async settled(): Promise<void> {
    await this.#renewing;
  }

  /**
   * Renews at once, unless the certificate has been renewed since it was opened.
   *
   * @throws RegistryError as the node answers.
   */
  async renewNow(): Promise<OwnIdentity> {
    await this.#renewing;
    if (this.#renewals === 0) await this.#renew();
    return this.#own;
  }

  /** Stops renewing. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  get #isDue(): boolean {
    return this.#options.wall.unixMs() >= this.#renewAtMs;
  }

  #plan(): void {
    const { notBeforeMs, notAfterMs } = validityOf(this.#folder);
    this.#renewAtMs = renewAtMs({ notBeforeMs, notAfterMs }, this.#options.entropy);
    // A client that is connecting now will provide a session over which to renew.
    this.#arm(this.#isDue ? RENEWAL_SESSION_WAIT_MS : 0);
  }

  #arm(delayMsMin = 0): void {
    if (this.#closed) return;
    const { wall, scheduler, entropy } = this.#options;
    const delayMs = this.#failures > 0
      ? renewalRetryMs(this.#failures, entropy)
      // Clocks are adjusted and machines sleep, so the clock is checked from time to time.
      : Math.min(Math.max(this.#renewAtMs - wall.unixMs(), delayMsMin), RENEWAL_RETRY_MS_MAX);
    this.#timer?.cancel();
    this.#timer = scheduler.after(delayMs, () => this.#look());
  }

  /** Renews if due, and schedules the next check. */
  #look(): void {
    if (this.#renewing !== undefined) return;
    if (!this.#isDue) return this.#arm();
    this.#renewing = this.#renew()
      .catch((error) => {
        this.#failures++;
        this.#options.onError(error);
        this.#arm();
      })
      .finally(() => this.#renewing = undefined);
  }

  async #renew(): Promise<void> {
    const { wall } = this.#options;
    const ask: AskRenewal = (order, pinsOf) => this.#ask(order, pinsOf);
    this.#own = await renewFolder(this.#folder, { ...this.#options, ask });
    this.#trust = await this.#folder.trust(wall.unixMs());
    this.#failures = 0;
    this.#renewals++;
    this.#plan();
    for (const listener of [...this.#listeners]) listener();
  }

  /**
   * Requests renewal over the proven sessions, latest first, and without one only if all of them
   * fail.
   */
  async #ask(order: RenewalRequest, pinsOf: PinsOf): Promise<RenewedCertificate> {
    for (const renew of [...this.#sessions].reverse()) {
      try {
        return await renew(order);
      } catch (error) {
        // A refusal is final over any session; a closed or stuck session proves nothing.
        if (ERROR_TABLE[toRegistryError(error).code].class !== "unavailable") throw error;
      }
    }
    return await this.#options.ask(order, pinsOf);
  }
}

/** Returns the pins of a server in the trust bundle; empty: the bundle does not name the server. */
export function pinsOf(
  { bundle }: FolderTrust,
  { host, port }: DialedServer,
): readonly Uint8Array[] {
  const authority = authorityOf(host, port);
  const server = bundle?.servers.find(({ authorities }) => authorities.includes(authority));
  return server === undefined ? [] : [server.currentPin, server.nextPin];
}

/**
 * Renews the certificate of a folder once, for a key that is stored on disk before the request.
 *
 * @throws RegistryError as the node answers.
 */
export async function renewFolder(
  folder: IdentityFolder,
  { wall, entropy, ask }: Pick<KeptIdentityOptions, "wall" | "entropy" | "ask">,
): Promise<OwnIdentity> {
  const { chain } = folder;
  if (chain === undefined) {
    throw new RegistryError(
      "invalid_argument",
      `${folder.path} must hold a certificate to renew: found none`,
      {
        field: "identity",
      },
    );
  }
  const key = await folder.key();
  const next = await folder.nextKey(entropy);
  const request = await createCertificateRequest(next);
  const timeMs = Math.floor(wall.unixMs());
  const proof = await proveRenewal({ request, timeMs }, key);
  const trust = await folder.trust(wall.unixMs());
  const order = { chain: [...chain], request, timeMs, proof };
  const issued = await ask(order, (server) => pinsOf(trust, server));
  return await folder.keepNext(issued.chain, issued.bundle, wall.unixMs());
}

function validityOf(folder: IdentityFolder) {
  const [leaf] = folder.chain ?? [];
  const certificate = leaf && readCertificate(leaf);
  if (certificate === undefined || isRefusal(certificate)) {
    throw new RegistryError(
      "invalid_argument",
      `${folder.path} must hold a certificate: make one by crs identity issue`,
      { field: "identity" },
    );
  }
  return certificate;
}
