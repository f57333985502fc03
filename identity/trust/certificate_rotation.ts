/**
 * Rotates a node's certificate while it runs. The wall clock decides when, and is looked at every half
 * minute: timers stand still while a machine sleeps, and clocks are set, so that a certificate may
 * end from one moment to the next. A look compares numbers alone. A rotation that fails (a full disk)
 * is reported and tried again; the shown certificate has days left then, or `onValidity` says that it
 * has not.
 */
import { ROTATION_LOOK_MS, ROTATION_RETRY_MS } from "../../src/base/limits.ts";
import type { Scheduler, Timer, WallClock } from "../../src/base/world.ts";
import type { ServerCertificate } from "../pki/certificate.ts";

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
  /** Whether the shown certificate is valid by the clock; told when that changes. */
  readonly onValidity?: (valid: boolean) => void;
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
  #valid = true;
  /** Looks to let pass after a failure. */
  #pause = 0;

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
    this.#timer = this.#options.scheduler.after(ROTATION_LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { certificates, wall } = this.#options;
    const nowMs = wall.unixMs();
    this.#tellValidity(nowMs);
    if (this.#pause > 0) this.#pause--;
    else if (this.#owed || !this.#valid || nowMs >= certificates.rotateAtMs) await this.#check();
    this.#arm();
  }

  #tellValidity(nowMs: number): void {
    const { notBeforeMs, notAfterMs } = this.#options.certificates.current;
    // What was made but is not shown yet helps nobody.
    // One that was made but that the listener has not taken yet mends nothing.
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
