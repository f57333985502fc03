/** A real node that runs out of file descriptors, and the state of its TCP ports afterwards. */
import { connect, type Socket } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { initAuthority } from "../../identity/enrolment/authority_init.ts";
import {
  type CrsOptions,
  type CrsProcess,
  startCrs,
  type StartedNode,
} from "../support/crs_process.ts";
import { testWorld } from "../support/production_world.ts";
import { until } from "../support/until.ts";

const DEADLINE_MS = 30_000;
/** Fewer than the node has open, so that it cannot accept any connection. */
const TOO_FEW = 16;

async function withNode(
  options: CrsOptions,
  run: (node: StartedNode, process: CrsProcess) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "crs-descriptors-" });
  const { authorityFolder } = await initAuthority({
    ...{ folder: `${folder}/pki`, trustDomain: "test.example", region: "eu-1" },
    ...{ nowMs: Date.now(), entropy: testWorld().entropy },
  });
  const identity = [
    "--authority",
    authorityFolder,
    "--region",
    "eu-1",
    "--found",
    "--partitions",
    "8",
  ];
  const { process, node } = await startCrs(`${folder}/data`, {
    ...options,
    flags: [...identity, "--tls", "on", "--tls-port", "0"],
  });
  try {
    await run(node, process);
  } finally {
    process.kill("SIGKILL");
    await process.ended();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Limits the number of descriptors of a running process. */
async function limitDescriptors(pid: number, soft: number): Promise<void> {
  const args = [`--pid=${pid}`, `--nofile=${soft}:`];
  const { code, stderr } = await new Deno.Command("prlimit", { args }).output();
  assert.is(code, 0, new TextDecoder().decode(stderr));
}

/** Connects without sending anything; resolves when the connection is established. */
function idle(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.on("error", reject);
  });
}

/**
 * Reports whether a TLS port answers: junk ends the connection at once, and nothing happens if the
 * port does not accept.
 */
function answersTls(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
    const end = (answers: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answers);
    };
    const timer = setTimeout(() => end(false), 500);
    socket.on("data", () => end(true));
    socket.on("close", () => end(true));
    socket.on("error", () => end(false));
  });
}

async function get(ops: StartedNode["ops"], path: string): Promise<string> {
  try {
    const signal = AbortSignal.timeout(500);
    return await (await fetch(`http://127.0.0.1:${ops.port}${path}`, { signal })).text();
  } catch (error) {
    return String(error);
  }
}

test("a node whose accept loops ended for want of descriptors listens again, and counts it", () =>
  withNode({}, async ({ ops, tlsAddresses }, process) => {
    const tlsPort = tlsAddresses[0]!.port;
    const pid = process.child.pid;
    const limits = Deno.readTextFileSync(`/proc/${pid}/limits`);
    const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)![1]);
    await limitDescriptors(pid, TOO_FEW);
    const waiting = await Promise.all([idle(ops.port), idle(tlsPort)]);
    const tells = () => process.stderr.includes("accepts no connections");
    await until("the log tells of it", tells, DEADLINE_MS);
    await limitDescriptors(pid, soft);
    for (const socket of waiting) socket.destroy();
    const answers = async () => (await get(ops, "/readyz")).includes('"ready"');
    await until("the operator's port answers, and the node is ready", answers, DEADLINE_MS);
    await until("TLS answers", () => answersTls(tlsPort), DEADLINE_MS);
    const metrics = await get(ops, "/metrics");
    assert.match(metrics, /crs_ports_reopened_total\{port="ops"\} [1-9]/);
    assert.match(metrics, /crs_ports_reopened_total\{port="tls"\} [1-9]/);
  }));

test("a node with few descriptors answers its operator under a burst of idle connections", () =>
  withNode({ openFilesMax: 128 }, async ({ ops, tlsAddresses }) => {
    const tlsPort = tlsAddresses[0]!.port;
    const ports = Array.from({ length: 400 }, (_, index) => index % 2 === 0 ? ops.port : tlsPort);
    const sockets = ports.map((port) => connect(port, "127.0.0.1").on("error", () => {}).resume());
    const answers = async () => (await get(ops, "/healthz")).includes('"ok"');
    await until("the operator's port answers meanwhile", answers, DEADLINE_MS);
    for (const socket of sockets) socket.destroy();
    await until("it answers afterwards", answers, DEADLINE_MS);
    await until("TLS answers", () => answersTls(tlsPort), DEADLINE_MS);
  }));

test.run();
