/**
 * A command of a newer program, of a kind that no replica here knows: each replica of group 0 that comes to
 * apply it must stop, because it would differ from the others if it went on without it.
 */
import { commandCodec } from "../../../schemas/gen/command.ts";
import { Finding } from "../history.ts";
import type { PlacedCluster } from "./cluster.ts";

/** A kind of command of group 0 that no program has. */
const UNKNOWN_KIND = 0xfff0;
const WAIT_MS = 3_000;

/** Logs such a command, and checks what becomes of it. The cluster has no group 0 afterwards. */
export async function proposeNewerCommand(cluster: PlacedCluster): Promise<void> {
  const { machines, world } = cluster;
  const { group } = cluster.systemLeader()?.groups?.system ?? {};
  if (group === undefined) return;
  const before = group.status().lastIndex;
  cluster.stopsGroups = true;
  cluster.systemLeader()!.enter(() => {
    const command = { timeMs: 0, unixS: 0, writer: 0, kind: UNKNOWN_KIND };
    void group.propose(commandCodec.encode(command), WAIT_MS);
  });
  await world.run(world.nowMs + WAIT_MS);
  const wentOn = machines.find(({ groups }) => {
    const status = groups?.system.group.status();
    return status !== undefined && status.role !== "failed" && status.appliedIndex > before;
  });
  if (wentOn === undefined) return;
  throw new Finding(
    "newer_command",
    `Machine ${wentOn.address} went on after a command of group 0 that it does not know`,
  );
}
