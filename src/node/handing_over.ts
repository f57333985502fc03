/**
 * The first step of a node's stop: it hands over what it leads while it still serves, so that callers follow a
 * hint instead of waiting for an election.
 */
import { STOP_HANDOVER_LOOK_MS, STOP_HANDOVER_MS_MAX } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { LeaderBalance } from "../replication/placement/leader_balance.ts";
import type { NodeCluster } from "./node_cluster.ts";

/**
 * Resolves when this node leads nothing that another one is fit to lead, or after a bounded time. Where all
 * nodes stop at once none is fit, and nobody waits.
 *
 * @param cluster undefined at a node that is alone, as the balance is at one that has not opened.
 */
export async function handOver(
  balance: Pick<LeaderBalance, "resign"> | undefined,
  cluster: Pick<NodeCluster, "leave"> | undefined,
  { monotonic, scheduler }: Pick<World, "monotonic" | "scheduler">,
): Promise<void> {
  if (balance === undefined || cluster === undefined) return;
  cluster.leave();
  const untilMs = monotonic.nowMs() + STOP_HANDOVER_MS_MAX;
  while (balance.resign() > 0 && monotonic.nowMs() < untilMs) {
    await new Promise<void>((resolve) => void scheduler.after(STOP_HANDOVER_LOOK_MS, resolve));
  }
}
