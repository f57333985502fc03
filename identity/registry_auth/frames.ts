/**
 * The four frames of `registry-auth/1` as bytes: a fixed layout of its own, big-endian, frozen by
 * tests/vectors/registry_auth.json. A frame is one byte of type, three of the body's length, and the
 * body; M2 to M4 end with their signature, so that "this frame without its signature" is all but the
 * last 64 bytes.
 *
 * ```
 * M1  version 1 · suite 1 · role 1 · nonce 32 · server id 16 · pinned TLS leaf 32
 *     · ALPN 1+n · authority 2+n
 * M2  version 1 · suite 1 · nonce 32 · TLS leaf 32 · next TLS leaf 32 · session ms 4
 *     · chain 1 + (2+n)… · signature 64
 * M3  role 1 · chain 1 + (2+n)… · signature 64
 * M4  leaf hash 32 · expiry 8 · subject 2+n · token 2+n · signature 64
 * ```
 *
 * All zero stands for "none" in server id, pin and next leaf; a token of no bytes is none. Every
 * value has one encoding: a decoded frame encodes to the same bytes. Every size is checked before
 * anything is allocated for it.
 */
import {
  AUTH_ALPN_BYTES_MAX,
  AUTH_AUTHORITY_BYTES_MAX,
  AUTH_CHAIN_BYTES_MAX,
  AUTH_CHAIN_CERTIFICATES_MAX,
  AUTH_TOKEN_BYTES_MAX,
  CERTIFICATE_BYTES_MAX,
  SPIFFE_ID_BYTES_MAX,
} from "../../src/base/limits.ts";
import type { Role } from "../../src/base/peer.ts";
import { BodyReader, BodyWriter } from "./body.ts";
import { HandshakeError } from "./fault.ts";

/** The version of the handshake; the only one. */
export const AUTH_VERSION = 1;
/** The suite: Ed25519 and SHA-256; the only one. */
export const AUTH_SUITE = 1;

/** Bytes of a nonce, of a hash, of a server id, of a signature. */
export const NONCE_BYTES = 32;
/** See {@link NONCE_BYTES}. */
export const HASH_BYTES = 32;
/** See {@link NONCE_BYTES}. */
export const SERVER_ID_BYTES = 16;
/** See {@link NONCE_BYTES}. */
export const SIGNATURE_BYTES = 64;

/** The types of frames, in the order in which they come. */
export const FRAME = { clientHello: 1, serverHello: 2, clientProof: 3, serverDone: 4 } as const;
/** One of {@link FRAME}. */
export type FrameType = typeof FRAME[keyof typeof FRAME];

/** Bytes before a body. */
export const FRAME_HEADER_BYTES = 4;

const CHAIN_BODY_BYTES_MAX = 1 + 2 * AUTH_CHAIN_CERTIFICATES_MAX + AUTH_CHAIN_BYTES_MAX;
/** The longest body of each type. */
export const FRAME_BODY_BYTES_MAX: Readonly<Record<FrameType, number>> = {
  1: 3 + 32 + 16 + 32 + 1 + AUTH_ALPN_BYTES_MAX + 2 + AUTH_AUTHORITY_BYTES_MAX,
  2: 2 + 32 + 32 + 32 + 4 + CHAIN_BODY_BYTES_MAX + SIGNATURE_BYTES,
  3: 1 + CHAIN_BODY_BYTES_MAX + SIGNATURE_BYTES,
  4: 32 + 8 + 2 + SPIFFE_ID_BYTES_MAX + 2 + AUTH_TOKEN_BYTES_MAX + SIGNATURE_BYTES,
};

/** Roles by their number on the wire. */
const ROLES: readonly (Role | undefined)[] = [
  undefined,
  "agent",
  "gateway",
  "proxy",
  "controller",
  "node",
];

/** M1: what the client wants, and what it believes about the channel. */
export interface ClientHello {
  readonly version: number;
  readonly suite: number;
  readonly role: Role;
  readonly nonce: Uint8Array;
  /** UUID of the server's identity; `undefined`: any of the trust domain. */
  readonly serverId: Uint8Array | undefined;
  /** SHA-256 of the TLS leaf that the channel was made with; `undefined` where only a CA is known. */
  readonly pin: Uint8Array | undefined;
  readonly alpn: string;
  /** Host and port as dialed, see `authorityOf`. */
  readonly authority: string;
}

