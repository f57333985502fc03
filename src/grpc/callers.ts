/** The callers of the gRPC face: who makes a call, and the client that acts for them. */
import type { CallerClient } from "../faces/caller_client.ts";

/** The other end of a connection, as the listener identifies it. */
export interface GrpcPeer {
  /** Its address. */
  readonly address: string;
  readonly isEncrypted: boolean;
  /** DER of the certificate whose key it proved to hold in TLS; absent: it proved none. */
  readonly certificate?: Uint8Array;
}

/** The maker of a call, what it presents, and what for. */
export interface GrpcCaller {
  readonly peer: GrpcPeer;
  /** The metadata `authorization`; absent if there is none. */
  readonly authorization?: string;
  /** The path of the method: `/package.Service/Method`. */
  readonly path: string;
}

/** A client that acts for a caller, until it is released. */
export interface LentClient {
  readonly client: CallerClient;
  release(): void;
}

/** Gives each caller the client that acts for it. */
export interface GrpcCallers {
  /**
   * @throws RegistryError `unauthenticated` if what the caller presents is malformed,
   * `permission_denied` if the call is not within its capability, `overloaded` if there are too many
   * callers.
   */
  take(caller: GrpcCaller): LentClient;
}
