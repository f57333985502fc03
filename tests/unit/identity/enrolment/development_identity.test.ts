/** The development identity on disk: created, loaded, rotated, refused if it is damaged. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ErrorCode, RegistryError } from "../../../../src/base/errors.ts";
import { DEVELOPMENT_CA_LIFE_MS, SERVER_CERTIFICATE_LIFE_MS } from "../../../../src/base/limits.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { isIssuedBy } from "../../../../identity/pki/certificate.ts";
import {
  DevelopmentIdentity,
  rotationStep,
} from "../../../../identity/enrolment/development_identity.ts";
import { ManualTime } from "../../../support/manual_time.ts";
import { inTemporaryFolder } from "../../../support/temporary_folder.ts";

const START_MS = Date.parse("2026-06-01T12:00:00Z");
const DAY_MS = 86_400_000;

function inFolder(run: (folder: string, time: ManualTime) => Promise<void>): Promise<void> {
  return inTemporaryFolder((root) => run(`${root}/data/identity`, new ManualTime(START_MS)));
}

function open(folder: string, wall: ManualTime): Promise<DevelopmentIdentity> {
  return DevelopmentIdentity.open({ folder, wall, entropy: new SeededEntropy(1) });
}

async function refusal(run: () => Promise<unknown>): Promise<RegistryError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
  throw new Error("It was not refused");
}

const modeOf = (path: string) => Deno.statSync(path).mode! & 0o777;

test("open makes key files of mode 0600 in a folder of mode 0700", () =>
  inFolder(async (folder, time) => {
    await open(folder, time);
    assert.is(modeOf(folder), 0o700);
    for (const file of ["ca-key.pem", "server.pem", "server-next.pem"]) {
      assert.is(modeOf(`${folder}/${file}`), 0o600, file);
    }
    assert.is(modeOf(`${folder}/ca.pem`), 0o644);
    assert.not.match(Deno.readTextFileSync(`${folder}/ca.pem`), /PRIVATE/);
    const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.equal(files, ["ca-key.pem", "ca.pem", "server-next.pem", "server.pem"], "no drafts");
  }));

test("open narrows a key file that others could read", () =>
  inFolder(async (folder, time) => {
    await open(folder, time);
    Deno.chmodSync(`${folder}/server.pem`, 0o644);
    Deno.chmodSync(folder, 0o755);
    await open(folder, time);
    assert.is(modeOf(`${folder}/server.pem`), 0o600);
    assert.is(modeOf(folder), 0o700);
  }));

test("open loads on a later start what the first one made", () =>
  inFolder(async (folder, time) => {
    const first = await open(folder, time);
    time.advance(DAY_MS);
    const second = await open(folder, time);
    assert.equal(second.current, first.current);
    assert.equal(second.next, first.next);
    assert.is(second.caPem, first.caPem);
    assert.ok(isIssuedBy(first.current.certificatePem, first.caPem));
    assert.is(first.current.chainPem, first.current.certificatePem, "clients know the root");
  }));

test("current and next are both valid over the whole span in which a rotation may fall", () =>
  inFolder(async (folder, time) => {
    const { current, next, rotateAtMs } = await open(folder, time);
    const lifeMs = current.notAfterMs - current.notBeforeMs;
    assert.ok(rotateAtMs >= current.notBeforeMs + lifeMs * 0.5);
    assert.ok(rotateAtMs <= current.notBeforeMs + lifeMs * 0.6);
    assert.ok(next.notBeforeMs < current.notBeforeMs + lifeMs * 0.5 - DAY_MS);
    assert.ok(next.notAfterMs > current.notAfterMs + DAY_MS);
  }));

test("check keeps before its time and shows the announced certificate after it", () =>
  inFolder(async (folder, time) => {
    const identity = await open(folder, time);
    const { current, next } = identity;
    time.advance(identity.rotateAtMs - START_MS - 1_000);
    assert.is(await identity.check(), false);
    assert.equal(identity.current, current);
    time.advance(2_000);
    assert.is(await identity.check(), true);
    assert.equal(identity.current, next, "the pin was known in advance");
    assert.not.equal(identity.next.pin, next.pin);
    const reloaded = await open(folder, time);
    assert.equal(reloaded.current, identity.current, "on disk too");
    assert.equal(reloaded.next, identity.next);
  }));

test("check over a year never shows an expired or an unannounced certificate", () =>
  inFolder(async (folder, time) => {
    const identity = await open(folder, time);
    let announced = identity.next.pin;
    let rotations = 0;
    for (let day = 0; day < 365; day++) {
      time.advance(DAY_MS);
      if (await identity.check()) {
        rotations++;
        assert.equal(identity.current.pin, announced);
        announced = identity.next.pin;
      }
      assert.ok(identity.current.notBeforeMs <= time.unixMs());
      assert.ok(identity.current.notAfterMs > time.unixMs() + DAY_MS);
      assert.ok(isIssuedBy(identity.current.certificatePem, identity.caPem));
    }
    assert.ok(rotations >= 365 / 13 && rotations <= 365 / 3, `${rotations} rotations`);
  }));

test("open makes both certificates anew after all have expired, under the same CA", () =>
  inFolder(async (folder, time) => {
    const first = await open(folder, time);
    time.advance(60 * DAY_MS);
    const second = await open(folder, time);
    assert.is(second.caPem, first.caPem);
    assert.not.equal(second.current.pin, first.current.pin);
    assert.not.equal(second.current.pin, first.next.pin);
    assert.ok(second.current.notBeforeMs <= time.unixMs());
    assert.ok(second.next.notAfterMs > time.unixMs() + SERVER_CERTIFICATE_LIFE_MS / 2);
  }));

test("open makes a new CA before the old one ends, and everything below it", () =>
  inFolder(async (folder, time) => {
    const first = await open(folder, time);
    time.advance(DEVELOPMENT_CA_LIFE_MS - SERVER_CERTIFICATE_LIFE_MS);
    const second = await open(folder, time);
    assert.is.not(second.caPem, first.caPem);
    assert.is(Deno.readTextFileSync(`${folder}/ca.pem`), second.caPem);
    assert.ok(isIssuedBy(second.current.certificatePem, second.caPem));
    assert.ok(isIssuedBy(second.next.certificatePem, second.caPem));
  }));

test("check makes a new CA on a running node too", () =>
  inFolder(async (folder, time) => {
    const identity = await open(folder, time);
    const before = identity.caPem;
    time.advance(DEVELOPMENT_CA_LIFE_MS - SERVER_CERTIFICATE_LIFE_MS);
    assert.is(await identity.check(), true);
    assert.is.not(identity.caPem, before);
    assert.ok(isIssuedBy(identity.current.certificatePem, identity.caPem));
    assert.equal((await open(folder, time)).current, identity.current);
  }));

test("open carries on where a crash left a file out", () =>
  inFolder(async (folder, time) => {
    const first = await open(folder, time);
    Deno.removeSync(`${folder}/server-next.pem`);
    const second = await open(folder, time);
    assert.equal(second.current, first.current, "what is shown stays");
    assert.not.equal(second.next.pin, first.next.pin);
    Deno.removeSync(`${folder}/server.pem`);
    const third = await open(folder, time);
    assert.ok(isIssuedBy(third.current.certificatePem, third.caPem));
    Deno.writeTextFileSync(`${folder}/ca.pem`, "half");
    Deno.writeTextFileSync(`${folder}/server.pem.new`, "a draft");
    assert.equal((await open(folder, time)).current, third.current);
    assert.is(Deno.readTextFileSync(`${folder}/ca.pem`), third.caPem);
  }));

test("open refuses damaged files by code, file and what to do", () =>
  inFolder(async (folder, time) => {
    for (const file of ["ca-key.pem", "server.pem", "server-next.pem"]) {
      await open(folder, time);
      const path = `${folder}/${file}`;
      const whole = Deno.readTextFileSync(path);
      for (const damage of ["", "junk", whole.slice(0, whole.length / 2), "x".repeat(100_000)]) {
        Deno.writeTextFileSync(path, damage);
        const error = await refusal(() => open(folder, time));
        assert.is(error.code, "corrupt" satisfies ErrorCode);
        assert.ok(error.message.includes(path), error.message);
        assert.is(error.fields.field, path);
      }
      Deno.writeTextFileSync(path, "junk");
      assert.match((await refusal(() => open(folder, time))).message, /remove the folder/);
      Deno.writeTextFileSync(path, whole);
    }
  }));

test("open refuses files that do not fit together", () =>
  inFolder(async (folder, time) => {
    await open(folder, time);
    const other = `${folder}/../other`;
    await open(other, time);
    const own = Deno.readTextFileSync(`${folder}/server.pem`);
    const foreign = Deno.readTextFileSync(`${other}/server.pem`);
    Deno.writeTextFileSync(`${folder}/server.pem`, foreign);
    assert.match((await refusal(() => open(folder, time))).message, /not signed by the CA/);
    const key = /-----BEGIN PRIVATE KEY[\s\S]+END PRIVATE KEY-----\n/;
    Deno.writeTextFileSync(`${folder}/server.pem`, own.replace(key, key.exec(foreign)![0]));
    assert.match((await refusal(() => open(folder, time))).message, /key does not belong/);
    Deno.writeTextFileSync(`${folder}/server.pem`, own);
    Deno.copyFileSync(`${folder}/server.pem`, `${folder}/ca-key.pem`);
    assert.match((await refusal(() => open(folder, time))).message, /not that of a CA/);
    Deno.removeSync(`${folder}/ca-key.pem`);
    assert.match((await refusal(() => open(folder, time))).message, /missing although server.pem/);
  }));

test("open refuses a folder in a file's place as corrupt, a file in a folder's as unusable", () =>
  inFolder(async (folder, time) => {
    Deno.mkdirSync(`${folder}/server.pem`, { recursive: true });
    assert.is((await refusal(() => open(folder, time))).code, "corrupt");
    Deno.removeSync(folder, { recursive: true });
    Deno.writeTextFileSync(folder, "a file where the folder should be");
    assert.is((await refusal(() => open(folder, time))).code, "storage_unavailable");
  }));

test("rotationStep keeps, promotes or renews by validity and age", () => {
  const current = { notBeforeMs: 0, notAfterMs: 100 };
  const next = { notBeforeMs: 40, notAfterMs: 140 };
  const at = (nowMs: number, rotateAtMs = 55) => rotationStep({ rotateAtMs, current, next }, nowMs);
  assert.is(at(0), "keep");
  assert.is(at(54), "keep");
  assert.is(at(55), "promote");
  assert.is(at(120), "promote");
  assert.is(at(140), "renew");
  assert.is(at(-1), "renew", "a clock set far back");
  assert.is(at(30, 20), "keep", "the next one is not valid yet");
});

test.run();
