/**
 * Follows the home of the governed plane while this node leads the plane of a mirror. What it brings is
 * verified by the state machine, so that a wrong answer, or a second puller, changes nothing.
 */
import type { MirroredEntry } from "../../schemas/gen/governance.ts";
import { type RegistryError, toRegistryError } from "../base/errors.ts";
import {
  GOVERNED_FOLLOW_RETRY_MS_MAX,
  GOVERNED_FOLLOW_RETRY_MS_MIN,
  GOVERNED_FOLLOW_WAIT_MS,
  GOVERNED_MIRROR_LOOK_MS,
  GOVERNED_MIRROR_REFUSED_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer, World } from "../base/world.ts";
import { documentsOf, type LedMirror } from "../serving/governance/plane_mirror.ts";
import type { PlaneSource } from "./plane_source.ts";

/** Dependencies of a {@link PlanePuller}. */
export interface PlanePullerParts {
  readonly source: Pick<PlaneSource, "read" | "release">;
  /** Returns the mirror; undefined if the plane is no mirror, or this node does not lead it. */
  readonly mirror: () => LedMirror | undefined;
  /** Logs entries that follow a version. @throws RegistryError the refusal. */
  readonly take: (after: number, entries: readonly MirroredEntry[]) => Promise<void>;
  readonly world: Pick<World, "monotonic" | "scheduler" | "entropy">;
  readonly logger: Logger;
}

/** Codes of a home's entries that cannot be taken; no retry mends them soon. */
const REFUSED: readonly string[] = [
  ...["stale_version", "no_quorum", "frozen", "invalid_argument", "malformed", "too_large"],
];

/** Follows the home. */
export class PlanePuller {
  readonly #parts: PlanePullerParts;
  #timer: Timer | undefined;
  #isStopped = false;
  #failures = 0;
  #contact: { readonly home: string; readonly ms: number } | undefined;

  constructor(parts: PlanePullerParts) {
    this.#parts = parts;
  }

  /** Starts to follow. */
  start(): void {
    this.#next(0);
  }

  /** Stops; an answer that comes later is dropped. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Returns the time since a region answered, ms; undefined if this node does not know. */
  contactAgeMs(home: string): number | undefined {
    const contact = this.#contact;
    return contact?.home === home ? this.#parts.world.monotonic.nowMs() - contact.ms : undefined;
  }

  #next(afterMs: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#parts.world.scheduler.after(afterMs, () => {
      void this.#look().then((ms) => this.#next(ms));
    });
  }

  /** Never rejects. @returns the pause before the next look, ms. */
  async #look(): Promise<number> {
    const mirror = this.#parts.mirror();
    if (mirror === undefined) {
      this.#parts.source.release();
      this.#failures = 0;
      return GOVERNED_MIRROR_LOOK_MS;
    }
    try {
      const count = await this.#pull(mirror);
      this.#failures = 0;
      // A home that does not wait must not keep this node busy.
      return count > 0 ? 0 : GOVERNED_FOLLOW_RETRY_MS_MIN;
    } catch (cause) {
      return this.#pauseAfter(toRegistryError(cause), mirror);
    }
  }

  /** @returns the number of entries that came. */
  async #pull({ home, version: after }: LedMirror): Promise<number> {
    const { source, take, world } = this.#parts;
    const request = { after, waitMs: GOVERNED_FOLLOW_WAIT_MS, knowsGenesis: true, id: "" };
    const { entries } = await source.read(home, request, REQUEST_TIMEOUT_MS_DEFAULT);
    if (this.#isStopped) return 0;
    this.#contact = { home, ms: world.monotonic.nowMs() };
    if (entries.length > 0) await take(after, documentsOf(entries));
    return entries.length;
  }

  #pauseAfter({ code, message }: RegistryError, { home }: LedMirror): number {
    const { logger, world: { entropy } } = this.#parts;
    const isRefused = REFUSED.includes(code);
    const level = isRefused && this.#failures === 0 ? "warn" : "debug";
    logger[level]("The governed log of the home was not mirrored", { region: home, code, message });
    const max = isRefused ? GOVERNED_MIRROR_REFUSED_MS : GOVERNED_FOLLOW_RETRY_MS_MAX;
    const ms = Math.min(max, GOVERNED_FOLLOW_RETRY_MS_MIN * 2 ** Math.min(this.#failures++, 16));
    return ms * (0.5 + entropy.unit() / 2);
  }
}
