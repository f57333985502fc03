/** Tokens for tests: valid ones, and ones that only a broken issuer or an attacker would create. */
import { encodeBase64url } from "../../src/base/base64url.ts";
import { BanList } from "../../identity/trust/ban_list.ts";
import { type SigningKey, signingKeyOfSeed, signMessage } from "../../identity/pki/ed25519.ts";
import { mintToken, type TokenOrder } from "../../identity/tokens/token.ts";
import type { TokenBearer, TokenRules } from "../../identity/tokens/token_check.ts";
import {
  keyIdOf,
  publishedKeys,
  PublishedTokenKeys,
  withKey,
} from "../../identity/tokens/token_keys.ts";

/** A time at which all of these tokens are valid: 2026-01-01T00:00:10Z. */
export const NOW_MS = Date.UTC(2026, 0, 1, 0, 0, 10);
export const ISSUER = "spiffe://registry.example";
export const AUDIENCE = "spiffe://registry.example/region/eu";
export const SUBJECT =
  "spiffe://registry.example/region/eu/agent/6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
export const TOKEN_ID = "0b5d3c52-6b1f-4b6e-9a3e-0d1b2c3d4e5f";
export const LEAF_HASH = Uint8Array.from({ length: 32 }, (_, index) => index);

/** One issuer, and a verifier that knows its keys. */
export interface TokenWorld {
  readonly key: SigningKey;
  readonly keyId: string;
  readonly keys: PublishedTokenKeys;
  readonly bans: BanList;
  readonly rules: TokenRules;
  readonly bearer: TokenBearer;
  /** Mints a valid token, or one with other claims. */
  mint(changes?: Partial<TokenOrder>): Promise<string>;
  /** Signs a header and a payload unchanged, with a valid signature. */
  sign(header: string, payload: string): Promise<string>;
}

/** Returns the header that our issuer writes. */
export function goodHeader(keyId: string): Record<string, unknown> {
  return { alg: "EdDSA", kid: keyId, typ: "registry+jwt" };
}

/** Returns the payload that our issuer writes at {@link NOW_MS}. */
export function goodPayload(): Record<string, unknown> {
  const iat = NOW_MS / 1_000;
  return {
    aud: AUDIENCE,
    cnf: { "x5t#S256": encodeBase64url(LEAF_HASH) },
    exp: iat + 600,
    grants: { credentialHashes: false, domains: ["bank.example"], gateways: [] },
    iat,
    iss: ISSUER,
    jti: TOKEN_ID,
    sub: SUBJECT,
  };
}

/** Returns the Base64url form of a text's UTF-8. */
export function encodeText(text: string): string {
  return encodeBase64url(new TextEncoder().encode(text));
}

/** Creates an issuer and its verifier. */
export async function tokenWorld(): Promise<TokenWorld> {
  const key = await signingKeyOfSeed(new Uint8Array(32).fill(5));
  const keyId = keyIdOf(key.verifying.bytes);
  const keys = new PublishedTokenKeys();
  keys.replace(publishedKeys(withKey([], key.verifying.bytes, NOW_MS), NOW_MS));
  const bans = new BanList();
  const order: TokenOrder = {
    issuer: ISSUER,
    audience: AUDIENCE,
    subject: SUBJECT,
    tokenId: TOKEN_ID,
    nowMs: NOW_MS,
    lifeMs: 600_000,
    leafHash: LEAF_HASH,
    grants: { domains: ["bank.example"], gateways: [] },
  };
  return {
    key,
    keyId,
    keys,
    bans,
    rules: { issuer: ISSUER, audience: AUDIENCE, keys, bans },
    bearer: { subject: SUBJECT, leafHash: LEAF_HASH },
    mint: (changes = {}) => mintToken({ ...order, ...changes }, { keyId, key }),
    sign: async (header, payload) => {
      const signed = `${encodeText(header)}.${encodeText(payload)}`;
      const signature = await signMessage(key, new TextEncoder().encode(signed));
      return `${signed}.${encodeBase64url(signature)}`;
    },
  };
}
