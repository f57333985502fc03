/**
 * Measures the resident memory of fresh nodes: `deno task soak fresh_node [seconds]`, by default
 * 60.
 *
 * Measures a node with 1,024 partitions and one with 8,192, started as `deno task start` does, and
 * a process of the runtime that runs an empty program. The result is the highest of one reading per
 * second, and the part of the last reading that consists of pages of the program itself, which the
 * system shares and can drop.
 */
import { ServerProcess } from "../../bench/harness.ts";
import { RegistryServer } from "../../bench/registry.ts";
import type { SoakResult } from "./soak.ts";

/** Goals, MiB. */
const FRESH_MAX = 100;
const FRESH_8192_MAX = 130;
const EMPTY = new URL("./empty_runtime.ts", import.meta.url).pathname;

/** Runs the nodes; holds if both stay below their goals. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const seconds = Number(args[0] ?? 60);
  const empty = await ServerProcess.start({ args: ["run", "-A", EMPTY] });
  const servers: RegistryServer[] = [];
  try {
    for (const partitions of [1_024, 8_192]) {
      servers.push(await RegistryServer.start({ flags: ["--partitions", String(partitions)] }));
    }
    const processes = [empty, ...servers.map(({ process }) => process)];
    const highest = processes.map(() => 0);
    for (let second = 0; second < seconds; second++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      processes.forEach((one, at) => highest[at] = Math.max(highest[at]!, one.residentBytes()));
    }
    const [emptyMiB, fresh1024MiB, fresh8192MiB] = highest.map(mebibytes);
    const [emptyFileMiB, fresh1024FileMiB, fresh8192FileMiB] = processes.map(({ pid }) =>
      mebibytes(fileBytes(pid))
    );
    return {
      figures: {
        seconds,
        emptyMiB,
        emptyFileMiB,
        fresh1024MiB,
        fresh1024FileMiB,
        fresh8192MiB,
        fresh8192FileMiB,
        readyMs: servers.map(({ readyMs }) => Math.round(readyMs)),
      },
      holds: fresh1024MiB! < FRESH_MAX && fresh8192MiB! <= FRESH_8192_MAX,
    };
  } finally {
    for (const server of servers) await server.stop();
    await empty.stop("SIGKILL");
  }
}

/** Returns the resident pages of files, mostly the program's own code (proc(5), `RssFile`). */
function fileBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^RssFile:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024;
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
