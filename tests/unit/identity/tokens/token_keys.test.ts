/**
 * Keys of tokens: through rotations, every verifier has the key of every token that it receives.
 */
import { exportJWK } from "jose";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { signingKeyOfSeed } from "../../../../identity/pki/ed25519.ts";
import {
  keyIdOf,
  parsePublishedKeys,
  type PlannedKey,
  publishedKeys,
  PublishedTokenKeys,
  signingKeyAt,
  withKey,
  withoutEnded,
  withoutKey,
} from "../../../../identity/tokens/token_keys.ts";
import type { RegistryError } from "../../../../src/base/errors.ts";
import {
  TOKEN_KEY_LEAD_MS,
  TOKEN_LIFE_MS_MAX,
  TOKEN_SKEW_MS,
} from "../../../../src/base/limits.ts";
import { fromHex } from "../../../../src/base/bytes.ts";
import { decodeBase64url } from "../../../../src/base/base64url.ts";
import { codeOfCall } from "../../../support/refusal.ts";

const START_MS = Date.UTC(2026, 0, 1);
const keyBytes: Uint8Array[] = [];
for (let seed = 1; seed <= 12; seed++) {
  keyBytes.push((await signingKeyOfSeed(new Uint8Array(32).fill(seed))).verifying.bytes);
}
const key = (index: number) => keyBytes[index]!;

function idAt(plan: readonly PlannedKey[], nowMs: number): string | undefined {
  return signingKeyAt(plan, nowMs)?.keyId;
}

