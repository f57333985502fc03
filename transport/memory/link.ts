/**
 * One direction between two hosts of a memory network: how long bytes travel, how often they are
 * lost, and whether the link is cut. Losses are repaired by sending again, as a transport does, so a
 * lost chunk is a late one, and what follows it on its stream is late too.
 */
import type { Entropy, MonotonicClock, Scheduler } from "../../src/base/world.ts";

/** What a link does to bytes. */
export interface LinkQuality {
  /** Travel time, uniformly in `[delayMsMin, delayMsMax]`. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Chance in `[0, 1)` that a chunk is lost and sent again, each time it is sent. */
  readonly lossRate: number;
}

/** What the whole network runs on. */
export interface NetworkWorld {
  readonly monotonic: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
}

/** A lost chunk is sent again after this many ms, and twice as long each further time. */
const RESEND_MS = 20;
const RESENDS_MAX = 8;

/** A direction; cut ones keep what is sent until they heal or the session is given up. */
export class Link {
  quality: LinkQuality;
  cutAtMs: number | undefined;
  readonly world: NetworkWorld;
  #whenHealed: (() => void)[] = [];

  constructor(world: NetworkWorld, quality: LinkQuality) {
    this.world = world;
    this.quality = quality;
  }

  /** Draws a travel time, losses included. */
  drawDelayMs(): number {
    const { delayMsMin, delayMsMax, lossRate } = this.quality;
    const { entropy } = this.world;
    let delayMs = delayMsMin;
    if (delayMsMax > delayMsMin) delayMs += entropy.unit() * (delayMsMax - delayMsMin);
    let resendMs = RESEND_MS;
    for (let resends = 0; lossRate > 0 && resends < RESENDS_MAX; resends++) {
      if (entropy.unit() >= lossRate) break;
      delayMs += resendMs;
      resendMs *= 2;
    }
    return delayMs;
  }

  /** Cuts it; what has not arrived stays on the way. */
  cut(): void {
    this.cutAtMs ??= this.world.monotonic.nowMs();
  }

  /** Mends it, and sends again what was held. */
  heal(): void {
    if (this.cutAtMs === undefined) return;
    this.cutAtMs = undefined;
    const waiting = this.#whenHealed;
    this.#whenHealed = [];
    for (const run of waiting) run();
  }

  /** Calls `run` once it is healed. */
  onceHealed(run: () => void): void {
    this.#whenHealed.push(run);
  }
}

/** Events that leave in order over a link and arrive in order: one stream's, or a session's own. */
export class Channel {
  readonly #link: Link;
  readonly #queue: { readonly deliver: () => void; dueMs: number }[] = [];
  #pumping = false;
  #ended = false;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Sends an event; `deliver` runs at the other end. */
  send(deliver: () => void): void {
    if (this.#ended) return;
    const nowMs = this.#link.world.monotonic.nowMs();
    this.#queue.push({ deliver, dueMs: nowMs + this.#link.drawDelayMs() });
    if (!this.#pumping) this.#pump();
  }

  /** Drops what is on the way. */
  end(): void {
    this.#ended = true;
    this.#queue.length = 0;
  }

  #pump(): void {
    this.#pumping = true;
    const head = this.#queue[0];
    if (head === undefined) {
      this.#pumping = false;
      return;
    }
    const { monotonic, scheduler } = this.#link.world;
    const waitMs = head.dueMs - monotonic.nowMs();
    if (waitMs > 0) scheduler.after(waitMs, () => this.#arrive());
    else scheduler.nextTurn(() => this.#arrive());
  }

  #arrive(): void {
    if (this.#ended) return;
    if (this.#link.cutAtMs !== undefined) {
      this.#link.onceHealed(() => {
        for (const event of this.#queue) {
          event.dueMs = this.#link.world.monotonic.nowMs() + this.#link.drawDelayMs();
        }
        this.#pump();
      });
      return;
    }
    const nowMs = this.#link.world.monotonic.nowMs();
    while (!this.#ended && this.#queue.length > 0 && this.#queue[0]!.dueMs <= nowMs) {
      this.#queue.shift()!.deliver();
    }
    this.#pump();
  }
}
