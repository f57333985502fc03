/**
 * The tokens that grant a lineage more than its certificate does, stored in group 0: the rights
 * that a record registered with such a token depends on, and until when. The end of a token, or a
 * ban of it, therefore reaches the record whichever node leads it, also after a restart.
 *
 * Ended grants are kept for a while, so that a record that still depends on one can be told from a
 * record that never needed any. The clock for that is the command's wall time, which is the same on
 * every replica.
 */
import {
  TOKEN_GRANT_KEPT_MS,
  TOKEN_GRANTS_MAX,
  TOKEN_GRANTS_PER_LINEAGE_MAX,
} from "../base/limits.ts";
import type { Grants } from "../base/peer.ts";
import { full } from "./sub_machine.ts";

/** The grants of a token and their holder. */
export interface TokenGrant {
  readonly tokenId: string;
  readonly lineage: number;
  /** SPIFFE id. */
  readonly subject: string;
  readonly grants: Grants;
  /** Expiry of the grants, Unix ms. */
  readonly untilMs: number;
}

/** Old grants dropped per new one: more than one, so that they cannot accumulate. */
const FORGET_PER_GRANT = 4;

/** The grants, in the order in which they were added. */
export class TokenGrants {
  readonly #grants = new Map<string, TokenGrant>();
  readonly #ofLineage = new Map<number, readonly TokenGrant[]>();

  /** Returns the grant of a token; `undefined` if it granted nothing extra, or ended long ago. */
  get(tokenId: string): TokenGrant | undefined {
    return this.#grants.get(tokenId);
  }

  /**
   * Returns the grants of a lineage, including ended ones; `undefined` if no record of it depends
   * on any.
   */
  of(lineage: number): readonly TokenGrant[] | undefined {
    return this.#ofLineage.get(lineage);
  }

  /** Returns all grants. */
  values(): IterableIterator<TokenGrant> {
    return this.#grants.values();
  }

  /** Adds a grant. @throws RegistryError `overloaded`; nothing was changed then. */
  add(grant: TokenGrant, nowMs: number): void {
    const live = (this.of(grant.lineage) ?? []).filter(({ untilMs }) => untilMs > nowMs);
    if (live.length >= TOKEN_GRANTS_PER_LINEAGE_MAX) {
      throw full("tokens with grants for one subject", TOKEN_GRANTS_PER_LINEAGE_MAX);
    }
    let forgotten = 0;
    for (const old of this.#grants.values()) {
      const isOver = old.untilMs + TOKEN_GRANT_KEPT_MS <= nowMs;
      if (!isOver || forgotten === FORGET_PER_GRANT) break;
      this.#remove(old);
      forgotten++;
    }
    if (this.#grants.size >= TOKEN_GRANTS_MAX) throw full("tokens with grants", TOKEN_GRANTS_MAX);
    const same = this.get(grant.tokenId);
    if (same !== undefined) this.#remove(same);
    // Ended grants of the lineage may go: the new one now shows that its records may depend on a
    // token.
    for (const old of this.of(grant.lineage) ?? []) if (old.untilMs <= nowMs) this.#remove(old);
    this.#grants.set(grant.tokenId, grant);
    this.#ofLineage.set(grant.lineage, [...this.of(grant.lineage) ?? [], grant]);
  }

  #remove({ tokenId, lineage }: TokenGrant): void {
    this.#grants.delete(tokenId);
    const rest = (this.of(lineage) ?? []).filter((other) => other.tokenId !== tokenId);
    if (rest.length === 0) this.#ofLineage.delete(lineage);
    else this.#ofLineage.set(lineage, rest);
  }
}
