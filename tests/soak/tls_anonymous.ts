/**
 * Clients that connect by TLS without a certificate: `deno task soak tls_anonymous [connections]`,
 * by default 60,000, of which a third sends nothing, a third sends junk and a third begins TLS
 * without a certificate. The node has a heap limit of 256 MB; a gateway registers by QUIC
 * throughout.
 */
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { initAuthority } from "../../identity/enrolment/authority_init.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { crs, type CrsProcess, startCrs, type StartedNode } from "../support/crs_process.ts";
import type { SoakResult } from "./soak.ts";

const AT_ONCE = 48;
const V8_FLAGS = "--heap-growing-percent=30,--max-old-space-size=256";
/** Resident memory afterwards divided by that before. */
const GROWTH_MAX = 1.5;
/** Connections before the measurement begins. */
const WARM_UP = 2_000;
/** Time that a silent client stays, ms. */
const SILENT_MS = 20;
/** Time after which a client abandons its connection, ms: the node ends unwanted ones sooner. */
const CONNECTION_MS_MAX = 10_000;

/**
 * Connects all clients; holds if memory is bounded, the node survives and registrations continue.
 */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const connections = Number(args[0] ?? 60_000);
  const folder = await Deno.makeTempDir({ prefix: "crs-soak-" });
  const made = await initAuthority({
    folder: `${folder}/pki`,
    trustDomain: "soak.example",
    region: "eu-1",
    nowMs: Date.now(),
    entropy: processWorld().entropy,
  });
  const { process, node } = await startCrs(`${folder}/data`, {
    v8Flags: V8_FLAGS,
    flags: [
      ...["--authority", made.authorityFolder, "--region", "eu-1", "--found"],
      ...["--tls", "on", "--tls-port", "0", "--log-level", "warn"],
    ],
  });
  try {
    const registrations = await Registrations.begin(folder, made.administratorFolder);
    const { figures, holds } = await measure(process, node, registrations, connections);
    return { figures, holds };
  } finally {
    process.kill("SIGKILL");
    await process.ended();
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure(
  process: CrsProcess,
  node: StartedNode,
  registrations: Registrations,
  connections: number,
): Promise<SoakResult> {
  const { port } = node.tlsAddresses[0]!;
  const { pid } = process.child;
  await attack(port, WARM_UP);
  const before = await memoryMiB(pid, node);
  const peak = { residentMiB: 0 };
  const watch = setInterval(() => {
    peak.residentMiB = Math.max(peak.residentMiB, residentMiB(pid));
  }, 500);
  const stop = registrations.goOn();
  const startMs = performance.now();
  const connected = await attack(port, connections);
  const seconds = (performance.now() - startMs) / 1_000;
  const during = await stop();
  clearInterval(watch);
  const after = await memoryMiB(pid, node);
  const growth = after.residentMiB / before.residentMiB;
  const figures = {
    connections,
    connected,
    perSecond: Math.round(connections / seconds),
    v8Flags: V8_FLAGS,
    warmUp: WARM_UP,
    before,
    peakResidentMiB: peak.residentMiB,
    after,
    growth: Math.round(growth * 1_000) / 1_000,
    keptBytesPerConnection: Math.round(
      (after.residentMiB - before.residentMiB) * 2 ** 20 / connections,
    ),
    registrations: during,
  };
  const holds = connected >= connections * 0.99 && growth <= GROWTH_MAX && during.served > 0 &&
    during.failed === 0;
  return { figures, holds };
}

/**
 * Connects `count` times, some concurrently; resolves when all have ended with the count of
 * connected ones.
 */
async function attack(port: number, count: number): Promise<number> {
  let begun = 0;
  let connected = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (begun < count) if (await comeAndGo(port, begun++)) connected++;
  }));
  return connected;
}

/** Resolves with whether the connection was made. */
function comeAndGo(port: number, index: number): Promise<boolean> {
  const kind = index % 3;
  const target = { host: "127.0.0.1", port };
  return new Promise((resolve) => {
    const socket = kind === 2
      ? connectTls({ ...target, rejectUnauthorized: false, ALPNProtocols: ["crs"] })
      : connectTcp(target);
    let connected = false;
    const giveUp = setTimeout(() => socket.destroy(), CONNECTION_MS_MAX);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(giveUp);
      resolve(connected);
    });
    socket.on("connect", () => {
      connected = true;
      if (kind === 0) setTimeout(() => socket.destroy(), SILENT_MS);
      else if (kind === 1) socket.write("GET / HTTP/1.1\r\n\r\n");
    });
    socket.resume();
  });
}

/** A gateway that registers repeatedly by QUIC. */
class Registrations {
  readonly #args: readonly string[];

  private constructor(args: readonly string[]) {
    this.#args = args;
  }

  static async begin(folder: string, administrator: string): Promise<Registrations> {
    const at = ["--data", `${folder}/data`];
    await must(["identity", "issue", "--identity", administrator, ...at]);
    const printed = await must([
      ...["identity", "join-token", "gateway", "--domain", "g.example"],
      ...["--identity", administrator, ...at, "--json"],
    ]);
    const { token, subject } = JSON.parse(printed);
    const gateway = ["--identity", `${folder}/gateway`];
    await must(["identity", "issue", ...gateway, "--subject", subject, "--token", token, ...at]);
    return new Registrations([
      ...["gateway", "register", ...gateway, "--region", "eu-1", "--domain", "g.example"],
      ...["--address", "192.0.2.1", "--port", "4000", ...at, "--json"],
    ]);
  }

  /** Registers until the returned function is called, which resolves with the results. */
  goOn(): () => Promise<{ readonly served: number; readonly failed: number }> {
    let goesOn = true;
    const tally = { served: 0, failed: 0 };
    const done = (async () => {
      do {
        if ((await crs(this.#args)).code === 0) tally.served++;
        else tally.failed++;
        await new Promise((resolve) => setTimeout(resolve, 3_000));
      } while (goesOn);
      return tally;
    })();
    return () => {
      goesOn = false;
      return done;
    };
  }
}

async function must(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await crs(args);
  if (code !== 0) throw new Error(`crs ${args.slice(0, 2).join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

/** Returns the node's resident memory, used heap, and count of failed handshakes. */
async function memoryMiB(pid: number, { ops }: StartedNode) {
  const text = await (await fetch(`http://${ops.host}:${ops.port}/metrics`)).text();
  const heap = Number(/^process_heap_bytes (\S+)$/m.exec(text)?.[1]);
  const caught = /^crs_errors_caught_total\{stage="handshake"\} (\S+)$/m.exec(text)?.[1];
  return {
    residentMiB: residentMiB(pid),
    heapMiB: Math.round(heap / 2 ** 20),
    failedHandshakes: Number(caught ?? 0),
  };
}

function residentMiB(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024);
}
