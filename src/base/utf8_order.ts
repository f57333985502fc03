/** The order of texts by their UTF-8 bytes, in which programs of other languages sort them. */

/** Orders well-formed texts as their UTF-8 bytes are ordered. */
export function compareUtf8(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const difference = codeOrder(left.charCodeAt(at)) - codeOrder(right.charCodeAt(at));
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Returns a number that puts surrogates, which stand for code points from U+10000, last. */
function codeOrder(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x1_0000 : unit;
}
