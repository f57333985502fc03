/**
 * The server's side of `registry-auth/1`. The server accepts only a client that wants this server
 * and saw its TLS leaf (M1), proves its own identity (M2), requires the client's proof (M3), and
 * tells the client that it is accepted and for how long (M4). The server does nothing else for the
 * client before M4 is sent.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import * as ask from "./asks.ts";
import { HandshakeError } from "./fault.ts";
import {
  AUTH_SUITE,
  AUTH_VERSION,
  type ClientHello,
  decodeClientHello,
  decodeClientProof,
  encodeServerDone,
  encodeServerHello,
  FRAME,
  withoutSignature,
  withSignature,
} from "./frames.ts";
import { type Protocol, Transcript } from "./handshake.ts";
import type { ProvenIdentity } from "./step.ts";

/** Hashes of a server's TLS leaves, in the order in which they are served. */
export interface TlsLeaves {
  /** The preceding leaf, while connections made with it may still exist. */
  readonly previous?: Uint8Array;
  readonly current: Uint8Array;
  readonly next?: Uint8Array;
}

/** Inputs of a server's handshake. */
export interface ServerHandshakeOptions {
  /** Nonce: 32 unpredictable bytes, used once. */
  readonly nonce: Uint8Array;
  /** ALPN protocol of the channel. */
  readonly alpn: string;
  /** Hosts and ports under which clients may dial this server, as `authorityOf` writes them. */
  readonly authorities: ReadonlySet<string>;
  readonly tlsLeaves: TlsLeaves;
  /** Maximum duration of a session before it is renewed, ms. */
  readonly sessionMsMax: number;
  /** Whether tokens are also sent over sessions that could be relayed. */
  readonly unpinnedTokens: boolean;
  /** The server's own identity. */
  readonly own: {
    readonly subject: string;
    /** UUID of its identity, 16 bytes. */
    readonly subjectId: Uint8Array;
    readonly notAfterMs: number;
    /** DER, the leaf first, without the root. */
    readonly chain: readonly Uint8Array[];
  };
}

/**
 * Returns the server's side of the exchange; run it with `new Handshake(serverProtocol(…), nowMs)`.
 */
export function* serverProtocol(options: ServerHandshakeOptions): Protocol {
  const { own, sessionMsMax } = options;
  const transcript = new Transcript();

  const m1 = yield* ask.receive(FRAME.clientHello);
  const hello = decodeClientHello(m1);
  checkClientHello(hello, options);
  const { tlsLeaf, tlsLeafNext } = leavesFor(hello.pin, options.tlsLeaves);
  transcript.add(m1);

  const m2 = encodeServerHello({
    version: AUTH_VERSION,
    suite: AUTH_SUITE,
    nonce: options.nonce,
    tlsLeaf,
    tlsLeafNext,
    sessionMsMax,
    chain: own.chain,
  });
  const answer = withSignature(m2, yield* ask.sign(transcript.with("server-hello", m2)));
  yield* ask.send(answer);
  transcript.add(answer);

  const m3 = yield* ask.receive(FRAME.clientProof);
  const proof = decodeClientProof(m3);
  if (proof.role !== hello.role) {
    throw new HandshakeError(
      "role",
      `The client must keep its role ${hello.role}: found ${proof.role}`,
    );
  }
  const client = yield* ask.authenticate({
    end: "client",
    chain: proof.chain,
    signing: transcript.with("client", withoutSignature(m3)),
    signature: proof.signature,
  });
  checkClient(client, hello, options);
  transcript.add(m3);

  const pinned = hello.pin !== undefined;
  const admittance = yield* ask.admit({ identity: client, pinned });
  // The client ends the session when the server's leaf expires; announcing that time avoids an
  // unexpected loss of the session.
  const expiresAtMs = Math.min(admittance.expiresAtMs, client.notAfterMs, own.notAfterMs);
  const m4 = encodeServerDone({
    leafHash: client.leafHash,
    expiresAtMs,
    subject: client.subject,
    token: pinned || options.unpinnedTokens ? admittance.token : undefined,
  });
  yield* ask.send(withSignature(m4, yield* ask.sign(transcript.with("server-done", m4))));

  return {
    peer: client,
    pinned,
    expiresAtMs,
    sessionMsMax,
    token: undefined,
    tlsLeaves: { current: tlsLeaf, next: tlsLeafNext },
  };
}

function checkClientHello(hello: ClientHello, options: ServerHandshakeOptions): void {
  if (hello.suite !== AUTH_SUITE) {
    throw new HandshakeError("version", `The suite must be ${AUTH_SUITE}: found ${hello.suite}`);
  }
  if (hello.alpn !== options.alpn) {
    throw new HandshakeError(
      "alpn",
      `The channel's protocol is ${options.alpn}: the client named ${hello.alpn}`,
    );
  }
  if (!options.authorities.has(hello.authority)) {
    throw new HandshakeError("authority", `This server is not ${hello.authority}`);
  }
  if (hello.serverId !== undefined && !bytesEqual(hello.serverId, options.own.subjectId)) {
    throw new HandshakeError("server_id", "The client wants another server");
  }
}

/**
 * Returns the leaf with which this channel was made, and the leaf after it. A client whose channel
 * was made just before a rotation names the previous leaf; the next leaf has not been served yet,
 * so it is refused.
 */
function leavesFor(
  pin: Uint8Array | undefined,
  { previous, current, next }: TlsLeaves,
): { readonly tlsLeaf: Uint8Array; readonly tlsLeafNext: Uint8Array | undefined } {
  if (pin === undefined || bytesEqual(pin, current)) return { tlsLeaf: current, tlsLeafNext: next };
  if (previous !== undefined && bytesEqual(pin, previous)) {
    return { tlsLeaf: previous, tlsLeafNext: current };
  }
  throw new HandshakeError("pin", "The client's channel was made with another TLS certificate");
}

function checkClient(
  client: ProvenIdentity,
  hello: ClientHello,
  { own }: ServerHandshakeOptions,
): void {
  if (client.role !== hello.role) {
    throw new HandshakeError(
      "role",
      `The client must have the role ${hello.role} that it named: found ${client.role}`,
    );
  }
  if (client.subject === own.subject) {
    throw new HandshakeError("reflection", "The client presents this server's own identity");
  }
}
