/**
 * TLS certificates that an intermediate signs: the next one is published before it is presented.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { CertificateAuthority } from "../../../../identity/enrolment/authority.ts";
import { isIssuedBy } from "../../../../identity/pki/certificate.ts";
import { encodePem } from "../../../../identity/pki/pem.ts";
import { signServer } from "../../../../identity/trust/server_signing.ts";
import { ServerCertificates } from "../../../../identity/trust/server_certificates.ts";
import { SERVER_CERTIFICATE_LIFE_MS_MAX } from "../../../../src/base/limits.ts";
import { ManualTime } from "../../../support/manual_time.ts";
import {
  createTestIntermediate,
  createTestPki,
  DAY_MS,
  NOW_MS,
} from "../../../support/test_pki.ts";

const pki = await createTestPki();
const { authority } = pki.intermediate;
const later = (await createTestIntermediate(pki.root, pki.entropy)).authority;

async function inFolder(
  run: (
    open: (
      held?: readonly CertificateAuthority[],
      more?: readonly Uint8Array[],
      names?: readonly string[],
    ) => Promise<ServerCertificates>,
    time: ManualTime,
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const time = new ManualTime(NOW_MS);
  try {
    await run((held = [authority], more = [], dns = []) =>
      ServerCertificates.open({
        folder: `${folder}/identity`,
        names: { dns: ["localhost", ...dns], ips: [Uint8Array.of(127, 0, 0, 1), ...more] },
        sign: (order) => signServer(held.at(-1)!, order, pki.entropy),
        issuers: () => held.map(({ certificate }) => certificate.der),
        wall: time,
        entropy: pki.entropy,
      }), time);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const pins = ({ current, next }: ServerCertificates) => [current.pin, next.pin];
const pem = ({ certificate }: CertificateAuthority) => encodePem("CERTIFICATE", certificate.der);

test("open makes two certificates of at most 14 days, with the intermediate behind them", () =>
  inFolder(async (open) => {
    const certificates = await open();
    const { current, next } = certificates;
    assert.not.equal(current.pin, next.pin);
    for (const { notBeforeMs, notAfterMs, certificatePem, chainPem } of [current, next]) {
      assert.ok(notBeforeMs < certificates.rotateAtMs && notAfterMs > certificates.rotateAtMs);
      assert.ok(notAfterMs - notBeforeMs <= SERVER_CERTIFICATE_LIFE_MS_MAX);
      assert.ok(isIssuedBy(certificatePem, pem(authority)));
      assert.is(chainPem, certificatePem + pem(authority));
    }
  }));

test("the next one has its whole life before it when it is shown", () =>
  inFolder(async (open, time) => {
    const certificates = await open();
    time.advance(certificates.rotateAtMs - time.unixMs());
    assert.is(await certificates.check(), true);
    // Its pin is published from now on, days before the certificate is presented.
    assert.ok(certificates.rotateAtMs > time.unixMs() + 3 * DAY_MS);
  }));

test("ServerCertificates: current and next are the same after a restart", () =>
  inFolder(async (open) => {
    const before = pins(await open());
    assert.equal(pins(await open()), before);
  }));

test("check shows the next one between 50 and 60 % of the life, and never before", () =>
  inFolder(async (open, time) => {
    const certificates = await open();
    const [, next] = pins(certificates);
    time.advance(6 * DAY_MS);
    assert.is(await certificates.check(), false);
    time.advance(2 * DAY_MS);
    assert.is(await certificates.check(), true);
    assert.equal(certificates.current.pin, next);
    assert.not.equal(certificates.next.pin, next);
    assert.is(await certificates.check(), false);
    assert.equal(pins(await open()), pins(certificates));
  }));

test("months of rotations show nothing that was not the next one, nor one that has ended", () =>
  inFolder(async (open, time) => {
    const certificates = await open();
    let rotations = 0;
    for (let hour = 0; hour < 24 * 90; hour += 6) {
      const { next } = certificates;
      time.advance(6 * 3_600_000);
      if (await certificates.check()) {
        rotations++;
        assert.equal(certificates.current.pin, next.pin);
      }
      assert.ok(certificates.current.notAfterMs > time.unixMs() + DAY_MS);
      assert.ok(certificates.next.notAfterMs > certificates.rotateAtMs);
    }
    assert.ok(rotations >= 11, String(rotations));
  }));

test("a certificate ends no later than the intermediate that signs it", () =>
  inFolder(async (open, time) => {
    const endMs = authority.certificate.notAfterMs;
    time.jumpWall(endMs - 5 * DAY_MS - time.unixMs());
    const { current } = await open();
    assert.ok(current.notAfterMs <= endMs);
  }));

test("the signer of the moment signs the next one; what another signed is still shown", () =>
  inFolder(async (open, time) => {
    const before = await open();
    const certificates = await open([authority, later]);
    assert.equal(pins(certificates), pins(before));
    time.advance(8 * DAY_MS);
    await certificates.check();
    assert.ok(isIssuedBy(certificates.current.certificatePem, pem(authority)));
    assert.ok(isIssuedBy(certificates.next.certificatePem, pem(later)));
  }));

test("a rotation that fails changes nothing, and the next look rotates", () =>
  inFolder(async (open, time) => {
    let isFailing = false;
    const failing = new Proxy(authority, {
      get: (target, name) => {
        if (name === "issueServer" && isFailing) throw new Error("The disk is full");
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const certificates = await open([failing]);
    const before = pins(certificates);
    time.advance(8 * DAY_MS);
    isFailing = true;
    let failed = false;
    await certificates.check().catch(() => failed = true);
    assert.equal([failed, pins(certificates)], [true, before]);
    isFailing = false;
    assert.is(await certificates.check(), true);
    assert.equal(certificates.current.pin, before[1]);
  }));

test("a certificate that lacks an address or a name of the node is replaced", () =>
  inFolder(async (open) => {
    let before = pins(await open());
    for (const names of [[], ["eu-1.registry.example"]]) {
      const after = pins(await open([authority], [Uint8Array.of(192, 0, 2, 1)], names));
      assert.not.equal(after[0], before[0]);
      assert.not.equal(after[1], before[1]);
      assert.equal(pins(await open()), after, "More than is needed does no harm");
      before = after;
    }
  }));

test("a certificate that no held authority signed is replaced", () =>
  inFolder(async (open) => {
    const before = pins(await open());
    const after = pins(await open([later]));
    assert.not.equal(after[0], before[0]);
    assert.not.equal(after[1], before[1]);
  }));

test.run();
