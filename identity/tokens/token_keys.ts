/**
 * Token signing keys and their rotation. A new key is published before it signs, so that every
 * checker knows it when its first token arrives; an old key stays published until the last token
 * that it signed has expired. The plan is plain data with times passed in, stored by group 0.
 * Checkers use its published form, a JWK Set (RFC 7517 §5, RFC 8037 §2).
 *
 * Clock assumption: the wall clocks of planners and checkers agree within `TOKEN_SKEW_MS`.
 */
import { createHash } from "node:crypto";
import { RegistryError } from "../../src/base/errors.ts";
import {
  JWKS_BYTES_MAX,
  TOKEN_KEY_LEAD_MS,
  TOKEN_KEYS_MAX,
  TOKEN_LIFE_MS_MAX,
  TOKEN_SKEW_MS,
} from "../../src/base/limits.ts";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { publicKeyFault } from "../pki/ed25519.ts";
import { canonicalJson, membersOf, readCanonicalJson } from "../../src/signing/canonical_json.ts";
import { TOKEN_ALGORITHM } from "./token.ts";
import type { TokenKeys } from "./token_check.ts";

/** A key of the plan. */
export interface PlannedKey {
  /** Thumbprint of the key ({@link keyIdOf}). */
  readonly keyId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Unix ms from which the key is published. */
  readonly publishedAtMs: number;
  /**
   * Unix ms; the key signs within `[signsFromMs, signsUntilMs)`. The newest key signs until its
   * successor does.
   */
  readonly signsFromMs: number;
  readonly signsUntilMs: number;
}

/**
 * Returns the id of an Ed25519 key: its JWK thumbprint, SHA-256 (RFC 7638 §3, RFC 8037 appendix
 * A.3).
 */
export function keyIdOf(publicKey: Uint8Array): string {
  const members = { crv: "Ed25519", kty: "OKP", x: encodeBase64url(publicKey) };
  return encodeBase64url(createHash("sha256").update(canonicalJson(members)).digest());
}

/**
 * Returns the plan with one more key, which signs last: it is published now and signs after
 * `TOKEN_KEY_LEAD_MS`. The very first key signs at once, since nobody holds an older set that lacks
 * it.
 *
 * @param nowMs Unix ms, not before that of an earlier call.
 * @throws RegistryError `invalid_argument` for an unsound key or one already in the plan,
 * `overloaded` if recent rotations have filled the plan.
 */
export function withKey(
  plan: readonly PlannedKey[],
  publicKey: Uint8Array,
  nowMs: number,
): PlannedKey[] {
  const fault = publicKeyFault(publicKey);
  const keyId = keyIdOf(publicKey);
  const kept = withoutEnded(plan, nowMs);
  if (fault !== undefined || kept.some((key) => key.keyId === keyId)) {
    throw new RegistryError(
      "invalid_argument",
      `publicKey must be a sound Ed25519 key that is not in use: found ${fault ?? keyId}`,
      { field: "publicKey" },
    );
  }
  if (kept.length >= TOKEN_KEYS_MAX) {
    const retryAfterMs = Math.min(...kept.map((key) => endOf(key))) - nowMs;
    throw new RegistryError(
      "overloaded",
      `At most ${TOKEN_KEYS_MAX} token keys may be in use: wait until the tokens of one expire`,
      { retryAfterMs },
    );
  }
  const signsFromMs = kept.length === 0 ? nowMs : nowMs + TOKEN_KEY_LEAD_MS;
  const relieved = kept.map((key) => ({
    ...key,
    // A key that has not started to sign when its successor is published never will.
    signsUntilMs: Math.max(key.signsFromMs, Math.min(key.signsUntilMs, signsFromMs)),
  }));
  const newest = { keyId, publicKey: publicKey.slice(), publishedAtMs: nowMs, signsFromMs };
  return [...relieved, { ...newest, signsUntilMs: Infinity }];
}

/**
 * Returns the plan without a key whose private half is lost or compromised: its tokens become
 * invalid with the next publication. If it was the signing key, the newest of the others signs from
 * now on.
 */
export function withoutKey(
  plan: readonly PlannedKey[],
  keyId: string,
  nowMs: number,
): PlannedKey[] {
  const kept = withoutEnded(plan, nowMs).filter((key) => key.keyId !== keyId);
  const newest = kept.at(-1);
  if (newest === undefined || signingKeyAt(kept, nowMs) !== undefined) return kept;
  const signsFromMs = Math.min(newest.signsFromMs, nowMs);
  return [...kept.slice(0, -1), { ...newest, signsFromMs, signsUntilMs: Infinity }];
}

