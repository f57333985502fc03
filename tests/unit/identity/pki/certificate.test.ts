/** Reading keys, certificates and pins. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SERVER_CERTIFICATE_LIFE_MS } from "../../../../src/base/limits.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import {
  certificatesOf,
  formatPin,
  isIssuedBy,
  parseKeyedCertificate,
  parsePin,
} from "../../../../identity/pki/certificate.ts";
import {
  issueAuthority,
  issueServer,
  keyedPem,
} from "../../../../identity/enrolment/development_authority.ts";

const DAY_MS = 86_400_000;
const startMs = Date.parse("2026-06-01T00:00:00Z");
const options = { notBeforeMs: startMs + 123, entropy: new SeededEntropy(1) };
const authority = await issueAuthority(options);
const server = await issueServer(authority, options);
const other = await issueServer(authority, options);

test("issueServer makes a certificate that can be pinned: P-256, below 14 days", () => {
  assert.is(server.notBeforeMs, startMs, "cut to the second");
  assert.is(server.notAfterMs - server.notBeforeMs, SERVER_CERTIFICATE_LIFE_MS);
  assert.ok(SERVER_CERTIFICATE_LIFE_MS < 14 * DAY_MS);
});

test("parseKeyedCertificate pin is the SHA-256 of the certificate's DER", async () => {
  const base64 = server.certificatePem.replace(/-----[A-Z ]+-----|\s/g, "");
  const der = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  assert.equal(server.pin, new Uint8Array(await crypto.subtle.digest("SHA-256", der)));
});

test("isIssuedBy distinguishes the signing CA from another one with the same contents", async () => {
  assert.ok(isIssuedBy(server.certificatePem, authority.certificatePem));
  const foreign = await issueAuthority(options);
  assert.not.ok(isIssuedBy(server.certificatePem, foreign.certificatePem));
  assert.not.ok(isIssuedBy(server.certificatePem, other.certificatePem), "a leaf is no CA");
});

test("parseKeyedCertificate reads what keyedPem wrote", () => {
  assert.equal(parseKeyedCertificate(keyedPem(server)), server);
});

test("parseKeyedCertificate describes the error", () => {
  const cases: [string, RegExp][] = [
    ["", /no PEM private key/],
    [server.certificatePem, /no PEM private key/],
    [server.keyPem, /it holds 0/],
    [keyedPem(server) + other.certificatePem, /it holds 2/],
    [server.keyPem + other.certificatePem, /does not belong/],
    [keyedPem(server).replace(/(BEGIN CERTIFICATE-----\n).{20}/, "$1"), /cannot be parsed/],
    [keyedPem(server).replace(/(BEGIN PRIVATE KEY-----\n).{20}/, "$1!!!!"), /cannot be parsed/],
  ];
  for (const [pem, expected] of cases) {
    const found = parseKeyedCertificate(pem);
    assert.type(found, "string");
    assert.match(found as string, expected);
  }
});

test("certificatesOf finds each certificate of a bundle", () => {
  const bundle = `comment\n${server.certificatePem}${authority.certificatePem}`;
  assert.equal(certificatesOf(bundle), [server.certificatePem, authority.certificatePem]);
  assert.equal(certificatesOf("nothing"), []);
});

test("parsePin reads what formatPin wrote, and the form of other tools", () => {
  const text = formatPin(server.pin);
  assert.match(text, /^sha256:[0-9a-f]{64}$/);
  assert.equal(parsePin(text), server.pin);
  const colons = text.slice(7).toUpperCase().match(/../g)!.join(":");
  assert.equal(parsePin(colons), server.pin);
  for (const bad of ["", "sha256:", "sha256:00", text + "00", text.replace(/..$/, "zz")]) {
    assert.throws(
      () => parsePin(bad),
      (error: unknown) => error instanceof RegistryError && error.code === "invalid_argument",
    );
  }
});

test.run();