/** M2: who the server is, bound to M1 and to its TLS leaf. */
export interface ServerHello {
  readonly version: number;
  readonly suite: number;
  readonly nonce: Uint8Array;
  readonly tlsLeaf: Uint8Array;
  readonly tlsLeafNext: Uint8Array | undefined;
  /** The longest that a session may last before it is renewed, ms, `[1, 2^32)`. */
  readonly sessionMsMax: number;
  /** DER, the leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** M3: who the client is, bound to M1 and M2. */
export interface ClientProof {
  readonly role: Role;
  readonly chain: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** M4: that the server accepted it, and until when. */
export interface ServerDone {
  readonly leafHash: Uint8Array;
  /** Unix ms. */
  readonly expiresAtMs: number;
  /** SPIFFE URI. */
  readonly subject: string;
  readonly token: string | undefined;
  readonly signature: Uint8Array;
}

/** A frame's body with a chain: checked before it is sent, for the other side is as strict. */
function writeChain(body: BodyWriter, chain: readonly Uint8Array[]): void {
  if (chain.length < 1 || chain.length > AUTH_CHAIN_CERTIFICATES_MAX) {
    throw new RangeError(
      `A chain must have 1 to ${AUTH_CHAIN_CERTIFICATES_MAX} certificates: found ${chain.length}`,
    );
  }
  let total = 0;
  body.uint8(chain.length);
  for (const certificate of chain) {
    total += certificate.length;
    body.bytes16(certificate, 1, CERTIFICATE_BYTES_MAX);
  }
  if (total > AUTH_CHAIN_BYTES_MAX) {
    throw new RangeError(
      `A chain must have at most ${AUTH_CHAIN_BYTES_MAX} bytes: found ${total}`,
    );
  }
}

function readChain(body: BodyReader): Uint8Array[] {
  const count = body.uint8();
  if (count < 1) throw new HandshakeError("malformed", "A chain must have a leaf: it is empty");
  if (count > AUTH_CHAIN_CERTIFICATES_MAX) {
    throw new HandshakeError(
      "too_large",
      `A chain must have at most ${AUTH_CHAIN_CERTIFICATES_MAX} certificates: found ${count}`,
    );
  }
  const chain: Uint8Array[] = [];
  let total = 0;
  for (let index = 0; index < count; index++) {
    const certificate = body.bytes16(1, CERTIFICATE_BYTES_MAX);
    total += certificate.length;
    if (total > AUTH_CHAIN_BYTES_MAX) {
      throw new HandshakeError(
        "too_large",
        `A chain must have at most ${AUTH_CHAIN_BYTES_MAX} bytes: found more`,
      );
    }
    chain.push(certificate);
  }
  return chain;
}

function writeRole(body: BodyWriter, role: Role): void {
  const number = ROLES.indexOf(role);
  if (number < 1) throw new RangeError(`A certificate cannot give the role ${role}`);
  body.uint8(number);
}

function readRole(body: BodyReader): Role {
  const number = body.uint8();
  const role = ROLES[number];
  if (role === undefined) throw new HandshakeError("role", `Role ${number} is not known`);
  return role;
}

/** M1, whole. */
export function encodeClientHello(hello: ClientHello): Uint8Array {
  const body = new BodyWriter(FRAME.clientHello);
  body.uint8(hello.version);
  body.uint8(hello.suite);
  writeRole(body, hello.role);
  body.fixed(hello.nonce, NONCE_BYTES);
  body.optional(hello.serverId, SERVER_ID_BYTES);
  body.optional(hello.pin, HASH_BYTES);
  body.ascii8(hello.alpn, 1, AUTH_ALPN_BYTES_MAX);
  body.ascii16(hello.authority, 1, AUTH_AUTHORITY_BYTES_MAX);
  return body.finish();
}

/**
 * Reads M1. Arrays are views of `frame`.
 *
 * @throws HandshakeError
 */
export function decodeClientHello(frame: Uint8Array): ClientHello {
  const body = new BodyReader(frame);
  const version = body.uint8();
  // What follows is this version's: another one's is not read.
  if (version !== AUTH_VERSION) {
    throw new HandshakeError(
      "version",
      `Version ${AUTH_VERSION} of the handshake is spoken here: found ${version}`,
    );
  }
  const hello: ClientHello = {
    version,
    suite: body.uint8(),
    role: readRole(body),
    nonce: body.fixed(NONCE_BYTES),
    serverId: body.optional(SERVER_ID_BYTES),
    pin: body.optional(HASH_BYTES),
    alpn: body.ascii8(1, AUTH_ALPN_BYTES_MAX),
    authority: body.ascii16(1, AUTH_AUTHORITY_BYTES_MAX),
  };
  body.finish();
  return hello;
}

/** M2 without its signature, though with the length that it will have. */
export function encodeServerHello(hello: Omit<ServerHello, "signature">): Uint8Array {
  const body = new BodyWriter(FRAME.serverHello);
  body.uint8(hello.version);
  body.uint8(hello.suite);
  body.fixed(hello.nonce, NONCE_BYTES);
  body.fixed(hello.tlsLeaf, HASH_BYTES);
  body.optional(hello.tlsLeafNext, HASH_BYTES);
  body.uint32(hello.sessionMsMax);
  writeChain(body, hello.chain);
  return body.finish(SIGNATURE_BYTES);
}

/** Reads M2. Arrays are views of `frame`. @throws HandshakeError */
export function decodeServerHello(frame: Uint8Array): ServerHello {
  const body = new BodyReader(frame);
  const hello: ServerHello = {
    version: body.uint8(),
    suite: body.uint8(),
    nonce: body.fixed(NONCE_BYTES),
    tlsLeaf: body.fixed(HASH_BYTES),
    tlsLeafNext: body.optional(HASH_BYTES),
    sessionMsMax: body.uint32(),
    chain: readChain(body),
    signature: body.fixed(SIGNATURE_BYTES),
  };
  body.finish();
  return hello;
}

/** M3 without its signature, though with the length that it will have. */
export function encodeClientProof(proof: Omit<ClientProof, "signature">): Uint8Array {
  const body = new BodyWriter(FRAME.clientProof);
  writeRole(body, proof.role);
  writeChain(body, proof.chain);
  return body.finish(SIGNATURE_BYTES);
}

/** Reads M3. Arrays are views of `frame`. @throws HandshakeError */
export function decodeClientProof(frame: Uint8Array): ClientProof {
  const body = new BodyReader(frame);
  const proof: ClientProof = {
    role: readRole(body),
    chain: readChain(body),
    signature: body.fixed(SIGNATURE_BYTES),
  };
  body.finish();
  return proof;
}

/** M4 without its signature, though with the length that it will have. */
export function encodeServerDone(done: Omit<ServerDone, "signature">): Uint8Array {
  const body = new BodyWriter(FRAME.serverDone);
  body.fixed(done.leafHash, HASH_BYTES);
  body.uint53(done.expiresAtMs);
  body.ascii16(done.subject, 1, SPIFFE_ID_BYTES_MAX);
  body.ascii16(done.token ?? "", 0, AUTH_TOKEN_BYTES_MAX);
  return body.finish(SIGNATURE_BYTES);
}

/** Reads M4. Arrays are views of `frame`. @throws HandshakeError */
export function decodeServerDone(frame: Uint8Array): ServerDone {
  const body = new BodyReader(frame);
  const leafHash = body.fixed(HASH_BYTES);
  const expiresAtMs = body.uint53();
  const subject = body.ascii16(1, SPIFFE_ID_BYTES_MAX);
  const token = body.ascii16(0, AUTH_TOKEN_BYTES_MAX);
  const signature = body.fixed(SIGNATURE_BYTES);
  body.finish();
  return { leafHash, expiresAtMs, subject, token: token === "" ? undefined : token, signature };
}

/** The frame with its signature: `unsigned` and 64 bytes more. */
export function withSignature(unsigned: Uint8Array, signature: Uint8Array): Uint8Array {
  if (signature.length !== SIGNATURE_BYTES) {
    throw new RangeError(`A signature must have ${SIGNATURE_BYTES} bytes: ${signature.length}`);
  }
  const frame = new Uint8Array(unsigned.length + SIGNATURE_BYTES);
  frame.set(unsigned);
  frame.set(signature, unsigned.length);
  return frame;
}

/** The frame without its signature: a view of it. */
export function withoutSignature(frame: Uint8Array): Uint8Array {
  return frame.subarray(0, frame.length - SIGNATURE_BYTES);
}
