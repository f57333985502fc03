/** Exit codes are a stable interface: each error code has one, by its class. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ERROR_TABLE, type ErrorCode } from "../../../src/base/errors.ts";
import { EXIT_CODES, exitCodeOf } from "../../../src/cli/exit_codes.ts";

test("EXIT_CODES keep their numbers", () => {
  assert.equal(EXIT_CODES, { success: 0, internal: 1, caller: 2, notFound: 3, unavailable: 4 });
});

test("exitCodeOf tells the caller's mistake, not found and unavailable apart", () => {
  assert.is(exitCodeOf("invalid_argument"), 2);
  assert.is(exitCodeOf("superseded"), 2);
  assert.is(exitCodeOf("domain_taken"), 2);
  assert.is(exitCodeOf("not_found"), 3);
  assert.is(exitCodeOf("overloaded"), 4);
  assert.is(exitCodeOf("connection_lost"), 4);
  assert.is(exitCodeOf("internal"), 1);
  assert.is(exitCodeOf("corrupt"), 1);
});

test("exitCodeOf gives every code one that is no success", () => {
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    assert.ok([1, 2, 3, 4].includes(exitCodeOf(code)), code);
  }
});

test.run();
