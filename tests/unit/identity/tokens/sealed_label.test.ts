/** Sealed labels: opened only by a recipient, in their original place, and in their single form. */
import { generalDecrypt, GeneralEncrypt } from "jose";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeBase64url, encodeBase64url } from "../../../../src/base/base64url.ts";
import {
  isSealedLabel,
  openLabel,
  type SealedFault,
  sealLabel,
} from "../../../../identity/tokens/sealed_label.ts";
import { canonicalJson } from "../../../../src/signing/canonical_json.ts";
import {
  generateOpeningKey,
  openingKeyOf,
  sealingKeyOf,
} from "../../../../identity/tokens/x25519.ts";
import { fromHex, toHex } from "../../../../src/base/bytes.ts";
import { SEALED_LABEL_BYTES_MAX } from "../../../../src/base/limits.ts";
import { canonicalLabels } from "../../../../src/record/validation.ts";
import { idOf } from "../../../support/store.ts";
import { codeOf } from "../../../support/refusal.ts";

const keyOf = (seed: number) => openingKeyOf(new Uint8Array(32).fill(seed));
const keys = [await keyOf(1), await keyOf(2), await keyOf(3), await keyOf(4), await keyOf(5)];
const one = keys[0]!;
const PLACE = { recordId: idOf(1), label: "wss/password" };
const VALUE = "grüße, s3cret";
const sealed = await sealLabel(VALUE, PLACE, [one.sealing, keys[1]!.sealing]);

// deno-lint-ignore no-explicit-any -- tests change it in all ways.
type Jwe = any;

const messageOf = (text: string): Jwe => JSON.parse(text.slice("sealed:".length));
/** Returns the sealed value with a change to its message. */
function changed(change: (message: Jwe) => unknown): string {
  const message = messageOf(sealed);
  return "sealed:" + canonicalJson((change(message) as object | undefined) ?? message);
}

async function faultOf(text: string, key = one, place = PLACE): Promise<SealedFault | "opened"> {
  const opened = await openLabel(text, place, key);
  return "fault" in opened ? opened.fault : "opened";
}

test("openLabel opens for each recipient what sealLabel sealed, and for nobody else", async () => {
  assert.ok(isSealedLabel(sealed));
  for (const key of keys.slice(0, 2)) {
    assert.equal(await openLabel(sealed, PLACE, key), { value: VALUE });
  }
  assert.is(await faultOf(sealed, keys[2]), "not_a_recipient");
});

test("openLabel opens a value for a single recipient", async () => {
  assert.equal(await openLabel(alone, PLACE, one), { value: VALUE });
  assert.is(await faultOf(alone, keys[1]), "not_a_recipient");
});

test("openLabel refuses a value in another record or under another label", async () => {
  assert.is(await faultOf(sealed, one, { ...PLACE, recordId: idOf(2) }), "other_place");
  assert.is(await faultOf(sealed, one, { ...PLACE, label: "wss" }), "other_place");
  // The additional data is authenticated: writing another place over it does not help.
  const moved = encodeBase64url(
    new TextEncoder().encode(
      `registry-sealed-label/1 ${"40".repeat(4)}-4040-4040-4040-404000000002 wss`,
    ),
  );
  const text = changed((message) => {
    message.aad = moved;
  });
  assert.is(await faultOf(text, one, { recordId: idOf(2), label: "wss" }), "damaged");
});

test("a sealed value is a JWE that other implementations open", async () => {
  const { plaintext, additionalAuthenticatedData } = await generalDecrypt(
    messageOf(sealed),
    one.handle,
  );
  assert.is(new TextDecoder().decode(plaintext), VALUE);
  assert.match(new TextDecoder().decode(additionalAuthenticatedData), /^registry-sealed-label\/1 /);
});

test("sealLabel never gives the same value twice, nor the plain one", async () => {
  const again = await sealLabel(VALUE, PLACE, [one.sealing]);
  assert.is.not(again, await sealLabel(VALUE, PLACE, [one.sealing]));
  assert.not(again.includes(VALUE));
  assert.not(again.includes(encodeBase64url(new TextEncoder().encode(VALUE))));
});

test("the longest value for the most recipients fits, in the longest place", async () => {
  const place = { recordId: idOf(1), label: "l".repeat(63) };
  const value = "v".repeat(255);
  const longest = await sealLabel(value, place, keys.slice(0, 4).map(({ sealing }) => sealing));
  assert.ok(longest.length <= SEALED_LABEL_BYTES_MAX, `${longest.length}`);
  assert.equal(await openLabel(longest, place, keys[3]!), { value });
  assert.equal(canonicalLabels([{ key: place.label, value: longest }]).length, 1);
  const empty = await sealLabel("", place, [one.sealing]);
  assert.equal(await openLabel(empty, place, one), { value: "" });
});

