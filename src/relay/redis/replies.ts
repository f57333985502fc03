/** Decodes the replies of the scripts; a reply of another shape is `internal`. */
import { integerOf, senseless, textOf } from "../foreign_answer.ts";
import type { AgentPlacement, Relay } from "../relay_registry.ts";

/** Decodes 0 or 1. */
export function flagOf(reply: unknown): boolean {
  if (reply !== 0 && reply !== 1) throw senseless("0 or 1");
  return reply === 1;
}

/** Decodes a flat list of relays. */
export function relaysOf(reply: unknown): Relay[] {
  return rowsOf(reply, 4).map(([id, address, port, heartbeat]) => ({
    relayId: textOf(id, "a relay's id"),
    address: textOf(address, "a relay's address"),
    grpcPort: integerOf(port, "a relay's port"),
    lastHeartbeatUnixMs: integerOf(heartbeat, "the time of a heartbeat"),
  }));
}

/** Decodes a flat list of placements. */
export function placementsOf(reply: unknown): AgentPlacement[] {
  return rowsOf(reply, 3).map(([agent, relay, heartbeat]) => ({
    agentId: textOf(agent, "an agent's id"),
    relayId: textOf(relay, "a relay's id"),
    lastUpdatedUnixMs: integerOf(heartbeat, "the time of a heartbeat"),
  }));
}

/** Decodes a list of relays, each with a list of its agents and their expiries. */
export function agentsOf(reply: unknown, agentTtlMs: number): AgentPlacement[] {
  const placements: AgentPlacement[] = [];
  for (const [relay, agents] of rowsOf(reply, 2)) {
    const relayId = textOf(relay, "a relay's id");
    for (const [agent, expiry] of rowsOf(agents, 2)) {
      const agentId = textOf(agent, "an agent's id");
      const lastUpdatedUnixMs = integerOf(expiry, "the time of an expiry") - agentTtlMs;
      placements.push({ agentId, relayId, lastUpdatedUnixMs });
    }
  }
  return placements;
}

function rowsOf(reply: unknown, width: number): unknown[][] {
  if (!Array.isArray(reply) || reply.length % width !== 0) throw senseless(`rows of ${width}`);
  const rows: unknown[][] = [];
  for (let at = 0; at < reply.length; at += width) rows.push(reply.slice(at, at + width));
  return rows;
}
