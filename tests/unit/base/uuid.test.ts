/** UUIDs: text and bytes, in both directions; anything else is refused. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { formatUuid, isUuidText, parseUuid, parseUuidInto } from "../../../src/base/uuid.ts";

const TEXT = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7aff";
// deno-fmt-ignore
const BYTES = new Uint8Array([
  0x6f, 0x1c, 0x2f, 0x6e, 0x8a, 0x58, 0x5d, 0x0c, 0x9f, 0x6e, 0x0d, 0x8d, 0x6c, 0x1b, 0x7a, 0xff,
]);

test("parseUuid reads either case, and formatUuid writes the lower one", () => {
  assert.equal(parseUuid(TEXT), BYTES);
  assert.equal(parseUuid(TEXT.toUpperCase()), BYTES);
  assert.is(formatUuid(BYTES), TEXT);
  for (let round = 0; round < 100; round++) {
    const bytes = Uint8Array.from({ length: 16 }, (_, index) => round * 37 + index * 101);
    assert.equal(parseUuid(formatUuid(bytes)), bytes);
  }
});

test("parseUuidInto writes 16 bytes where it is told and no others", () => {
  const bytes = new Uint8Array(24).fill(7);
  parseUuidInto(TEXT, bytes, 4);
  assert.equal(bytes.subarray(4, 20), BYTES);
  assert.equal([...bytes.subarray(0, 4), ...bytes.subarray(20)], [7, 7, 7, 7, 7, 7, 7, 7]);
});

test("parseUuid refuses what is no UUID, wherever it is wrong", () => {
  for (let at = 0; at < TEXT.length; at++) {
    for (const wrong of ["g", "-", "0", "é", "\u{10061}", " ", "`", "@", "/", ":"]) {
      const text = TEXT.slice(0, at) + wrong + TEXT.slice(at + 1);
      if (isUuidText(text)) continue;
      assert.throws(() => parseUuid(text, "gatewayId"), (error: unknown) => {
        if (!(error instanceof RegistryError)) return false;
        return error.code === "invalid_argument" && error.fields.field === "gatewayId";
      });
    }
  }
  for (const text of ["", TEXT.slice(1), TEXT + "0", ` ${TEXT}`, TEXT.replaceAll("-", "")]) {
    assert.throws(
      () => parseUuid(text),
      (error: RegistryError) => /must be a UUID/.test(error.message),
    );
  }
});

test.run();
