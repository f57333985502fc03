/**
 * Credentials with which a client authenticates. With a certificate, each session begins with
 * `registry-auth/1` on its first stream and is renewed in place before it ends. Private keys stay
 * with whoever created the services. Everything here also runs in a browser.
 */
import type { RegistryError } from "../base/errors.ts";
import type { Role } from "../base/peer.ts";
import type { HandshakeServices } from "../../identity/registry_auth/mod.ts";
import type { Endpoint } from "../../transport/transport.ts";
import type { IssuedIdentity, RenewalOrder } from "./identity_types.ts";

/** The certificate that a client presents. */
export interface ShownIdentity {
  /** SPIFFE URI. */
  readonly subject: string;
  readonly role: Role;
  /** SHA-256 of the leaf, 32 bytes. */
  readonly leafHash: Uint8Array;
  /** Expiry, Unix ms. */
  readonly notAfterMs: number;
  /** DER certificates, the leaf first, without the root. */
  readonly chain: readonly Uint8Array[];
}

/** Credentials without an identity, accepted by a development node. */
export interface DevelopmentCredentials {
  readonly kind: "development";
}

/** Tokens used in addition to a certificate. The callbacks must not throw. */
export interface TokenUse {
  /**
   * Returns the token to present; `undefined` for none. Called for each session, and again whenever
   * a token is about to expire.
   */
  readonly current: () => string | undefined;
  /** Called with the token that a server issues with a session. */
  readonly given?: (token: string) => void;
  /** Called when a token is rejected: `unauthenticated` with the reason, `connection_lost`, … */
  readonly refused?: (error: RegistryError) => void;
}

/** Credentials of an identity proven by a certificate. */
export interface CertificateCredentials {
  readonly kind: "certificate";
  /**
   * Returns the certificate to present. Called at each handshake, because certificates are renewed.
   */
  readonly own: () => ShownIdentity;
  /** Services that sign for the client and verify the server. */
  readonly services: HandshakeServices;
  /** Returns the UUID (16 bytes) of the server expected at an endpoint; `undefined` accepts any. */
  readonly serverId?: (endpoint: Endpoint) => Uint8Array | undefined;
  readonly tokens?: TokenUse;
  /** Whether tokens are also sent over sessions whose server was not pinned. Default false. */
  readonly trustUnpinned?: boolean;
  /**
   * Returns the currently known pins of the server at an endpoint, such as those of the newest
   * trust bundle. They are tried before the pins of the client's trust, which date from the
   * client's start.
   */
  readonly pins?: (endpoint: Endpoint) => readonly Uint8Array[];
  /**
   * Subscribes to changes of the certificate returned by `own`. Open sessions are then
   * authenticated again at once, so that whatever is bound to a session's certificate is not bound
   * to one whose key is gone.
   *
   * @returns a function that unsubscribes.
   */
  readonly onRenewed?: (listener: () => void) => () => void;
  /**
   * Called for each session authenticated with these credentials, with a function that renews the
   * certificate over that session, so that a valid certificate needs no unauthenticated session.
   *
   * @returns a function that is called when the session ends.
   */
  readonly onSession?: (renew: (order: RenewalOrder) => Promise<IssuedIdentity>) => () => void;
}

/** Credentials of a client. */
export type Credentials = DevelopmentCredentials | CertificateCredentials;
