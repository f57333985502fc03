/** Printed commands can be typed as they are. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { invocation, shellWord, startInvocation } from "../../../src/cli/invocation.ts";

test("invocation is that of Deno, or of npx where npx runs us", () => {
  assert.is(invocation({}), "deno task crs");
  assert.is(invocation({ npm_command: "exec" }), "npx -y deno@2.9.6 task crs");
  assert.is(invocation({ npm_lifecycle_event: "npx" }), "npx -y deno@2.9.6 task crs");
  assert.is(invocation({ npm_command: "run-script" }), "deno task crs");
});

test("startInvocation names the task that starts a node", () => {
  assert.is(startInvocation({}), "deno task start");
  assert.is(startInvocation({ npm_command: "exec" }), "npx -y deno@2.9.6 task start");
});

test("shellWord quotes what a shell would split or expand", () => {
  assert.is(shellWord("./data/node-1"), "./data/node-1");
  assert.is(shellWord("/tmp/my data"), "'/tmp/my data'");
  assert.is(shellWord("it's"), "'it'\\''s'");
});

test.run();
