/** The callers of the HTTP face: who sends a request, and the client that acts for them. */
import type { CallerClient } from "../faces/caller_client.ts";

/** The sender of a request, as the listener identifies it. */
export interface HttpPeer {
  /** Its address. */
  readonly address: string;
  /** The scheme of the listener. */
  readonly scheme: "http:" | "https:";
  /** DER of the certificate whose key it proved to hold in TLS; absent: it proved none. */
  readonly certificate?: Uint8Array;
}

/** The sender of a request, what it presents, and what for. */
export interface HttpCaller {
  readonly peer: HttpPeer;
  /** The header `Authorization`; `null` if there is none. */
  readonly authorization: string | null;
  readonly method: string;
  /** The path by which the request is routed, without the query. */
  readonly path: string;
}

/** A client that acts for a caller, until it is released. */
export interface TakenClient {
  readonly client: CallerClient;
  release(): void;
}

/** Gives each caller the client that acts for it. */
export interface HttpCallers {
  /**
   * @throws HttpError if what the caller presents is malformed, or there are too many callers;
   * RegistryError `permission_denied` if the request is not within the caller's capability.
   */
  take(caller: HttpCaller): TakenClient;
}
