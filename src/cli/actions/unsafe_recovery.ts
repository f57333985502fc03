/**
 * Implements `crs start --unsafe-recover`: says what may be lost, has the operator agree to exactly that, and
 * makes the node's data folder that of a cluster of one node.
 */
import { MemberFolder } from "../../backup/member_folder.ts";
import {
  checkMajorityLost,
  finishInterruptedRecovery,
  planRecovery,
  recoverAlone,
  type RecoveryPlan,
} from "../../backup/unsafe_recovery.ts";
import { groupName } from "../../base/ids.ts";
import type { World } from "../../base/world.ts";
import { processClusterRuntime } from "../../node/cluster_runtime.ts";
import type { NodeConfig } from "../../node/config.ts";
import { usageFailure } from "../failure.ts";
import { indented, table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

/** Flags of a recovery, as typed. */
export interface RecoveryFlags {
  readonly unsafeRecover?: boolean;
  /** The sentence, for scripts. */
  readonly confirm?: string;
}

/**
 * Recovers the data folder, after the operator has agreed.
 *
 * @throws CliFailure `invalid_argument` if he has not; RegistryError as the recovery. Nothing was changed then.
 */
export async function recoverUnsafely(
  config: NodeConfig,
  { confirm }: RecoveryFlags,
  { terminal, world }: { readonly terminal: Terminal; readonly world: World },
): Promise<void> {
  const { data } = config;
  if (finishInterruptedRecovery(data)) {
    terminal.err("The recovery that was interrupted is finished.\n");
    return;
  }
  const folder = await MemberFolder.open(data, world);
  try {
    const plan = planRecovery(folder);
    const dialer = processClusterRuntime({ config, world, onError: () => {} }).peerDialer();
    try {
      await checkMajorityLost(folder, dialer);
    } finally {
      await dialer.close();
    }
    terminal.err(planText(plan));
    const typed = confirm ?? askFor(terminal);
    if (typed.trim() !== plan.sentence) {
      throw usageFailure(
        "The sentence must be the one that is shown: it is not, and nothing was changed",
        "Run the command again and type it exactly, or pass it with --confirm.",
        "confirm",
      );
    }
    const { claims, kept } = await recoverAlone(folder, plan, { data, world });
    terminal.err(
      `Node ${plan.nodeId} continues alone, as generation ${plan.generation}. The former log is kept in ` +
        `${kept}: remove it once nothing is missed.\n` +
        `Domains: ${claims.kept} as they were, ${claims.reclaimed} claimed again, ${claims.dropped} ` +
        `dropped, ${claims.lost.length} lost by agents whose records ended.\n`,
    );
  } finally {
    await folder.close();
  }
}

function askFor(terminal: Terminal): string {
  terminal.err("> ");
  return terminal.readLine();
}

function planText({ nodeId, clusterId, generation, others, lost, sentence }: RecoveryPlan): string {
  const rows = lost.map((group) => [
    groupName(group.group),
    group.voters.join(", "),
    group.last === undefined ? "nothing: all of it is lost" : `index ${group.last.index}`,
    group.last === undefined ? "-" : `index ${group.last.committed}`,
  ]);
  const list = table(["group", "voters", "here up to", "surely committed up to"], rows);
  return `Unsafe recovery of cluster ${clusterId} from node ${nodeId} alone, as generation ` +
    `${generation}.\n\nThese groups have lost their majority:\n\n${indented(list)}\n\n` +
    "Lost for good is every write above these indexes, also if it was acknowledged: registrations, " +
    "removals, bans, and applied descriptors. Writes up to these indexes stay, also those that nobody " +
    "acknowledged. All leases begin anew, and domains are claimed again by the agents that are left.\n\n" +
    `The members ${
      others.join(", ")
    } are removed for good. If any of them ever runs again with its ` +
    "former folder and a majority of the others, there are two clusters of one name: delete their " +
    "folders first. Do this on one node only, the one with the highest indexes.\n\n" +
    `To go on, type:\n\n  ${sentence}\n\n`;
}
