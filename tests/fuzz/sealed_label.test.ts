/**
 * Sealed values of any text: opening gives a named fault, never an exception, and the value only in
 * its original place.
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openLabel, sealLabel } from "../../identity/tokens/sealed_label.ts";
import { openingKeyOf } from "../../identity/tokens/x25519.ts";
import { cases } from "../support/cases.ts";
import { anyCharacter } from "../support/characters.ts";

const key = await openingKeyOf(new Uint8Array(32).fill(1));
const place = { recordId: new Uint8Array(16).fill(1), label: "l" };
const RUNS = { numRuns: cases(1_000), seed: 5 };

test("openLabel gives a fault for arbitrary text", async () => {
  const texts = fc.oneof(
    fc.string({ maxLength: 3_000 }),
    fc.json().map((json) => `sealed:${json}`),
    fc.string({ unit: anyCharacter, maxLength: 2_500 }).map((text) => `sealed:${text}`),
  );
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      assert.ok("fault" in await openLabel(text, place, key));
    }),
    RUNS,
  );
});

test("openLabel opens any text that was sealed, and nothing that was edited", async () => {
  const texts = fc.string({ unit: "grapheme", maxLength: 60 })
    .filter((text) => new TextEncoder().encode(text).length <= 255);
  const edits = fc.tuple(fc.nat(), fc.constantFrom("", "A", "B", "_", '"', "{", "="));
  await fc.assert(
    fc.asyncProperty(texts, edits, async (text, [at, inserted]) => {
      const sealed = await sealLabel(text, place, [key.sealing]);
      assert.equal(await openLabel(sealed, place, key), { value: text });
      const edited = sealed.slice(0, at % sealed.length) + inserted +
        sealed.slice(at % sealed.length + 1);
      if (edited !== sealed) assert.ok("fault" in await openLabel(edited, place, key));
    }),
    { ...RUNS, numRuns: cases(300) },
  );
});

test.run();
