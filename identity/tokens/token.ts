/**
 * Access tokens: JWTs (RFC 7519) signed with EdDSA (RFC 8037), in one fixed form. The header is
 * `alg`, `kid`, `typ`. The payload holds one audience, the holder's certificate (`cnf`, RFC 8705
 * §3.1), the grants, integer times and an id. Both are canonical JSON (RFC 8785). There is only one
 * issuer, so any deviation is refused (token_check.ts).
 *
 * A token is usable only together with the private key of the certificate that it names, and may be
 * reused with it until it expires.
 */
import { CompactSign } from "jose";
import { RegistryError } from "../../src/base/errors.ts";
import { TOKEN_BYTES_MAX, TOKEN_LIFE_MS_MAX, TOKEN_NAME_BYTES_MAX } from "../../src/base/limits.ts";
import type { Grants, ReadLimit } from "../../src/base/peer.ts";
import { isUuidText } from "../../src/base/uuid.ts";
import { checkGrants } from "../pki/identity_extension.ts";
import { encodeBase64url } from "../../src/base/base64url.ts";
import type { SigningKey } from "../pki/ed25519.ts";
import { parseSpiffeId } from "../pki/spiffe.ts";
import { canonicalJson } from "../../src/signing/canonical_json.ts";

/** Signature algorithm, by its JOSE name. */
export const TOKEN_ALGORITHM = "EdDSA";
/** Distinguishes these tokens from all others that the same key might sign (RFC 8725 §3.11). */
export const TOKEN_TYPE = "registry+jwt";
/** Size of a certificate's hash in bytes. */
export const LEAF_HASH_BYTES = 32;

/** Claims of a token. */
export interface TokenClaims {
  readonly issuer: string;
  readonly audience: string;
  /** SPIFFE id of the holder. */
  readonly subject: string;
  /** UUID text, unique per token; bans name it. */
  readonly tokenId: string;
  /** Unix ms, whole seconds; the token is valid within `[issuedAtMs, expiresAtMs)`. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** SHA-256 of the holder's Ed25519 leaf, 32 bytes. */
  readonly leafHash: Uint8Array;
  readonly grants: Grants;
  /** Id of the signing key. */
  readonly keyId: string;
}

/** A key that signs tokens, with its public id. */
export interface TokenSigningKey {
  readonly keyId: string;
  readonly key: SigningKey;
}

/**
 * A token to create: the fields of {@link TokenClaims}, with start and duration of its validity.
 */
export interface TokenOrder {
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly tokenId: string;
  /** Unix ms; rounded down to whole seconds. */
  readonly nowMs: number;
  /** `[1,000, TOKEN_LIFE_MS_MAX]`; rounded down to whole seconds. */
  readonly lifeMs: number;
  readonly leafHash: Uint8Array;
  readonly grants: Grants;
}

/** The payload in its JSON form. */
export interface TokenPayload {
  readonly aud: string;
  readonly cnf: { readonly "x5t#S256": string };
  /** Unix seconds. */
  readonly exp: number;
  readonly grants: {
    readonly credentialHashes: boolean;
    readonly domains: readonly string[];
    readonly gateways: readonly string[];
    /** Absent: no limits. A program that does not know them refuses the token. */
    readonly reads?: readonly ReadLimit[];
  };
  readonly iat: number;
  readonly iss: string;
  readonly jti: string;
  readonly sub: string;
}

/**
 * Creates and signs a token.
 *
 * @throws RegistryError `invalid_argument` for an order whose token no check would accept,
 * `too_large` if its grants do not fit.
 */
export async function mintToken(order: TokenOrder, signer: TokenSigningKey): Promise<string> {
  const header = { alg: TOKEN_ALGORITHM, kid: signer.keyId, typ: TOKEN_TYPE };
  const payload = canonicalJson(payloadOf(order));
  const token = await new CompactSign(new TextEncoder().encode(payload))
    .setProtectedHeader(header)
    .sign(signer.key.handle);
  if (token.length > TOKEN_BYTES_MAX) {
    throw new RegistryError(
      "too_large",
      `A token must have at most ${TOKEN_BYTES_MAX} bytes: found ${token.length}; grant less by name`,
      { field: "grants" },
    );
  }
  return token;
}

function payloadOf(order: TokenOrder): TokenPayload {
  const { issuer, audience, subject, tokenId, nowMs, lifeMs, leafHash } = order;
  parseSpiffeId(subject, "subject");
  checkName(issuer, "issuer");
  checkName(audience, "audience");
  if (!isTokenId(tokenId)) throw invalid("tokenId", "be a UUID in lower case", tokenId);
  if (!(lifeMs >= 1_000 && lifeMs <= TOKEN_LIFE_MS_MAX)) {
    throw invalid("lifeMs", `be in [1000, ${TOKEN_LIFE_MS_MAX}]`, lifeMs);
  }
  if (leafHash.length !== LEAF_HASH_BYTES) {
    throw invalid("leafHash", `have ${LEAF_HASH_BYTES} bytes`, leafHash.length);
  }
  const { domains, gateways, credentialHashes, reads } = checkGrants(order.grants);
  const limits = reads === undefined ? {} : { reads };
  const iat = Math.floor(nowMs / 1_000);
  return {
    aud: audience,
    cnf: { "x5t#S256": encodeBase64url(leafHash) },
    exp: iat + Math.floor(lifeMs / 1_000),
    grants: { credentialHashes: credentialHashes === true, domains, gateways, ...limits },
    iat,
    iss: issuer,
    jti: tokenId,
    sub: subject,
  };
}

/** Reports whether a text is a token's id: a UUID in lower case. */
export function isTokenId(text: string): boolean {
  return isUuidText(text) && text === text.toLowerCase();
}

/** Reports whether a text is a valid name of an issuer or audience. */
export function isTokenName(text: string): boolean {
  return text.length >= 1 && text.length <= TOKEN_NAME_BYTES_MAX && text.isWellFormed();
}

function checkName(text: string, field: string): void {
  if (!isTokenName(text)) {
    throw invalid(field, `have 1 to ${TOKEN_NAME_BYTES_MAX} characters`, text.slice(0, 80));
  }
}

function invalid(field: string, wanted: string, found: unknown): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `${field} must ${wanted}: found ${JSON.stringify(found)}`,
    { field },
  );
}
