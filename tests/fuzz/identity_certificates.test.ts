/**
 * Any bytes presented as a certificate, chain, request or bundle give facts or a coded refusal:
 * never an error of another kind, never a hang; and data with a flipped bit is never trusted.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readCertificate } from "../../identity/pki/certificate_reader.ts";
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import {
  checkCertificateRequest,
  createCertificateRequest,
} from "../../identity/pki/certificate_request.ts";
import { validateIdentity } from "../../identity/pki/path_validation.ts";
import { parseSpiffeId } from "../../identity/pki/spiffe.ts";
import {
  createTrustBundle,
  isBundleRefusal,
  openTrustBundle,
} from "../../identity/trust/trust_bundle.ts";
import { CertificateAuthority } from "../../identity/enrolment/authority.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { cases } from "../support/cases.ts";
import { derElement } from "../support/der_writer.ts";
import { agentLeaf, createTestPki, DAY_MS, NOW_MS, TRUST_DOMAIN } from "../support/test_pki.ts";
import { anyCharacter } from "../support/characters.ts";

const pki = await createTestPki();
const { root, intermediate, entropy } = pki;
const leaf = await intermediate.authority.issueIdentity(agentLeaf(pki));
const CHAIN = [leaf, intermediate.certificate.der, root.certificate.der];
const request = await createCertificateRequest(pki.leafKey);

/** Returns bytes with some changes: overwritten, removed, inserted, truncated. */
function mutated(sources: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.nat(),
    remove: fc.nat({ max: 8 }),
    insert: fc.uint8Array({ maxLength: 8 }),
  });
  return fc.tuple(fc.constantFrom(...sources), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(
      ([source, changes]) => {
        let bytes = source;
        for (const { at, remove, insert } of changes) {
          const start = at % (bytes.length + 1);
          bytes = Uint8Array.of(
            ...bytes.subarray(0, start),
            ...insert,
            ...bytes.subarray(start + remove),
          );
        }
        return bytes;
      },
    );
}

/** Well-formed DER of random shape: decoding gets further with it than with random bytes. */
const der = fc.letrec<{ node: Uint8Array }>((tie) => ({
  node: fc.oneof(
    { depthSize: "medium" },
    fc.tuple(
      fc.constantFrom(1, 2, 3, 4, 6, 12, 23, 24, 0x82, 0x86),
      fc.uint8Array({ maxLength: 20 }),
    )
      .map(([tag, content]) => derElement(tag, content)),
    fc.tuple(fc.constantFrom(0x30, 0x31, 0xa0, 0xa3), fc.array(tie("node"), { maxLength: 5 }))
      .map(([tag, parts]) => derElement(tag, ...parts)),
  ),
})).node;

const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 2_000 }), der, mutated([...CHAIN, request]));

test("readCertificate gives facts or a refusal for any bytes", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const result = readCertificate(bytes);
      if (isRefusal(result)) assert.ok(result.message.length < 500);
      else assert.is(result.der, bytes);
    }),
    { numRuns: cases(20_000) },
  );
});

test("readCertificate works in time proportional to the bytes", () => {
  // The worst case: as many elements as fit, each a list of its own.
  const worst = [0x30, 0x31, 0xa3].map((tag) => {
    let bytes = new Uint8Array(0);
    while (bytes.length < 11_000) bytes = new Uint8Array(derElement(tag, bytes));
    return bytes;
  });
  const flat = derElement(0x30, derElement(0x30, ...new Array(3_000).fill(Uint8Array.of(0x30, 0))));
  for (const bytes of [...worst, flat]) {
    for (let round = 0; round < 200; round++) assert.ok(isRefusal(readCertificate(bytes)));
  }
});

test("validateIdentity gives an identity or a refusal for any chain", async () => {
  const chains = fc.array(fc.oneof(anyBytes, fc.constantFrom(...CHAIN)), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      chains,
      fc.boolean(),
      fc.nat({ max: 2 ** 45 }),
      async (chain, isOpen, nowMs) => {
        const trust = isOpen ? pki.open : pki.closed;
        await validateIdentity({ chain, trust, nowMs, graceMs: DAY_MS });
      },
    ),
    { numRuns: cases(2_000) },
  );
});

test("validateIdentity believes no chain with a bit of any byte changed", async () => {
  const sound = await validateIdentity({
    chain: CHAIN.slice(0, 2),
    trust: pki.open,
    nowMs: NOW_MS,
  });
  assert.not(isRefusal(sound));
  for (const index of [0, 1]) {
    for (let at = 0; at < CHAIN[index]!.length; at++) {
      const bit = at * 8 + (at * 5) % 8;
      const chain = CHAIN.slice(0, 2).map((bytes) => bytes.slice());
      chain[index]![bit >> 3]! ^= 1 << (bit & 7);
      const result = await validateIdentity({ chain, trust: pki.open, nowMs: NOW_MS });
      assert.ok(isRefusal(result), `bit ${bit} of certificate ${index}`);
    }
  }
});

test("validateIdentity believes no certificate that is cut anywhere", async () => {
  for (const index of [0, 1]) {
    for (let length = 0; length < CHAIN[index]!.length; length++) {
      const chain = CHAIN.slice(0, 2);
      chain[index] = chain[index]!.subarray(0, length);
      assert.ok(isRefusal(await validateIdentity({ chain, trust: pki.open, nowMs: NOW_MS })));
    }
  }
});

test("checkCertificateRequest gives a key or a refusal for any bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyBytes, mutated([request])), async (bytes) => {
      const result = await checkCertificateRequest(bytes);
      if (!isRefusal(result)) assert.equal(bytes, request);
    }),
    { numRuns: cases(3_000) },
  );
});

test("openTrustBundle gives a bundle or a refusal for any text", async () => {
  const signer = await root.authority.createBundleSigner({
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + DAY_MS,
    entropy,
  });
  const roots = [root.certificate.der];
  const sound = await createTrustBundle({
    trustDomain: TRUST_DOMAIN,
    sequence: 1,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + DAY_MS,
    roots,
    intermediates: [intermediate.certificate.der],
    servers: [],
  }, signer);
  const asText = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const texts = fc.oneof(
    fc.string({ unit: anyCharacter }),
    fc.json(),
    mutated([new TextEncoder().encode(sound)]).map(asText),
  );
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const options = { text, trustDomain: TRUST_DOMAIN, roots, nowMs: NOW_MS };
      const result = await openTrustBundle(options);
      if (!isBundleRefusal(result)) assert.is(text, sound);
    }),
    { numRuns: cases(3_000) },
  );
});

test("parseSpiffeId and CertificateAuthority.open refuse by code, whatever the text", async () => {
  const coded = (error: unknown) => {
    if (!(error instanceof RegistryError)) throw error;
  };
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: anyCharacter }), anyBytes, async (text, bytes) => {
      try {
        parseSpiffeId(`spiffe://${text}`);
      } catch (error) {
        coded(error);
      }
      const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
      const certificatePem = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
      try {
        await CertificateAuthority.open({ certificatePem, keyPem: intermediate.pair.keyPem });
        // Only changes outside the signed part open: the CA's own certificate.
      } catch (error) {
        coded(error);
      }
    }),
    { numRuns: cases(1_000) },
  );
});

test.run();
