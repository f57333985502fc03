/**
 * Capabilities: bearer credentials that their holders narrow without asking anybody. They are
 * macaroons in the original construction (Birgisson et al., NDSS 2014, §II and fig. 8) with
 * first-party caveats only: HMAC-SHA-256 of the head under a root key, then of each caveat under the
 * signature before it. Whoever holds a capability can add caveats, and cannot take any away.
 *
 * ```
 * head      = version (1 byte: 1) | id of the root key (8) | id of the capability (16)
 * s[0]      = HMAC-SHA-256(root key, head)
 * s[n]      = HMAC-SHA-256(s[n - 1], caveat n)        caveats: caveat.ts
 * text      = "crs-cap-" | base64url(head | caveat 1 | … | caveat n | s[n])
 * ```
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { concatBytes, toHex } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { CAPABILITY_BYTES_MAX, CAPABILITY_CAVEATS_MAX } from "../../src/base/limits.ts";
import { formatUuid, UUID_BYTES } from "../../src/base/uuid.ts";
import {
  type Caveat,
  type CaveatFault,
  decodeCaveats,
  encodeCaveat,
  type EncodedCaveat,
} from "./caveat.ts";
import { ROOT_KEY_ID_BYTES, type RootKey } from "./root_key.ts";

/** Beginning of every capability's text. */
export const CAPABILITY_PREFIX = "crs-cap-";
const VERSION = 1;
const HEAD_BYTES = 1 + ROOT_KEY_ID_BYTES + UUID_BYTES;
const SIGNATURE_BYTES = 32;

/** Reasons why a text is no capability. */
export type CapabilityFormFault =
  | "too_large"
  | "not_a_capability"
  | "not_base64url"
  | "unknown_version"
  | CaveatFault;

/** A capability as its text states it. Nothing in it is proven before it is verified (verify.ts). */
export interface CapabilityForm {
  /** Id of the root key, in hexadecimal. */
  readonly keyId: string;
  /** UUID text. */
  readonly capabilityId: string;
  readonly caveats: readonly Caveat[];
}

/** The parts of a capability that its signature covers, as views. */
export interface CapabilityBytes extends CapabilityForm {
  readonly head: Uint8Array;
  readonly encoded: readonly EncodedCaveat[];
  readonly signature: Uint8Array;
}

/** Reports whether a text looks like a capability, and not like another kind of token. */
export function isCapabilityText(text: string): boolean {
  return text.startsWith(CAPABILITY_PREFIX);
}

/** Parses a capability and checks its form, not its signature. */
export function readCapability(text: string): CapabilityBytes | CapabilityFormFault {
  if (text.length > CAPABILITY_BYTES_MAX) return "too_large";
  if (!isCapabilityText(text)) return "not_a_capability";
  const bytes = decodeBase64url(text.slice(CAPABILITY_PREFIX.length));
  if (bytes === undefined) return "not_base64url";
  if (bytes.length < HEAD_BYTES + SIGNATURE_BYTES) return "malformed";
  if (bytes[0] !== VERSION) return "unknown_version";
  const end = bytes.length - SIGNATURE_BYTES;
  const encoded = decodeCaveats(bytes.subarray(HEAD_BYTES, end));
  if (typeof encoded === "string") return encoded;
  if (encoded.length > CAPABILITY_CAVEATS_MAX) return "malformed";
  return {
    keyId: toHex(bytes.subarray(1, 1 + ROOT_KEY_ID_BYTES)),
    capabilityId: formatUuid(bytes.subarray(1 + ROOT_KEY_ID_BYTES, HEAD_BYTES)),
    caveats: encoded.map(({ caveat }) => caveat),
    head: bytes.subarray(0, HEAD_BYTES),
    encoded,
    signature: bytes.subarray(end),
  };
}

/**
 * Creates a capability.
 *
 * @param capabilityId 16 bytes, random.
 * @param caveats with a scope and an expiry, without which no verifier accepts it.
 * @throws RegistryError `invalid_argument`, `too_large`.
 */
export function mintCapability(
  root: RootKey,
  capabilityId: Uint8Array,
  caveats: readonly Caveat[],
): string {
  for (const needed of ["scope", "expiry"] as const) {
    if (caveats.some(({ kind }) => kind === needed)) continue;
    throw new RegistryError("invalid_argument", `A capability must have a caveat of ${needed}`, {
      field: needed,
    });
  }
  const head = concatBytes([Uint8Array.of(VERSION), root.idBytes, capabilityId]);
  return extended({ head, encoded: [], signature: firstSignature(root, head) }, caveats);
}

/**
 * Returns a capability with further caveats. Needs no key, and works without a registry.
 *
 * @throws RegistryError `invalid_argument` if the text is no capability, or for invalid caveats;
 * `too_large`.
 */
export function attenuate(text: string, caveats: readonly Caveat[]): string {
  const form = readCapability(text);
  if (typeof form !== "string") return extended(form, caveats);
  throw new RegistryError("invalid_argument", `The text is no capability: ${form}`, {
    field: "capability",
  });
}

/** Returns the signature that follows from a signature and the caveats after it. */
export function signatureAfter(first: Uint8Array, caveats: readonly Uint8Array[]): Uint8Array {
  let signature = first;
  for (const caveat of caveats) signature = hmac(sha256, signature, caveat);
  return signature;
}

/** Returns the signature of a head under a root key. */
export function firstSignature(root: RootKey, head: Uint8Array): Uint8Array {
  return hmac(sha256, root.secret, head);
}

function extended(
  { head, encoded, signature }: Pick<CapabilityBytes, "head" | "encoded" | "signature">,
  caveats: readonly Caveat[],
): string {
  const added = caveats.map(encodeCaveat);
  const all = [...encoded.map(({ bytes }) => bytes), ...added];
  if (all.length > CAPABILITY_CAVEATS_MAX) {
    throw tooLarge(`at most ${CAPABILITY_CAVEATS_MAX} caveats: found ${all.length}`);
  }
  const bytes = concatBytes([head, ...all, signatureAfter(signature, added)]);
  const text = CAPABILITY_PREFIX + encodeBase64url(bytes);
  if (text.length <= CAPABILITY_BYTES_MAX) return text;
  throw tooLarge(`at most ${CAPABILITY_BYTES_MAX} bytes: found ${text.length}`);
}

function tooLarge(wanted: string): RegistryError {
  return new RegistryError("too_large", `A capability must have ${wanted}`, { field: "caveats" });
}
