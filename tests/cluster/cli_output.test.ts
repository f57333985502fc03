/** Output that cannot be written, and a reader that went away, with real processes of a shell. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cleanEnvironment } from "../support/crs_process.ts";
import { within } from "../support/until.ts";
import { DENO_RUN } from "../support/deno_run.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const DEADLINE_MS = 30_000;

/** Runs `crs <args> <redirection>` in a shell. */
async function inShell(args: string, redirection: string) {
  const line = `"$0" ${DENO_RUN.join(" ")} "$1" ${args} ${redirection}`;
  const child = new Deno.Command("bash", {
    args: ["-o", "pipefail", "-c", line, Deno.execPath(), MAIN],
    env: cleanEnvironment(),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await within(line, child.output(), DEADLINE_MS);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

test("a full standard output ends a command with one plain line and exit code 4", async () => {
  const runs = ["config", "config --json", "--help", "config --config /nope --json"];
  for (
    const { code, stderr } of await Promise.all(runs.map((args) => inShell(args, ">/dev/full")))
  ) {
    assert.is(code, 4, stderr);
    const lines = stderr.trimEnd().split("\n");
    assert.is(lines.length, 1, stderr);
    assert.match(
      lines[0]!,
      /^error: cannot write standard output: .*; the disk is full: free space on it$/,
    );
  }
});

test("a reader that went away, and a full standard error, end nothing badly", async () => {
  const [cut, muted] = await Promise.all([
    inShell("config --json", "| true"),
    inShell("config --nope", "2>/dev/full"),
  ]);
  assert.equal([cut.code, cut.stderr], [0, ""]);
  assert.equal([muted.code, muted.stderr], [2, ""]);
});

test("a node whose output is lost serves until it is told to end, and ends with exit code 4", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const node = `start --data ${folder} --port 0 --ops-port 0 --partitions 2 --stop-with-stdin`;
    // Its standard input ends as soon as it has started.
    const { code, stderr } = await inShell(node, ">/dev/full");
    assert.is(code, 4, stderr);
    assert.match(stderr, /"Stopped"/);
    assert.is(stderr.match(/cannot write standard output/g)?.length, 1, stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test.run();
