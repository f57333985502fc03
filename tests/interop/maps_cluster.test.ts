/**
 * A gateway, agents and a proxy in Go before a cluster of three nodes, while a node is killed, and while the
 * front is: registrations go on, and nothing that was answered is forgotten.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CrsProcess, documentIn } from "../support/crs_process.ts";
import { goProgram } from "../support/go_program.ts";
import { testWith } from "../support/requirement.ts";
import { type RunningCluster, ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const goTest = testWith(await goProgram("./maps"));

/** A client that keeps calling; its output is collected. */
class SteadyClient {
  output = "";
  readonly #ended: Promise<boolean>;

  constructor(client: string, port: number, seconds: number) {
    const child = new Deno.Command(client, {
      args: [`127.0.0.1:${port}`, "-seconds", String(seconds), "steady"],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const read = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        this.output += text;
      }
    })();
    this.#ended = Promise.all([child.status, read]).then(([{ success }]) => success);
  }

  async registered(): Promise<void> {
    await until("the fleet is registered", () => this.output.includes("registered"), 20_000);
  }

  async held(): Promise<void> {
    assert.ok(await this.#ended, this.output);
  }
}

const nodes = await ThreeNodes.open();
let running: RunningCluster | undefined;
let front: { readonly process: CrsProcess; readonly port: number } | undefined;

async function startFront(port = 0): Promise<void> {
  const process = new CrsProcess([
    ...["front", "--data", nodes.folder, "--grpc", `127.0.0.1:${port}`, "--json"],
  ]);
  front = { process, port };
  const { grpc } = await process.printed(
    "a document",
    documentIn<{ readonly grpc: { readonly port: number } }>,
  );
  front = { process, port: grpc.port };
}

test.after(async () => {
  front?.process.kill("SIGKILL");
  await front?.process.ended();
  await nodes.end();
});

goTest("a cluster and a front are started", async () => {
  running = await nodes.start();
  await nodes.spread();
  await startFront();
});

goTest("nothing is lost while a node is killed and comes back", async (client) => {
  const steady = new SteadyClient(client, front!.port, 12);
  await steady.registered();
  await nodes.kill(2);
  await until("the death is told", () => running!.process.stderr.includes("ended by SIGKILL"));
  await nodes.restart(2);
  await steady.held();
});

goTest("nothing is lost while the front is killed and started again", async (client) => {
  const steady = new SteadyClient(client, front!.port, 8);
  await steady.registered();
  const { process, port } = front!;
  process.kill("SIGKILL");
  await process.ended();
  await startFront(port);
  await steady.held();
});

test.run();
