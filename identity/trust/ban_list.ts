/**
 * Bans: of an identity by its subject or lineage, or of one token or capability by its id. The list
 * is a node's copy of group 0's list. Code that applies a change to group 0 also applies it here in
 * the same turn, and the sessions concerned are notified at once by their signals.
 *
 * Bounded: beyond `LISTED_BANS_MAX` a new ban is refused; an older one is never dropped for it. A
 * ban may have an end, as that of a token does. Times are Unix ms, passed in.
 */
import { assert } from "../../src/base/assert.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  BAN_REASON_BYTES_MAX,
  LISTED_BANS_MAX,
  SPIFFE_ID_BYTES_MAX,
} from "../../src/base/limits.ts";
import type { Role } from "../../src/base/peer.ts";
import type { BanKind } from "../../schemas/gen/wire.ts";
import type { TokenBans } from "../tokens/token_check.ts";

/** A ban. */
export interface EnforcedBan {
  readonly kind: BanKind;
  /** The SPIFFE id, the lineage's number in decimal, or the id of the token or capability. */
  readonly name: string;
  /** Description for the audit log and for the peer that is refused. */
  readonly reason: string;
  /** Unix ms from which {@link BanList.dropEnded} removes it; absent: until it is lifted. */
  readonly untilMs?: number;
}

/** The parts of a session's identity that a ban can name. */
export interface BannableIdentity {
  readonly subject: string;
  readonly lineage?: number;
  /** If it is `region`, the lineage is one of that region's own numbers, and no ban here names it. */
  readonly role?: Role;
  /** Tokens in use. */
  readonly tokenIds?: readonly string[];
  /** The capability that is the identity. */
  readonly capabilityId?: string;
}

/** A session's subscription to bans. Its owner must close it. */
export interface BanWatch {
  /**
   * Fires when a ban applies, with a RegistryError `unauthenticated` as `reason`. It has already
   * fired if the identity is banned at the start.
   */
  readonly signal: AbortSignal;
  /**
   * Sets the token that the session uses from now on; bans of the previous token no longer apply.
   */
  useToken(tokenId: string): void;
  /** Ends the subscription. */
  close(): void;
}

type Key = `${BanKind} ${string}`;

/** The bans known to a node. */
export class BanList implements TokenBans {
  readonly #bans = new Map<Key, EnforcedBan>();
  readonly #watchers = new Map<Key, Set<AbortController>>();
  #version = 0;

  /** Changes with every change of the list. */
  get version(): number {
    return this.#version;
  }

  /** Number of bans, including expired ones that have not been dropped yet. */
  get size(): number {
    return this.#bans.size;
  }

  /** Returns all bans in insertion order. */
  entries(): EnforcedBan[] {
    return [...this.#bans.values()];
  }

  /**
   * Adds a ban and notifies the sessions concerned. A ban of the same name is replaced.
   *
   * @throws RegistryError `invalid_argument`, or `overloaded` if the list is full.
   */
  ban(ban: EnforcedBan): void {
    checkBan(ban);
    const key: Key = `${ban.kind} ${ban.name}`;
    if (!this.#bans.has(key) && this.#bans.size >= LISTED_BANS_MAX) {
      throw new RegistryError(
        "overloaded",
        `At most ${LISTED_BANS_MAX} bans are kept: lift some, or withdraw the banned names`,
      );
    }
    this.#bans.set(key, { ...ban });
    this.#version++;
    const watchers = this.#watchers.get(key);
    if (watchers === undefined) return;
    this.#watchers.delete(key);
    for (const watcher of watchers) watcher.abort(bannedError(ban));
  }

  /** Lifts a ban; returns false if there was none. Sessions that it ended stay ended. */
  unban(kind: BanKind, name: string): boolean {
    const found = this.#bans.delete(`${kind} ${name}`);
    if (found) this.#version++;
    return found;
  }

  /** Replaces the list by that of group 0, after an image of it was installed. */
  replaceAll(bans: Iterable<EnforcedBan>): void {
    this.#bans.clear();
    this.#version++;
    for (const ban of bans) this.ban(ban);
  }

  /** Removes expired bans and returns their number. */
  dropEnded(nowMs: number): number {
    const before = this.#bans.size;
    for (const [key, ban] of this.#bans) {
      if (ban.untilMs !== undefined && ban.untilMs <= nowMs) this.#bans.delete(key);
    }
    if (this.#bans.size < before) this.#version++;
    return before - this.#bans.size;
  }

  /** Returns the ban of an identity or of one of its tokens, or `undefined`. */
  banOf(identity: BannableIdentity): EnforcedBan | undefined {
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

  /** Reports whether a capability is banned by its id. */
  isCapabilityBanned(capabilityId: string): boolean {
    return this.#bans.has(`capability ${capabilityId}`);
  }

  /** Subscribes to bans of a session's identity, until the subscription is closed. */
  watch(identity: BannableIdentity): BanWatch {
    const controller = new AbortController();
    const keys = new Set<Key>();
    let open = true;
    const add = (key: Key) => {
      assert(open, "A closed session must not use a token");
      const ban = this.#bans.get(key);
      // The listener may close the watch at once.
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

  /** Number of watched names, for tests of leaks. */
  get watchedNames(): number {
    return this.#watchers.size;
  }
}

function keysOf(
  { subject, lineage, role, tokenIds, capabilityId }: BannableIdentity,
): Key[] {
  // A capability is no subject, and it has no lineage and no tokens.
  if (capabilityId !== undefined) return [`capability ${capabilityId}`];
  const keys: Key[] = [`subject ${subject}`];
  if (lineage !== undefined && role !== "region") keys.push(`lineage ${lineage}`);
  for (const tokenId of tokenIds ?? []) keys.push(`token ${tokenId}`);
  return keys;
}

function checkBan({ kind, name, reason, untilMs }: EnforcedBan): void {
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

function bannedError({ kind, reason }: EnforcedBan): RegistryError {
  const why = reason === "" ? "" : `: ${reason}`;
  return new RegistryError("unauthenticated", `This identity is banned by its ${kind}${why}`);
}
