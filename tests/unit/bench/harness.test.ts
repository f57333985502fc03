/** The bench harness: a server in a second process, results, tables; and the raw echo, once. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runEcho } from "../../../bench/echo_client.ts";
import { echoFrameBytes } from "../../../bench/echo_frame.ts";
import type { Machine } from "../../../bench/harness.ts";
import {
  machineSentence,
  markdownTable,
  parseFlags,
  residentBytes,
  ResultFile,
  ServerProcess,
} from "../../../bench/harness.ts";

// As in support/deno_run.ts: a program that installs the packages waits for others that do.
const evaluate = (source: string) => ({ args: ["eval", "--node-modules-dir=manual", source] });

test("ServerProcess waits for its ready line, reads its memory and ends it", async () => {
  const server = await ServerProcess.start({
    ...evaluate('console.log("first"); console.log("ready 7"); setInterval(() => {}, 1000)'),
    isReady: (line) => line.startsWith("ready"),
  });
  assert.is(server.readyLine, "ready 7");
  assert.ok(server.readyMs > 0);
  const resident = server.residentBytes();
  assert.ok(resident > 10 * 2 ** 20 && resident < 2 ** 30, `${resident}`);
  const status = await server.stop();
  assert.is(status.signal, "SIGTERM");
  await server.stop();
});

test("ServerProcess refuses a server that ends or does not become ready", async () => {
  const failed = async (source: string, readyMsMax: number) => {
    try {
      await ServerProcess.start({ ...evaluate(source), readyMsMax });
      return "";
    } catch (error) {
      return String((error as Error).cause);
    }
  };
  assert.match(await failed("Deno.exit(3)", 20_000), "The server ended");
  assert.match(
    await failed("setInterval(() => {}, 1000)", 300),
    "The server did not report in time that it serves",
  );
});

test("residentBytes reads this process", () => {
  assert.ok(residentBytes() > 10 * 2 ** 20);
});

test("ResultFile starts anew with the machine and adds lines", async () => {
  const folder = await Deno.makeTempDir({ prefix: "crs-bench-" });
  try {
    const url = new URL(`file://${folder}/results/`);
    new ResultFile("get", "2026-01-01", url).write({ old: true });
    const file = new ResultFile("get", "2026-01-02", url);
    file.write({ p50Us: 1 });
    const lines = Deno.readTextFileSync(file.path).trimEnd().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.is(lines.length, 2);
    assert.is(lines[0].date, "2026-01-02");
    assert.match(machineSentence(lines[0].machine as Machine), Deno.version.deno);
    assert.equal(lines[1], { p50Us: 1 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("markdownTable aligns numbers to the right and groups thousands", () => {
  assert.is(
    markdownTable([["what", "p50"], ["get", 1.234], ["register", 1234567]]),
    [
      "| what     |       p50 |",
      "| -------- | --------: |",
      "| get      |      1.23 |",
      "| register | 1,234,567 |",
    ].join("\n"),
  );
});

test("parseFlags takes known flags and refuses others", () => {
  const defaults = { "reply-bytes": "8", depths: "1" };
  assert.equal(parseFlags(["--reply-bytes=16"], defaults), { "reply-bytes": "16", depths: "1" });
  assert.throws(() => parseFlags(["--replies=16"], defaults), "--reply-bytes=…");
  assert.throws(() => parseFlags(["depths"], defaults), RangeError);
});

test("echoFrameBytes refuses sizes that the framing cannot carry", () => {
  for (const bytes of [8, 201, 65_544, Number.NaN]) {
    assert.throws(() => echoFrameBytes(bytes, "replyBytes"), RangeError);
  }
  assert.is(echoFrameBytes(200, "replyBytes"), 200);
});

test("runEcho answers every request at each depth and size", async () => {
  const sizes = [[16, 16], [200, 360], [65_536, 65_536]] as const;
  const results = await runEcho(sizes.map(([requestBytes, replyBytes], index) => ({
    requestBytes,
    replyBytes,
    depth: [1, 64, 5][index]!,
    seconds: 0.2,
  })));
  for (const result of results) {
    assert.ok(result.operations > 10, JSON.stringify(result));
    assert.ok(result.p50Us > 0 && result.p50Us <= result.p99Us, JSON.stringify(result));
  }
});

test.run();
