/** Log lines: levels, facts, errors, and that no value can forge a line. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { type LogLevel, SILENT_LOGGER } from "../../../src/base/logger.ts";
import { createLogger, type LogFormat, logFormatOf } from "../../../src/node/logger.ts";

function capture(format: LogFormat, level: LogLevel = "info") {
  const lines: string[] = [];
  return { lines, logger: createLogger({ level, format, write: (line) => lines.push(line) }) };
}

test("createLogger json writes one object a line with level, time, message and facts", () => {
  const { lines, logger } = capture("json");
  logger.child({ room: "wal" }).warn("cut", { bytes: 12 });
  assert.is(lines.length, 1);
  assert.match(lines[0]!, /\n$/);
  const { time, ...rest } = JSON.parse(lines[0]!);
  assert.match(time, /^\d{4}-\d\d-\d\dT/);
  assert.equal(rest, { level: "warn", room: "wal", bytes: 12, msg: "cut" });
});

test("createLogger writes at its level and above", () => {
  const { lines, logger } = capture("json", "warn");
  logger.trace("1");
  logger.debug("2");
  logger.info("3");
  logger.warn("4");
  logger.error("5");
  assert.equal(lines.map((line) => JSON.parse(line).msg), ["4", "5"]);
  const silent = capture("json", "silent");
  silent.logger.error("6");
  assert.is(silent.lines.length, 0);
});

test("createLogger tells an error's code, fields and causes", () => {
  const { lines, logger } = capture("json");
  const error = new RegistryError("corrupt", "no", { field: "a" }, new TypeError("inner"));
  logger.error("failed", { error });
  const told = JSON.parse(lines[0]!).error;
  assert.is(told.code, "corrupt");
  assert.is(told.field, "a");
  assert.is(told.cause.name, "TypeError");
  assert.match(told.cause.stack, /inner/);
});

test("createLogger tells the code of a refusal of the system, and reads no stack of it", () => {
  const { lines, logger } = capture("json");
  const refusal = Object.assign(new Error("too many open files"), { code: "EMFILE" });
  Object.defineProperty(refusal, "stack", { get: () => assert.unreachable("The stack was read") });
  logger.error("failed", { error: refusal });
  const message = "too many open files";
  assert.equal(JSON.parse(lines[0]!).error, { name: "Error", message, code: "EMFILE" });
});

test("createLogger survives facts that JSON cannot hold", () => {
  const { lines, logger } = capture("json");
  const loop: Record<string, unknown> = { big: 1n };
  loop.self = loop;
  logger.info("odd", { loop, error: "just text" });
  assert.is(JSON.parse(lines[0]!).error, "just text");
  let error = new Error("0");
  for (let depth = 1; depth < 100; depth++) error = new Error(String(depth), { cause: error });
  logger.info("deep", { error });
  assert.ok(lines[1]!.length < 10_000);
});

test("createLogger text is one readable line that no value can break or forge", () => {
  const { lines, logger } = capture("text");
  logger.info("started", { port: 4443, region: "eu-1", name: "a b" });
  assert.match(
    lines[0]!,
    /^\d\d:\d\d:\d\d\.\d{3} info {2}started {2}port=4443 {2}region=eu-1 {2}name="a b"\n$/,
  );
  logger.warn("bad\nname \u001b[31m", { value: "x\n12:00:00 error forged", c1: "\u009b31m" });
  assert.is(lines[1]!.indexOf("\n"), lines[1]!.length - 1);
  // deno-lint-ignore no-control-regex
  assert.not.match(lines[1]!.slice(0, -1), /[\u0000-\u001f\u007f-\u009f]/);
});

test("logFormatOf auto is text at a terminal, and a named format stays", () => {
  assert.is(logFormatOf("auto", true), "text");
  assert.is(logFormatOf("auto", false), "json");
  assert.is(logFormatOf("json", true), "json");
  assert.is(logFormatOf("text", false), "text");
});

test("SILENT_LOGGER writes nothing and has children", () => {
  SILENT_LOGGER.child({ a: 1 }).error("x");
});

test.run();
