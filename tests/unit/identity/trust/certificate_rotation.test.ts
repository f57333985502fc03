/** Rotation while a node runs, with time that the test moves. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ServerCertificate } from "../../../../identity/pki/certificate.ts";
import { CertificateRotation } from "../../../../identity/trust/certificate_rotation.ts";
import { ManualTime } from "../../../support/manual_time.ts";

const HOUR_MS = 3_600_000;

/**
 * Certificates represented by numbers: the n-th is presented until day n, and each can be made to
 * fail.
 */
class NumberedCertificates {
  readonly #time: ManualTime;
  shown = 1;
  checks = 0;
  notBeforeMs = 0;
  failing = false;

  constructor(time: ManualTime) {
    this.#time = time;
  }

  get current(): ServerCertificate {
    return this.#certificate(this.shown);
  }

  get next(): ServerCertificate {
    return this.#certificate(this.shown + 1);
  }

  get rotateAtMs(): number {
    return this.shown * 24 * HOUR_MS;
  }

  check(): Promise<boolean> {
    this.checks++;
    if (this.failing) return Promise.reject(new Error("disk full"));
    if (this.#time.unixMs() < this.rotateAtMs) return Promise.resolve(false);
    this.shown++;
    return Promise.resolve(true);
  }

  #certificate(number: number): ServerCertificate {
    const text = String(number);
    const pin = Uint8Array.of(number);
    return {
      chainPem: text,
      certificatePem: text,
      keyPem: text,
      pin,
      notBeforeMs: this.notBeforeMs,
      notAfterMs: (number * 24 + 12) * HOUR_MS,
    };
  }
}

interface Bench {
  readonly time: ManualTime;
  readonly certificates: NumberedCertificates;
  readonly rotation: CertificateRotation;
  readonly shown: [number, number][];
  readonly errors: string[];
  readonly valid: boolean[];
  refuse: boolean;
}

function bench(): Bench {
  const time = new ManualTime(0);
  const certificates = new NumberedCertificates(time);
  const shown: [number, number][] = [];
  const errors: string[] = [];
  const valid: boolean[] = [];
  const result: Bench = {
    time,
    certificates,
    shown,
    errors,
    valid,
    refuse: false,
    rotation: new CertificateRotation({
      certificates,
      wall: time,
      scheduler: time,
      onRotate: (current, next) => {
        if (result.refuse) throw new Error("the listener refused");
        shown.push([current.pin[0]!, next.pin[0]!]);
      },
      onValidity: (isValid) => valid.push(isValid),
      onError: (error) => errors.push((error as Error).message),
    }),
  };
  return result;
}

/** Advances time in steps and lets the promises of each step settle. */
async function pass(time: ManualTime, durationMs: number, stepMs = HOUR_MS / 2): Promise<void> {
  for (let passed = 0; passed < durationMs; passed += stepMs) {
    time.advance(Math.min(stepMs, durationMs - passed));
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

test("CertificateRotation hands over current and next when it is time, and goes on", async () => {
  const { time, rotation, shown } = bench();
  rotation.start();
  await pass(time, 23 * HOUR_MS);
  assert.equal(shown, []);
  await pass(time, 2 * HOUR_MS);
  assert.equal(shown, [[2, 3]]);
  await pass(time, 48 * HOUR_MS);
  assert.equal(shown, [[2, 3], [3, 4], [4, 5]]);
});

test("CertificateRotation rotates within half a minute after the wall clock jumped", async () => {
  const { time, rotation, shown } = bench();
  rotation.start();
  await pass(time, HOUR_MS);
  time.jumpWall(30 * HOUR_MS);
  await pass(time, 31_000, 1_000);
  assert.equal(shown, [[2, 3]]);
});

test("CertificateRotation rotates at once when it is told that the clock was set", async () => {
  const { time, rotation, shown, errors, certificates } = bench();
  rotation.start();
  await pass(time, HOUR_MS);
  time.jumpWall(30 * HOUR_MS);
  rotation.clockStepped();
  // A step during a check is handled when the check is done.
  time.jumpWall(24 * HOUR_MS);
  rotation.clockStepped();
  await pass(time, 2, 1);
  assert.equal(shown, [[2, 3], [3, 4]]);
  // The pause after a failure ends with a step.
  certificates.failing = true;
  await pass(time, 24 * HOUR_MS);
  assert.ok(errors.length > 0);
  certificates.failing = false;
  rotation.clockStepped();
  await pass(time, 2, 1);
  assert.equal(shown.at(-1), [4, 5]);
  rotation.stop();
  rotation.clockStepped();
});

test("CertificateRotation asks for another certificate while the shown one is not valid yet", async () => {
  const { time, certificates, rotation, valid } = bench();
  certificates.notBeforeMs = 2 * HOUR_MS;
  rotation.start();
  await pass(time, 31_000, 1_000);
  assert.equal(valid, [false]);
  assert.is(certificates.checks, 1);
});

test("CertificateRotation reports while the presented certificate is not valid by the clock", async () => {
  const { time, certificates, rotation, shown, valid } = bench();
  certificates.failing = true;
  rotation.start();
  await pass(time, HOUR_MS);
  assert.equal(valid, []);
  time.jumpWall(40 * HOUR_MS);
  await pass(time, 31_000, 1_000);
  assert.equal(valid, [false]);
  certificates.failing = false;
  await pass(time, 120_000, 1_000);
  assert.equal(shown, [[2, 3]]);
  assert.equal(valid, [false, true]);
});

test("CertificateRotation reports a failure and tries again", async () => {
  const { time, certificates, rotation, shown, errors } = bench();
  certificates.failing = true;
  rotation.start();
  await pass(time, 24 * HOUR_MS + 60_000, 30_000);
  assert.ok(errors.length >= 1);
  assert.equal(new Set(errors), new Set(["disk full"]));
  assert.equal(shown, []);
  certificates.failing = false;
  await pass(time, 120_000, 30_000);
  assert.equal(shown, [[2, 3]]);
});

test("CertificateRotation hands over again what the listener refused", async () => {
  const state = bench();
  state.refuse = true;
  state.rotation.start();
  await pass(state.time, 25 * HOUR_MS);
  assert.equal(state.certificates.shown, 2);
  assert.ok(state.errors.includes("the listener refused"));
  state.refuse = false;
  await pass(state.time, 120_000, 30_000);
  assert.equal(state.shown, [[2, 3]]);
});

test("CertificateRotation stop leaves no timer and no notification", async () => {
  const { time, certificates, rotation, shown } = bench();
  rotation.start();
  await pass(time, HOUR_MS);
  rotation.stop();
  assert.is(time.timerCount, 0);
  const { checks } = certificates;
  await pass(time, 48 * HOUR_MS);
  assert.is(certificates.checks, checks);
  assert.equal(shown, []);
});

test("CertificateRotation stop during a check drops its result", async () => {
  const { time, certificates, rotation, shown } = bench();
  rotation.start();
  time.jumpWall(25 * HOUR_MS);
  time.advance(HOUR_MS);
  assert.ok(certificates.checks > 0);
  rotation.stop();
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  assert.equal(shown, []);
  assert.is(time.timerCount, 0);
});

test.run();
