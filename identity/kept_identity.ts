/**
 * The identity of a program that runs for longer than its certificate: opened from its folder, shown at
 * each handshake, renewed at half of its life, and ever again until that works. A certificate that
 * ended while nobody ran is renewed first, as long as the registry's grace lasts.
 */
import { RegistryError } from "../src/base/errors.ts";
import { RENEWAL_RETRY_MS_MAX } from "../src/base/limits.ts";
import type { Entropy, Scheduler, Timer, WallClock } from "../src/base/world.ts";
import { readCertificate } from "./certificate_reader.ts";
import { isRefusal } from "./certificate_refusal.ts";
import { createCertificateRequest } from "./certificate_request.ts";
import { handshakeServices } from "./handshake_services.ts";
import { type FolderTrust, IdentityFolder } from "./identity_folder.ts";
import type { OwnIdentity } from "./own_identity.ts";
import { authorityOf, type HandshakeServices, type ProvenIdentity } from "./registry_auth/mod.ts";
import { proveRenewal } from "./renewal_proof.ts";
import { renewalRetryMs, renewAtMs } from "./renewal_schedule.ts";

/** Tells the pins that are known of a server by now; none: it is not known. */
export type PinsOf = (server: DialedServer) => readonly Uint8Array[];

/** The request for the next certificate. */
export interface RenewalRequest {
  readonly chain: Uint8Array[];
  readonly request: Uint8Array;
  readonly timeMs: number;
  readonly proof: Uint8Array;
}

/**
 * Asks a node for the next certificate: `RenewIdentity`, over a session without a proof.
 *
 * @param pinsOf those of the newest trust bundle: others grow old while a program runs.
 */
export type AskRenewal = (
  order: RenewalRequest,
  pinsOf: PinsOf,
) => Promise<{ readonly chain: readonly Uint8Array[]; readonly bundle: string }>;

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
  #own: OwnIdentity;
  #trust: FolderTrust;
  #renewAtMs = 0;
  #failures = 0;
  #timer: Timer | undefined;

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
   * Opens the folder's identity, renewing it first where it is due.
   *
   * @throws RegistryError `invalid_argument` where the folder has none, `unauthenticated` where it can
   * neither be shown nor renewed.
   */
  static async open(options: KeptIdentityOptions): Promise<KeptIdentity> {
    const folder = new IdentityFolder(options.folder);
    const nowMs = options.wall.unixMs();
    const validity = validityOf(folder);
    let own: OwnIdentity;
    if (nowMs >= (validity.notBeforeMs + validity.notAfterMs) / 2) {
      try {
        own = await renewFolder(folder, options);
      } catch (error) {
        options.onError(error);
        // It may count still; if not, that it could not be renewed is what is to be told.
        if (nowMs > validity.notAfterMs) throw error;
        own = await folder.open(nowMs);
      }
    } else own = await folder.open(nowMs);
    return new KeptIdentity(options, folder, own, await folder.trust(nowMs));
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
    };
  }

  /** What a TLS client shows: the certificate of now with its chain, and its key, in PEM. */
  get tlsCertificate(): { readonly chainPem: string; readonly keyPem: string } {
    return this.#folder.pem;
  }

  /** Ends the renewals. */
  close(): void {
    this.#timer?.cancel();
  }

  #plan(): void {
    const { notBeforeMs, notAfterMs } = validityOf(this.#folder);
    this.#renewAtMs = renewAtMs({ notBeforeMs, notAfterMs }, this.#options.entropy);
    this.#arm();
  }

  #arm(): void {
    const { wall, scheduler, entropy } = this.#options;
    const delayMs = this.#failures > 0
      ? renewalRetryMs(this.#failures, entropy)
      // Clocks are set, and machines sleep: the clock is looked at now and then.
      : Math.min(Math.max(this.#renewAtMs - wall.unixMs(), 0), RENEWAL_RETRY_MS_MAX);
    this.#timer = scheduler.after(delayMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { wall, onError } = this.#options;
    if (wall.unixMs() < this.#renewAtMs) return this.#arm();
    try {
      this.#own = await renewFolder(this.#folder, this.#options);
      this.#trust = await this.#folder.trust(wall.unixMs());
      this.#failures = 0;
      this.#plan();
      for (const listener of [...this.#listeners]) listener();
    } catch (error) {
      this.#failures++;
      onError(error);
      this.#arm();
    }
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
