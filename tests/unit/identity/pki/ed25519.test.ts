/** Ed25519: the published first test of RFC 8032, and the refusals of the strict check. */
import { Point } from "@noble/ed25519";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fromHex, toHex } from "../../../../src/base/bytes.ts";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import {
  encodedPointFault,
  generateSigningKey,
  publicKeyFault,
  signatureFault,
  signingKeyOfSeed,
  signMessage,
  verifyAgreed,
  verifyingKey,
  verifyMessage,
} from "../../../../identity/pki/ed25519.ts";

const SEED = fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")!;
const PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const EMPTY_SIGNATURE = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
const L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn;

/** Returns the eight points of small order: multiples of one of order 8. */
function smallOrderPoints(): Point[] {
  const eighth = Point.fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
  const points = [Point.ZERO];
  while (points.length < 8) points.push(points.at(-1)!.add(eighth));
  return points;
}

function scalarBytes(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, "0"))!.reverse();
}

test("signingKeyOfSeed and signMessage give the first test of RFC 8032", async () => {
  const key = await signingKeyOfSeed(SEED);
  assert.is(toHex(key.verifying.bytes), PUBLIC);
  const signature = await signMessage(key, new Uint8Array(0));
  assert.is(toHex(signature), EMPTY_SIGNATURE);
  assert.ok(verifyMessage(key.verifying.bytes, new Uint8Array(0), signature));
  assert.ok(verifyAgreed(key.verifying.bytes, new Uint8Array(0), signature));
});

test("signingKeyOfSeed refuses a seed of another length, and keeps its private key to itself", async () => {
  try {
    await signingKeyOfSeed(new Uint8Array(31));
    assert.unreachable();
  } catch (error) {
    assert.instance(error, RangeError);
  }
  const { handle } = await signingKeyOfSeed(SEED);
  assert.is(handle.extractable, false);
});

test("generateSigningKey takes its seed from the entropy that it is given", async () => {
  const entropy = {
    fill: (target: Uint8Array) => {
      target.set(SEED);
    },
    unit: () => 0,
  };
  const { key, seed } = await generateSigningKey(entropy);
  assert.is(toHex(key.verifying.bytes), PUBLIC);
  assert.equal(seed, SEED);
});

test("verifyMessage refuses any changed bit of signature and message", async () => {
  const key = await signingKeyOfSeed(SEED);
  const message = new TextEncoder().encode("a message");
  const signature = await signMessage(key, message);
  for (let bit = 0; bit < 512; bit++) {
    const changed = signature.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.not(verifyMessage(key.verifying.bytes, message, changed), `bit ${bit}`);
  }
  for (let bit = 0; bit < 8 * message.length; bit++) {
    const changed = message.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.not(verifyMessage(key.verifying.bytes, changed, signature));
  }
});

test("verifyMessage refuses a signature of another length", async () => {
  const key = await signingKeyOfSeed(SEED);
  const signature = fromHex(EMPTY_SIGNATURE)!;
  for (const length of [0, 32, 63, 65, 128]) {
    const resized = new Uint8Array(length);
    resized.set(signature.subarray(0, length));
    assert.not(verifyMessage(key.verifying.bytes, new Uint8Array(0), resized));
    assert.not(verifyAgreed(key.verifying.bytes, new Uint8Array(0), resized));
  }
});

test("signatureFault refuses S + L, which verifies without a range check", () => {
  const signature = fromHex(EMPTY_SIGNATURE)!;
  assert.is(signatureFault(signature), undefined);
  const s = BigInt("0x" + toHex(signature.slice(32).reverse()));
  const malleable = signature.slice();
  malleable.set(scalarBytes(s + L), 32);
  assert.is(signatureFault(malleable), "scalar");
  malleable.set(scalarBytes(L), 32);
  assert.is(signatureFault(malleable), "scalar");
  malleable.set(scalarBytes(L - 1n), 32);
  assert.is(signatureFault(malleable), undefined);
});

test("encodedPointFault refuses each point of small order, under either sign", () => {
  const points = smallOrderPoints();
  assert.is(new Set(points.map((point) => point.toHex())).size, 8);
  for (const point of points) {
    const bytes = point.toBytes();
    assert.is(encodedPointFault(bytes), "small_order", point.toHex());
    bytes[31]! ^= 0x80;
    assert.is(encodedPointFault(bytes), "small_order", point.toHex());
  }
});

test("encodedPointFault refuses coordinates that are not reduced", () => {
  const prime = 2n ** 255n - 19n;
  for (let y = prime; y < 2n ** 255n; y++) {
    assert.is(encodedPointFault(scalarBytes(y)), "not_canonical");
    assert.is(encodedPointFault(scalarBytes(y | 1n << 255n)), "not_canonical");
  }
  assert.is(encodedPointFault(scalarBytes(prime - 2n)), undefined);
  assert.is(encodedPointFault(new Uint8Array(31)), "length");
});

test("publicKeyFault refuses at enrolment keys that signatures alone do not reveal", () => {
  const key = Point.fromHex(PUBLIC);
  assert.is(publicKeyFault(key.toBytes()), undefined);
  for (const small of smallOrderPoints().slice(1)) {
    const mixed = key.add(small).toBytes();
    assert.is(encodedPointFault(mixed), undefined);
    assert.is(publicKeyFault(mixed), "mixed_order");
  }
  assert.is(publicKeyFault(scalarBytes(2n)), "not_on_curve");
});

test("verifyingKey refuses anything but a key by code", async () => {
  const bad = [
    new Uint8Array(32),
    new Uint8Array(5),
    new Uint8Array(32).fill(255),
    scalarBytes(2n),
  ];
  for (const bytes of bad) {
    try {
      await verifyingKey(bytes);
      assert.unreachable(toHex(bytes));
    } catch (error) {
      assert.instance(error, RegistryError);
      assert.is((error as RegistryError).code, "unauthenticated");
    }
  }
});

test("verifyAgreed gives a verdict on any bytes", () => {
  const random = new SeededEntropy(7);
  const fill = (length: number) => {
    const bytes = new Uint8Array(length);
    random.fill(bytes);
    return bytes;
  };
  for (let round = 0; round < 30; round++) {
    assert.not(verifyAgreed(fill(32), fill(round), fill(64)));
  }
});

test.run();