test("sealLabel refuses too long a value, and recipients that are none, too many or twice", async () => {
  const all = keys.map(({ sealing }) => sealing);
  assert.is(await codeOf(sealLabel("v".repeat(256), PLACE, [all[0]!])), "invalid_argument");
  assert.is(await codeOf(sealLabel("é".repeat(128), PLACE, [all[0]!])), "invalid_argument");
  assert.is(await codeOf(sealLabel("\ud800", PLACE, [all[0]!])), "invalid_argument");
  assert.is(await codeOf(sealLabel("v", PLACE, [])), "invalid_argument");
  assert.is(await codeOf(sealLabel("v", PLACE, all)), "invalid_argument");
  assert.is(await codeOf(sealLabel("v", PLACE, [all[0]!, all[0]!])), "invalid_argument");
});

const ALICE_PRIVATE = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const ALICE_PUBLIC = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
const SMALL_ORDER_X = encodeBase64url(new Uint8Array(32));
const alone = await sealLabel(VALUE, PLACE, [one.sealing]);
/** Returns a value for a single recipient with a change to its protected header. */
function changedProtected(change: (header: Jwe) => void, write = JSON.stringify): string {
  const message = messageOf(alone);
  const header = JSON.parse(new TextDecoder().decode(decodeBase64url(message.protected)));
  change(header);
  const text = new TextEncoder().encode(write(header));
  return "sealed:" + canonicalJson({ ...message, protected: encodeBase64url(text) });
}

const FORMS: readonly [string, () => string, SealedFault][] = [
  ["a plain value", () => VALUE, "not_sealed"],
  ["nothing but the prefix", () => "sealed:", "not_json"],
  ["more than the limit", () => sealed + " ".repeat(SEALED_LABEL_BYTES_MAX), "too_large"],
  ["white space", () => sealed + " ", "not_canonical"],
  ["a member twice", () => sealed.replace('"iv":', '"iv":"x","iv":'), "not_canonical"],
  ["a list", () => "sealed:[]", "wrong_form"],
  ["compact form", () => 'sealed:"a.b.c.d.e"', "wrong_form"],
  ["a further member", () => changed((m) => ({ ...m, unprotected: {} })), "wrong_form"],
  ["a member less", () => changed(({ aad: _, ...rest }) => rest), "wrong_form"],
  [
    "another protected header",
    () => changed((m) => void (m.protected = protectedOf({}))),
    "wrong_algorithm",
  ],
  [
    "a key that is named in the protected header",
    () => changed((m) => void (m.protected = protectedOf({ enc: "A256GCM", kid: "x" }))),
    "wrong_algorithm",
  ],
  [
    "compression",
    () => changed((m) => void (m.protected = protectedOf({ enc: "A256GCM", zip: "DEF" }))),
    "wrong_algorithm",
  ],
  [
    "A128GCM",
    () => changed((m) => void (m.protected = protectedOf({ enc: "A128GCM" }))),
    "wrong_algorithm",
  ],
  ["padding", () => changed((m) => void (m.tag += "==")), "wrong_form"],
  ["a short tag", () => changed((m) => void (m.tag = m.tag.slice(0, 16))), "wrong_form"],
  ["a long iv", () => changed((m) => void (m.iv += "AAAA")), "wrong_form"],
  ["no recipients", () => changed((m) => void (m.recipients = [])), "wrong_form"],
  [
    "five recipients",
    () => changed((m) => void (m.recipients = Array.from({ length: 5 }, () => 0))),
    "wrong_form",
  ],
  [
    "a recipient twice",
    () => changed((m) => void (m.recipients = [m.recipients[0], m.recipients[0]])),
    "wrong_form",
  ],
  ["no kid", () => changed((m) => void delete m.recipients[0].header.kid), "wrong_form"],
  ["apu", () => changed((m) => void (m.recipients[0].header.apu = "")), "wrong_form"],
  ["crit", () => changed((m) => void (m.recipients[0].header.crit = [])), "wrong_form"],
  ["dir", () => changed((m) => void (m.recipients[0].header.alg = "dir")), "wrong_algorithm"],
  [
    "ECDH-ES without wrapping",
    () => changed((m) => void (m.recipients[0].header.alg = "ECDH-ES")),
    "wrong_algorithm",
  ],
  [
    "PBES2 in the other recipient",
    () => changed((m) => void (m.recipients[1].header.alg = "PBES2-HS512+A256KW")),
    "wrong_algorithm",
  ],
  [
    "another curve",
    () => changed((m) => void (m.recipients[0].header.epk.crv = "P-256")),
    "wrong_algorithm",
  ],
  [
    "a private part in the ephemeral key",
    () => changed((m) => void (m.recipients[0].header.epk.d = "x")),
    "wrong_form",
  ],
  [
    "an ephemeral key of small order",
    () => changed((m) => void (m.recipients[0].header.epk.x = SMALL_ORDER_X)),
    "unsound_key",
  ],
  ["alone: no ephemeral key", () => changedProtected((h) => void delete h.epk), "wrong_algorithm"],
  [
    "alone: another enc",
    () => changedProtected((h) => void (h.enc = "A128GCM")),
    "wrong_algorithm",
  ],
  ["alone: zip", () => changedProtected((h) => void (h.zip = "DEF")), "wrong_algorithm"],
  [
    "alone: alg in the protected header",
    () => changedProtected((h) => void (h.alg = "dir")),
    "wrong_algorithm",
  ],
  [
    "alone: white space in the protected header",
    () => changedProtected(() => {}, (header) => JSON.stringify(header, null, 1)),
    "wrong_algorithm",
  ],
  [
    "alone: another curve",
    () => changedProtected((h) => void (h.epk.crv = "X448")),
    "wrong_algorithm",
  ],
  [
    "alone: an ephemeral key of small order",
    () => changedProtected((h) => void (h.epk.x = SMALL_ORDER_X)),
    "unsound_key",
  ],
  [
    "alone: a protected header that is changed but fits",
    () => changedProtected(reordered),
    "damaged",
  ],
  [
    "a wrapped key of another length",
    () => changed((m) => void (m.recipients[0].encrypted_key = "AAAA")),
    "wrong_form",
  ],
];

