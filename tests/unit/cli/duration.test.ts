/** Durations as entered and as printed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { formatDuration, parseDuration } from "../../../src/cli/duration.ts";

const ANY = { min: 1, max: 86_400_000 };

test("parseDuration takes a number alone as seconds", () => {
  assert.is(parseDuration("30", "--ttl", ANY), 30_000);
  assert.is(parseDuration("0.25", "--ttl", ANY), 250);
  assert.is(parseDuration("1.001", "--ttl", ANY), 1_001);
  assert.is(parseDuration("16.1", "--ttl", ANY), 16_100);
});

test("parseDuration takes units", () => {
  assert.equal(
    ["250ms", "5s", "2m", "1.5h", "1d"].map((text) => parseDuration(text, "--ttl", ANY)),
    [250, 5_000, 120_000, 5_400_000, 86_400_000],
  );
});

test("parseDuration refuses what is none or out of bounds, and names the flag", () => {
  for (
    const text of ["", "x", "-1", "1w", "1e3", "0", "25h", "1 s", "1.5ms", "0.0015", "9".repeat(13)]
  ) {
    assert.throws(
      () => parseDuration(text, "--ttl", ANY),
      (error: { code?: string; message: string; fields: { field?: string } }) =>
        error.code === "invalid_argument" && error.message.includes("--ttl") &&
        error.message.includes(JSON.stringify(text)) && error.fields.field === "ttl",
      text,
    );
  }
});

test("formatDuration shows the two largest units", () => {
  const shown: [number, string][] = [
    [0, "0 ms"],
    [250.4, "250 ms"],
    [2_440, "2.4 s"],
    [9_960, "10 s"],
    [30_100, "30 s"],
    [59_600, "1 m"],
    [310_000, "5 m 10 s"],
    [7_200_000, "2 h"],
    [86_400_000 + 3_600_000, "1 d 1 h"],
  ];
  for (const [ms, text] of shown) assert.is(formatDuration(ms), text);
});

test.run();
