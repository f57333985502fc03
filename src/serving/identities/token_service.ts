/** Access tokens: those that a peer mints for its own certificate, and those of controllers. */
import { createHash } from "node:crypto";
import { defined } from "../../base/assert.ts";
import { RegistryError } from "../../base/errors.ts";
import { TOKEN_LIFE_MS_MAX } from "../../base/limits.ts";
import type { AuthenticatedPeer, Grants } from "../../base/peer.ts";
import { formatUuid } from "../../base/uuid.ts";
import type { Entropy, WallClock } from "../../base/world.ts";
import { DOCUMENTS } from "../../../schemas/gen/identity.ts";
import { encodeGrant } from "../../system/identity_codec.ts";
import type { IdentityState } from "../../system/identity_state.ts";
import { leafOf } from "../../../identity/enrolment/enrolment.ts";
import { formatRegionScope } from "../../../identity/pki/spiffe.ts";
import type { ProvenIdentity } from "../../../identity/registry_auth/mod.ts";
import { mintToken, type TokenOrder } from "../../../identity/tokens/token.ts";
import { planFromBytes } from "../../../identity/tokens/token_key_plan.ts";
import { publishedKeys } from "../../../identity/tokens/token_keys.ts";
import { grantsText, type IdentityGroup } from "./identity_group.ts";

/** Mints and issues access tokens. */
export class TokenService {
  readonly #group: IdentityGroup;
  readonly #parts: { readonly wall: WallClock; readonly entropy: Entropy };

  constructor(
    group: IdentityGroup,
    parts: { readonly wall: WallClock; readonly entropy: Entropy },
  ) {
    this.#group = group;
    this.#parts = parts;
  }

  /**
   * Mints a token bound to the certificate of the peer's session, with the grants of the
   * certificate. Grants that a token added to the session are left out, as otherwise they would
   * outlive that token's ban.
   *
   * @throws RegistryError
   */
  async mint(peer: AuthenticatedPeer, audience: string, lifeMs: number): Promise<string> {
    if (peer.leafHash.length === 0) {
      throw new RegistryError(
        "permission_denied",
        "A token is bound to a certificate, and this session has none",
      );
    }
    const { subject, leafHash, expiresAtMs } = peer;
    const grants = peer.token?.certified ?? peer.grants;
    return await this.#mint({ subject, leafHash, grants, audience, lifeMs }, expiresAtMs);
  }

  /**
   * Mints a token as {@link mint} does, for a new session, with the longest lifetime.
   *
   * @throws RegistryError
   */
  async mintForSession(
    { subject, leafHash, grants }: ProvenIdentity,
    audience: string,
    expiresAtMs: number,
  ): Promise<string> {
    const order = { subject, leafHash, grants, audience, lifeMs: TOKEN_LIFE_MS_MAX };
    return await this.#mint(order, expiresAtMs);
  }

  /**
   * Issues a token for a subject's latest certificate, with grants given by a controller; audited.
   *
   * @throws RegistryError `not_found` if the subject has no certificate, and those of a commit.
   */
  async issue(
    { subject, grants, ...order }: {
      readonly subject: string;
      readonly audience: string;
      readonly lifeMs: number;
      readonly grants: Grants;
    },
    writer: number,
    deadlineMs: number,
  ): Promise<string> {
    await this.#group.current();
    const lineage = this.#group.state.lineageOf(subject);
    if (lineage === undefined) {
      throw new RegistryError("not_found", `${subject} has no valid certificate`);
    }
    const { latest } = lineage;
    // A leaf made again from its record has the same bytes.
    const [leaf] = await this.#group.authority.issue(leafOf(lineage, latest));
    const hash = createHash("sha256").update(defined(leaf, "A chain has a leaf")).digest();
    const leafHash = new Uint8Array(hash);
    const tokenId = this.#newId();
    const endsAtMs = Math.min(this.#parts.wall.unixMs() + order.lifeMs, latest.notAfterMs);
    const token = await this.#mint(
      { ...order, subject, grants, leafHash, tokenId },
      latest.notAfterMs,
    );
    const detail = `token ${tokenId}: ${grantsText(grants)}`;
    const untilMs = Math.ceil(endsAtMs / 1_000) * 1_000;
    // Records depend on what is granted, not on limits of reads.
    const { reads: _, ...named } = grants;
    const grant = { tokenId, lineage: lineage.lineage, subject, grants: named, untilMs };
    // Group 0 knows the grant before the token is handed out: records that depend on it end with
    // it.
    const isForRegistry = order.audience === formatRegionScope(this.#group.authority);
    if (isForRegistry && grants.domains.length + grants.gateways.length > 0) {
      await this.#group.propose((header) => encodeGrant(header, grant, detail), writer, deadlineMs);
    } else await this.#group.note({ action: "token", subject, detail }, writer, deadlineMs);
    return token;
  }

  async #mint(
    { lifeMs, tokenId = this.#newId(), ...order }:
      & Pick<TokenOrder, "subject" | "audience" | "leafHash" | "grants" | "lifeMs">
      & { readonly tokenId?: string },
    expiresAtMs: number,
  ): Promise<string> {
    const authority = this.#group.authority;
    const nowMs = this.#parts.wall.unixMs();
    return await mintToken({
      ...order,
      issuer: authority.issuer,
      tokenId,
      nowMs,
      lifeMs: Math.min(lifeMs, expiresAtMs - nowMs),
    }, authority.tokenSigner(planFromState(this.#group.state), nowMs));
  }

  #newId(): string {
    const bytes = new Uint8Array(16);
    this.#parts.entropy.fill(bytes);
    return formatUuid(bytes);
  }

  /** Returns the public keys of tokens as a JWK Set. */
  keys(): string {
    return publishedKeys(planFromState(this.#group.state), this.#parts.wall.unixMs());
  }
}

function planFromState(state: IdentityState) {
  const document = state.document(DOCUMENTS.tokenKeys);
  return document === undefined ? [] : planFromBytes(document.bytes);
}
