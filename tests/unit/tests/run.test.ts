/**
 * The test runner on folders of small test files: its counts, and its detection of every kind of
 * failure, including silent ones. Deadlines are shortened by flags; nothing sleeps.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LONGEST } from "../../run.ts";
import { OMITTED } from "../../runner/sessions.ts";
import { parseTotals, runningTest } from "../../runner/totals.ts";
import { DENO_RUN } from "../../support/deno_run.ts";

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
      args: [...DENO_RUN, RUNNER, `--folder=${folder}`, ...flags],
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    return { code, text, lastLine: text.trimEnd().split("\n").at(-1)! };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("runner counts files that were recorded to have passed without a skip, and runs the others", async () => {
  const record = await Deno.makeTempFile();
  const FAILING = 'test("fails", () => { throw new Error("it ran"); }); test.run();';
  const SKIPPING = `import { testWith } from "${REQUIREMENT}";
    testWith({ found: undefined, advice: "nothing brings it" })("skipped", () => {}); ${ONE} test.run();`;
  try {
    const first = { a: `${ONE} test.run();`, b: SKIPPING, c: FAILING };
    assert.is((await runOn(first, `--record=${record}`)).lastLine, "2 passed, 1 failed, 1 skipped");
    const second = { a: FAILING, b: `${ONE} ${ONE} test.run();`, c: `${ONE} test.run();` };
    const { code, text, lastLine } = await runOn(second, `--recorded=${record}`, "--no-skips");
    assert.is(lastLine, "4 passed, 0 failed");
    assert.match(text, "1 passed before in 1 files");
    assert.is(code, 0);
  } finally {
    await Deno.remove(record);
  }
});

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

/** Statements of a test file: the file in the runner's folder that holds a process id. */
const PID = 'const pid = /.*crs-runner-[^/]*/.exec(import.meta.dirname)[0] + "/pid";';
const WRITES_PID = `${PID} test("one", () => Deno.writeTextFile(pid, "" + Deno.pid));`;
const READS_PID = `${PID} const read = async () => Number(await Deno.readTextFile(pid));`;

test("runner runs the files of a folder one after the other in one process", async () => {
  const outcome = await runOn({
    "unit/room/a": `${WRITES_PID} test.run();`,
    "unit/room/b/c": `${READS_PID} test("same process", async () => {
      if (await read() !== Deno.pid) throw new Error("another process");
    }); test.run();`,
  });
  assert.is(outcome.lastLine, "2 passed, 0 failed", outcome.text);
});

test("runner names the file of each failure, and prints the output of that file only", async () => {
  const outcome = await runOn({
    a: `console.log("from a"); console.error("error of a"); ${ONE} test.run();`,
    b: `console.log("from b"); console.error("error of b");
      test("bad", () => { throw new Error("seen") }); test.run();`,
    c: `console.log("from c"); console.error("error of c"); ${ONE} test.run();`,
  });
  assert.is(outcome.lastLine, "2 passed, 1 failed");
  assert.match(
    outcome.text,
    /ok .*a\.test\.ts {2}1 passed[^]*FAIL .*b\.test\.ts {2}0 passed, 1 failed/,
  );
  for (const text of ["from b", "error of b", "seen"]) assert.match(outcome.text, text);
  assert.not.match(outcome.text, /(from|error of) [ac]/);
});

test("runner fails the file that leaves something open, and not those beside it", async () => {
  const outcome = await runOn({
    a: `${ONE} test.run();`,
    b: 'test("one", () => { setInterval(() => {}, 10); }); test.run();',
    c: `${ONE} test.run();`,
  }, "--grace-ms=3000");
  assert.is(outcome.lastLine, "3 passed, 1 failed");
  assert.match(outcome.text, /FAIL .*b\.test\.ts[^]*left something open/);
  assert.match(outcome.text, /Failed: \S*b\.test\.ts\n/);
});

test("runner ends the file whose deadline passes, and runs those after it", async () => {
  const outcome = await runOn({
    a: `${ONE} test.run();`,
    b: 'test("waits", () => new Promise((end) => setTimeout(end, 60_000))); test.run();',
    c: 'await new Promise(() => {}); test("never loaded", () => {}); test.run();',
    d: `${ONE} test.run();`,
  }, "--file-ms=4000");
  assert.is(outcome.lastLine, "2 passed, 2 failed");
  assert.match(outcome.text, /FAIL .*b\.test\.ts[^]*deadline of 4000 ms while "waits" ran/);
  assert.match(outcome.text, /FAIL .*c\.test\.ts[^]*before its tests did/);
});

