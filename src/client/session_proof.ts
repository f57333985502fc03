/**
 * Mutual authentication of client and server: at the start of each session, and again on a separate
 * stream before it expires, so that a session outlives the certificates it was authenticated with.
 *
 * Over TLS nothing is done here: TLS has authenticated both ends, for as long as the leaf presented
 * then is valid.
 */
import { RegistryError } from "../base/errors.ts";
import { AUTH_RENEW_RETRY_MS, REFUSAL_LINGER_MS } from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import {
  authorityOf,
  clientProtocol,
  Handshake,
  type HandshakeResult,
  runHandshake,
} from "../../identity/registry_auth/mod.ts";
import { alpnOf } from "../../transport/alpn.ts";
import type { Endpoint, Session, Stream, Trust } from "../../transport/transport.ts";
import type { CertificateCredentials, Credentials } from "./credentials.ts";
import type { FurtherStreams } from "./further_streams.ts";

/** Parameters of {@link proveSession}. */
export interface ProofParameters {
  readonly endpoint: Endpoint;
  readonly trust: Trust;
  readonly credentials: Credentials;
  readonly world: World;
}

/** The credentials and handshake result with which a session was authenticated. */
export interface SessionProof {
  readonly credentials: CertificateCredentials;
  readonly result: HandshakeResult;
}

/**
 * Authenticates client and server to each other on the session's first stream.
 *
 * @returns `undefined` if no handshake is needed: development credentials, or a transport that authenticates peers.
 * @throws RegistryError the handshake's code; `connection_lost` if the server ended the session.
 */
export async function proveSession(
  session: Session,
  stream: Stream,
  parameters: ProofParameters,
): Promise<SessionProof | undefined> {
  const { credentials, endpoint, trust, world } = parameters;
  if (credentials.kind === "development" || session.authenticatesPeers) return undefined;
  const nonce = new Uint8Array(32);
  world.entropy.fill(nonce);
  const protocol = clientProtocol({
    nonce,
    serverId: credentials.serverId?.(endpoint),
    // With several pins the server may have presented any of them; only a single pin is certain.
    pin: trust.kind === "pins" && trust.sha256.length === 1 ? trust.sha256[0] : undefined,
    alpn: alpnOf(session.transport),
    authority: authorityOf(endpoint.host, endpoint.port),
    own: credentials.own(),
  });
  const handshake = new Handshake(protocol, world.monotonic.nowMs());
  const { services } = credentials;
  return { credentials, result: await runHandshake(handshake, { stream, services, ...world }) };
}

/**
 * Returns the error with which the server ended the session early, if it gave one; otherwise
 * `seen`.
 */
export async function whyRefused(
  session: Session,
  seen: RegistryError,
  world: World,
): Promise<RegistryError> {
  if (seen.code !== "connection_lost") return seen;
  const patience = new Promise<undefined>((resolve) =>
    world.scheduler.after(REFUSAL_LINGER_MS, () => resolve(undefined))
  );
  const end = await Promise.race([session.closed, patience]);
  if (end?.by !== "peer" || end.code === undefined) return seen;
  return new RegistryError(end.code, `The server refused the session: ${end.message}`, {}, seen);
}

/**
 * Renews a session's authentication in place: at a random moment after half of its lifetime, and
 * whenever the client has a new certificate.
 */
export class SessionRenewal {
  readonly #further: FurtherStreams;
  readonly #parameters: ProofParameters;
  readonly #onProven: (proof: SessionProof) => void;
  #timer: Timer | undefined;
  #over = false;
  #renewing = false;
  /** The certificate changed during a renewal, which may have used the previous one. */
  #outdated = false;
  #unsubscribe: (() => void) | undefined;

  /** @param onProven called after each renewal; must not throw. */
  constructor(
    further: FurtherStreams,
    parameters: ProofParameters,
    onProven: (proof: SessionProof) => void,
  ) {
    this.#further = further;
    this.#parameters = parameters;
    this.#onProven = onProven;
  }

  /** Schedules the first renewal. */
  start({ credentials, result }: SessionProof): void {
    this.#plan(result);
    this.#unsubscribe = credentials.onRenewed?.(() => this.#changed());
  }

  /** Stops renewing. */
  close(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#unsubscribe?.();
  }

  #changed(): void {
    if (this.#renewing) this.#outdated = true;
    else {
      this.#timer?.cancel();
      void this.#renew();
    }
  }

  #plan({ expiresAtMs, sessionMsMax }: HandshakeResult): void {
    const { wall, entropy } = this.#parameters.world;
    const leftMs = Math.min(expiresAtMs - wall.unixMs(), sessionMsMax);
    this.#after(leftMs * (0.5 + 0.2 * entropy.unit()));
  }

  #after(delayMs: number): void {
    if (this.#over) return;
    // If the certificate is not renewed, the remaining time shrinks towards 0; this bounds the
    // rate.
    const waitMs = Math.max(AUTH_RENEW_RETRY_MS, delayMs);
    this.#timer = this.#parameters.world.scheduler.after(waitMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    let stream: Stream | undefined;
    this.#renewing = true;
    try {
      stream = await this.#further.open("control");
      const proof = await proveSession(this.#further.session, stream, this.#parameters);
      if (proof === undefined) return;
      if (this.#outdated) this.#after(AUTH_RENEW_RETRY_MS);
      else this.#plan(proof.result);
      this.#onProven(proof);
    } catch {
      // A refusal ends the session, which its owner is told of; a full session has room again
      // later.
      this.#after(AUTH_RENEW_RETRY_MS);
    } finally {
      this.#renewing = false;
      this.#outdated = false;
      stream?.abort();
    }
  }
}
