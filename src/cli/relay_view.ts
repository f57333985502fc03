/** Replies of `crs relay …`. Names come from other systems: they are shown whole or cut, and never parsed. */
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
import { tableText } from "./table_text.ts";

/** Returns the reply with all relays. */
export function relaysReply(listed: NamedList<RelayEntry>): Reply {
  return {
    json: relaysJson(listed),
    text: (columns) =>
      tableText({
        none: "No relay is registered.\n",
        head: ["RELAY", "ADDRESS", "PORT", "LEASE", "LAST HEARTBEAT"],
        rows: listed.items.map(({ relayId, address, grpcPort, ...lease }) => [
          ...[relayId, address, grpcPort],
          ...leaseCells(lease),
        ]),
        columns,
        shrinks: [0, 1],
      }),
    ...noteOf(listed),
  };
}

/** Returns the reply with the agents of a relay. */
export function relayAgentsReply(relayId: string, listed: NamedList<PlacementEntry>): Reply {
  return {
    json: relayAgentsJson(relayId, listed),
    text: (columns) =>
      tableText({
        none: "No agent is placed there, or the relay is not registered.\n",
        head: ["AGENT", "LEASE", "LAST HEARTBEAT"],
        rows: listed.items.map(({ agentId, ...lease }) => [agentId, ...leaseCells(lease)]),
        columns,
        shrinks: [0],
      }),
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

/** Returns the remark on a list that followers answered. */
function noteOf({ receipts }: NamedList<unknown>): Pick<Reply, "note"> {
  const ageMs = ageBoundMsOf(receipts);
  return ageMs === 0 ? {} : { note: `The list is at most ${ageMs} ms old.\n` };
}
