/**
 * The commit thread on a folder: its writes, the cases in which it declines, and its reports of
 * failures.
 */
import fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import type { CommitError, CommitPaths } from "../../../src/storage/commit_channel.ts";
import { CommitThread } from "../../../src/storage/commit_thread.ts";
import { until } from "../../support/until.ts";

type Text = { readonly position: number; readonly text: string };

const encoder = new TextEncoder();

/** A running thread, and the paths of two empty files. */
class Bench {
  readonly folder = Deno.makeTempDirSync();
  readonly paths: CommitPaths = { log: `${this.folder}/log`, mark: `${this.folder}/tail` };
  readonly thread = defined(CommitThread.start(), "A thread");

  constructor() {
    for (const path of [this.paths.log, this.paths.mark]) fs.writeFileSync(path, "");
  }

  /** Starts a commit; resolves with its error. Returns undefined if the thread declines. */
  run(log: Text, mark: Text, paths = this.paths): Promise<CommitError | undefined> | undefined {
    const { promise, resolve } = Promise.withResolvers<CommitError | undefined>();
    const commit = {
      position: log.position,
      bytes: encoder.encode(log.text),
      mark: { file: "tail", position: mark.position, bytes: encoder.encode(mark.text) },
    };
    return this.thread.run(paths, commit, resolve) ? promise : undefined;
  }

  /** Performs the first commit, once the thread has started. */
  async first(log: Text, mark: Text): Promise<CommitError | undefined> {
    let outcome: Promise<CommitError | undefined> | undefined;
    await until("a thread that has started", () => {
      outcome = this.run(log, mark);
      return outcome !== undefined;
    }, 20_000);
    return await outcome;
  }

  read(path: string): string {
    return fs.readFileSync(path, "utf8");
  }

  dispose(): void {
    this.thread.close();
    fs.rmSync(this.folder, { recursive: true });
  }
}

const at = (position: number, text: string): Text => ({ position, text });

async function onBench(use: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = new Bench();
  try {
    await use(bench);
  } finally {
    bench.dispose();
  }
}

test("CommitThread writes both files at their positions, commit after commit", () =>
  onBench(async (bench) => {
    assert.is(await bench.first(at(0, "one"), at(0, "mark one")), undefined);
    assert.is(await bench.run(at(3, " two"), at(5, "two")), undefined);
    assert.is(bench.read(bench.paths.log), "one two");
    assert.is(bench.read(bench.paths.mark), "mark two");
  }));

test("CommitThread declines while it is busy, what is too large, and once it was closed", () =>
  onBench(async (bench) => {
    await bench.first(at(0, "one"), at(0, "1"));
    assert.is(bench.run(at(0, "x".repeat(300_000)), at(0, "2")), undefined);
    const running = defined(bench.run(at(0, "two"), at(0, "2")), "A commit");
    assert.is(bench.run(at(0, "three"), at(0, "3")), undefined);
    assert.is(await running, undefined);
    assert.is(bench.read(bench.paths.log), "two");
    bench.thread.close();
    assert.is(bench.run(at(0, "four"), at(0, "4")), undefined);
  }));

test("CommitThread keeps its files open until it is told that they were replaced", () =>
  onBench(async (bench) => {
    await bench.first(at(0, "one"), at(0, "1"));
    fs.renameSync(bench.paths.log, `${bench.folder}/old`);
    fs.writeFileSync(bench.paths.log, "");
    bench.thread.reopen();
    assert.is(await bench.run(at(0, "two"), at(0, "2")), undefined);
    assert.is(bench.read(`${bench.folder}/old`), "one");
    assert.is(bench.read(bench.paths.log), "two");
    const other = { ...bench.paths, log: `${bench.folder}/other` };
    assert.is(await bench.run(at(0, "three"), at(0, "3"), other), undefined);
    assert.is(bench.read(other.log), "three");
  }));

test("CommitThread reports the step that failed, performs none after it, and goes on", () =>
  onBench(async (bench) => {
    await bench.first(at(0, "one"), at(0, "1"));
    const noLog = { ...bench.paths, log: `${bench.folder}/none/log` };
    const write = await bench.run(at(0, "two"), at(0, "2"), noLog);
    assert.equal([write?.step, write?.code], ["write", "ENOENT"]);
    assert.is(bench.read(bench.paths.mark), "1");
    const noMark = { ...bench.paths, mark: bench.folder };
    const mark = await bench.run(at(0, "three"), at(0, "3"), noMark);
    assert.equal([mark?.step, mark?.code], ["mark", "EISDIR"]);
    assert.is(bench.read(bench.paths.log), "three");
    assert.is(await bench.run(at(0, "fo"), at(0, "4")), undefined);
    assert.is(bench.read(bench.paths.log), "foree");
  }));

if (fs.existsSync("/dev/full")) {
  test("CommitThread reports a full disk by its code", () =>
    onBench(async (bench) => {
      await bench.first(at(0, "one"), at(0, "1"));
      const full = { ...bench.paths, log: "/dev/full" };
      const error = await bench.run(at(0, "two"), at(0, "2"), full);
      assert.equal([error?.step, error?.code], ["write", "ENOSPC"]);
    }));
}

test.run();
