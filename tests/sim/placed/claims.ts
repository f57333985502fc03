/** Whether the claims on domains are settled at the leaders of their partitions. */
import { parseUuid } from "../../../src/base/uuid.ts";
import { samePosition } from "../../../src/base/position.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS } from "../../../src/record/key.ts";
import type { Partition } from "../../../src/serving/partitions.ts";
import { ALIAS_STATES } from "../../../schemas/gen/record.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";

/**
 * Returns a claim that is not settled: one that is pending, or one of an agent that its domain does not
 * name. Undefined: all are.
 */
export function unsettledClaim(cluster: PlacedCluster): string | undefined {
  const { agents, domains } = cluster.load;
  for (const domain of domains) {
    const { alias } = aliasAt(cluster, domain) ?? {};
    if (alias?.state === ALIAS_STATES.pending) return `the claim on ${domain} is pending`;
  }
  for (const id of agents) {
    const key = parseUuid(id);
    const { store } = leaderOf(cluster, KIND_AGENT, key)?.home ?? {};
    const slot = store?.find(KIND_AGENT, key, 0, key.length) ?? -1;
    if (slot === -1) continue;
    const { domain, claim } = store!.agentView(slot).toPlain();
    if (domain === "") continue;
    const { alias } = aliasAt(cluster, domain) ?? {};
    const isOwn = alias !== undefined && samePosition(alias.claim, claim);
    if (!isOwn) return `agent ${id} has a claim on ${domain}, which has another`;
  }
  return undefined;
}

/** Returns the alias of a domain at the machine that leads its partition; undefined if none is there. */
export function aliasAt(cluster: PlacedCluster, domain: string) {
  const key = domainBytes(domain);
  const led = leaderOf(cluster, KIND_ALIAS, key);
  const slot = led?.home.store.find(KIND_ALIAS, key, 0, key.length) ?? -1;
  if (led === undefined || slot === -1) return undefined;
  return { alias: led.home.store.aliasView(slot).toPlain(), leader: led.machine };
}

/** Returns the partition of a key at its leader; undefined if none is known to lead. */
export function leaderOf(
  { machines }: PlacedCluster,
  kind: number,
  key: Uint8Array,
): { readonly machine: PlacedMachine; readonly home: Partition } | undefined {
  for (const machine of machines) {
    const home = machine.registry?.table.of(kind, key);
    if (home?.isHere === true && home.group.isLeading) return { machine, home };
  }
  return undefined;
}
