/**
 * A command of a newer program, of a kind that no replica here knows: each replica of its group that comes
 * to apply it must stop, because it would differ from the others if it went on without it.
 */
import { commandCodec } from "../../../schemas/gen/command.ts";
import { partitionId } from "../../../src/base/ids.ts";
import { PARTITION_COMMAND_KIND_MAX } from "../../../src/record/command.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import type { RaftGroup } from "../../../src/replication/group.ts";
import { Finding } from "../history.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";
import type { NewerCommandGroup } from "./plan.ts";

/** Kinds of commands that no program has. */
const UNKNOWN_KINDS: Readonly<Record<NewerCommandGroup, number>> = {
  "group 0": 0xfff0,
  "a partition": PARTITION_COMMAND_KIND_MAX,
};
const WAIT_MS = 3_000;

/** Logs such a command, and checks what becomes of it. The group is gone afterwards. */
export async function proposeNewerCommand(
  cluster: PlacedCluster,
  where: NewerCommandGroup,
): Promise<void> {
  const { machines, world } = cluster;
  const leader = leaderOf(cluster, where);
  const group = leader?.groups && groupIn(leader.groups, where);
  if (leader === undefined || group === undefined) return;
  const before = group.status().lastIndex;
  cluster.stopsGroups = true;
  leader.enter(() => {
    const command = { timeMs: 0, unixS: 0, writer: 0, kind: UNKNOWN_KINDS[where] };
    void group.propose(commandCodec.encode(command), WAIT_MS);
  });
  await world.run(world.nowMs + WAIT_MS);
  const wentOn = machines.find(({ groups }) => {
    const status = groups && groupIn(groups, where)?.status();
    return status !== undefined && status.role !== "failed" && status.appliedIndex > before;
  });
  if (wentOn === undefined) return;
  throw new Finding(
    "newer_command",
    `Machine ${wentOn.address} went on after a command of ${where} that it does not know`,
  );
}

function leaderOf(cluster: PlacedCluster, where: NewerCommandGroup): PlacedMachine | undefined {
  return where === "group 0" ? cluster.systemLeader() : cluster.leaderOf(0)?.machine;
}

function groupIn(
  groups: ClusterGroups,
  where: NewerCommandGroup,
): RaftGroup<unknown> | undefined {
  return where === "group 0" ? groups.system.group : groups.partition(partitionId(0))?.group;
}