function reordered(header: Jwe): void {
  const { enc } = header;
  delete header.enc;
  header.enc = enc;
}

function protectedOf(header: object): string {
  return encodeBase64url(new TextEncoder().encode(JSON.stringify(header)));
}

for (const [name, make, fault] of FORMS) {
  test(`openLabel refuses ${name} as ${fault}`, async () => {
    assert.is(await faultOf(make()), fault);
  });
}

test("openLabel refuses any changed byte of what is encrypted or wraps it", async () => {
  const flip = (text: string) => {
    const bytes = decodeBase64url(text)!;
    bytes[bytes.length >> 1]! ^= 1;
    return encodeBase64url(bytes);
  };
  const changes: ((message: Jwe) => void)[] = [
    (m) => void (m.ciphertext = flip(m.ciphertext)),
    (m) => void (m.iv = flip(m.iv)),
    (m) => void (m.tag = flip(m.tag)),
    (m) => void (m.recipients[0].encrypted_key = flip(m.recipients[0].encrypted_key)),
    (m) => void (m.recipients[0].header.epk.x = flip(m.recipients[0].header.epk.x)),
    (m) => void (m.ciphertext = ""),
    (m) => {
      const [left, right] = m.recipients;
      [left.encrypted_key, right.encrypted_key] = [right.encrypted_key, left.encrypted_key];
    },
  ];
  for (const change of changes) assert.is(await faultOf(changed(change)), "damaged");
});

test("openLabel refuses content that is no UTF-8", async () => {
  const aad = decodeBase64url(messageOf(sealed).aad)!;
  const message = await new GeneralEncrypt(Uint8Array.of(0xff))
    .setProtectedHeader({ enc: "A256GCM" })
    .setAdditionalAuthenticatedData(aad)
    .addRecipient(one.sealing.handle)
    .setUnprotectedHeader({ alg: "ECDH-ES+A256KW", kid: one.sealing.keyId })
    .encrypt();
  assert.is(await faultOf("sealed:" + canonicalJson(message)), "damaged");
});

test("openingKeyOf gives the public key of RFC 7748 §6.1 and keeps the private one to itself", async () => {
  const alice = await openingKeyOf(fromHex(ALICE_PRIVATE)!);
  assert.is(alice.handle.extractable, false);
  assert.is(toHex(alice.sealing.bytes), ALICE_PUBLIC);
});

test("generateOpeningKey takes its key from the entropy that it is given", async () => {
  const entropy = { fill: (target: Uint8Array) => void target.fill(1), unit: () => 0 };
  const { key, secret } = await generateOpeningKey(entropy);
  assert.is(key.sealing.keyId, one.sealing.keyId);
  assert.equal(secret, new Uint8Array(32).fill(1));
});

test("sealingKeyOf refuses keys of small order and other encodings", async () => {
  const bad = [
    "00".repeat(32),
    "01" + "00".repeat(31),
    "ec" + "ff".repeat(30) + "7f",
    "ed" + "ff".repeat(30) + "7f",
    "ff".repeat(32),
    "09" + "00".repeat(30) + "80",
    "09",
  ];
  for (const hex of bad) {
    assert.is(await codeOf(sealingKeyOf(fromHex(hex)!)), "invalid_argument", hex);
  }
  assert.is(await codeOf(sealingKeyOf(fromHex("09" + "00".repeat(31))!)), "ok");
});

test.run();
