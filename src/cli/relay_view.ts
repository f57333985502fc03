/** Replies of `crs relay …`. Names come from other systems, so they are shown whole or cut, never parsed. */
import { placementJson, relayAgentsJson, relaysJson } from "../answers/relay_json.ts";
import { incarnationText } from "../answers/record_json.ts";
import {
  ageBoundMsOf,
  type NamedList,
  type PlacementAnswer,
  type PlacementEntry,
  type RelayEntry,
} from "../client/mod.ts";
import { formatDuration } from "./duration.ts";
import { receiptsText } from "./record_view.ts";
import type { Reply } from "./shell.ts";
import type { Cell } from "./table.ts";

/** Returns the reply with all relays. */
export function relaysReply(listed: NamedList<RelayEntry>): Reply {
  return {
    json: relaysJson(listed),
    text: (columns) =>
      tableText(
        "No relay is registered.\n",
        ["RELAY", "ADDRESS", "PORT", "LEASE", "LAST HEARTBEAT"],
        listed.items.map(({ relayId, address, grpcPort, ...lease }) => [
          ...[relayId, address, grpcPort],
          ...leaseCells(lease),
        ]),
        columns,
      ),
    ...noteOf(listed),
  };
}

/** Returns the reply with the agents of a relay. */
export function relayAgentsReply(relayId: string, listed: NamedList<PlacementEntry>): Reply {
  return {
    json: relayAgentsJson(relayId, listed),
    text: (columns) =>
      tableText(
        "No agent is placed there, or the relay is not registered.\n",
        ["AGENT", "LEASE", "LAST HEARTBEAT"],
        listed.items.map(({ agentId, ...lease }) => [agentId, ...leaseCells(lease)]),
        columns,
      ),
    ...noteOf(listed),
  };
}

/** Returns the reply with the placement of an agent. */
export function placementReply(placement: PlacementAnswer): Reply {
  const { agentId, relayId, ttlMs, remainingMs, incarnation, relayIncarnation } = placement;
  return {
    json: placementJson(placement),
    text: async () => {
      const { facts } = await import("./table.ts");
      return `Placement\n` + facts([
        ["agent", agentId],
        ["relay", relayId],
        ["lease", `${formatDuration(remainingMs)} left, ttl ${formatDuration(ttlMs)}`],
        ["last heartbeat", timeText(placement.lastHeartbeatUnixMs)],
        ["incarnation", incarnationText(incarnation)],
        ["of the relay", incarnationText(relayIncarnation)],
        ["receipt", receiptsText(placement.receipts)],
      ]);
    },
  };
}

/** When an entry ends, and when it was renewed last. */
type Lease = Pick<RelayEntry, "remainingMs" | "lastHeartbeatUnixMs">;

function leaseCells({ remainingMs, lastHeartbeatUnixMs }: Lease): Cell[] {
  return [formatDuration(remainingMs), timeText(lastHeartbeatUnixMs)];
}

function timeText(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

async function tableText(
  none: string,
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  columns: number,
): Promise<string> {
  if (rows.length === 0) return none;
  const { table } = await import("./table.ts");
  return table(head, rows, { columns, shrinks: head[1] === "ADDRESS" ? [0, 1] : [0] });
}

/** Returns the remark on a list that followers answered. */
function noteOf({ receipts }: NamedList<unknown>): Pick<Reply, "note"> {
  const ageMs = ageBoundMsOf(receipts);
  return ageMs === 0 ? {} : { note: `The list is at most ${ageMs} ms old.\n` };
}
