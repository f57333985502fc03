/**
 * The client's side of `registry-auth/1`. The client states its role and the TLS leaf that it saw
 * (M1), checks the server's identity and that the answer was made for this request (M2), proves its
 * own identity (M3), and learns that the server accepted that identity (M4).
 *
 * With a pin a relay is impossible: the server signs that the pinned leaf is its own. Without a pin
 * another server of the same trust domain could relay the session, so the result says so (`pinned`
 * is false).
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import type { Role } from "../../src/base/peer.ts";
import * as ask from "./asks.ts";
import { HandshakeError } from "./fault.ts";
import {
  AUTH_SUITE,
  AUTH_VERSION,
  decodeServerDone,
  decodeServerHello,
  encodeClientHello,
  encodeClientProof,
  FRAME,
  type ServerDone,
  type ServerHello,
  withoutSignature,
  withSignature,
} from "./frames.ts";
import { type Protocol, Transcript } from "./handshake.ts";
import type { ProvenIdentity } from "./step.ts";

/** Inputs of a client's handshake. */
export interface ClientHandshakeOptions {
  /** Nonce: 32 unpredictable bytes, used once. */
  readonly nonce: Uint8Array;
  /** UUID of the wanted server; `undefined`: any node of the trust domain. */
  readonly serverId: Uint8Array | undefined;
  /**
   * SHA-256 of the only TLS leaf with which the channel can have been made; `undefined`: unknown.
   */
  readonly pin: Uint8Array | undefined;
  /** ALPN protocol of the channel. */
  readonly alpn: string;
  /** Host and port as dialed, see `authorityOf`. */
  readonly authority: string;
  /** The client's own identity. */
  readonly own: {
    readonly role: Role;
    readonly subject: string;
    readonly leafHash: Uint8Array;
    readonly notAfterMs: number;
    /** DER, the leaf first, without the root. */
    readonly chain: readonly Uint8Array[];
  };
}

/**
 * Returns the client's side of the exchange; run it with `new Handshake(clientProtocol(…), nowMs)`.
 */
export function* clientProtocol(options: ClientHandshakeOptions): Protocol {
  const { own } = options;
  const transcript = new Transcript();

  const m1 = encodeClientHello({
    version: AUTH_VERSION,
    suite: AUTH_SUITE,
    role: own.role,
    nonce: options.nonce,
    serverId: options.serverId,
    pin: options.pin,
    alpn: options.alpn,
    authority: options.authority,
  });
  yield* ask.send(m1);
  transcript.add(m1);

  const m2 = yield* ask.receive(FRAME.serverHello);
  const hello = decodeServerHello(m2);
  checkServerHello(hello, options);
  const server = yield* ask.authenticate({
    end: "server",
    chain: hello.chain,
    signing: transcript.with("server-hello", withoutSignature(m2)),
    signature: hello.signature,
  });
  checkServer(server, options);
  transcript.add(m2);

  const m3 = encodeClientProof({ role: own.role, chain: own.chain });
  const proof = withSignature(m3, yield* ask.sign(transcript.with("client", m3)));
  yield* ask.send(proof);
  transcript.add(proof);

  const m4 = yield* ask.receive(FRAME.serverDone);
  const done = decodeServerDone(m4);
  const signing = transcript.with("server-done", withoutSignature(m4));
  if (!(yield* ask.verify(server.publicKey, signing, done.signature))) {
    throw new HandshakeError("signature", "The server did not sign its acceptance");
  }
  checkDone(done, options);

  return {
    peer: server,
    pinned: options.pin !== undefined,
    expiresAtMs: Math.min(done.expiresAtMs, server.notAfterMs),
    sessionMsMax: hello.sessionMsMax,
    token: done.token,
    tlsLeaves: { current: hello.tlsLeaf, next: hello.tlsLeafNext },
  };
}

function checkServerHello(hello: ServerHello, { pin }: ClientHandshakeOptions): void {
  if (hello.version !== AUTH_VERSION || hello.suite !== AUTH_SUITE) {
    throw new HandshakeError(
      "version",
      `The server must answer with version ${AUTH_VERSION} and suite ${AUTH_SUITE}: ` +
        `found ${hello.version} and ${hello.suite}`,
    );
  }
  if (hello.sessionMsMax === 0) {
    throw new HandshakeError("malformed", "A session must last at least 1 ms: found 0");
  }
  if (pin !== undefined && !bytesEqual(hello.tlsLeaf, pin)) {
    throw new HandshakeError("pin", "The server names another TLS certificate than the pinned one");
  }
}

function checkServer(server: ProvenIdentity, { serverId, own }: ClientHandshakeOptions): void {
  if (server.role !== "node") {
    throw new HandshakeError("role", `A server must be a node: found ${server.role}`);
  }
  if (server.subject === own.subject) {
    throw new HandshakeError("reflection", "The server presents this client's own identity");
  }
  if (serverId !== undefined && !bytesEqual(server.subjectId, serverId)) {
    throw new HandshakeError("server_id", `Another server answered: ${server.subject}`);
  }
}

function checkDone(done: ServerDone, { own }: ClientHandshakeOptions): void {
  if (done.subject !== own.subject || !bytesEqual(done.leafHash, own.leafHash)) {
    throw new HandshakeError("acceptance", `The server accepted another identity: ${done.subject}`);
  }
  if (done.expiresAtMs > own.notAfterMs) {
    throw new HandshakeError(
      "acceptance",
      "The server accepted the identity for longer than it is valid",
    );
  }
}
