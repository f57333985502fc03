/** Printed commands can be typed as they are. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { invocation } from "../../../src/cli/invocation.ts";

test("invocation is that of Deno, or of npx where npx runs us", () => {
  assert.is(invocation({}), "deno task crs");
  assert.is(invocation({ npm_command: "exec" }), "npx -y deno@2.9.6 task crs");
  assert.is(invocation({ npm_lifecycle_event: "npx" }), "npx -y deno@2.9.6 task crs");
  assert.is(invocation({ npm_command: "run-script" }), "deno task crs");
});

test.run();
