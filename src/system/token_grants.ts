/**
 * The tokens that grant a lineage more than its certificate does, as group 0 keeps them: what a record
 * rests on that was registered by such a token, and until when. So the end of a token, or a ban of it,
 * reaches the record wherever it is led, also after a restart.
 *
 * Ended grants are kept for a while, so that a record that still rests on one is told from a record
 * that never needed any. The clock for that is the command's wall time, alike on every replica.
 */
import { RegistryError } from "../base/errors.ts";
import {
  TOKEN_GRANT_KEPT_MS,
  TOKEN_GRANTS_MAX,
  TOKEN_GRANTS_PER_LINEAGE_MAX,
} from "../base/limits.ts";
import type { Grants } from "../base/peer.ts";

/** What a token grants, and to whom. */
export interface TokenGrant {
  readonly tokenId: string;
  readonly lineage: number;
  /** SPIFFE id. */
  readonly subject: string;
  readonly grants: Grants;
  /** Unix ms from which it grants nothing. */
  readonly untilMs: number;
}

/** How many old grants one new grant forgets: more than one, so that they cannot pile up. */
const FORGET_PER_GRANT = 4;

/** The grants, in the order in which they were made. */
export class TokenGrants {
  readonly #grants = new Map<string, TokenGrant>();
  readonly #ofLineage = new Map<number, readonly TokenGrant[]>();

  /** The grant of a token; `undefined`: it granted nothing more, or is long over. */
  get(tokenId: string): TokenGrant | undefined {
    return this.#grants.get(tokenId);
  }

  /** Those of a lineage, ended ones too; `undefined`: no record of it rests on any. */
  of(lineage: number): readonly TokenGrant[] | undefined {
    return this.#ofLineage.get(lineage);
  }

  /** All of them. */
  values(): IterableIterator<TokenGrant> {
    return this.#grants.values();
  }

  /** Adds one. @throws RegistryError `overloaded`; then nothing was changed. */
  add(grant: TokenGrant, nowMs: number): void {
    const live = (this.of(grant.lineage) ?? []).filter(({ untilMs }) => untilMs > nowMs);
    if (live.length >= TOKEN_GRANTS_PER_LINEAGE_MAX) {
      throw full(`${TOKEN_GRANTS_PER_LINEAGE_MAX} tokens with grants for one subject`);
    }
    let forgotten = 0;
    for (const old of this.#grants.values()) {
      const isOver = old.untilMs + TOKEN_GRANT_KEPT_MS <= nowMs;
      if (!isOver || forgotten === FORGET_PER_GRANT) break;
      this.#remove(old);
      forgotten++;
    }
    if (this.#grants.size >= TOKEN_GRANTS_MAX) throw full(`${TOKEN_GRANTS_MAX} tokens with grants`);
    const same = this.get(grant.tokenId);
    if (same !== undefined) this.#remove(same);
    // The new one says from now on that records of the lineage may rest on a token.
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

function full(what: string): RegistryError {
  return new RegistryError("overloaded", `Group 0 keeps at most ${what}`, { retryAfterMs: 60_000 });
}
