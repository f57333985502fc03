/**
 * Who is at the other end of a session, proven before anything is done for it. One shape for every
 * way of proving it: the handshake in the session's first stream, the client certificate that TLS has
 * verified, or the development identity, which proves nothing.
 */
import { type RegistryError, toRegistryError } from "../base/errors.ts";
import { AUTH_SESSION_MS_MAX } from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import type { World } from "../base/world.ts";
import type { BanList } from "../../identity/trust/ban_list.ts";
import {
  HalfOpenHandshakes,
  Handshake,
  handshakeFailure,
  HandshakeRefused,
  type HandshakeServices,
  type HandshakeStream,
  type ProvenIdentity,
  runHandshake,
  serverProtocol,
  type TlsLeaves,
} from "../../identity/registry_auth/mod.ts";
import {
  SessionLife,
  type SessionLifeOptions,
  type TokenAcceptance,
} from "../../identity/trust/session_life.ts";
import { alpnOf } from "../../transport/alpn.ts";
import type { Session, Stream } from "../../transport/transport.ts";
import { addressOf } from "./peer_address.ts";
import type { Refusals } from "../serving/refusals.ts";

/** A proof that counts for a while. */
export interface Proof {
  /** Its signal, the same throughout, fires when it counts no more. */
  readonly peer: AuthenticatedPeer;
  /** The token in use. */
  readonly token?: string | undefined;
  /** Takes up a token, as `SessionLife.useToken` does; absent: none adds anything. */
  useToken?(token: string): AuthenticatedPeer;
  /** The session is over, or another proof took its place. */
  close(): void;
}

/** Proves who is at the other end. */
export interface SessionIdentity {
  /**
   * Called with the session's first stream, before a byte of it was read, and again with a further
   * control stream, by which a client renews its proof in place.
   *
   * @throws RegistryError `unauthenticated` and others, with which the session ends.
   */
  prove(session: Session, stream: Stream): Promise<Proof>;
}

/** Takes everybody for one and the same peer: the development identity. */
export function takeForGranted(peer: AuthenticatedPeer): SessionIdentity {
  const proof: Proof = { peer, close() {} };
  return { prove: () => Promise.resolve(proof) };
}

/** What proving by certificates needs. */
export interface CertifiedIdentityOptions {
  readonly world: World;
  /** Keys, trust and admittance: `handshakeServices` in production, a simulation's own elsewhere. */
  readonly services: HandshakeServices;
  /** What this node shows; asked at each handshake, for it is renewed. */
  readonly own: () => {
    readonly identity: ProvenIdentity;
    /** DER, the leaf first, without the root. */
    readonly chain: readonly Uint8Array[];
  };
  readonly tlsLeaves: () => TlsLeaves;
  /** Under which hosts and ports it may be dialed, as `authorityOf` writes them. */
  readonly authorities: () => ReadonlySet<string>;
  readonly bans: BanList;
  /** The longest that a session lasts before it must be renewed, ms. */
  readonly sessionMsMax?: number;
  /** What tokens are held to; absent: none is taken or given. */
  readonly tokens?: TokenAcceptance;
  /** Told of who was refused. */
  readonly refusals?: Refusals;
}

/** What a TLS client hears that shows none. */
const NO_CERTIFICATE =
  "This node serves clients that prove an identity only, and TLS saw no client certificate";

/** What a handshake, or TLS, says of a session's life. */
type ProvenField = "identity" | "pinned" | "expiresAtMs" | "sessionMsMax";

/** Proves peers by their certificates: in TLS where TLS did, by `registry-auth/1` elsewhere. */
export class CertifiedIdentity implements SessionIdentity {
  readonly #options: CertifiedIdentityOptions;
  readonly #halfOpen = new HalfOpenHandshakes();

  constructor(options: CertifiedIdentityOptions) {
    this.#options = options;
  }

  /** Handshakes under way. */
  get handshakes(): number {
    return this.#halfOpen.count;
  }

  async prove(session: Session, stream: Stream): Promise<Proof> {
    try {
      if (session.authenticatesPeers) return await this.#proveByTls(session);
      return await this.#shake(session, stream);
    } catch (error) {
      this.#noteRefusal(session, toRegistryError(error));
      throw error;
    }
  }

  /** Counts and samples it, unless the peer went away by itself. */
  #noteRefusal({ remoteAddress, transport }: Session, error: RegistryError): void {
    if (error.code === "connection_lost") return;
    const isByHandshake = error instanceof HandshakeRefused;
    const { message } = isByHandshake ? error.failure : error;
    const reason = isByHandshake ? error.failure.fault : error.code;
    this.#options.refusals?.noteHandshake(reason, { from: remoteAddress, transport, message });
  }

  get #sessionMsMax(): number {
    return this.#options.sessionMsMax ?? AUTH_SESSION_MS_MAX;
  }

  async #shake(session: Session, stream: Stream): Promise<Proof> {
    const { world, services, own, authorities, tlsLeaves, tokens } = this.#options;
    const nonce = new Uint8Array(32);
    world.entropy.fill(nonce);
    const { identity, chain } = own();
    const protocol = serverProtocol({
      nonce,
      alpn: alpnOf(session.transport),
      authorities: authorities(),
      tlsLeaves: tlsLeaves(),
      sessionMsMax: this.#sessionMsMax,
      unpinnedTokens: tokens?.policy.trustUnpinned ?? false,
      own: { ...identity, chain },
    });
    const handshake = new Handshake(protocol, world.monotonic.nowMs());
    let isSilent = true;
    const heard: HandshakeStream = {
      read: async (into) => {
        const chunk = await stream.read(into);
        isSilent = false;
        return chunk;
      },
      write: (bytes) => stream.write(bytes),
    };
    const result = await this.#halfOpen.run(
      (signal) => runHandshake(handshake, { stream: heard, services, ...world, signal }),
      { address: addressOf(session), isSilent: () => isSilent },
    );
    return this.#live({ ...result, identity: result.peer });
  }

  /** TLS verified the chain and the key; what the leaf says is judged by our own rules too. */
  async #proveByTls({ peerCertificate }: Session): Promise<Proof> {
    const { services } = this.#options;
    if (peerCertificate === undefined) {
      throw new HandshakeRefused(handshakeFailure("anonymous", NO_CERTIFICATE));
    }
    const identity = await services.judge("client", [peerCertificate]);
    if ("fault" in identity) throw new HandshakeRefused(identity);
    // TLS bound both certificates to the connection: nobody can stand between.
    const candidate = { identity, pinned: true };
    const admittance = await services.admit(candidate);
    if ("fault" in admittance) throw new HandshakeRefused(admittance);
    const { expiresAtMs } = admittance;
    return this.#live({ ...candidate, expiresAtMs, sessionMsMax: this.#sessionMsMax });
  }

  #live(proven: Pick<SessionLifeOptions, ProvenField>): SessionLife {
    const { bans, tokens, world: { wall, scheduler } } = this.#options;
    return new SessionLife({
      ...proven,
      wall,
      scheduler,
      bans,
      ...(tokens === undefined ? {} : { tokens }),
    });
  }
}
