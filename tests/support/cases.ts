/** The number of cases that a property test tries, which is arbitrary: more of them find more. */

/** A quarter of all cases still hits each kind of case of a property many times. */
const PART = 4;

/**
 * Returns `count`, or a quarter of it in a run of the tests that omits what takes long (`tests/run.ts`).
 * Such a run does not count for one of all cases, which holds for files in `tests/fuzz/` only.
 */
export function cases(count: number): number {
  return Deno.env.get("CRS_TEST_CASES") === "some" ? Math.ceil(count / PART) : count;
}
