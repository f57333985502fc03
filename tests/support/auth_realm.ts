/**
 * Ends of a `registry-auth/1` handshake for tests: identities with real Ed25519 keys, and stand-ins
 * for certificates, which a realm looks up instead of verifying. All of it is synchronous and
 * derived from small seeds, so that a test steps two machines by hand and gets the same bytes each
 * time.
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { concatBytes, toHex } from "../../src/base/bytes.ts";
import { type Grants, NO_GRANTS, type Role } from "../../src/base/peer.ts";
import { formatUuid } from "../../src/base/uuid.ts";
import {
  type Admittance,
  type Candidate,
  type ClientHandshakeOptions,
  clientProtocol,
  Handshake,
  type HandshakeFailure,
  handshakeFailure,
  type HandshakeServices,
  type ProvenIdentity,
  type ServerHandshakeOptions,
  serverProtocol,
  type Signing,
  type Step,
} from "../../identity/registry_auth/mod.ts";

const PKCS8_PREFIX = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32);
const SPKI_PREFIX = Uint8Array.of(48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0);

/** Returns the SHA-256 of the bytes, synchronously. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

/** Returns 32 bytes of one value. */
export function filled(value: number, length = 32): Uint8Array {
  return new Uint8Array(length).fill(value);
}

/** Expiry of every identity of a realm, Unix ms. */
export const NOT_AFTER_MS = 1_800_000_000_000;

/** A peer with a key and a certificate. */
export interface Member {
  readonly identity: ProvenIdentity;
  readonly chain: readonly Uint8Array[];
  sign(content: Uint8Array): Uint8Array;
}

/** Returns the bytes that the key signs. */
export function contentOf({ context, transcript }: Signing): Uint8Array {
  const text = `${" ".repeat(64)}registry-auth/1 ${context}\0`;
  return concatBytes([new TextEncoder().encode(text), sha256(transcript)]);
}

/** Verifies a signature with OpenSSL, which is strict enough for tests. */
export function verifyRaw(
  publicKey: Uint8Array,
  content: Uint8Array,
  signature: Uint8Array,
): boolean {
  const der = Buffer.from(concatBytes([SPKI_PREFIX, publicKey]));
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  return verify(null, content, key, signature);
}

/** Identities under one root, and the services of its members. */
export class Realm {
  readonly #members = new Map<string, ProvenIdentity>();
  readonly banned = new Set<string>();
  /** The admittance that a server grants; by default that of the realm. */
  admittance: Admittance = { expiresAtMs: NOT_AFTER_MS };

  /** Creates a member from a number; the same number gives the same member. */
  enrol(role: Role, seed: number): Member {
    return this.know(makeMember(role, seed));
  }

  /** Issues a member's next leaf, with other grants. */
  reissue(member: Member, grants: Grants): Member {
    const leaf = concatBytes([member.chain[0]!, new TextEncoder().encode(" anew")]);
    const identity = { ...member.identity, grants, leafHash: sha256(leaf) };
    return this.know({ ...member, identity, chain: [leaf, ...member.chain.slice(1)] });
  }

  /** Adds a member to the realm. */
  know(member: Member): Member {
    this.#members.set(toHex(member.chain[0]!), member.identity);
    return member;
  }

  judge(end: "client" | "server", chain: readonly Uint8Array[]): ProvenIdentity | HandshakeFailure {
    const identity = this.#members.get(toHex(chain[0]!));
    if (identity === undefined || chain.length !== 2) {
      return handshakeFailure("certificate", "It is not known here");
    }
    if (end === "server" && identity.role !== "node") {
      return handshakeFailure("certificate", "It must not be used by a server");
    }
    return identity;
  }

  admit({ identity }: Candidate): Admittance | HandshakeFailure {
    if (this.banned.has(identity.subject)) return handshakeFailure("banned", "It is banned");
    return this.admittance;
  }

  /** Returns a member's services, for running a handshake over a stream. */
  services(member: Member): HandshakeServices {
    return {
      sign: (content) => Promise.resolve(member.sign(content)),
      verify: verifyRaw,
      sha256,
      judge: (end, chain) => Promise.resolve(this.judge(end, chain)),
      admit: (candidate) => Promise.resolve(this.admit(candidate)),
    };
  }
}

/** Creates a member that no realm knows yet. */
export function makeMember(role: Role, seed: number): Member {
  const der = Buffer.from(concatBytes([PKCS8_PREFIX, filled(seed)]));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const subjectId = filled(seed, 16);
  const subject = `spiffe://test.example/region/eu-1/${role}/${formatUuid(subjectId)}`;
  const leaf = new TextEncoder().encode(`leaf of ${subject}`);
  const issuer = new TextEncoder().encode("an issuer");
  return {
    identity: {
      subject,
      subjectId,
      role,
      region: "eu-1",
      lineage: 1_000 + seed,
      grants: role === "gateway" ? { ...NO_GRANTS, domains: ["g.example"] } : NO_GRANTS,
      leafHash: sha256(leaf),
      publicKey: new Uint8Array(spki.subarray(SPKI_PREFIX.length)),
      notAfterMs: NOT_AFTER_MS,
    },
    chain: [leaf, issuer],
    sign: (content) => new Uint8Array(sign(null, content, key)),
  };
}

