/**
 * A write to the log that hangs delays only other writes: the node's single thread continues to
 * serve reads.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentInput, spreadId } from "../../bench/fleet.ts";
import { connectTo, newDialer } from "../../bench/registry.ts";
import { startCrs } from "../support/crs_process.ts";
import { GCC, testWith } from "../support/requirement.ts";
import { WriteStaller } from "../support/stalled_write.ts";

const STALL_MS = 1_500;
/** Far longer than a read on a loaded machine, far shorter than the stall. */
const READ_MS_MAX = 600;
const TTL_MS = 60_000;

testWith(GCC)(
  "node serves reads while a write of the log hangs, and acknowledges that write in the end",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const staller = await WriteStaller.compile(folder);
      const { process } = await startCrs(`${folder}/data`, { env: staller.env });
      const dialer = newDialer();
      try {
        const client = await connectTo(`${folder}/data`, dialer);
        const [knownId, laterId] = [spreadId(1, 1), spreadId(1, 2)];
        await client.registerAgent({ ...agentInput(1, TTL_MS, false), id: knownId });
        const began = staller.begin(STALL_MS);
        const written = client.registerAgent({ ...agentInput(2, TTL_MS, false), id: laterId });
        await began;
        let [reads, slowestMs] = [0, 0];
        while (await staller.isStalled()) {
          const startMs = performance.now();
          assert.is((await client.getAgent(knownId)).agent.id, knownId);
          slowestMs = Math.max(slowestMs, performance.now() - startMs);
          reads++;
        }
        assert.ok(reads > 10, `${reads} reads were served during the stall`);
        assert.ok(slowestMs < READ_MS_MAX, `A read took ${slowestMs} ms`);
        await written;
        const { agent } = await client.getAgent(laterId);
        assert.is(agent.id, laterId);
        await client.close();
      } finally {
        await dialer.close();
        process.kill("SIGKILL");
        await process.ended();
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

test.run();
