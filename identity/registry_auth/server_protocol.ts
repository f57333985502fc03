/**
 * The server's part of `registry-auth/1`. It takes only a client that means it and saw its own TLS
 * leaf (M1), proves itself (M2), has the client prove itself (M3), and tells it that it was accepted,
 * and for how long (M4). Nothing is done for the client before M4 was sent.
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

/** The TLS leaves of a server by hash, in the order in which they are shown. */
export interface TlsLeaves {
  /** The one shown before, as long as a connection may have been made with it. */
  readonly previous?: Uint8Array;
  readonly current: Uint8Array;
  readonly next?: Uint8Array;
}

/** What a server knows when a client connects. */
export interface ServerHandshakeOptions {
  /** 32 unpredictable bytes, used once. */
  readonly nonce: Uint8Array;
  /** The protocol that the channel speaks. */
  readonly alpn: string;
  /** Under which hosts and ports it may be dialed, as `authorityOf` writes them. */
  readonly authorities: ReadonlySet<string>;
  readonly tlsLeaves: TlsLeaves;
  /** The longest that a session may last before it is renewed, ms. */
  readonly sessionMsMax: number;
  /** Whether tokens go into sessions that may be relayed too. */
  readonly unpinnedTokens: boolean;
  /** What the server itself is. */
  readonly own: {
    readonly subject: string;
    /** UUID of its identity, 16 bytes. */
    readonly subjectId: Uint8Array;
    readonly notAfterMs: number;
    /** DER, the leaf first, without the root. */
    readonly chain: readonly Uint8Array[];
  };
}

/** The exchange as a server sees it; run it with `new Handshake(serverProtocol(…), nowMs)`. */
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
    throw new HandshakeError("role", `The client said ${hello.role} first: then ${proof.role}`);
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
  // The client ends it with the server's leaf too; saying so spares it a lost session.
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
    throw new HandshakeError("version", `Suite ${AUTH_SUITE} is spoken here: not ${hello.suite}`);
  }
  if (hello.alpn !== options.alpn) {
    throw new HandshakeError("alpn", `This channel speaks ${options.alpn}: not ${hello.alpn}`);
  }
  if (!options.authorities.has(hello.authority)) {
    throw new HandshakeError("authority", `This server is not ${hello.authority}`);
  }
  if (hello.serverId !== undefined && !bytesEqual(hello.serverId, options.own.subjectId)) {
    throw new HandshakeError("server_id", "The client looks for another server");
  }
}

/**
 * The leaf that this channel was made with, and the one after it. A channel made just before a
 * rotation names the leaf before; one that is still to come cannot have been seen.
 */
function leavesFor(
  pin: Uint8Array | undefined,
  { previous, current, next }: TlsLeaves,
): { readonly tlsLeaf: Uint8Array; readonly tlsLeafNext: Uint8Array | undefined } {
  if (pin === undefined || bytesEqual(pin, current)) return { tlsLeaf: current, tlsLeafNext: next };
  if (previous !== undefined && bytesEqual(pin, previous)) {
    return { tlsLeaf: previous, tlsLeafNext: current };
  }
  throw new HandshakeError("pin", "The client's channel ends at another TLS certificate");
}

function checkClient(
  client: ProvenIdentity,
  hello: ClientHello,
  { own }: ServerHandshakeOptions,
): void {
  if (client.role !== hello.role) {
    throw new HandshakeError("role", `The client is ${client.role}: it said ${hello.role}`);
  }
  if (client.subject === own.subject) {
    throw new HandshakeError("reflection", "The client shows this server's own identity");
  }
}
