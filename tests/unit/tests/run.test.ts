/**
 * The test runner on folders of small test files: its counts, and its detection of every kind of
 * failure, including silent ones. Deadlines are shortened by flags; nothing sleeps.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LONGEST } from "../../run.ts";
import { parseTotals, runningTest } from "../../runner/totals.ts";

const RUNNER = new URL("../../run.ts", import.meta.url).pathname;
const REQUIREMENT = new URL("../../support/requirement.ts", import.meta.url).href;
const ONE = 'test("a passing test", () => {});';
const HEAD = 'import { suite, test } from "uvu";\nsuite;\n';

interface Outcome {
  readonly code: number;
  readonly text: string;
  readonly lastLine: string;
}

/** Runs the runner on a folder with these files (name without `.test.ts` → source). */
async function runOn(files: Record<string, string>, ...flags: string[]): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "crs-runner-" });
  try {
    for (const [name, source] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${name}.test.ts`, HEAD + source);
    }
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", RUNNER, `--folder=${folder}`, ...flags],
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    return { code, text, lastLine: text.trimEnd().split("\n").at(-1)! };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("runner adds up files and exits 0 when all passed", async () => {
  const outcome = await runOn({
    a: 'test("one", () => {}); test("two", async () => { await 0; }); test.run();',
    "cluster/b": `console.log("skipped: no x"); test.skip("four"); ${ONE} test.run();`,
  });
  assert.is(outcome.lastLine, "3 passed, 0 failed, 1 skipped");
  assert.is(outcome.code, 0);
});

test("runner counts a file that skips as a whole as skipped, and says what would bring it back", async () => {
  const outcome = await runOn({
    a: `import { program, testWith } from ${JSON.stringify(REQUIREMENT)};
      const toolTest = testWith(program("crs-no-such-tool", "some-package"));
      for (const name of ["one", "two"]) toolTest(name, () => { throw new Error("ran"); });
      test.run();`,
  });
  assert.is(outcome.lastLine, "0 passed, 0 failed, 2 skipped");
  assert.is(outcome.code, 0);
  const said = outcome.text.split("\n").filter((line) => line.includes("some-package"));
  assert.equal(said, [
    "     skipped: the program crs-no-such-tool is missing; Debian's package some-package brings it",
  ]);
});

test("runner fails each skipped test under --no-skips, and no other", async () => {
  const skipping = `console.log("skipped: no x"); test.skip("four"); ${ONE} test.run();`;
  const outcome = await runOn({ a: skipping, b: `${ONE} test.run();` }, "--no-skips");
  assert.is(outcome.lastLine, "2 passed, 1 failed");
  assert.match(outcome.text, "1 of its tests were skipped, and --no-skips allows none");
  assert.is(outcome.code, 1);
});

test("runner fails a skip without its line, and a line without its skip", async () => {
  const outcome = await runOn({
    a: `test.skip("four"); ${ONE} test.run();`,
    b: 'test("returns early", () => console.log("skipped: no x")); test.run();',
  });
  assert.is(outcome.lastLine, "2 passed, 2 failed, 1 skipped");
  assert.match(outcome.text, "without saying what would bring them back");
  assert.match(outcome.text, "counts no test as skipped");
  assert.is(outcome.code, 1);
});

test("runner prints a failure in full and exits 1", async () => {
  const outcome = await runOn({
    a: 'test("one", () => {}); test("bad", () => { throw new Error("seen") }); test.run();',
  });
  assert.is(outcome.lastLine, "1 passed, 1 failed");
  assert.match(outcome.text, '"bad"');
  assert.match(outcome.text, "seen");
  assert.is(outcome.code, 1);
});

test("runner exits 1 when no file matches, and when a file runs no test", async () => {
  const none = await runOn({ a: 'test("one", () => {}); test.run();' }, "no-such-file");
  assert.is(none.lastLine, "0 passed, 0 failed");
  assert.is(none.code, 1);
  const unrun = await runOn({ a: 'test("one", () => {});' });
  assert.is(unrun.lastLine, "0 passed, 1 failed");
  assert.is(unrun.code, 1);
  const saysSkipped = await runOn({ a: `console.log("skipped: no x"); ${ONE}` });
  assert.is(saysSkipped.lastLine, "0 passed, 1 failed");
  assert.match(saysSkipped.text, "is test.run() missing");
});

test("runner fails a late test by name and goes on with the next, suites included", async () => {
  const outcome = await runOn({
    a: 'const late = suite("s"); late("stuck", () => new Promise(() => {}));' +
      'late("next", () => {}); late.run();',
  }, "--test-ms=200");
  assert.is(outcome.lastLine, "1 passed, 1 failed");
  assert.match(outcome.text, '"stuck" did not end within 200 ms');
});

test("runner kills a file in an endless loop and names the test", async () => {
  const outcome = await runOn({
    a: 'test("one", () => {}); test("spins", () => { for (;;); }); test.run();',
  }, "--file-ms=1500");
  assert.is(outcome.lastLine, "1 passed, 1 failed");
  assert.match(outcome.text, 'while "spins" ran');
  assert.is(outcome.code, 1);
});

test("runner fails a file that leaves something open", async () => {
  const outcome = await runOn({
    a: 'test("one", () => { setInterval(() => {}, 10); }); test.run();',
  }, "--grace-ms=200");
  assert.is(outcome.lastLine, "1 passed, 1 failed");
  assert.match(outcome.text, "left something open");
});

test("runner sees tests that a throwing hook dropped in silence", async () => {
  const outcome = await runOn({
    a: 'test.before(() => { throw new Error("no disk") }); test("one", () => {});' +
      'test("two", () => {}); test.run();',
  });
  assert.is(outcome.lastLine, "0 passed, 2 failed");
  assert.match(outcome.text, "no disk");
  assert.is(outcome.code, 1);
});

test("runner fails a file that dies before its tests end", async () => {
  const outcome = await runOn({
    a: 'test("one", () => {}); test("dies", () => { Deno.exit(0); }); test.run();',
    b: 'import "./missing.ts"; test("one", () => {}); test.run();',
    // The test waits, so that the rejection ends the file before it.
    c: 'test("one", () => new Promise(() => void Promise.reject(new Error("unheard"))));' +
      "test.run();",
  });
  assert.is(outcome.lastLine, "1 passed, 3 failed");
  assert.match(outcome.text, 'while "dies" ran');
});

test("runner ends the processes that a killed file started", async () => {
  const outcome = await runOn({
    a: `test("spawns", async () => {
      const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
      console.log("child", child.pid);
      await child.status;
    }); test.run();`,
  }, "--file-ms=1500");
  const pid = Number(/child (\d+)/.exec(outcome.text)?.[1]);
  const state = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "gone");
  assert.ok(state === "gone" || / Z /.test(state), state);
});

test("LONGEST names existing files", () => {
  for (const file of LONGEST) {
    assert.ok(Deno.statSync(new URL(`../../../${file}`, import.meta.url)).isFile, file);
  }
});

test("parseTotals reads coloured output and takes the last totals", () => {
  const fake = "\n  Total:     9\n  Passed:    9\n  Skipped:   0\n  Duration:  1.00ms\n\n";
  const real =
    "  Total:     3\u001b[31m\n  Passed:    1\u001b[39m\n  Skipped:   2\n  Duration:  2ms\n";
  assert.equal(parseTotals(fake + real), { passed: 1, failed: 2, skipped: 2 });
  assert.is(parseTotals(fake.slice(0, -20)), undefined);
});

test("runningTest is the last that started and did not end", () => {
  assert.is(runningTest([{ event: "start", name: "a" }]), "a");
  assert.is(runningTest([{ event: "start", name: "a" }, { event: "end", name: "a" }]), undefined);
});

test.run();
