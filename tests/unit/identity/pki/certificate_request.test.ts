/** Certificate requests prove possession of the key. */
import "reflect-metadata";
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isRefusal } from "../../../../identity/pki/certificate_refusal.ts";
import {
  checkCertificateRequest,
  createCertificateRequest,
} from "../../../../identity/pki/certificate_request.ts";
import { contextConstructed, DER_TAG } from "../../../../identity/pki/der.ts";
import { signingKeyOfSeed } from "../../../../identity/pki/ed25519.ts";
import { derElement, derPublicKey, derSigned, derUnsigned } from "../../../support/der_writer.ts";
import { accepted } from "../../../support/test_pki.ts";

const key = await signingKeyOfSeed(new Uint8Array(32).fill(1));
const other = await signingKeyOfSeed(new Uint8Array(32).fill(2));
const request = await createCertificateRequest(key);

async function faultOf(der: Uint8Array): Promise<string> {
  const result = await checkCertificateRequest(der);
  return isRefusal(result) ? result.fault : "";
}

/** Returns a request for a key, signed by another. */
async function forged(bytes: Uint8Array, version = 0): Promise<Uint8Array> {
  const signed = derElement(
    DER_TAG.sequence,
    derUnsigned(version),
    derElement(DER_TAG.sequence),
    derPublicKey({ algorithm: "Ed25519", bytes }),
    derElement(contextConstructed(0)),
  );
  const publicKey = { algorithm: "Ed25519", bytes: key.verifying.bytes } as const;
  return await derSigned(signed, { publicKey, handle: key.handle });
}

test("checkCertificateRequest gives the key of a request that its owner signed", async () => {
  const { publicKey } = accepted(await checkCertificateRequest(request));
  assert.equal(publicKey, key.verifying.bytes);
  assert.ok(await new Pkcs10CertificateRequest(new Uint8Array(request)).verify());
  assert.is(await faultOf(await forged(key.verifying.bytes)), "");
});

test("checkCertificateRequest reads requests of other tools, whatever subject they name", async () => {
  const keys = await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]);
  const theirs = await Pkcs10CertificateRequestGenerator.create({
    name: "CN=controller, O=Somebody",
    keys: keys as CryptoKeyPair,
    signingAlgorithm: { name: "Ed25519" },
  });
  assert.is(await faultOf(new Uint8Array(theirs.rawData)), "");
});

test("checkCertificateRequest refuses a key that is not the requester's", async () => {
  assert.is(await faultOf(await forged(other.verifying.bytes)), "signature");
  const changed = request.slice();
  changed[changed.length - 1]! ^= 1;
  assert.is(await faultOf(changed), "signature");
});

test("checkCertificateRequest refuses keys that no identity has", async () => {
  const zero = new Uint8Array(32);
  assert.is(await faultOf(await forged(zero)), "weak_key");
  assert.is(await faultOf(await forged(new Uint8Array(32).fill(0xff))), "weak_key");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const p256 = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: algorithm,
  });
  assert.is(await faultOf(new Uint8Array(p256.rawData)), "algorithm");
});

test("checkCertificateRequest refuses anything but a request, and requests that are too long", async () => {
  assert.is(await faultOf(new Uint8Array(0)), "malformed");
  assert.is(await faultOf(request.subarray(1)), "malformed");
  assert.is(await faultOf(await forged(key.verifying.bytes, 1)), "malformed");
  assert.is(await faultOf(new Uint8Array(1_025)), "too_large");
});

test.run();