test("keyIdOf is the thumbprint that RFC 8037 appendix A.3 gives", () => {
  const x = decodeBase64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")!;
  assert.is(keyIdOf(x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
});

test("withKey lets the first key sign at once, and a later one after its lead", () => {
  const first = withKey([], key(0), START_MS);
  assert.is(idAt(first, START_MS), keyIdOf(key(0)));
  const nowMs = START_MS + 3_600_000;
  const second = withKey(first, key(1), nowMs);
  assert.is(idAt(second, nowMs), keyIdOf(key(0)));
  assert.is(idAt(second, nowMs + TOKEN_KEY_LEAD_MS - 1), keyIdOf(key(0)));
  assert.is(idAt(second, nowMs + TOKEN_KEY_LEAD_MS), keyIdOf(key(1)));
  assert.is(parsePublishedKeys(publishedKeys(second, nowMs)).size, 2);
});

test("a replaced key stays published until its last token has ended, and no longer", () => {
  const nowMs = START_MS + 3_600_000;
  const plan = withKey(withKey([], key(0), START_MS), key(1), nowMs);
  const endMs = nowMs + TOKEN_KEY_LEAD_MS + TOKEN_LIFE_MS_MAX + 2 * TOKEN_SKEW_MS;
  assert.ok(parsePublishedKeys(publishedKeys(plan, endMs - 1)).has(keyIdOf(key(0))));
  assert.not(parsePublishedKeys(publishedKeys(plan, endMs)).has(keyIdOf(key(0))));
  assert.is(withoutEnded(plan, endMs).length, 1);
});

test("token keys: through rotations every set that a verifier may hold has the key of each token", () => {
  // A verifier fetches at least every TOKEN_KEY_LEAD_MS, less the skew, so its keys are at most
  // that old.
  const stepMs = 30_000;
  let plan: PlannedKey[] = [];
  const published: { atMs: number; keys: Map<string, Uint8Array> }[] = [];
  let rotated = 0;
  for (let nowMs = START_MS; nowMs < START_MS + 6 * 3_600_000; nowMs += stepMs) {
    if (nowMs >= START_MS + rotated * 1_800_000) plan = withKey(plan, key(rotated++ % 12), nowMs);
    published.push({ atMs: nowMs, keys: parsePublishedKeys(publishedKeys(plan, nowMs)) });
    const signer = idAt(plan, nowMs);
    assert.ok(signer);
    if (nowMs < START_MS + TOKEN_KEY_LEAD_MS) continue;
    const oldest = published.find((set) => set.atMs >= nowMs - (TOKEN_KEY_LEAD_MS - TOKEN_SKEW_MS));
    assert.ok(oldest?.keys.has(signer), `signed at ${nowMs - START_MS}`);
    // Keys whose tokens may still be valid now are in the newest set.
    for (const set of published) {
      if (set.atMs < nowMs - TOKEN_LIFE_MS_MAX) continue;
      const past = idAt(plan, set.atMs);
      if (past !== undefined) assert.ok(published.at(-1)!.keys.has(past));
    }
  }
  assert.is(rotated, 12);
});

test("withKey relieves a key that never came to sign, and refuses more than eight", () => {
  let plan = withKey([], key(0), START_MS);
  plan = withKey(plan, key(1), START_MS + 1);
  plan = withKey(plan, key(2), START_MS + 2);
  assert.is(idAt(plan, START_MS + TOKEN_KEY_LEAD_MS + 2), keyIdOf(key(2)));
  for (let index = 3; index < 8; index++) plan = withKey(plan, key(index), START_MS + index);
  for (let atMs = START_MS; atMs < START_MS + 2 * TOKEN_KEY_LEAD_MS; atMs += 1_000) {
    assert.ok(idAt(plan, atMs), `a key signs at any time: ${atMs - START_MS}`);
  }
  try {
    withKey(plan, key(8), START_MS + 9);
    assert.unreachable();
  } catch (error) {
    assert.is((error as RegistryError).code, "overloaded");
    const retryAfterMs = (error as RegistryError).fields.retryAfterMs ?? 0;
    assert.is(withKey(plan, key(8), START_MS + 9 + retryAfterMs).length <= 8, true);
  }
});

test("withKey refuses a key that is there, or unsound", () => {
  const plan = withKey([], key(0), START_MS);
  assert.is(codeOfCall(() => withKey(plan, key(0), START_MS)), "invalid_argument");
  assert.is(codeOfCall(() => withKey(plan, new Uint8Array(32), START_MS)), "invalid_argument");
  assert.is(codeOfCall(() => withKey(plan, new Uint8Array(31), START_MS)), "invalid_argument");
});

test("withoutKey withdraws a stolen key at once; another that is there signs", () => {
  const nowMs = START_MS + 3_600_000;
  const plan = withKey(withKey([], key(0), START_MS), key(1), nowMs);
  const rest = withoutKey(plan, keyIdOf(key(0)), nowMs + 1);
  assert.equal(rest.map(({ keyId }) => keyId), [keyIdOf(key(1))]);
  assert.is(idAt(rest, nowMs + 1), keyIdOf(key(1)));
  assert.is(idAt(withoutKey(plan, keyIdOf(key(1)), nowMs + 1), nowMs + 1), keyIdOf(key(0)));
  assert.equal(withoutKey(rest, keyIdOf(key(1)), nowMs + 2), []);
});

test("parsePublishedKeys reads what publishedKeys writes, and jose does too", async () => {
  const plan = withKey(withKey([], key(0), START_MS), key(1), START_MS + 1);
  const text = publishedKeys(plan, START_MS + 1);
  assert.equal([...parsePublishedKeys(text).values()], [key(0), key(1)]);
  const { keys } = JSON.parse(text);
  const { importJWK } = await import("jose");
  const imported = await importJWK(keys[0], "EdDSA");
  assert.is((await exportJWK(imported)).x, keys[0].x);
  assert.is(parsePublishedKeys('{"keys":[]}').size, 0);
});

test("parsePublishedKeys refuses a set whole for anything that we do not write", () => {
  const good = JSON.parse(publishedKeys(withKey([], key(0), START_MS), START_MS)).keys[0];
  const sorted = (value: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
  const set = (...keys: unknown[]) => JSON.stringify({ keys });
  const small = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  const bad: readonly [string, string][] = [
    ["no JSON", "keys"],
    ["white space", JSON.stringify({ keys: [good] }, null, 1)],
    ["a member twice", set(good).replace('"kid":', '"kid":"x","kid":')],
    ["no set", "[]"],
    ["a member beside the keys", '{"a":1,"keys":[]}'],
    ["keys that are no list", '{"keys":{}}'],
    ["a key that is none", set(null)],
    ["a private key", set(sorted({ ...good, d: good.x }))],
    ["another algorithm", set({ ...good, alg: "ES256" })],
    ["another curve", set({ ...good, crv: "X25519" })],
    ["another type", set({ ...good, kty: "oct" })],
    ["another use", set({ ...good, use: "enc" })],
    ["key_ops", set(sorted({ ...good, key_ops: ["verify"] }))],
    ["a kid of its own", set({ ...good, kid: "mine" })],
    ["the kid of another", set({ ...good, kid: keyIdOf(key(1)) })],
    ["a key twice", set(good, good)],
    ["x that is no text", set({ ...good, x: 1 })],
    ["x with padding", set({ ...good, x: good.x + "=" })],
    [
      "a point of small order",
      set({ ...good, x: small, kid: keyIdOf(fromHex("01" + "00".repeat(31))!) }),
    ],
    ["nine keys", set(...Array.from({ length: 9 }, (_, index) => ({ ...good, x: String(index) })))],
    ["more than 4 KiB", `{"keys":["${"a".repeat(4_096)}"]}`],
  ];
  for (const [name, text] of bad) {
    assert.is(codeOfCall(() => parsePublishedKeys(text)), "corrupt", name);
  }
  assert.is(codeOfCall(() => parsePublishedKeys(set(good))), "ok");
});

test("PublishedTokenKeys keeps its set where a newer one is bad, and takes a good one", () => {
  const keys = new PublishedTokenKeys();
  const one = publishedKeys(withKey([], key(0), START_MS), START_MS);
  const two = publishedKeys(withKey([], key(1), START_MS), START_MS);
  keys.replace(one);
  const version = keys.version;
  try {
    keys.replace("{}");
    assert.unreachable();
  } catch (error) {
    assert.is((error as RegistryError).code, "corrupt");
  }
  assert.is(keys.version, version);
  assert.ok(keys.get(keyIdOf(key(0))));
  keys.replace(one);
  assert.is(keys.version, version, "It is the same");
  keys.replace(two);
  assert.is(keys.get(keyIdOf(key(0))), undefined);
  assert.ok(keys.get(keyIdOf(key(1))));
  assert.is.not(keys.version, version);
});

test.run();
