/**
 * The check of a token, in two steps. First, without any cryptography, that it has the one form that
 * our issuer writes: size, base64url that encodes to itself, canonical JSON, exactly the fields that
 * belong there, integer times, a bounded life. Then that it is for us, now, of this holder. Last the
 * signature over just these bytes (RFC 7515 §5.2, RFC 8037). A token that passes is one that jose
 * takes, as tests show; by itself jose would take duplicate names, times beyond all bounds, embedded
 * keys and loose base64 too (RFC 8725), and wait for another thread. Synchronous; some 80 µs.
 *
 * A verdict is a value, not an exception, and has one name for each fault, so that refusals can be
 * counted. Time comes in as an argument: the wall clock of who checks, which must agree with the
 * issuer's within `TOKEN_SKEW_MS`; where it is behind by more, a token counts for that much longer.
 */
import { bytesEqual } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { TOKEN_BYTES_MAX, TOKEN_LIFE_MS_MAX, TOKEN_SKEW_MS } from "../../src/base/limits.ts";
import type { Grants } from "../../src/base/peer.ts";
import { decodeBase64url } from "./base64url.ts";
import { signatureFault, verifyMessage } from "../pki/ed25519.ts";
import { checkGrants } from "../pki/identity_extension.ts";
import { parseSpiffeId } from "../pki/spiffe.ts";
import { membersOf, readCanonicalJson } from "./strict_json.ts";
import {
  isTokenId,
  isTokenName,
  LEAF_HASH_BYTES,
  TOKEN_ALGORITHM,
  TOKEN_TYPE,
  type TokenClaims,
} from "./token.ts";

/** Why a token is refused. */
export type TokenFault =
  | "too_large"
  | "not_three_parts"
  | "not_base64url"
  | "not_json"
  | "not_canonical"
  | "wrong_header"
  | "wrong_claims"
  | "life_too_long"
  | "signature_form"
  | "unknown_key"
  | "bad_signature"
  | "wrong_issuer"
  | "wrong_audience"
  | "wrong_subject"
  | "wrong_certificate"
  | "not_yet_valid"
  | "expired"
  | "banned";

/** Keys by id; `version` changes with every change of them. */
export interface TokenKeys {
  readonly version: number;
  /** Ed25519, 32 bytes. */
  get(keyId: string): Uint8Array | undefined;
}

/** What is banned; `version` changes with every change of it. */
export interface TokenBans {
  readonly version: number;
  isBanned(identity: { readonly subject: string; readonly tokenId: string }): boolean;
}

/** Who shows a token: what its session has proven. */
export interface TokenBearer {
  /** SPIFFE id. */
  readonly subject: string;
  /** SHA-256 of its leaf. */
  readonly leafHash: Uint8Array;
}

/** What a check holds tokens to. */
export interface TokenRules {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: TokenKeys;
  readonly bans: TokenBans;
}

/** The error of a refused token, for whoever showed it. */
export function tokenRefused(fault: TokenFault): RegistryError {
  return new RegistryError("unauthenticated", `The token is refused: ${fault}`, { field: "token" });
}

/**
 * The claims of a token in its one form, or its fault. Says nothing of its signature, nor of whose
 * it is and when: no claim may be believed before {@link checkToken}.
 */
export function readTokenForm(token: string): TokenClaims | TokenFault {
  // All characters are ASCII where the parts pass, so that length counts bytes.
  if (token.length > TOKEN_BYTES_MAX) return "too_large";
  const parts = token.split(".");
  const [headerText, payloadText, signatureText] = parts;
  if (
    parts.length !== 3 || headerText === undefined || payloadText === undefined ||
    signatureText === undefined
  ) return "not_three_parts";
  const signature = decodeBase64url(signatureText);
  const header = readPart(headerText);
  if (typeof header === "string") return header;
  const payload = readPart(payloadText);
  if (typeof payload === "string") return payload;
  if (signature === undefined) return "not_base64url";
  const keyId = keyIdOf(header.value);
  if (keyId === undefined) return "wrong_header";
  const claims = claimsOf(payload.value, keyId);
  if (claims === undefined) return "wrong_claims";
  if (claims.expiresAtMs - claims.issuedAtMs > TOKEN_LIFE_MS_MAX) return "life_too_long";
  return signatureFault(signature) === undefined ? claims : "signature_form";
}

/** The claims of a token that `bearer` may use at `nowMs` (Unix ms), or its fault. */
export function checkToken(
  token: string,
  bearer: TokenBearer,
  rules: TokenRules,
  nowMs: number,
): TokenClaims | TokenFault {
  const claims = readTokenForm(token);
  if (typeof claims === "string") return claims;
  const fault = claimsFault(claims, bearer, rules, nowMs);
  if (fault !== undefined) return fault;
  const key = rules.keys.get(claims.keyId);
  if (key === undefined) return "unknown_key";
  const end = token.lastIndexOf(".");
  const signature = decodeBase64url(token.slice(end + 1));
  const signed = UTF8_ENCODER.encode(token.slice(0, end));
  const isSigned = signature !== undefined && verifyMessage(key, signed, signature);
  return isSigned ? claims : "bad_signature";
}

/**
 * Why claims do not count here, now and for this bearer; `undefined`: they do, if they are signed.
 * Asked before the signature, for it costs a hundredth.
 */
