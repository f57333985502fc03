/**
 * Authentication between two nodes: both prove their node identity by `registry-auth/1` on the
 * session's first stream, under a protocol name of their own. A node that dials names the identity
 * that it wants; a node that accepts takes members only.
 */
import { RegistryError } from "../../base/errors.ts";
import { AUTH_SESSION_MS_MAX } from "../../base/limits.ts";
import type { World } from "../../base/world.ts";
import {
  authorityOf,
  clientProtocol,
  HalfOpenHandshakes,
  Handshake,
  type HandshakeResult,
  type HandshakeServices,
  type ProvenIdentity,
  runHandshake,
  serverProtocol,
  type TlsLeaves,
} from "../../../identity/registry_auth/mod.ts";
import type { BanList } from "../../../identity/trust/ban_list.ts";
import { SessionLife, type SessionLifeOptions } from "../../../identity/trust/session_life.ts";
import { peerAlpnOf } from "../../../transport/alpn.ts";
import type { Endpoint, Session, Stream, Trust } from "../../../transport/transport.ts";
import type { PeerMember } from "./peer_member.ts";

/** The identity of this node, and the rules by which it checks others. */
export interface PeerCredentials {
  /** Keys, trust and bans. */
  readonly services: HandshakeServices;
  /** Returns this node's certificate; called at each handshake, as it is renewed. */
  readonly own: () => {
    readonly identity: ProvenIdentity;
    /** DER, the leaf first, without the root. */
    readonly chain: readonly Uint8Array[];
  };
  /** Returns the hashes of the TLS certificates that this node's listener presents. */
  readonly tlsLeaves: () => TlsLeaves;
  readonly bans?: BanList;
  /** The longest time for which a session lasts, ms. */
  readonly sessionMsMax?: number;
  /** Calls a listener when the wall clock was set, as `SessionLifeOptions.onClockStep`. */
  readonly onClockStep?: SessionLifeOptions["onClockStep"];
}

/** Both ends of authentication between nodes. */
export class PeerAuthentication {
  readonly #world: World;
  readonly #credentials: PeerCredentials;
  readonly #halfOpen = new HalfOpenHandshakes();

  constructor(world: World, credentials: PeerCredentials) {
    this.#world = world;
    this.#credentials = credentials;
  }

  /**
   * Proves this node to `member`, which was dialed, and checks that the other end is that member.
   *
   * @throws RegistryError the handshake's code; `connection_lost`.
   */
  async dialed(
    session: Session,
    stream: Stream,
    { subjectId }: PeerMember,
    { endpoint, trust }: { readonly endpoint: Endpoint; readonly trust: Trust },
  ): Promise<HandshakeResult> {
    const { identity, chain } = this.#credentials.own();
    const { role, subject, leafHash, notAfterMs } = identity;
    const protocol = clientProtocol({
      nonce: this.#nonce(),
      serverId: subjectId,
      // With several pins the server may have presented any of them; only a single pin is certain.
      pin: trust.kind === "pins" && trust.sha256.length === 1 ? trust.sha256[0] : undefined,
      alpn: peerAlpnOf(session.transport),
      authority: authorityOf(endpoint.host, endpoint.port),
      own: { role, subject, leafHash, notAfterMs, chain },
    });
    const handshake = new Handshake(protocol, this.#world.monotonic.nowMs());
    const { services } = this.#credentials;
    return await runHandshake(handshake, { stream, services, ...this.#world });
  }

  /**
   * Authenticates a node that dialed this one at one of `addresses`.
   *
   * @throws RegistryError the handshake's code; `permission_denied` if it is no node;
   * `connection_lost`.
   */
  async accepted(
    session: Session,
    stream: Stream,
    addresses: readonly Endpoint[],
  ): Promise<HandshakeResult> {
    const { services, own, tlsLeaves, sessionMsMax = AUTH_SESSION_MS_MAX } = this.#credentials;
    const { identity, chain } = own();
    const protocol = serverProtocol({
      nonce: this.#nonce(),
      alpn: peerAlpnOf(session.transport),
      authorities: new Set(addresses.map(({ host, port }) => authorityOf(host, port))),
      tlsLeaves: tlsLeaves(),
      sessionMsMax,
      unpinnedTokens: false,
      own: { ...identity, chain },
    });
    const handshake = new Handshake(protocol, this.#world.monotonic.nowMs());
    const result = await this.#halfOpen.run((signal) =>
      runHandshake(handshake, { stream, services, ...this.#world, signal })
    );
    if (result.peer.role !== "node") {
      throw new RegistryError(
        "permission_denied",
        `Only nodes may use this port: ${result.peer.subject} is a ${result.peer.role}. Connect ` +
          "to the port for clients",
      );
    }
    if (result.peer.region !== identity.region) {
      throw new RegistryError(
        "permission_denied",
        `Only nodes of region ${identity.region} may use this port: ${result.peer.subject} is not`,
      );
    }
    return result;
  }

  /** Returns the life of a session: its signal fires when a certificate expires, or at a ban. */
  lifeOf(result: HandshakeResult): SessionLife {
    const { wall, scheduler } = this.#world;
    const { bans, onClockStep } = this.#credentials;
    return new SessionLife({
      identity: result.peer,
      pinned: result.pinned,
      expiresAtMs: result.expiresAtMs,
      sessionMsMax: result.sessionMsMax,
      wall,
      scheduler,
      ...(bans === undefined ? {} : { bans }),
      ...(onClockStep === undefined ? {} : { onClockStep }),
    });
  }

  #nonce(): Uint8Array {
    const nonce = new Uint8Array(32);
    this.#world.entropy.fill(nonce);
    return nonce;
  }
}
