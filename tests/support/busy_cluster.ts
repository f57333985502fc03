/**
 * As many calls as a cluster of this machine takes, to see whether its nodes still support each other
 * in time while they, and the machine, have no time to spare.
 */
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { connect } from "../../src/client/mod.ts";
import { findTarget } from "../../src/cli/target.ts";
import { processWorld } from "../../src/node/process_world.ts";
import type { ClusterNode } from "./three_nodes.ts";

/** Calls in flight: enough to keep nodes and load busy all the time. */
const CALLS = 128;
const TTL_MS = 600_000;
const PLACE = { region: "global", address: "192.0.2.1", port: 1 };

/** The results of a busy time. */
export interface BusyFigures {
  readonly seconds: number;
  readonly calls: number;
  /** Number of times that a node lost the support of another, although all ran. */
  readonly supportLost: number;
}

/** Registers and reads gateways for some seconds without a pause. */
export async function busyCluster(
  folder: string,
  nodes: readonly ClusterNode[],
  seconds: number,
): Promise<BusyFigures> {
  const world = processWorld();
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const client = await connect({ ...findTarget({ data: folder }, {}), dialer, world });
  const before = await supportLost(nodes);
  const endMs = performance.now() + seconds * 1_000;
  let calls = 0;
  const caller = async () => {
    while (performance.now() < endMs) {
      const id = crypto.randomUUID();
      await client.registerGateway({ id, ...PLACE, ttlMs: TTL_MS });
      await client.getGateway(id);
      calls += 2;
    }
  };
  await Promise.all(Array.from({ length: CALLS }, caller));
  const lost = await supportLost(nodes) - before;
  await client.close();
  await dialer.close();
  return { seconds, calls, supportLost: lost };
}

/** Returns how often nodes have lost the support of others since their starts. */
async function supportLost(nodes: readonly ClusterNode[]): Promise<number> {
  const counts = await Promise.all(nodes.map(async ({ ops: { host, port } }) => {
    const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
    const lines = text.matchAll(/^crs_peer_support_ended_total\{.*side="received".*\} (\d+)$/gm);
    return Array.from(lines, ([, count]) => Number(count)).reduce((sum, one) => sum + one, 0);
  }));
  return counts.reduce((sum, one) => sum + one, 0);
}
