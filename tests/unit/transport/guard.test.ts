/** The guard against unhandled rejections. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { guardRejections } from "../../../transport/guard.ts";
import { until } from "../../support/until.ts";

test("guardRejections survives, counts and tells a rejection that nobody handles", async () => {
  const told: unknown[][] = [];
  const guard = guardRejections(globalThis, (...all) => told.push(all));
  const reason = new Error("nobody listens");
  void Promise.reject(reason);
  await until("it is told", () => told.length === 1);
  assert.is(guard.count, 1);
  assert.is(told[0]![0], "unhandled");
  assert.is(told[0]![1], reason);
  guard.remove();
});

test("guardRejections keeps quiet about what is handled, and goes when it is removed", async () => {
  const listeners = new Set<unknown>();
  const scope = {
    addEventListener: (_: string, listener: unknown) => void listeners.add(listener),
    removeEventListener: (_: string, listener: unknown) => void listeners.delete(listener),
  };
  const guard = guardRejections(scope, () => {});
  assert.is(listeners.size, 1);
  await Promise.reject(new Error("handled")).catch(() => {});
  assert.is(guard.count, 0);
  guard.remove();
  assert.is(listeners.size, 0);
});

test.run();
