/**
 * Tokens of arbitrary bytes: the check returns a named fault, never throws, never does much work,
 * and returns claims only for exactly what the issuer signed.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkToken, readTokenForm, tokenRefused } from "../../identity/tokens/token_check.ts";
import { parsePublishedKeys } from "../../identity/tokens/token_keys.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { cases } from "../support/cases.ts";
import { encodeText, goodHeader, goodPayload, NOW_MS, tokenWorld } from "../support/tokens.ts";
import { anyCharacter } from "../support/characters.ts";

const world = await tokenWorld();
const good = await world.mint();
const RUNS = { numRuns: cases(2_000), seed: 11 };

function faultOf(token: string): string {
  const verdict = checkToken(token, world.bearer, world.rules, NOW_MS);
  if (typeof verdict === "object") return "accepted";
  assert.is(tokenRefused(verdict).code, "unauthenticated");
  return verdict;
}

test("checkToken gives a fault for arbitrary text", () => {
  const texts = fc.oneof(
    fc.string({ unit: anyCharacter, maxLength: 5_000 }),
    fc.uint8Array({ maxLength: 5_000 }).map((bytes) => new TextDecoder("latin1").decode(bytes)),
    fc.stringMatching(/^[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,90}$/),
  );
  fc.assert(
    fc.property(texts, (text) => assert.is.not(faultOf(text), "accepted")),
    RUNS,
  );
});

test("checkToken takes no token with any edit", () => {
  const edits = fc.record({
    at: fc.nat({ max: good.length }),
    removed: fc.nat({ max: 4 }),
    inserted: fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom("", ".", "=", "A", "_", "\n", "\u0000", "é"),
    ),
  });
  fc.assert(
    fc.property(edits, ({ at, removed, inserted }) => {
      const edited = good.slice(0, at) + inserted + good.slice(at + removed);
      assert.is(faultOf(edited) === "accepted", edited === good);
    }),
    RUNS,
  );
});

test("checkToken takes of signed JSON what is the issuer's form, and no other", async () => {
  const names = Object.keys(goodPayload());
  const values = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(null, "", -0, 1e21, 2 ** 53, [], {}, "spiffe://registry.example"),
  );
  const changes = fc.dictionary(fc.constantFrom(...names, "nbf", "__proto__", "toJSON"), values, {
    minKeys: 1,
    maxKeys: 3,
  });
  await fc.assert(
    fc.asyncProperty(changes, fc.boolean(), async (changed, inHeader) => {
      const header = goodHeader(world.keyId);
      const payload = goodPayload();
      const target = inHeader ? header : payload;
      const before = JSON.stringify(target);
      for (const name of Object.keys(changed)) {
        Object.defineProperty(target, name, {
          value: changed[name],
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
      const token = await world.sign(JSON.stringify(header), JSON.stringify(payload));
      const verdict = faultOf(token);
      if (verdict === "accepted") assert.is(JSON.stringify(target), before);
    }),
    { ...RUNS, numRuns: cases(1_000) },
  );
});

test("readTokenForm works little for the worst that 4 KiB can hold", () => {
  const worst = [
    ".".repeat(4_096),
    "A".repeat(4_096),
    `${encodeText("[".repeat(1_500))}.${encodeText("[".repeat(1_500))}.AAAA`,
    `${encodeText("[".repeat(700) + "]".repeat(700))}.${encodeText("{}")}.AAAA`,
    `${encodeText(`{${'"a":1,'.repeat(400)}"b":1}`)}.${encodeText("{}")}.AAAA`,
    `${encodeText('"' + "\\u0000".repeat(400) + '"')}.${encodeText("1e999")}.AAAA`,
  ];
  for (const token of worst) {
    const startMs = performance.now();
    for (let round = 0; round < 20; round++) assert.type(readTokenForm(token), "string");
    // 20 rounds take some ms; a quadratic step would take a second.
    assert.ok(performance.now() - startMs < 500, token.slice(0, 40));
  }
  // Beyond the limit its size does not matter.
  assert.is(readTokenForm("A.".repeat(10_000_000)), "too_large");
});

test("parsePublishedKeys gives keys or a code for arbitrary text", () => {
  const texts = fc.oneof(fc.string(), fc.json(), fc.json().map((json) => `{"keys":[${json}]}`));
  fc.assert(
    fc.property(texts, (text) => {
      try {
        parsePublishedKeys(text);
      } catch (error) {
        assert.instance(error, RegistryError);
        assert.is((error as RegistryError).code, "corrupt");
      }
    }),
    RUNS,
  );
});

test.run();