function claimsFault(
  claims: TokenClaims,
  bearer: TokenBearer,
  rules: TokenRules,
  nowMs: number,
): TokenFault | undefined {
  if (claims.issuer !== rules.issuer) return "wrong_issuer";
  if (claims.audience !== rules.audience) return "wrong_audience";
  if (claims.subject !== bearer.subject) return "wrong_subject";
  if (!bytesEqual(claims.leafHash, bearer.leafHash)) return "wrong_certificate";
  if (nowMs >= claims.expiresAtMs) return "expired";
  if (nowMs < claims.issuedAtMs - TOKEN_SKEW_MS) return "not_yet_valid";
  return rules.bans.isBanned(claims) ? "banned" : undefined;
}

/** The tokens of one session: the one that it showed last is not verified again. */
export class SessionTokens {
  readonly #bearer: TokenBearer;
  readonly #rules: TokenRules;
  #token = "";
  #claims: TokenClaims | undefined;
  #keysVersion = 0;
  #bansVersion = 0;

  constructor(bearer: TokenBearer, rules: TokenRules) {
    this.#bearer = bearer;
    this.#rules = rules;
  }

  /** The claims of a token, or its fault; as {@link checkToken}, from memory where that is enough. */
  check(token: string, nowMs: number): TokenClaims | TokenFault {
    const known = this.#known(token, nowMs);
    if (known !== undefined) return known;
    const claims = checkToken(token, this.#bearer, this.#rules, nowMs);
    if (typeof claims === "string") return claims;
    this.#token = token;
    this.#claims = claims;
    this.#keysVersion = this.#rules.keys.version;
    this.#bansVersion = this.#rules.bans.version;
    return claims;
  }

  /** The claims of the token that was checked last, if it is this one and still counts. */
  #known(token: string, nowMs: number): TokenClaims | undefined {
    const claims = this.#claims;
    const { keys, bans } = this.#rules;
    if (
      claims === undefined || token !== this.#token || nowMs >= claims.expiresAtMs ||
      nowMs < claims.issuedAtMs - TOKEN_SKEW_MS || this.#keysVersion !== keys.version ||
      this.#bansVersion !== bans.version
    ) return undefined;
    return claims;
  }
}

/** The value of a part, where its text is the canonical form of that value. */
function readPart(part: string): { readonly value: unknown } | TokenFault {
  const bytes = decodeBase64url(part);
  if (bytes === undefined) return "not_base64url";
  try {
    return readCanonicalJson(UTF8.decode(bytes));
  } catch {
    // It throws for what is no UTF-8.
    return "not_json";
  }
}

const UTF8_ENCODER = new TextEncoder();
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The key that a header names, where it is exactly `alg`, `kid`, `typ`. */
function keyIdOf(header: unknown): string | undefined {
  const members = membersOf(header, ["alg", "kid", "typ"]);
  if (members === undefined) return undefined;
  const { alg, kid, typ } = members;
  if (alg !== TOKEN_ALGORITHM || typ !== TOKEN_TYPE || typeof kid !== "string") return undefined;
  // The thumbprint of a key (RFC 7638): anything else names none of ours.
  return decodeBase64url(kid)?.length === 32 ? kid : undefined;
}

const CLAIM_NAMES = ["aud", "cnf", "exp", "grants", "iat", "iss", "jti", "sub"] as const;

function claimsOf(payload: unknown, keyId: string): TokenClaims | undefined {
  const members = membersOf(payload, CLAIM_NAMES);
  if (members === undefined) return undefined;
  const { aud, cnf, exp, grants, iat, iss, jti, sub } = members;
  if (typeof aud !== "string" || !isTokenName(aud)) return undefined;
  if (typeof iss !== "string" || !isTokenName(iss)) return undefined;
  if (typeof jti !== "string" || !isTokenId(jti)) return undefined;
  if (typeof sub !== "string" || !isSpiffeId(sub)) return undefined;
  if (!isUnixSeconds(iat) || !isUnixSeconds(exp) || exp <= iat) return undefined;
  const leafHash = leafHashOf(cnf);
  const granted = grantsOf(grants);
  if (leafHash === undefined || granted === undefined) return undefined;
  return {
    issuer: iss,
    audience: aud,
    subject: sub,
    tokenId: jti,
    issuedAtMs: iat * 1_000,
    expiresAtMs: exp * 1_000,
    leafHash,
    grants: granted,
    keyId,
  };
}

/** Whole seconds whose milliseconds are exact: up to the year 9999. */
function isUnixSeconds(value: unknown): value is number {
  return Number.isInteger(value) && value as number >= 0 && value as number < 253_402_300_800;
}

function isSpiffeId(text: string): boolean {
  try {
    parseSpiffeId(text);
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}

function leafHashOf(cnf: unknown): Uint8Array | undefined {
  const text = membersOf(cnf, ["x5t#S256"])?.["x5t#S256"];
  const hash = typeof text === "string" ? decodeBase64url(text) : undefined;
  return hash?.length === LEAF_HASH_BYTES ? hash : undefined;
}

function grantsOf(value: unknown): Grants | undefined {
  const members = membersOf(value, ["credentialHashes", "domains", "gateways"]);
  if (members === undefined) return undefined;
  const { credentialHashes, domains, gateways } = members;
  if (typeof credentialHashes !== "boolean" || !areTexts(domains) || !areTexts(gateways)) {
    return undefined;
  }
  try {
    return checkGrants({ credentialHashes, domains, gateways });
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

function areTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
