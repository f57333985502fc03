/**
 * Runs a relay and a gateway written in Go against a cluster of three, one node of which is killed each
 * minute: `deno task soak go_clients [minutes]`, by default 10.
 *
 * The relay lives by heartbeats alone, as do its agents; the gateway and its agents register again and
 * again, and a proxy resolves them. A killed node is started again after half a minute.
 *
 * Holds if nothing was lost: no relay or agent expired, each was found whenever it was asked for, and
 * nobody waited longer than 15 s for an answer.
 */
import { defined } from "../../src/base/assert.ts";
import { GrpcFront } from "../support/grpc_front.ts";
import { goProgram } from "../support/go_program.ts";
import { SteadyClient } from "../support/steady_client.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import type { SoakResult } from "./soak.ts";

const MINUTE_MS = 60_000;

/** Runs the clients. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const minutes = Number(args[0] ?? 10);
  const programs = await Promise.all(["./relay", "./maps"].map(program));
  let holds = false;
  let kills = 0;
  const outputs: string[] = [];
  await ThreeNodes.run(async (nodes) => {
    await nodes.start();
    await nodes.spread();
    const front = await GrpcFront.start(nodes.folder);
    try {
      const clients = programs.map((path) => new SteadyClient(path, front.port, minutes * 60));
      await Promise.all(clients.map((client) => client.registered()));
      // The last node comes back within the time of the clients.
      for (; kills < minutes; kills++) {
        await paused(MINUTE_MS / 4);
        const number = kills % 3 + 1;
        await nodes.kill(number);
        await paused(MINUTE_MS / 2);
        await nodes.restart(number);
        await paused(MINUTE_MS / 4);
      }
      holds = (await Promise.all(clients.map((client) => client.ended()))).every(Boolean);
      outputs.push(...clients.map(({ output }) => output));
    } finally {
      await front.end();
    }
  });
  for (const output of outputs) console.error(output);
  return { figures: { minutes, kills, outputs }, holds };
}

async function program(folder: string): Promise<string> {
  const { found, advice } = await goProgram(folder);
  return defined(found, advice);
}

function paused(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
