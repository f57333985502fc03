/** The processes of the benches of the HTTP face: a front beside a node, and the bare server. */
import { FRONT_V8_FLAGS } from "../src/cli/child_command.ts";
import { until } from "./cluster/polling.ts";
import { freePorts } from "./cluster/ports.ts";
import { ServerProcess } from "./harness.ts";

/** Time that a front has until it serves, ms. */
const MS_MAX = 60_000;
const EXTRA_WORK = new URL("http_extra_work.ts", import.meta.url).pathname;

/** A server and its port on this machine. */
export interface HttpServer {
  readonly process: ServerProcess;
  readonly port: number;
}

/**
 * Starts a front with the flags of one that runs beside a node; resolves once it has the governed log.
 *
 * @param folder the data folder of the node.
 * @param extraUs further work of each answer, µs.
 */
export async function startFront(folder: string, extraUs = 0): Promise<HttpServer> {
  const main = new URL("../src/cli/main.ts", import.meta.url).pathname;
  const port = freePorts(1);
  const address = `127.0.0.1:${port}`;
  const process = await ServerProcess.start({
    args: [
      ...["run", "-A", FRONT_V8_FLAGS, ...(extraUs > 0 ? ["--preload", EXTRA_WORK] : [])],
      ...[main, "front", "--http", address, "--data", folder, "--json"],
    ],
    env: { EXTRA_WORK_US: `${extraUs}` },
  });
  await until("the front serves", () => isServed(port), MS_MAX);
  return { process, port };
}

/** Starts the bare server, with answers of that many bytes. */
export async function startBareServer(answerBytes: number): Promise<HttpServer> {
  const program = new URL("http_floor.ts", import.meta.url).pathname;
  const process = await ServerProcess.start({ args: ["run", "-A", program, `${answerBytes}`] });
  const { port } = JSON.parse(process.readyLine) as { readonly port: number };
  return { process, port };
}

async function isServed(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/registry/version`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    // It does not listen yet.
    return false;
  }
}