test("runner fails a file whose error comes after its tests", async () => {
  const late = `test("one", () => void setTimeout(() => { throw new Error("late") }, 500));`;
  const outcome = await runOn({
    a: `${late} test.run();`,
    b: 'test("one", () => void Promise.reject(new Error("unheard"))); test.run();',
    c: `${ONE} test.run();`,
  });
  assert.is(outcome.lastLine, "3 passed, 2 failed", outcome.text);
  assert.match(outcome.text, /FAIL .*a\.test\.ts[^]*FAIL .*b\.test\.ts[^]*ok .*c\.test\.ts/);
  assert.match(outcome.text, "Its tests passed, but it ended with exit code 1");
});

test("runner hides from a file that failed or changed its surroundings all that follow", async () => {
  const changes = [
    "globalThis.before = 1;",
    "Date.now = () => 1;",
    'Deno.env.set("BEFORE", "1");',
    "Deno.chdir(import.meta.dirname);",
    'globalThis.addEventListener("unhandledrejection", (event) => event.preventDefault());',
    'test("bad", () => { throw 0 });',
  ];
  const reader = `${READS_PID} test("another process", async () => {
    if (await read() === Deno.pid) throw new Error("the same process");
  }); test.run();`;
  for (const change of changes) {
    const outcome = await runOn({ a: `${WRITES_PID} ${change} test.run();`, b: reader });
    const failed = change.includes("bad") ? 1 : 0;
    assert.is(outcome.lastLine, `2 passed, ${failed} failed`, `${change}\n${outcome.text}`);
  }
});

test("runner keeps the tests of a file that does not run them from the next file", async () => {
  const outcome = await runOn({
    a: 'test.before(() => { throw 0 }); test("unrun", () => { throw 0 });',
    b: `${ONE} test.run();`,
  });
  assert.is(outcome.lastLine, "1 passed, 1 failed", outcome.text);
  assert.match(outcome.text, /FAIL .*a\.test\.ts[^]*is test\.run\(\) missing/);
});

test("runner wants a reason for skips from each file of a process", async () => {
  const skipping = `import { program, testWith } from ${JSON.stringify(REQUIREMENT)};
    testWith(program("crs-no-such-tool", "some-package"))("one", () => {}); test.run();`;
  const outcome = await runOn({ a: skipping, b: skipping });
  assert.is(outcome.lastLine, "0 passed, 0 failed, 2 skipped", outcome.text);
  assert.is(outcome.text.split("some-package").length, 3);
});

test("runner omits files that take long, and says so, unless all or theirs are wanted", async () => {
  const [omitted] = Object.keys(OMITTED);
  const files = {
    a: `${ONE} test.run();`,
    [omitted!.replace(/\.test\.ts$/, "")]: `${ONE} ${ONE} test.run();`,
  };
  const short = await runOn(files);
  assert.is(short.lastLine, "1 passed, 0 failed");
  assert.match(short.text, "1 files that take long were omitted: --all runs them");
  for (const wanted of ["--all", "/"]) {
    const { lastLine, text } = await runOn(files, wanted);
    assert.is(lastLine, "3 passed, 0 failed");
    assert.not.match(text, "omitted");
  }
});

test("runner tries all cases of properties only on request, and records no others", async () => {
  const record = await Deno.makeTempFile();
  const cases = new URL("../../support/cases.ts", import.meta.url).href;
  const file = `import { cases } from "${cases}";
    console.log("skipped: of 20 cases", 20 - cases(20)); test.skip("shown"); ${ONE} test.run();`;
  try {
    for (const [flags, left] of [[[], 15], [["--all"], 0]] as const) {
      const files = { "fuzz/a": file, "fuzz/b": `${ONE} test.run();` };
      const { text } = await runOn(files, `--record=${record}`, ...flags);
      assert.match(text, `of 20 cases ${left}\n`);
      const recorded = JSON.parse(await Deno.readTextFile(record));
      assert.equal(recorded, left === 0 ? { "fuzz/b.test.ts": 1 } : {});
    }
  } finally {
    await Deno.remove(record);
  }
});

test("each omitted file exists, and what tests the same in every run is not omitted", () => {
  const exists = (file: string) => Deno.statSync(new URL(`../../${file}`, import.meta.url)).isFile;
  for (const [file, instead] of Object.entries(OMITTED)) {
    assert.ok(exists(file), file);
    for (const other of instead.split(", ")) {
      assert.ok(exists(other) && !(other in OMITTED), `${other}, instead of ${file}`);
    }
  }
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
  assert.is(runningTest([{ file: 0, event: "start", name: "a" }]), "a");
  const both = (["start", "end"] as const).map((event) => ({ file: 0, event, name: "a" }));
  assert.is(runningTest(both), undefined);
});

test.run();
