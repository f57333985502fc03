/**
 * One direction between two hosts of a memory network: its delay, its loss rate and whether it is
 * cut. A lost chunk is sent again, as a real transport does, so a loss is a delay of that chunk and
 * of those after it on its stream.
 */
import type { Entropy, MonotonicClock, Scheduler } from "../../src/base/world.ts";

/** The delay and loss of a link. */
export interface LinkQuality {
  /** Delay, uniformly distributed in `[delayMsMin, delayMsMax]`. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Probability in `[0, 1)` that a chunk is lost and sent again, each time it is sent. */
  readonly lossRate: number;
}

/** The clock, scheduler and entropy of the whole network. */
export interface NetworkWorld {
  readonly monotonic: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
}

/** Delay before a lost chunk is sent again, ms; doubled each further time. */
const RESEND_MS = 20;
const RESENDS_MAX = 8;

/** One direction. While cut it keeps what is sent until it heals or the session is given up. */
export class MemoryLink {
  quality: LinkQuality;
  cutAtMs: number | undefined;
  readonly world: NetworkWorld;
  #whenHealed: (() => void)[] = [];

  constructor(world: NetworkWorld, quality: LinkQuality) {
    this.world = world;
    this.quality = quality;
  }

  /** Draws a delay, including that of losses. */
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

  /** Cuts the link; events that have not arrived stay in transit. */
  cut(): void {
    this.cutAtMs ??= this.world.monotonic.nowMs();
  }

  /** Heals the link and resends what was held. */
  heal(): void {
    if (this.cutAtMs === undefined) return;
    this.cutAtMs = undefined;
    const waiting = this.#whenHealed;
    this.#whenHealed = [];
    for (const run of waiting) run();
  }

  /** Calls `run` once the link is healed. */
  onceHealed(run: () => void): void {
    this.#whenHealed.push(run);
  }
}

/**
 * Events sent in order over a link that arrive in order: those of one stream, or of a session
 * itself.
 */
export class Channel {
  readonly #link: MemoryLink;
  readonly #queue: { readonly deliver: () => void; dueMs: number }[] = [];
  #pumping = false;
  #ended = false;

  constructor(link: MemoryLink) {
    this.#link = link;
  }

  /** Sends an event; `deliver` runs at the other end. */
  send(deliver: () => void): void {
    if (this.#ended) return;
    const nowMs = this.#link.world.monotonic.nowMs();
    this.#queue.push({ deliver, dueMs: nowMs + this.#link.drawDelayMs() });
    if (!this.#pumping) this.#pump();
  }

  /** Drops the events in transit. */
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
