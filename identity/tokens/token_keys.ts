/**
 * The keys of tokens and how they follow one another. A new key is published before it signs, so
 * that everybody knows it when its first token comes; the old one is kept until the last token that
 * it signed has ended. The plan is plain data over passed times, for group 0 to hold; the set that
 * tokens are checked with comes from its published form, a JWK Set (RFC 7517 §5, RFC 8037 §2).
 *
 * Clock assumption: who plans and who checks agree on the wall clock within `TOKEN_SKEW_MS`.
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
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { publicKeyFault } from "../pki/ed25519.ts";
import { canonicalJson, membersOf, readCanonicalJson } from "./strict_json.ts";
import { TOKEN_ALGORITHM } from "./token.ts";
import type { TokenKeys } from "./token_check.ts";

/** One key of the plan. */
export interface PlannedKey {
  /** Its thumbprint ({@link keyIdOf}). */
  readonly keyId: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Unix ms from which it is published. */
  readonly publishedAtMs: number;
  /** Unix ms; it signs within `[signsFromMs, signsUntilMs)`. The newest signs until the next comes. */
  readonly signsFromMs: number;
  readonly signsUntilMs: number;
}

/** The id of an Ed25519 key: its JWK thumbprint, SHA-256 (RFC 7638 §3, RFC 8037 appendix A.3). */
export function keyIdOf(publicKey: Uint8Array): string {
  const members = { crv: "Ed25519", kty: "OKP", x: encodeBase64url(publicKey) };
  return encodeBase64url(createHash("sha256").update(canonicalJson(members)).digest());
}

/**
 * The plan with one more key, the last to sign: published now, signing after `TOKEN_KEY_LEAD_MS`.
 * The first of all signs at once, for nobody has an older set that lacks it.
 *
 * @param nowMs Unix ms, not before that of an earlier call.
 * @throws RegistryError `invalid_argument` for a key that is no sound one or is there already,
 * `overloaded` where rotations came so fast that no more keys fit.
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
      `At most ${TOKEN_KEYS_MAX} token keys may be in use: wait for the last tokens of one to end`,
      { retryAfterMs },
    );
  }
  const signsFromMs = kept.length === 0 ? nowMs : nowMs + TOKEN_KEY_LEAD_MS;
  const relieved = kept.map((key) => ({
    ...key,
    // A key that never came to sign when the next is published never will.
    signsUntilMs: Math.max(key.signsFromMs, Math.min(key.signsUntilMs, signsFromMs)),
  }));
  const newest = { keyId, publicKey: publicKey.slice(), publishedAtMs: nowMs, signsFromMs };
  return [...relieved, { ...newest, signsUntilMs: Infinity }];
}

/**
 * The plan without a key whose private half is lost or known to others: its tokens end with the next
 * publication. Where it was the one that signs, the newest of the others signs from now on.
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

/** The key that signs at a time; `undefined` where there is none. */
export function signingKeyAt(plan: readonly PlannedKey[], nowMs: number): PlannedKey | undefined {
  return plan.findLast((key) => key.signsFromMs <= nowMs && nowMs < key.signsUntilMs);
}

/** The plan without the keys whose last token has ended. */
export function withoutEnded(plan: readonly PlannedKey[], nowMs: number): PlannedKey[] {
  return plan.filter((key) => nowMs < endOf(key));
}

/** Unix ms from which no token of the key counts anywhere. */
function endOf(key: PlannedKey): number {
  return key.signsUntilMs + TOKEN_LIFE_MS_MAX + 2 * TOKEN_SKEW_MS;
}

/** What is published at a time: a JWK Set in canonical JSON. */
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
 * The public keys of a published set, by id. As strict as the check of tokens: only Ed25519 keys for
 * `EdDSA` signatures, exactly these members, each under its own thumbprint, none twice. A set that
 * holds anything else is refused whole; what a stranger's key beside ours would mean is not asked.
 *
 * @throws RegistryError `corrupt`.
 */
export function parsePublishedKeys(text: string): Map<string, Uint8Array> {
  if (text.length > JWKS_BYTES_MAX) throw badSet(`it has more than ${JWKS_BYTES_MAX} characters`);
  const read = readCanonicalJson(text);
  if (typeof read === "string") throw badSet(`it is ${read}`);
  const keys = membersOf(read.value, ["keys"])?.keys;
  if (!Array.isArray(keys)) throw badSet("it is no set of keys");
  if (keys.length > TOKEN_KEYS_MAX) throw badSet(`it has more than ${TOKEN_KEYS_MAX} keys`);
  const found = new Map<string, Uint8Array>();
  for (const key of keys) {
    const publicKey = publicKeyOf(key);
    const keyId = keyIdOf(publicKey);
    if (key.kid !== keyId) throw badSet("a key's kid is not its thumbprint");
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
  const fault = publicKey === undefined ? "no base64url" : publicKeyFault(publicKey);
  if (publicKey === undefined || fault !== undefined) throw badSet(`a key is unsound: ${fault}`);
  return publicKey;
}

function badSet(why: string): RegistryError {
  return new RegistryError("corrupt", `The published token keys cannot be used as ${why}`, {
    field: "jwks",
  });
}

/** The keys that tokens are checked with, as last published. */
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
   * Takes a newer set in place of the one before.
   *
   * @param text as {@link publishedKeys} gives it.
   * @throws RegistryError `corrupt`; the set before stays then.
   */
  replace(text: string): void {
    if (text === this.#text) return;
    this.#keys = parsePublishedKeys(text);
    this.#text = text;
    this.#version++;
  }
}
