/** A node that receives SIGUSR1, as tools that rotate logs send it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { startCrs } from "../support/crs_process.ts";
import { listeningPorts } from "../support/listening_ports.ts";
import { PROC, testWith } from "../support/requirement.ts";
import { until } from "../support/until.ts";

/** Deno handles the signal from half a second after its start on; its reaction takes a moment. */
const ANSWER_MS = 1_500;

const procTest = testWith(PROC);

procTest(
  "crs start opens no debugger at SIGUSR1, however often it comes, and lives on",
  async () => {
    const folder = await Deno.makeTempDir();
    const { process, node } = await startCrs(folder, { flags: ["--partitions", "8"] });
    try {
      const { pid } = process.child;
      const endMs = performance.now() + ANSWER_MS;
      await until("signals were sent for long enough", () => {
        process.kill("SIGUSR1");
        return performance.now() > endMs;
      });
      assert.equal(listeningPorts(pid), [node.ops.port]);
      assert.not.match(process.stderr, /debugger|inspector/i);
      const health = await fetch(`http://127.0.0.1:${node.ops.port}/healthz`);
      assert.is(health.status, 200);
      await health.body?.cancel();
    } finally {
      process.kill("SIGKILL");
      await process.ended();
      await Deno.remove(folder, { recursive: true });
    }
  },
);

test.run();
