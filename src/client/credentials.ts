/**
 * What a client proves who it is with. Where certificates are configured, each session begins with
 * `registry-auth/1` on its first stream and is renewed in place before it ends; the keys stay with
 * whoever made the services. Nothing here needs more than a browser has.
 */
import type { RegistryError } from "../base/errors.ts";
import type { Role } from "../base/peer.ts";
import type { HandshakeServices } from "../../identity/registry_auth/mod.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { IssuedIdentity, RenewalOrder } from "./identity_types.ts";

/** What a client shows of itself. */
export interface ShownIdentity {
  /** SPIFFE URI. */
  readonly subject: string;
  readonly role: Role;
  /** SHA-256 of the leaf, 32 bytes. */
  readonly leafHash: Uint8Array;
  /** Unix ms. */
  readonly notAfterMs: number;
  /** DER, the leaf first, without the root. */
  readonly chain: readonly Uint8Array[];
}

/** No identity: what a development node takes. */
export interface DevelopmentCredentials {
  readonly kind: "development";
}

/** Tokens beside a certificate; nothing here may throw. */
export interface TokenUse {
  /** The token to show; `undefined`: none. Asked at each session, and as often as one nears its end. */
  readonly current: () => string | undefined;
  /** Told of the token that a server gives with a session. */
  readonly given?: (token: string) => void;
  /** Told why a token adds nothing: `unauthenticated` with its fault, `connection_lost`, … */
  readonly refused?: (error: RegistryError) => void;
}

/** An identity that a certificate proves. */
export interface CertificateCredentials {
  readonly kind: "certificate";
  /** What the client shows now; asked at each handshake, for it is renewed. */
  readonly own: () => ShownIdentity;
  /** Signs, and judges the server. */
  readonly services: HandshakeServices;
  /** UUID (16 bytes) of the server that is meant at an endpoint; absent or `undefined`: any. */
  readonly serverId?: (endpoint: Endpoint) => Uint8Array | undefined;
  readonly tokens?: TokenUse;
  /** True: tokens go over sessions, too, whose server was not pinned. Default false. */
  readonly trustUnpinned?: boolean;
  /**
   * The pins that are known of the server at an endpoint by now, such as those of the newest trust
   * bundle; tried before those of the client's trust, which are as old as the client.
   */
  readonly pins?: (endpoint: Endpoint) => readonly Uint8Array[];
  /**
   * Tells of each time that `own` shows another certificate: open sessions are proven anew at once, so
   * that what is bound to a session's certificate is not bound to one whose key is gone.
   *
   * @returns ends the telling.
   */
  readonly onRenewed?: (listener: () => void) => () => void;
  /**
   * Told of each session that these credentials have proven, with the way to renew the certificate over
   * it, so that a certificate that counts needs no session without a proof.
   *
   * @returns called when the session is over.
   */
  readonly onSession?: (renew: (order: RenewalOrder) => Promise<IssuedIdentity>) => () => void;
}

/** What a caller proves who it is with. */
export type Credentials = DevelopmentCredentials | CertificateCredentials;
