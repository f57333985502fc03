/** The counts of a demonstration. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { Tally } from "../../../../src/cli/demo/tally.ts";

function tally() {
  const clock = { nowMs: 0 };
  const made = new Tally(() => clock.nowMs);
  const taking = (ms: number, error?: RegistryError) => () => {
    clock.nowMs += ms;
    return error === undefined ? Promise.resolve("answer") : Promise.reject(error);
  };
  return { made, taking };
}

test("Tally counts and times operations", async () => {
  const { made, taking } = tally();
  assert.is(await made.time("resolve", taking(1)), "answer");
  await made.time("resolve", taking(5));
  made.count("renew", 3);
  const [renew, resolve] = made.all();
  assert.equal([renew?.operation, renew?.count, renew?.latencyMs], ["renew", 3, null]);
  assert.equal([resolve?.operation, resolve?.count, resolve?.failed], ["resolve", 2, 0]);
  assert.is(resolve?.latencyMs?.max, 5);
  assert.ok(Math.abs(resolve!.latencyMs!.p50 - 1) < 0.02);
});

test("Tally takes a proven absence for an answer, anything else for a failure", async () => {
  const { made, taking } = tally();
  assert.is(await made.time("resolve", taking(1, new RegistryError("not_found", ""))), undefined);
  await made.time("resolve", taking(1, new RegistryError("overloaded", "")));
  const figures = made.figures("resolve");
  assert.equal([figures.count, figures.notFound, figures.failed], [1, 1, 1]);
  assert.equal([...made.failures], [["overloaded", 1]]);
  assert.is(made.failed, 1);
});

test("Tally does not count operations interrupted by the end", async () => {
  const { made, taking } = tally();
  made.ended = true;
  await made.time("resolve", taking(1, new RegistryError("shutting_down", "")));
  made.fail("renew", "connection_lost");
  assert.is(made.failed, 0);
  assert.equal(made.all(), []);
});

test.run();
