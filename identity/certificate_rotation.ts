/**
 * Rotates a node's certificate while it runs. The wall clock decides when, and is asked at least
 * hourly: timers stand still while a machine sleeps, and clocks are set. A rotation that fails (a
 * full disk) is reported and tried again; the shown certificate has days left then.
 */
import { ROTATION_CHECK_MS_MAX, ROTATION_CHECK_MS_MIN } from "../src/base/limits.ts";
import type { Scheduler, Timer, WallClock } from "../src/base/world.ts";
import type { ServerCertificate } from "./certificate.ts";

/** Holds certificates and knows when they change; a `DevelopmentIdentity` is one. */
export interface RotatingCertificates {
  readonly current: ServerCertificate;
  readonly next: ServerCertificate;
  /** Unix ms from which `check` rotates. */
  readonly rotateAtMs: number;
  /** Rotates where it is time to; true where `current` is another one now. */
  check(): Promise<boolean>;
}

/** What a rotation needs. */
export interface CertificateRotationOptions {
  readonly certificates: RotatingCertificates;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  /** Shows the certificate from now on (the listener's `rotate`) and publishes the pins. */
  readonly onRotate: (current: ServerCertificate, next: ServerCertificate) => void;
  /** Told of what failed: `check` or `onRotate`. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** Runs from `start` to `stop`. */
export class CertificateRotation {
  readonly #options: CertificateRotationOptions;
  #timer: Timer | undefined;
  #stopped = false;
  /** The current certificate was made but `onRotate` has not taken it yet. */
  #owed = false;

  constructor(options: CertificateRotationOptions) {
    this.#options = options;
  }

  /** Schedules the first look at the clock. */
  start(): void {
    this.#arm();
  }

  /** Ends it; a check in progress finishes on disk and tells nobody. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#stopped) return;
    const { certificates, wall, scheduler } = this.#options;
    const dueMs = this.#owed ? 0 : certificates.rotateAtMs - wall.unixMs();
    const delayMs = Math.min(Math.max(dueMs, ROTATION_CHECK_MS_MIN), ROTATION_CHECK_MS_MAX);
    this.#timer = scheduler.after(delayMs, () => void this.#check());
  }

  async #check(): Promise<void> {
    const { certificates, onRotate, onError } = this.#options;
    try {
      if (await certificates.check()) this.#owed = true;
      if (this.#owed && !this.#stopped) {
        onRotate(certificates.current, certificates.next);
        this.#owed = false;
      }
    } catch (error) {
      onError(error);
    }
    this.#arm();
  }
}
