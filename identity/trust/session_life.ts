/**
 * The validity of a session's identity: it ends with its leaf, the token in use, the session's
 * limit or a ban, whichever comes first. The peer that it provides carries one signal for all of
 * these.
 *
 * Clock assumptions: leaves, tokens and sessions expire by the wall clock, which is checked at
 * least once a minute, so that an adjusted clock or a machine that slept is noticed. The session's
 * maximum duration also runs by the monotonic clock of the scheduler, which cannot be adjusted.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { SESSION_LIFE_CHECK_MS } from "../../src/base/limits.ts";
import type { AuthenticatedPeer } from "../../src/base/peer.ts";
import type { Scheduler, Timer, WallClock } from "../../src/base/world.ts";
import type { AccessPolicy } from "../../src/record/access.ts";
import type { BanList, BanWatch } from "./ban_list.ts";
import { authenticatedPeer, type ProvenIdentity } from "../registry_auth/mod.ts";
import type { TokenClaims } from "../tokens/token.ts";
import { SessionTokens, tokenRefused, type TokenRules } from "../tokens/token_check.ts";
import { withToken } from "../tokens/token_grants.ts";

/** Rules for tokens on a session. */
export interface TokenAcceptance {
  readonly rules: TokenRules;
  /** Whether tokens are also valid over sessions that could be relayed. */
  readonly policy: AccessPolicy;
}

/** Options of {@link SessionLife}. */
export interface SessionLifeOptions {
  readonly identity: ProvenIdentity;
  readonly pinned: boolean;
  /** Unix ms. */
  readonly expiresAtMs: number;
  /** Maximum duration from now on, by the monotonic clock, ms. */
  readonly sessionMsMax: number;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  /**
   * Calls a listener when the wall clock was set, until the returned function is called. Absent:
   * the session looks at the clock once a minute.
   */
  readonly onClockStep?: (listener: () => void) => () => void;
  readonly bans?: BanList;
  /** Absent: no tokens are accepted. */
  readonly tokens?: TokenAcceptance;
}

/** The identity of one session, while it is valid. */
export class SessionLife {
  readonly #options: SessionLifeOptions;
  /** The peer as defined by the certificate alone. */
  readonly #certified: AuthenticatedPeer;
  readonly #watch: BanWatch | undefined;
  readonly #revoking = new AbortController();
  readonly #close: (() => void)[] = [];
  #peer: AuthenticatedPeer;
  #tokens: SessionTokens | undefined;
  /** The token in use. */
  #token: { readonly text: string; readonly claims: TokenClaims } | undefined;
  #timer: Timer | undefined;
  #over = false;

  constructor(options: SessionLifeOptions) {
    const { identity, bans, scheduler, sessionMsMax } = options;
    this.#options = options;
    this.#peer = this.#certified = authenticatedPeer(identity, {
      ...options,
      revoked: this.#revoking.signal,
    });
    const { capability } = identity;
    const watch = bans?.watch(
      capability === undefined ? identity : { ...identity, capabilityId: capability.capabilityId },
    );
    this.#watch = watch;
    if (watch !== undefined) {
      this.#close.push(() => watch.close());
      const onBan = () => this.#end(watch.signal.reason);
      if (watch.signal.aborted) {
        onBan();
        return;
      }
      watch.signal.addEventListener("abort", onBan);
    }
    const longest = scheduler.after(sessionMsMax, () => this.#end(expired()));
    this.#close.push(() => longest.cancel(), () => this.#timer?.cancel());
    const deaf = options.onClockStep?.(() => this.#look());
    if (deaf !== undefined) this.#close.push(deaf);
    this.#look();
  }

  /** The peer, including the grants of the token in use. */
  get peer(): AuthenticatedPeer {
    return this.#peer;
  }

  /** The token in use. */
  get token(): string | undefined {
    return this.#token?.text;
  }

  /**
   * Replaces the token in use. The token already in use is not verified again.
   *
   * @throws RegistryError `unauthenticated` with the token's fault, `permission_denied` over a
   * session that could be relayed, `invalid_configuration` if the node accepts no tokens; the
   * session then continues unchanged.
   */
  useToken(text: string): AuthenticatedPeer {
    const { tokens, wall } = this.#options;
    if (tokens === undefined) {
      throw new RegistryError("invalid_configuration", "This node accepts no tokens");
    }
    this.#tokens ??= new SessionTokens(this.#certified, tokens.rules);
    const claims = this.#tokens.check(text, wall.unixMs());
    if (typeof claims === "string") throw tokenRefused(claims);
    return claims === this.#token?.claims ? this.#peer : this.#take(text, claims, tokens);
  }

  /**
   * Ends the life because the session is over or a new life follows; the signal no longer fires.
   */
  close(): void {
    this.#over = true;
    for (const close of this.#close.splice(0)) close();
  }

  #take(text: string, claims: TokenClaims, { policy }: TokenAcceptance): AuthenticatedPeer {
    const peer = withToken(this.#certified, claims, policy);
    if (peer === undefined) {
      throw new RegistryError(
        "permission_denied",
        "No token is accepted over a session whose server was not pinned: name its pin",
      );
    }
    if (this.#over) {
      throw new RegistryError(
        "unauthenticated",
        "The session has been authenticated anew: present the token again",
      );
    }
    this.#peer = peer;
    this.#token = { text, claims };
    this.#timer?.cancel();
    this.#look();
    // This comes last: if the token was banned meanwhile, it ends the session here.
    this.#watch?.useToken(claims.tokenId);
    return peer;
  }

  #look(): void {
    const { wall, scheduler } = this.#options;
    const leftMs = this.#peer.expiresAtMs - wall.unixMs();
    if (leftMs <= 0) return this.#end(expired());
    this.#timer?.cancel();
    this.#timer = scheduler.after(
      Math.min(leftMs, SESSION_LIFE_CHECK_MS),
      () => this.#look(),
    );
  }

  #end(reason: unknown): void {
    this.close();
    this.#revoking.abort(reason);
  }
}

function expired(): RegistryError {
  return new RegistryError("unauthenticated", "The identity of this session has expired: renew it");
}
