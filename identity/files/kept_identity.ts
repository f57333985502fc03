/**
 * The identity of a program that runs for longer than its certificate: opened from its folder, shown at
 * each handshake, renewed at half of its life, and ever again until that works. It is renewed over the
 * session that a client has proven with it; without one, or where that fails, by a question of its own.
 * A certificate that ended while nobody ran is renewed first, as long as the registry's grace lasts.
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

/** Tells the pins that are known of a server by now; none: it is not known. */
export type PinsOf = (server: DialedServer) => readonly Uint8Array[];

/** The request for the next certificate. */
export interface RenewalRequest {
  readonly chain: Uint8Array[];
  readonly request: Uint8Array;
  readonly timeMs: number;
  readonly proof: Uint8Array;
}

/** A certificate that was renewed, and the trust bundle that came with it. */
export interface RenewedCertificate {
  readonly chain: readonly Uint8Array[];
  readonly bundle: string;
}

/**
 * Asks a node for the next certificate: `RenewIdentity`, over a session without a proof. Called only
 * where no client has a session that is proven by the certificate.
 *
 * @param pinsOf those of the newest trust bundle: others grow old while a program runs.
 */
export type AskRenewal = (order: RenewalRequest, pinsOf: PinsOf) => Promise<RenewedCertificate>;

/** Asks the same over a session that a client has proven. */
export type RenewOverSession = (order: RenewalRequest) => Promise<RenewedCertificate>;

/** What keeping needs. */
export interface KeptIdentityOptions {
  readonly folder: string;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
  readonly ask: AskRenewal;
  /** Told of a renewal that failed; another follows. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** What a client proves who it is with; fits `CertificateCredentials` of the SDK. */
export interface KeptCredentials {
  readonly kind: "certificate";
  readonly own: () => ProvenIdentity & { readonly chain: readonly Uint8Array[] };
  readonly services: HandshakeServices;
  readonly pins: PinsOf;
  readonly onRenewed: (listener: () => void) => () => void;
  /** Takes a proven session to renew over, and returns what gives it back when it is over. */
  readonly onSession: (renew: RenewOverSession) => () => void;
}

/** Where a server is dialed. */
export interface DialedServer {
  readonly host: string;
  readonly port: number;
}

/** An identity that lasts. */
export class KeptIdentity {
  readonly #options: KeptIdentityOptions;
  readonly #folder: IdentityFolder;
  readonly #listeners = new Set<() => void>();
  /** Of clients that are connected, the latest last. */
  readonly #sessions = new Set<RenewOverSession>();
  #own: OwnIdentity;
  #trust: FolderTrust;
  #renewAtMs = 0;
  #failures = 0;
  #timer: Timer | undefined;
  /** The renewal under way. */
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
   * Opens the folder's identity. One that has ended, or is just about to, is renewed first; one that is
   * due as soon as a client is connected with it, or a few seconds later without one.
   *
   * @throws RegistryError `invalid_argument` where the folder has none, `unauthenticated` where it can
   * neither be shown nor renewed.
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
        // It may count still; if not, that it could not be renewed is what is to be told.
        if (nowMs > notAfterMs) throw error;
        own = await folder.open(nowMs);
      }
    } else own = await folder.open(nowMs);
    const kept = new KeptIdentity(options, folder, own, await folder.trust(nowMs));
    kept.#renewals = renewals;
    return kept;
  }

  /** The certificate as it is now. */
  get own(): OwnIdentity {
    return this.#own;
  }

  /** What a client proves who it is with: asked at each handshake, for it is renewed. */
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

  /** What a TLS client shows: the certificate of now with its chain, and its key, in PEM. */
  get tlsCertificate(): { readonly chainPem: string; readonly keyPem: string } {
    return this.#folder.pem;
  }

  /** Resolves when no renewal is under way; what became of it, `onError` was told. */
  async settled(): Promise<void> {
    await this.#renewing;
  }

  /**
   * Renews at once, unless it was renewed since it was opened.
   *
   * @throws RegistryError as the node answers.
   */
  async renewNow(): Promise<OwnIdentity> {
    await this.#renewing;
    if (this.#renewals === 0) await this.#renew();
    return this.#own;
  }

  /** Ends the renewals. */
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
    // A client that is just connecting brings a session to renew over.
    this.#arm(this.#isDue ? RENEWAL_SESSION_WAIT_MS : 0);
  }

  #arm(delayMsMin = 0): void {
    if (this.#closed) return;
    const { wall, scheduler, entropy } = this.#options;
    const delayMs = this.#failures > 0
      ? renewalRetryMs(this.#failures, entropy)
      // Clocks are set, and machines sleep: the clock is looked at now and then.
      : Math.min(Math.max(this.#renewAtMs - wall.unixMs(), delayMsMin), RENEWAL_RETRY_MS_MAX);
    this.#timer?.cancel();
    this.#timer = scheduler.after(delayMs, () => this.#look());
  }

  /** Renews where it is due, and arms the next look. */
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

  /** Over a proven session, the latest first, and only then without one. */
  async #ask(order: RenewalRequest, pinsOf: PinsOf): Promise<RenewedCertificate> {
    for (const renew of [...this.#sessions].reverse()) {
      try {
        return await renew(order);
      } catch (error) {
        // A refusal stands, however it is asked; a session that is over or stuck says nothing.
        if (ERROR_TABLE[toRegistryError(error).code].class !== "unavailable") throw error;
      }
    }
    return await this.#options.ask(order, pinsOf);
  }
}

/** The pins that a bundle has for a server; none: it does not name it. */
export function pinsOf(
  { bundle }: FolderTrust,
  { host, port }: DialedServer,
): readonly Uint8Array[] {
  const authority = authorityOf(host, port);
  const server = bundle?.servers.find(({ authorities }) => authorities.includes(authority));
  return server === undefined ? [] : [server.currentPin, server.nextPin];
}

/**
 * Renews the certificate of a folder once, for a key that is on its disk before it is asked for.
 *
 * @throws RegistryError as the node answers.
 */
export async function renewFolder(
  folder: IdentityFolder,
  { wall, entropy, ask }: Pick<KeptIdentityOptions, "wall" | "entropy" | "ask">,
): Promise<OwnIdentity> {
  const { chain } = folder;
  if (chain === undefined) {
    throw new RegistryError("invalid_argument", `${folder.path} has no certificate to renew`, {
      field: "identity",
    });
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
