/**
 * How long a session's identity counts: until its leaf, its session or a ban ends it, whichever is
 * first. The peer that it makes carries one signal for all of them.
 *
 * Clock assumptions: leaves and sessions end by the wall clock, which is looked at once a minute at
 * least, so that a clock that was set or a machine that slept is noticed; the session's longest time
 * also runs by the monotonic clock of the scheduler, which no one can set.
 */
import { RegistryError } from "../src/base/errors.ts";
import { SESSION_LIFE_CHECK_MS } from "../src/base/limits.ts";
import type { AuthenticatedPeer } from "../src/base/peer.ts";
import type { Scheduler, Timer, WallClock } from "../src/base/world.ts";
import type { BanList } from "./ban_list.ts";
import { authenticatedPeer, type ProvenIdentity } from "./registry_auth/mod.ts";

/** What a life is made of. */
export interface SessionLifeOptions {
  readonly identity: ProvenIdentity;
  readonly pinned: boolean;
  /** Unix ms. */
  readonly expiresAtMs: number;
  /** From now on, by the monotonic clock, ms. */
  readonly sessionMsMax: number;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly bans?: BanList;
}

/** The identity of one session, while it counts. */
export class SessionLife {
  readonly peer: AuthenticatedPeer;
  readonly #revoking = new AbortController();
  readonly #close: (() => void)[] = [];
  #timer: Timer | undefined;

  constructor(options: SessionLifeOptions) {
    const { identity, bans, scheduler, sessionMsMax } = options;
    this.peer = authenticatedPeer(identity, { ...options, revoked: this.#revoking.signal });
    const watch = bans?.watch(identity);
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
    this.#look(options);
  }

  /** The session is over, or a new life follows: the signal fires no more. */
  close(): void {
    for (const close of this.#close.splice(0)) close();
  }

  #look(options: SessionLifeOptions): void {
    const leftMs = this.peer.expiresAtMs - options.wall.unixMs();
    if (leftMs <= 0) return this.#end(expired());
    this.#timer = options.scheduler.after(
      Math.min(leftMs, SESSION_LIFE_CHECK_MS),
      () => this.#look(options),
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
