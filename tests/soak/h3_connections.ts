/**
 * Clients that connect by h3 and leave: `deno task soak h3_connections [connections]`, by default
 * 100,000, against a node in its own process that registers a gateway during that time and
 * afterwards.
 */
import { connectRaw } from "../support/raw_quic.ts";
import { crs, startCrs } from "../support/crs_process.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import type { SoakResult } from "./soak.ts";

const AT_ONCE = 48;
const GATEWAY = new URL("../../examples/gateway.json", import.meta.url).pathname;
/** Resident memory afterwards divided by that before. */
const GROWTH_MAX = 1.2;

/** Opens and drops the connections; holds if memory is released and registrations continue. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const connections = Number(args[0] ?? 100_000);
  const folder = await Deno.makeTempDir();
  const { process, node } = await startCrs(folder);
  try {
    const register = async () =>
      (await crs(["gateway", "register", "--file", GATEWAY, "--data", folder, "--json"])).code;
    const codes = [await register()];
    const pin = readNodeFile(folder)!.currentPin;
    const attack = (count: number) => openAndDrop(node.addresses[0]!.port, pin, count);
    // Allocates the memory that a node needs to serve at all, including its first connections.
    await attack(2_000);
    const beforeMiB = residentMiB(process.child.pid);
    const startMs = performance.now();
    const during = new Promise<void>((resolve) => setTimeout(resolve, 5_000)).then(register);
    const failed = await attack(connections);
    const seconds = (performance.now() - startMs) / 1_000;
    const atEndMiB = residentMiB(process.child.pid);
    codes.push(await during, await register());
    const growth = atEndMiB / beforeMiB;
    const figures = {
      connections,
      failed,
      perSecond: Math.round(connections / seconds),
      beforeMiB,
      atEndMiB,
      growth: Math.round(growth * 1_000) / 1_000,
      registrationExitCodes: codes,
    };
    return { figures, holds: growth <= GROWTH_MAX && codes.every((code) => code === 0) };
  } finally {
    process.kill("SIGKILL");
    await process.ended();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Returns the count of refused connections. */
async function openAndDrop(port: number, pin: Uint8Array, count: number): Promise<number> {
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const certificate = { sha256: new Uint8Array(pin) };
  let left = count;
  let failed = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) {
      try {
        (await connectRaw(port, "h3", certificate, endpoint)).close();
      } catch {
        failed++;
      }
    }
  }));
  endpoint.close();
  return failed;
}

function residentMiB(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024);
}
