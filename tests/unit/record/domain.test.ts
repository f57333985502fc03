/** The single canonical form of domains: from text and from bytes, for writes and for reads. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { canonicalDomain, canonicalDomainBytes } from "../../../src/record/domain.ts";

const LONGEST = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;

/** Returns the canonical form, which must be the same from text and from bytes. */
function canonical(text: string): string {
  const bytes = new TextEncoder().encode(`<${text}>`);
  const span = canonicalDomainBytes(bytes, 1, bytes.length - 2);
  const byBytes = new TextDecoder().decode(span.bytes.subarray(span.start, span.end));
  assert.is(canonicalDomain(text), byBytes);
  return byBytes;
}

function refusal(run: () => unknown): RegistryError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof RegistryError);
    assert.is(error.code, "invalid_argument");
    assert.is(error.fields.field, "domain");
    return error;
  }
  throw new Error("It must be refused");
}

test("canonicalDomain lowers case, drops the final dot, and takes punycode as it is", () => {
  const cases = {
    "A1.Example.": "a1.example",
    "a1.example.": "a1.example",
    "A-Z.Example": "a-z.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "localhost": "localhost",
    [`${"a".repeat(63)}.b`]: `${"a".repeat(63)}.b`,
    [LONGEST]: LONGEST,
    [`${LONGEST}.`]: LONGEST,
  };
  for (const [text, wanted] of Object.entries(cases)) assert.is(canonical(text), wanted);
});

test("canonicalDomainBytes leaves canonical bytes where they stand", () => {
  const bytes = new TextEncoder().encode("a.example.");
  const span = canonicalDomainBytes(bytes, 0, bytes.length);
  assert.is(span.bytes, bytes);
  assert.is(span.end, 9);
});

test("canonicalDomain refuses what is no host name, by both ways and with the same words", () => {
  const bad = [
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a.b..",
    "-a.b",
    "a-.b",
    "a.b-",
    "a_b.c",
    "a b",
    "a\0",
    "bücher.example",
    // The Kelvin sign, which toLowerCase turns into "k"; a dotted I, which it turns into two
    // characters.
    "\u212a.example",
    "\u0130.example",
    "\u017f.example",
    "a".repeat(64),
    `${LONGEST}d`,
    `${LONGEST}d.`,
    "a".repeat(300_000),
  ];
  for (const text of bad) {
    const bytes = new TextEncoder().encode(text);
    const { message } = refusal(() => canonicalDomain(text));
    assert.is(refusal(() => canonicalDomainBytes(bytes, 0, bytes.length)).message, message);
    assert.ok(message.includes(JSON.stringify(text.slice(0, 40)).slice(0, -1)), message);
    assert.ok(message.length < 260, message);
  }
});

test.run();
