/**
 * A node that is started while its disk is full: it serves reads, refuses writes, ends when told
 * to, and accepts writes again when there is room.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentInput, spreadId } from "../../bench/fleet.ts";
import { connectTo, newDialer } from "../../bench/registry.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { Client } from "../../src/client/mod.ts";
import { type CrsProcess, startCrs } from "../support/crs_process.ts";
import { testWith } from "../support/requirement.ts";
import { MOUNT, onSmallDisk } from "../support/small_disk.ts";
import { until } from "../support/until.ts";

const FLAGS = ["--partitions", "4"];
const TTL_MS = 600_000;
/** Time for which the client here retries requests that a full disk refused. */
const RETRIED_MS = 1_000;
const SEGMENT = "log/log-0000000000000000.wal";

/** Fills the disk, including the space that the log preallocated. */
async function fill(data: string, filler: string): Promise<void> {
  const bytes = await Deno.readFile(`${data}/${SEGMENT}`);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  await Deno.truncate(`${data}/${SEGMENT}`, Math.ceil(end / 4096) * 4096);
  const file = await Deno.open(filler, { write: true, create: true });
  try {
    for (;;) await file.write(new Uint8Array(4096));
  } catch (error) {
    assert.is((error as { code?: string }).code, "ENOSPC");
  } finally {
    file.close();
  }
}

/** Returns the code with which a registration is refused; `undefined` if it succeeds. */
async function refusal(
  client: Client,
  number: number,
  timeoutMs = 20_000,
): Promise<string | undefined> {
  try {
    const agent = { ...agentInput(number, TTL_MS, false), id: spreadId(1, number) };
    await client.registerAgent(agent, { timeoutMs });
    return undefined;
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  }
}

async function readiness(host: string, port: number): Promise<string> {
  return await (await fetch(`http://${host}:${port}/readyz`)).text();
}

testWith(MOUNT)(
  "node started on a full disk serves reads, ends on SIGTERM, and writes when there is room",
  () =>
    onSmallDisk(8 << 20, async (disk) => {
      const [data, filler] = [`${disk}/data`, `${disk}/filler`];
      const dialer = newDialer();
      const processes: CrsProcess[] = [];
      const start = async () => {
        const started = await startCrs(data, { flags: FLAGS });
        processes.push(started.process);
        return { ...started, client: await connectTo(data, dialer) };
      };
      try {
        const first = await start();
        assert.is(await refusal(first.client, 1), undefined);
        await first.client.close();
        first.process.kill("SIGKILL");
        await first.process.ended();
        await fill(data, filler);

        const full = await start();
        const { agent } = await full.client.getAgent(spreadId(1, 1));
        assert.is(agent.id, spreadId(1, 1));
        assert.is(await refusal(full.client, 2, RETRIED_MS), "storage_unavailable");
        const { host, port } = full.node.ops;
        assert.match(await readiness(host, port), /disk/);
        await full.client.close();
        full.process.kill("SIGTERM");
        assert.is((await full.process.ended()).code, 0);

        const freed = await start();
        assert.is((await freed.client.getAgent(spreadId(1, 1))).agent.id, spreadId(1, 1));
        await Deno.remove(filler);
        await until(
          "writes go on",
          async () => await refusal(freed.client, 2) === undefined,
          20_000,
        );
        await freed.client.close();
      } finally {
        await dialer.close();
        for (const process of processes) process.kill("SIGKILL");
        await Promise.all(processes.map((process) => process.ended()));
      }
    }),
);

test.run();