/** Returns the key that signs at a time, or `undefined` if there is none. */
export function signingKeyAt(plan: readonly PlannedKey[], nowMs: number): PlannedKey | undefined {
  return plan.findLast((key) => key.signsFromMs <= nowMs && nowMs < key.signsUntilMs);
}

/** Returns the plan without the keys whose last token has expired. */
export function withoutEnded(plan: readonly PlannedKey[], nowMs: number): PlannedKey[] {
  return plan.filter((key) => nowMs < endOf(key));
}

/** Returns the Unix ms from which no token of the key is valid for any checker. */
function endOf(key: PlannedKey): number {
  return key.signsUntilMs + TOKEN_LIFE_MS_MAX + 2 * TOKEN_SKEW_MS;
}

/** Returns the key set published at a time: a JWK Set in canonical JSON. */
export function publishedKeys(plan: readonly PlannedKey[], nowMs: number): string {
  const keys = withoutEnded(plan, nowMs).map(({ keyId, publicKey }) => ({
    alg: TOKEN_ALGORITHM,
    crv: "Ed25519",
    kid: keyId,
    kty: "OKP",
    use: "sig",
    x: encodeBase64url(publicKey),
  }));
  return canonicalJson({ keys });
}

/**
 * Parses a published set and returns its public keys by id. It is as strict as token validation:
 * only Ed25519 keys for `EdDSA` signatures, exactly these members, each under its own thumbprint,
 * no duplicates. A set with anything else is refused as a whole.
 *
 * @throws RegistryError `corrupt`.
 */
export function parsePublishedKeys(text: string): Map<string, Uint8Array> {
  if (text.length > JWKS_BYTES_MAX) throw badSet(`it has more than ${JWKS_BYTES_MAX} characters`);
  const read = readCanonicalJson(text);
  if (typeof read === "string") throw badSet(`it is ${read}`);
  const keys = membersOf(read.value, ["keys"])?.keys;
  if (!Array.isArray(keys)) throw badSet("it is not a set of keys");
  if (keys.length > TOKEN_KEYS_MAX) throw badSet(`it has more than ${TOKEN_KEYS_MAX} keys`);
  const found = new Map<string, Uint8Array>();
  for (const key of keys) {
    const publicKey = publicKeyOf(key);
    const keyId = keyIdOf(publicKey);
    if (key.kid !== keyId) throw badSet("the kid of a key is not its thumbprint");
    if (found.has(keyId)) throw badSet("it names a key twice");
    found.set(keyId, publicKey);
  }
  return found;
}

function publicKeyOf(key: unknown): Uint8Array {
  const members = membersOf(key, ["alg", "crv", "kid", "kty", "use", "x"]);
  if (members === undefined) {
    throw badSet("a key has other members than alg, crv, kid, kty, use, x");
  }
  const { alg, crv, kty, use, x } = members;
  if (alg !== TOKEN_ALGORITHM || crv !== "Ed25519" || kty !== "OKP" || use !== "sig") {
    throw badSet(`a key is not for signatures by ${TOKEN_ALGORITHM} over Ed25519`);
  }
  const publicKey = typeof x === "string" ? decodeBase64url(x) : undefined;
  const fault = publicKey === undefined ? "not base64url" : publicKeyFault(publicKey);
  if (publicKey === undefined || fault !== undefined) throw badSet(`a key is unsound: ${fault}`);
  return publicKey;
}

function badSet(why: string): RegistryError {
  return new RegistryError("corrupt", `The published token keys cannot be used as ${why}`, {
    field: "jwks",
  });
}

/** The token keys as last published, used to check tokens. */
export class PublishedTokenKeys implements TokenKeys {
  #keys: ReadonlyMap<string, Uint8Array> = new Map();
  #version = 0;
  #text = "";

  get version(): number {
    return this.#version;
  }

  get(keyId: string): Uint8Array | undefined {
    return this.#keys.get(keyId);
  }

  /**
   * Replaces the current set.
   *
   * @param text as {@link publishedKeys} returns it.
   * @throws RegistryError `corrupt`; the current set then stays.
   */
  replace(text: string): void {
    if (text === this.#text) return;
    this.#keys = parsePublishedKeys(text);
    this.#text = text;
    this.#version++;
  }
}
