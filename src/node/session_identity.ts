/**
 * Authentication of a session's peer, before anything is done for it. One interface for all methods:
 * the handshake in the session's first stream, the client certificate that TLS has verified, or the
 * development identity, which proves nothing.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { AUTH_SESSION_MS_MAX, DELEGATION_MS_MAX } from "../base/limits.ts";
import { type AuthenticatedPeer, NO_GRANTS } from "../base/peer.ts";
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
import type { CheckEvidence } from "../serving/delegations.ts";
import type { Refusals } from "../serving/refusals.ts";
import { byCapability, checkEvidence, type DelegatedIdentityParts } from "./delegated_identity.ts";

/** A proof of identity that is valid for a limited time. */
export interface Proof {
  /** The proven peer. Its `revoked` signal never changes, and fires when the proof becomes invalid. */
  readonly peer: AuthenticatedPeer;
  /** Whether it never becomes invalid. */
  readonly isPermanent?: boolean;
  /** The token in use, if any. */
  readonly token?: string | undefined;
  /** Applies a token, as `SessionLife.useToken` does; absent if tokens add nothing. */
  useToken?(token: string): AuthenticatedPeer;
  /** Closes the proof: the session is over, or another proof replaced it. */
  close(): void;
}

/** Authenticates the peers of sessions. */
export interface SessionIdentity {
  /**
   * Authenticates the peer. Called with the session's first stream, before a byte of it was read, and
   * again with another control stream when the client renews its proof in place.
   *
   * @throws RegistryError `unauthenticated` or another code; the session ends with it.
   */
  prove(session: Session, stream: Stream): Promise<Proof>;
  /** Checks the evidence of a delegation; absent if sessions have no delegations. */
  readonly delegate?: CheckEvidence;
}

/**
 * Returns an identity that treats every client as `peer` without proof: the development identity.
 *
 * @param capabilities means to check capabilities; absent: they are refused as other evidence is.
 */
export function takeForGranted(
  peer: AuthenticatedPeer,
  capabilities?: Pick<DelegatedIdentityParts, "live" | "verify">,
): SessionIdentity {
  const proof: Proof = { peer, isPermanent: true, close() {} };
  return {
    prove: () => Promise.resolve(proof),
    delegate: async (evidence, front) => {
      const { kind } = evidence;
      if (kind === "none") return proof;
      if (kind === "capability" && capabilities !== undefined) {
        return await byCapability(evidence, front, capabilities);
      }
      const message = `This node has no authority: it cannot check a ${kind}`;
      throw new RegistryError("invalid_configuration", message);
    },
  };
}

/** The options of authentication by certificates. */
export interface CertifiedIdentityOptions {
  readonly world: World;
  /** Keys, trust and admission: `handshakeServices` in production, the simulator has its own. */
  readonly services: HandshakeServices;
  /** Returns this node's own certificate; called at each handshake, as it is renewed. */
  readonly own: () => {
    readonly identity: ProvenIdentity;
    /** DER, the leaf first, without the root. */
    readonly chain: readonly Uint8Array[];
  };
  readonly tlsLeaves: () => TlsLeaves;
  /** Returns the hosts and ports by which clients may dial this node, as `authorityOf` writes them. */
  readonly authorities: () => ReadonlySet<string>;
  /** Calls a listener when the wall clock was set, as `SessionLifeOptions.onClockStep`. */
  readonly onClockStep?: SessionLifeOptions["onClockStep"];
  readonly bans: BanList;
  /** The maximum time before a session must be renewed, ms. */
  readonly sessionMsMax?: number;
  /** The rules for tokens; if absent, tokens are neither accepted nor issued. */
  readonly tokens?: TokenAcceptance;
  /** Records refused handshakes, and refused evidence. */
  readonly refusals?: Refusals;
  /** Returns a subject's lineage; absent: tokens alone prove no identity. */
  readonly lineageOf?: DelegatedIdentityParts["lineageOf"];
  /** Verifies capabilities; absent: they are refused. */
  readonly verify?: DelegatedIdentityParts["verify"];
}

/** The message to a TLS client without a certificate. */
const NO_CERTIFICATE =
  "This node serves clients that prove an identity only, and TLS saw no client certificate";

/** The options of a session's life that the handshake or TLS determines. */
type ProvenField = "identity" | "pinned" | "expiresAtMs" | "sessionMsMax";

/** Authenticates peers by certificate: by TLS if TLS verified one, otherwise by `registry-auth/1`. */
export class CertifiedIdentity implements SessionIdentity {
  readonly #options: CertifiedIdentityOptions;
  readonly #halfOpen = new HalfOpenHandshakes();

  constructor(options: CertifiedIdentityOptions) {
    this.#options = options;
  }

  /** The number of handshakes in progress. */
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

  readonly delegate: CheckEvidence = async (evidence, front) => {
    const { services, lineageOf = () => undefined, refusals } = this.#options;
    const { verify = noCapabilities } = this.#options;
    try {
      return await checkEvidence(evidence, front, {
        services,
        live: (identity, expiresAtMs, pinned) =>
          this.#live({ identity, pinned, expiresAtMs, sessionMsMax: DELEGATION_MS_MAX }),
        lineageOf,
        verify,
      });
    } catch (error) {
      const { code, message } = toRegistryError(error);
      refusals?.note("A delegation was refused", code, { front: front.subject, message });
      throw error;
    }
  };

  /** Counts and samples a refusal, unless the peer disconnected. */
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

  /** Authenticates by TLS, which verified chain and key; the leaf is also checked by our own rules. */
  async #proveByTls({ peerCertificate }: Session): Promise<Proof> {
    const { services } = this.#options;
    if (peerCertificate === undefined) {
      throw new HandshakeRefused(handshakeFailure("anonymous", NO_CERTIFICATE));
    }
    const identity = await services.judge("client", [peerCertificate]);
    if ("fault" in identity) throw new HandshakeRefused(identity);
    // TLS bound both certificates to the connection, which rules out a man in the middle.
    const candidate = { identity, pinned: true };
    const admittance = await services.admit(candidate);
    if ("fault" in admittance) throw new HandshakeRefused(admittance);
    const { expiresAtMs } = admittance;
    return this.#live({ ...candidate, expiresAtMs, sessionMsMax: this.#sessionMsMax });
  }

  #live(proven: Pick<SessionLifeOptions, ProvenField>): SessionLife {
    const { bans, tokens, onClockStep, own, world: { wall, scheduler } } = this.#options;
    return new SessionLife({
      ...proven,
      identity: callerOf(proven.identity, own().identity.region),
      wall,
      scheduler,
      ...(onClockStep === undefined ? {} : { onClockStep }),
      bans,
      ...(tokens === undefined ? {} : { tokens }),
    });
  }
}

function noCapabilities(): Promise<never> {
  const message = "This node checks no capabilities";
  return Promise.reject(new RegistryError("invalid_configuration", message));
}

/** Reports whether an identity is that of a node of another region. */
export function isOfOtherRegion(
  { role, region }: Pick<ProvenIdentity, "role" | "region">,
  ownRegion: string,
): boolean {
  return role === "node" && region !== ownRegion;
}

/** Returns the identity as which a peer calls: a node of another region is no node here. */
function callerOf(identity: ProvenIdentity, ownRegion: string): ProvenIdentity {
  if (!isOfOtherRegion(identity, ownRegion)) return identity;
  return { ...identity, role: "region", grants: NO_GRANTS };
}
