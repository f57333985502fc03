/**
 * Join tokens: 32 random bytes that entitle the first to present them to one certificate, for a
 * subject fixed when the token is created. The registry stores only the hash, so reading its state
 * does not allow joining.
 */
import { JOIN_TOKEN_LIFE_MS } from "../../src/base/limits.ts";
import type { Grants } from "../../src/base/peer.ts";
import type { Entropy } from "../../src/base/world.ts";
import type { JoinToken } from "../../src/system/enrolment_records.ts";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { checkGrants } from "../pki/identity_extension.ts";
import { sha256 } from "../pki/sha256.ts";
import { formatSpiffeId, type SpiffeId } from "../pki/spiffe.ts";

const PREFIX = "crs-join-";
const SECRET_BYTES = 32;

/** Options of {@link createJoinToken}. */
export interface JoinTokenOptions {
  readonly subject: SpiffeId;
  readonly grants: Grants;
  /** Unix ms; the token is valid for {@link JOIN_TOKEN_LIFE_MS} from then. */
  readonly nowMs: number;
  readonly entropy: Entropy;
}

/**
 * Creates a join token.
 *
 * @returns its text, to be displayed once and not stored, and the record for group 0.
 * @throws RegistryError `invalid_argument` for invalid grants.
 */
export function createJoinToken(
  options: JoinTokenOptions,
): { readonly text: string; readonly record: JoinToken } {
  const secret = new Uint8Array(SECRET_BYTES);
  options.entropy.fill(secret);
  const record: JoinToken = {
    hash: sha256(secret),
    version: 1,
    subject: formatSpiffeId(options.subject),
    grants: checkGrants(options.grants),
    expiresAtMs: Math.floor(options.nowMs + JOIN_TOKEN_LIFE_MS),
  };
  const text = PREFIX + encodeBase64url(secret);
  secret.fill(0);
  return { text, record };
}

/**
 * Returns the hash under which group 0 stores the token, or `undefined` if the text is not a join
 * token.
 */
export function hashJoinToken(text: string): Uint8Array | undefined {
  if (text.length > 64 || !text.startsWith(PREFIX)) return undefined;
  const secret = decodeBase64url(text.slice(PREFIX.length));
  return secret?.length === SECRET_BYTES ? sha256(secret) : undefined;
}
