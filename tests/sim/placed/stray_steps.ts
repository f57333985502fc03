/**
 * Steps of writes that a node takes for a record that it does not hold, as a node with an old view would,
 * or a stolen one: the node that is asked must refuse them.
 */
import { KIND_AGENT } from "../../../src/record/key.ts";
import { ALIAS_STATES } from "../../../schemas/gen/record.ts";
import { Finding } from "../history.ts";
import { aliasAt } from "./claims.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";

const TIMEOUT_MS = 1_000;

/** Asks the leader of a domain to confirm its claim, from a machine that does not hold the agent that has it. */
export function strayStep(cluster: PlacedCluster, from: PlacedMachine, domain: string): void {
  const { alias, leader } = aliasAt(cluster, domain) ?? {};
  if (alias === undefined || leader === undefined || leader === from) return;
  // Confirming it again changes nothing, in case the machine holds the record by the time it is asked.
  if (alias.state === ALIAS_STATES.pending) return;
  const { agentId, claim } = alias;
  const mayAsk = () => {
    const { groups, table } = leader.registry ?? {};
    const partition = table?.of(KIND_AGENT, agentId).id;
    return partition === undefined || groups!.nodesOf(partition).includes(from.nodeId);
  };
  if (mayAsk()) return;
  from.enter(({ calls }) => {
    calls?.call(leader.nodeId, "confirmClaim", { agentId, claim, domain }, TIMEOUT_MS).then(
      () => {
        // It may have become a holder meanwhile.
        if (mayAsk()) return;
        const what = `Machine ${leader.address} took a step for machine ${from.address}, which ` +
          "does not hold its agent";
        cluster.world.fail(new Finding("stray_steps", what));
      },
      () => {},
    );
  });
}