/** Returns the hash of a member's current, previous or next TLS leaf. */
export function tlsLeaf(member: Member, which: "previous" | "current" | "next"): Uint8Array {
  return sha256(new TextEncoder().encode(`tls ${which} ${member.identity.subject}`));
}

/** The authority under which the server of a test is dialed. */
export const AUTHORITY = "registry.test:4433";

/** One end of a handshake. */
export interface End {
  readonly handshake: Handshake;
  readonly member: Member;
  readonly realm: Realm;
}

/** Creates a client's end, pinned to `server` if one is given. */
export function clientEnd(
  realm: Realm,
  member: Member,
  server: Member | undefined,
  changes: Partial<ClientHandshakeOptions> = {},
  nowMs = 0,
): End {
  const { role, subject, leafHash, notAfterMs } = member.identity;
  const protocol = clientProtocol({
    nonce: filled(0xc1),
    serverId: server?.identity.subjectId,
    pin: server && tlsLeaf(server, "current"),
    alpn: "crs",
    authority: AUTHORITY,
    own: { role, subject, leafHash, notAfterMs, chain: member.chain },
    ...changes,
  });
  return { handshake: new Handshake(protocol, nowMs), member, realm };
}

/** Creates a server's end. */
export function serverEnd(
  realm: Realm,
  member: Member,
  changes: Partial<ServerHandshakeOptions> = {},
  nowMs = 0,
): End {
  const { subject, subjectId, notAfterMs } = member.identity;
  const protocol = serverProtocol({
    nonce: filled(0x5e),
    alpn: "crs",
    authorities: new Set([AUTHORITY]),
    tlsLeaves: { current: tlsLeaf(member, "current"), next: tlsLeaf(member, "next") },
    sessionMsMax: 3_600_000,
    unpinnedTokens: false,
    own: { subject, subjectId, notAfterMs, chain: member.chain },
    ...changes,
  });
  return { handshake: new Handshake(protocol, nowMs), member, realm };
}

/** Runs every step that needs no peer, and returns the frames to be sent. */
export function work({ handshake, member, realm }: End, nowMs = 0): Uint8Array[] {
  const sent: Uint8Array[] = [];
  for (;;) {
    const { step } = handshake;
    switch (step.kind) {
      case "send":
        sent.push(step.bytes);
        handshake.complete("send", undefined, nowMs);
        break;
      case "sign":
        handshake.complete("sign", member.sign(contentOf(step.signing)), nowMs);
        break;
      case "authenticate": {
        const { end, chain, signing, signature } = step.authentication;
        const identity = realm.judge(end, chain);
        const proven = "fault" in identity ||
          verifyRaw(identity.publicKey, contentOf(signing), signature);
        const verdict = proven ? identity : handshakeFailure("signature", "It is another's");
        handshake.complete("authenticate", verdict, nowMs);
        break;
      }
      case "admit":
        handshake.complete("admit", realm.admit(step.candidate), nowMs);
        break;
      case "verify": {
        const content = contentOf(step.signing);
        const valid = verifyRaw(step.publicKey, content, step.signature);
        handshake.complete("verify", valid, nowMs);
        break;
      }
      default:
        return sent;
    }
  }
}

/** Changes or replaces a frame in transit, by its number: M1 is 1. */
export type OnTheWay = (frame: Uint8Array, number: number) => Uint8Array;

/**
 * Carries frames between two ends until neither makes progress; returns all frames as they were
 * sent.
 */
export function exchange(
  client: End,
  server: End,
  onTheWay: OnTheWay = (frame) => frame,
): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let [from, to] = [client, server];; [from, to] = [to, from]) {
    const sent = work(from);
    if (sent.length === 0) return frames;
    for (const frame of sent) {
      frames.push(frame);
      to.handshake.receive(onTheWay(frame, frames.length), 0);
    }
  }
}

/** Returns the state of an end: `done`, the event that it waits for, or the fault that ended it. */
export function outcome({ handshake: { step } }: End): string {
  return step.kind === "failed" ? step.failure.fault : step.kind;
}

/** Returns the result of an end that is done. */
export function resultOf({ handshake: { step } }: End): Extract<Step, { kind: "done" }>["result"] {
  if (step.kind !== "done") throw new Error(`The handshake is not done: ${JSON.stringify(step)}`);
  return step.result;
}
