/**
 * Encoding of the four frames of `registry-auth/1`: a fixed big-endian layout, frozen by
 * tests/vectors/registry_auth.json. A frame is one byte of type, three bytes of body length, and
 * the body. M2 to M4 end with their signature, so "this frame without its signature" is all but the
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
 * All zero means "none" in server id, pin and next leaf; an empty token means none. Every value has
 * one encoding: a decoded frame encodes to the same bytes. Every size is checked before anything is
 * allocated for it.
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

/** The handshake's version, the only one. */
export const AUTH_VERSION = 1;
/** The cipher suite, the only one: Ed25519 and SHA-256. */
export const AUTH_SUITE = 1;

/** Size of a nonce in bytes. */
export const NONCE_BYTES = 32;
/** Size of a hash in bytes. */
export const HASH_BYTES = 32;
/** Size of a server id in bytes. */
export const SERVER_ID_BYTES = 16;
/** Size of a signature in bytes. */
export const SIGNATURE_BYTES = 64;

/** Frame types, in the order of the exchange. */
export const FRAME = { clientHello: 1, serverHello: 2, clientProof: 3, serverDone: 4 } as const;
/** A frame type of {@link FRAME}. */
export type FrameType = typeof FRAME[keyof typeof FRAME];

/** Bytes of a frame's header. */
export const FRAME_HEADER_BYTES = 4;

const CHAIN_BODY_BYTES_MAX = 1 + 2 * AUTH_CHAIN_CERTIFICATES_MAX + AUTH_CHAIN_BYTES_MAX;
/** Maximum body size of each frame type, in bytes. */
export const FRAME_BODY_BYTES_MAX: Readonly<Record<FrameType, number>> = {
  1: 3 + 32 + 16 + 32 + 1 + AUTH_ALPN_BYTES_MAX + 2 + AUTH_AUTHORITY_BYTES_MAX,
  2: 2 + 32 + 32 + 32 + 4 + CHAIN_BODY_BYTES_MAX + SIGNATURE_BYTES,
  3: 1 + CHAIN_BODY_BYTES_MAX + SIGNATURE_BYTES,
  4: 32 + 8 + 2 + SPIFFE_ID_BYTES_MAX + 2 + AUTH_TOKEN_BYTES_MAX + SIGNATURE_BYTES,
};

/** Roles by number on the wire. */
const ROLES: readonly (Role | undefined)[] = [
  undefined,
  "agent",
  "gateway",
  "proxy",
  "controller",
  "node",
  "front",
];

/** M1: the client's request and its view of the channel. */
export interface ClientHello {
  readonly version: number;
  readonly suite: number;
  readonly role: Role;
  readonly nonce: Uint8Array;
  /** UUID of the wanted server's identity; `undefined`: any server of the trust domain. */
  readonly serverId: Uint8Array | undefined;
  /** SHA-256 of the TLS leaf with which the channel was made; `undefined` if only a CA is known. */
  readonly pin: Uint8Array | undefined;
  readonly alpn: string;
  /** Host and port as dialed, see `authorityOf`. */
  readonly authority: string;
}

/** M2: the server's identity, bound to M1 and to its TLS leaf. */
export interface ServerHello {
  readonly version: number;
  readonly suite: number;
  readonly nonce: Uint8Array;
  readonly tlsLeaf: Uint8Array;
  readonly tlsLeafNext: Uint8Array | undefined;
  /** Maximum duration of a session before it is renewed, ms, `[1, 2^32)`. */
  readonly sessionMsMax: number;
  /** DER, the leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** M3: the client's identity, bound to M1 and M2. */
export interface ClientProof {
  readonly role: Role;
  readonly chain: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** M4: the server's acceptance and its expiry. */
export interface ServerDone {
  readonly leafHash: Uint8Array;
  /** Unix ms. */
  readonly expiresAtMs: number;
  /** SPIFFE URI. */
  readonly subject: string;
  readonly token: string | undefined;
  readonly signature: Uint8Array;
}

/**
 * Writes a chain. The limits are checked before sending, as the other end enforces the same ones.
 */
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

/** Encodes a complete M1. */
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
 * Decodes M1. Arrays are views of `frame`.
 *
 * @throws HandshakeError
 */
export function decodeClientHello(frame: Uint8Array): ClientHello {
  const body = new BodyReader(frame);
  const version = body.uint8();
  // The rest of the layout belongs to this version; other versions are not parsed.
  if (version !== AUTH_VERSION) {
    throw new HandshakeError(
      "version",
      `The handshake must have version ${AUTH_VERSION}: found ${version}`,
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

/** Encodes M2 without its signature; the header's length already counts the signature. */
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

/** Decodes M2. Arrays are views of `frame`. @throws HandshakeError */
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

/** Encodes M3 without its signature; the header's length already counts the signature. */
export function encodeClientProof(proof: Omit<ClientProof, "signature">): Uint8Array {
  const body = new BodyWriter(FRAME.clientProof);
  writeRole(body, proof.role);
  writeChain(body, proof.chain);
  return body.finish(SIGNATURE_BYTES);
}

/** Decodes M3. Arrays are views of `frame`. @throws HandshakeError */
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

/** Encodes M4 without its signature; the header's length already counts the signature. */
export function encodeServerDone(done: Omit<ServerDone, "signature">): Uint8Array {
  const body = new BodyWriter(FRAME.serverDone);
  body.fixed(done.leafHash, HASH_BYTES);
  body.uint53(done.expiresAtMs);
  body.ascii16(done.subject, 1, SPIFFE_ID_BYTES_MAX);
  body.ascii16(done.token ?? "", 0, AUTH_TOKEN_BYTES_MAX);
  return body.finish(SIGNATURE_BYTES);
}

/** Decodes M4. Arrays are views of `frame`. @throws HandshakeError */
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

/** Returns a new frame: `unsigned` followed by the 64 bytes of its signature. */
export function withSignature(unsigned: Uint8Array, signature: Uint8Array): Uint8Array {
  if (signature.length !== SIGNATURE_BYTES) {
    throw new RangeError(`A signature must have ${SIGNATURE_BYTES} bytes: ${signature.length}`);
  }
  const frame = new Uint8Array(unsigned.length + SIGNATURE_BYTES);
  frame.set(unsigned);
  frame.set(signature, unsigned.length);
  return frame;
}

/** Returns the frame without its signature, as a view. */
export function withoutSignature(frame: Uint8Array): Uint8Array {
  return frame.subarray(0, frame.length - SIGNATURE_BYTES);
}
