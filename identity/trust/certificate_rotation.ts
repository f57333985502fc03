/**
 * Rotates a node's certificate at run time. The wall clock decides when; it is checked every half
 * minute, and at once when it was set (`clockStepped`), because a certificate may then have expired
 * from one moment to the next. A check only compares numbers. A rotation that fails (a full disk) is
 * reported and retried; the served certificate is then usually valid for days, and otherwise
 * `onValidity` reports that it is not.
 */
import { ROTATION_LOOK_MS, ROTATION_RETRY_MS } from "../../src/base/limits.ts";
import type { Scheduler, Timer, WallClock } from "../../src/base/world.ts";
import type { ServerCertificate } from "../pki/certificate.ts";

/** Certificates that rotate, such as a `DevelopmentIdentity`. */
export interface RotatingCertificates {
  readonly current: ServerCertificate;
  readonly next: ServerCertificate;
  /** Unix ms from which `check` rotates. */
  readonly rotateAtMs: number;
  /** Rotates the certificates if due; returns whether `current` changed. */
  check(): Promise<boolean>;
}

/** Options of {@link CertificateRotation}. */
export interface CertificateRotationOptions {
  readonly certificates: RotatingCertificates;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  /** Serves the certificate from now on (the listener's `rotate`) and publishes the pins. */
  readonly onRotate: (current: ServerCertificate, next: ServerCertificate) => void;
  /** Receives whether the served certificate is valid by the clock, when that changes. */
  readonly onValidity?: (valid: boolean) => void;
  /** Receives errors of `check` and `onRotate`. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** Certificate rotation, active from `start` to `stop`. */
export class CertificateRotation {
  readonly #options: CertificateRotationOptions;
  #timer: Timer | undefined;
  #stopped = false;
  /** The current certificate exists but `onRotate` has not accepted it yet. */
  #owed = false;
  #valid = true;
  /** Number of checks to skip after a failure. */
  #pause = 0;
  /** A check is in progress. */
  #looking = false;
  /** The clock was set during a check. */
  #stepped = false;

  constructor(options: CertificateRotationOptions) {
    this.#options = options;
  }

  /** Schedules the first check of the clock. */
  start(): void {
    this.#arm();
  }

  /** Stops the rotation; a check in progress finishes on disk without notifying anybody. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Checks now: the wall clock was set, or the machine was suspended. */
  clockStepped(): void {
    this.#pause = 0;
    if (this.#looking) {
      this.#stepped = true;
      return;
    }
    this.#timer?.cancel();
    if (!this.#stopped) void this.#look();
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.scheduler.after(ROTATION_LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { certificates, wall } = this.#options;
    this.#looking = true;
    do {
      this.#stepped = false;
      const nowMs = wall.unixMs();
      this.#tellValidity(nowMs);
      if (this.#pause > 0) this.#pause--;
      else if (this.#owed || !this.#valid || nowMs >= certificates.rotateAtMs) await this.#check();
    } while (this.#stepped && !this.#stopped);
    this.#looking = false;
    this.#arm();
  }

  #tellValidity(nowMs: number): void {
    const { notBeforeMs, notAfterMs } = this.#options.certificates.current;
    // A certificate that exists but that the listener does not serve yet does not restore validity.
    const valid = nowMs >= notBeforeMs && nowMs < notAfterMs && (this.#valid || !this.#owed);
    if (valid === this.#valid || this.#stopped) return;
    this.#valid = valid;
    this.#options.onValidity?.(valid);
  }

  async #check(): Promise<void> {
    const { certificates, wall, onRotate, onError } = this.#options;
    try {
      if (await certificates.check()) this.#owed = true;
      if (this.#owed && !this.#stopped) {
        onRotate(certificates.current, certificates.next);
        this.#owed = false;
        this.#tellValidity(wall.unixMs());
      }
    } catch (error) {
      this.#pause = ROTATION_RETRY_MS / ROTATION_LOOK_MS;
      onError(error);
    }
  }
}
