/** The operating system's error codes, and the advice for each. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { systemAdvice, systemCodeOf } from "../../../src/base/system_error.ts";

const refused = (code: string) => Object.assign(new Error(`${code}: refused`), { code });

test("systemCodeOf finds the code of an error or of its causes, and of nothing else", () => {
  assert.is(systemCodeOf(refused("EROFS")), "EROFS");
  const wrapped = new RegistryError("storage_unavailable", "No", {}, refused("ENOSPC"));
  assert.is(systemCodeOf(wrapped), "ENOSPC");
  const circle = new Error("circle");
  circle.cause = circle;
  for (
    const error of [circle, undefined, "EROFS", new RegistryError("corrupt", ""), refused("x")]
  ) {
    assert.is(systemCodeOf(error), undefined);
  }
});

test("systemAdvice goes by the code: room helps a full disk alone", () => {
  const full = systemAdvice(refused("ENOSPC")) ?? "";
  assert.ok(full.includes("free space"));
  const others = ["EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "EIO", "ENOENT", "ENOTDIR"];
  for (const code of others) {
    const advice = systemAdvice(refused(code)) ?? "";
    assert.ok(advice !== "" && !advice.includes("free space"), code);
  }
  assert.ok(systemAdvice(refused("EROFS"))?.includes("read-only"));
  assert.ok(systemAdvice(refused("EMFILE"))?.includes("ulimit -n"));
  assert.is(systemAdvice(refused("ESOMETHING")), undefined);
});

test.run();
