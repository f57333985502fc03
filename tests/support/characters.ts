/** Characters for property tests. */
import * as fc from "fast-check";

const SURROGATES_FROM = 0xd800;
const SURROGATES = 0x800;
/** Printable characters come first, as smaller numbers are drawn more often. */
const PRINTABLE_FROM = 0x20;
const ASCII = 0x7f;

/**
 * Any character but half a surrogate pair: the unit "binary" of fast-check, which for each arbitrary
 * anew makes a table of all 1,112,064.
 */
export const anyCharacter: fc.Arbitrary<string> = fc
  .nat({ max: 0x10ffff - SURROGATES })
  .map(characterOf, (value) => {
    if (typeof value !== "string" || [...value].length !== 1) throw new Error("No character");
    return numberOf(value);
  });

function characterOf(number: number): string {
  if (number < ASCII) return String.fromCodePoint((number + PRINTABLE_FROM) % ASCII);
  return String.fromCodePoint(number < SURROGATES_FROM ? number : number + SURROGATES);
}

function numberOf(character: string): number {
  const point = character.codePointAt(0)!;
  if (point < ASCII) return (point + ASCII - PRINTABLE_FROM) % ASCII;
  if (point < SURROGATES_FROM) return point;
  if (point < SURROGATES_FROM + SURROGATES) throw new Error("Half of a surrogate pair");
  return point - SURROGATES;
}
