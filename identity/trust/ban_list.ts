/**
 * Who is banned: an identity by its subject or its lineage, or one token by its id. The list is what
 * a node knows of group 0's; whoever applies a change there applies it here in the same turn, and the
 * sessions that it concerns are told at once by their signals.
 *
 * Bounded: at `LISTED_BANS_MAX` a further ban is refused, never an older one forgotten. A ban may have an
 * end, as that of a token does; times are Unix ms, passed in.
 */
import { assert } from "../../src/base/assert.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  BAN_REASON_BYTES_MAX,
  LISTED_BANS_MAX,
  SPIFFE_ID_BYTES_MAX,
} from "../../src/base/limits.ts";
import type { TokenBans } from "../tokens/token_check.ts";

/** What a ban names. */
export type BanKind = "subject" | "lineage" | "token";

/** A ban. */
export interface Ban {
  readonly kind: BanKind;
  /** The SPIFFE id, the lineage's number in decimal, or the token's id. */
  readonly name: string;
  /** In words, for the audit and for whoever is refused. */
  readonly reason: string;
  /** Unix ms from which {@link BanList.dropEnded} drops it; absent: until it is lifted. */
  readonly untilMs?: number;
}

/** What a session has proven, as far as a ban can name it. */
export interface BannableIdentity {
  readonly subject: string;
  readonly lineage?: number;
  /** The tokens that it uses. */
  readonly tokenIds?: readonly string[];
}

/** A session that is to be told. Ended by its owner. */
export interface BanWatch {
  /** Fires with a ban, its `reason` a RegistryError `unauthenticated`. Fired already: it is banned. */
  readonly signal: AbortSignal;
  /** Names the token that the session uses from now on; the one before concerns it no more. */
  useToken(tokenId: string): void;
  /** The session is over. */
  close(): void;
}

type Key = `${BanKind} ${string}`;

/** The bans that a node knows. */
export class BanList implements TokenBans {
  readonly #bans = new Map<Key, Ban>();
  readonly #watchers = new Map<Key, Set<AbortController>>();
  #version = 0;

  /** Changes with every change of the list. */
  get version(): number {
    return this.#version;
  }

  /** Bans in force and ended ones that nobody has dropped yet. */
  get size(): number {
    return this.#bans.size;
  }

  /** All of them, in the order of their making. */
  entries(): Ban[] {
    return [...this.#bans.values()];
  }

  /**
   * Bans, and tells the sessions concerned. A ban of the same name is replaced.
   *
   * @throws RegistryError `invalid_argument`, `overloaded` where the list is full.
   */
  ban(ban: Ban): void {
    checkBan(ban);
    const key: Key = `${ban.kind} ${ban.name}`;
    if (!this.#bans.has(key) && this.#bans.size >= LISTED_BANS_MAX) {
      throw new RegistryError(
        "overloaded",
        `At most ${LISTED_BANS_MAX} bans are kept: lift some, or withdraw what they name`,
      );
    }
    this.#bans.set(key, { ...ban });
    this.#version++;
    const watchers = this.#watchers.get(key);
    if (watchers === undefined) return;
    this.#watchers.delete(key);
    for (const watcher of watchers) watcher.abort(bannedError(ban));
  }

  /** Lifts a ban; false where there was none. Sessions that it ended stay ended. */
  unban(kind: BanKind, name: string): boolean {
    const found = this.#bans.delete(`${kind} ${name}`);
    if (found) this.#version++;
    return found;
  }

  /** Makes the list what group 0 holds, after an image of it. */
  replaceAll(bans: Iterable<Ban>): void {
    this.#bans.clear();
    this.#version++;
    for (const ban of bans) this.ban(ban);
  }

  /** Drops bans that have ended; returns how many. */
  dropEnded(nowMs: number): number {
    const before = this.#bans.size;
    for (const [key, ban] of this.#bans) {
      if (ban.untilMs !== undefined && ban.untilMs <= nowMs) this.#bans.delete(key);
    }
    if (this.#bans.size < before) this.#version++;
    return before - this.#bans.size;
  }

  /** The ban of an identity or of one of its tokens; `undefined`: it has none. */
  banOf(identity: BannableIdentity): Ban | undefined {
    if (this.#bans.size === 0) return undefined;
    for (const key of keysOf(identity)) {
      const ban = this.#bans.get(key);
      if (ban !== undefined) return ban;
    }
    return undefined;
  }

  isBanned(token: { readonly subject: string; readonly tokenId: string }): boolean {
    return this.banOf({ subject: token.subject, tokenIds: [token.tokenId] }) !== undefined;
  }

  /** Watches for bans of a session's identity, until it is closed. */
  watch(identity: BannableIdentity): BanWatch {
    const controller = new AbortController();
    const keys = new Set<Key>();
    let open = true;
    const add = (key: Key) => {
      assert(open, "A session that is over uses nothing more");
      const ban = this.#bans.get(key);
      // Whoever hears of it may close the watch at once.
      if (ban !== undefined) return controller.abort(bannedError(ban));
      if (keys.has(key)) return;
      keys.add(key);
      const watchers = this.#watchers.get(key);
      if (watchers === undefined) this.#watchers.set(key, new Set([controller]));
      else watchers.add(controller);
    };
    for (const key of keysOf(identity)) add(key);
    let used: Key | undefined;
    return {
      signal: controller.signal,
      useToken: (tokenId) => {
        const key: Key = `token ${tokenId}`;
        if (used !== undefined && used !== key) {
          keys.delete(used);
          this.#unwatch(used, controller);
        }
        used = key;
        add(key);
      },
      close: () => {
        open = false;
        for (const key of keys) this.#unwatch(key, controller);
      },
    };
  }

  #unwatch(key: Key, controller: AbortController): void {
    const watchers = this.#watchers.get(key);
    if (watchers === undefined) return;
    watchers.delete(controller);
    if (watchers.size === 0) this.#watchers.delete(key);
  }

  /** Names that sessions are watched under: what a test of leaks looks at. */
  get watchedNames(): number {
    return this.#watchers.size;
  }
}

function keysOf({ subject, lineage, tokenIds }: BannableIdentity): Key[] {
  const keys: Key[] = [`subject ${subject}`];
  if (lineage !== undefined) keys.push(`lineage ${lineage}`);
  for (const tokenId of tokenIds ?? []) keys.push(`token ${tokenId}`);
  return keys;
}

function checkBan({ kind, name, reason, untilMs }: Ban): void {
  if (name.length === 0 || name.length > SPIFFE_ID_BYTES_MAX) {
    throw invalid("name", `have 1 to ${SPIFFE_ID_BYTES_MAX} characters`, name.slice(0, 80));
  }
  if (kind === "lineage" && !/^[1-9][0-9]{0,9}$/.test(name)) {
    throw invalid("name", "be a lineage's number", name);
  }
  if (new TextEncoder().encode(reason).length > BAN_REASON_BYTES_MAX) {
    throw invalid("reason", `have at most ${BAN_REASON_BYTES_MAX} bytes`, reason.slice(0, 80));
  }
  if (untilMs !== undefined && !Number.isSafeInteger(untilMs)) {
    throw invalid("untilMs", "be whole ms", untilMs);
  }
}

function invalid(field: string, wanted: string, found: unknown): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `${field} must ${wanted}: found ${JSON.stringify(found)}`,
    { field },
  );
}

function bannedError({ kind, reason }: Ban): RegistryError {
  const why = reason === "" ? "" : `: ${reason}`;
  return new RegistryError("unauthenticated", `This identity is banned by its ${kind}${why}`);
}
