/** The values of entries, as JSON. Another program's value is refused as `internal`. */
import { objectOf, senseless } from "../foreign_answer.ts";
import type { LeasedEntry } from "./lease_store.ts";

/** The value of a relay. */
export interface RelayValue {
  readonly address: string;
  readonly port: number;
  readonly heartbeatUnixMs: number;
}

/** The value of an agent. */
export interface AgentValue {
  readonly relayId: string;
  /** The lease of the relay that placed it: its incarnation. */
  readonly relayLease: string;
  readonly heartbeatUnixMs: number;
}

/** Encodes a value. */
export function encodeValue(value: RelayValue | AgentValue): string {
  return JSON.stringify(value);
}

/** Decodes the value of a relay. */
export function relayValueOf({ value }: LeasedEntry): RelayValue {
  const { address, port, heartbeatUnixMs } = objectOf(value);
  if (typeof address === "string" && isInteger(port) && isInteger(heartbeatUnixMs)) {
    return { address, port, heartbeatUnixMs };
  }
  throw senseless("a relay");
}

/** Decodes the value of an agent. */
export function agentValueOf({ value }: LeasedEntry): AgentValue {
  const { relayId, relayLease, heartbeatUnixMs } = objectOf(value);
  if (
    typeof relayId === "string" && typeof relayLease === "string" && isInteger(heartbeatUnixMs)
  ) return { relayId, relayLease, heartbeatUnixMs };
  throw senseless("an agent");
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
