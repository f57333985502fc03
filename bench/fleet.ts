/**
 * The records that benches register: gateways with many agents each, in a few regions. Ids are
 * derived from a record's number, so that a million of them need no memory in the load's process.
 */
import type { AgentInput, Client, GatewayInput, Incarnation } from "../src/client/mod.ts";
import type { RegisterItem } from "../src/client/types.ts";

const REGIONS = ["eu-central-1", "us-east-1", "ap-southeast-1", "global"] as const;
/** The lengths make a record without a domain, which is padded, take 180 bytes. */
const LONG_REGIONS = [
  "eu-central-frankfurt-1",
  "us-east-virginia-1-a",
  "asia-southeast-singapore-1",
  "africa-south-johannesburg-1",
] as const;
/** One of this many records is a gateway, the others are its agents. */
export const RECORDS_PER_GATEWAY = 50;
/** Records per RegisterMany, and requests in flight while a fleet is registered. */
const REGISTER_ITEMS = 256;
const REGISTER_DEPTH = 8;

/** Returns a spread UUID, the same for the same number; `kind` separates series of ids. */
export function spreadId(kind: number, number: number): string {
  const words = [
    Math.imul(number + 1, 0x9e3779b1) ^ kind,
    Math.imul(number + 1, 0x85ebca6b),
    Math.imul(number + 1, 0xc2b2ae35),
    number,
  ];
  const hex = words.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${
    hex.slice(20)
  }`;
}

/** Returns the id of the gateway to which a fleet's record belongs. */
export function gatewayIdOf(number: number): string {
  return spreadId(2, number - number % RECORDS_PER_GATEWAY);
}

export function gatewayInput(number: number, ttlMs: number): GatewayInput {
  return {
    id: gatewayIdOf(number),
    region: REGIONS[number % REGIONS.length]!,
    address: `10.${number >>> 16 & 255}.${number >>> 8 & 255}.${number & 255}`,
    port: 4_000,
    wssPort: 4_443,
    capacity: { cpu: 8, memoryMiB: 4_096, storageMiB: 40_960, bandwidthMbps: 1_000 },
    ttlMs,
  };
}

/** @param withDomain agents with a domain are found by `resolve`, and cost three commands. */
export function agentInput(number: number, ttlMs: number, withDomain: boolean): AgentInput {
  return {
    id: spreadId(1, number),
    gatewayId: gatewayIdOf(number),
    region: (withDomain ? REGIONS : LONG_REGIONS)[number % REGIONS.length]!,
    address: `10.${number >>> 16 & 255}.${number >>> 8 & 255}.${number & 255}`,
    port: 7_000,
    ttlMs,
    ...withDomain ? { domain: domainOf(number) } : {},
  };
}

export function domainOf(number: number): string {
  return `agent-${number}.example`;
}

/** A registered record of a fleet. */
export interface Registered {
  readonly kind: "agent" | "gateway";
  readonly id: string;
  readonly incarnation: Incarnation;
}

/** Returns the kind and id of a fleet's record. */
export function identityOf(number: number): { kind: "agent" | "gateway"; id: string } {
  return number % RECORDS_PER_GATEWAY === 0
    ? { kind: "gateway", id: gatewayIdOf(number) }
    : { kind: "agent", id: spreadId(1, number) };
}

/** Registers the records `[start, end)` and calls `take` for each. Throws if one is refused. */
export async function registerFleet(
  client: Client,
  { start, end, ttlMs, withDomain = false }: {
    start: number;
    end: number;
    ttlMs: number;
    withDomain?: boolean;
  },
  take: (number: number, incarnation: Incarnation) => void = () => {},
): Promise<void> {
  let next = start;
  const worker = async (): Promise<void> => {
    while (next < end) {
      const lo = next;
      next = Math.min(end, lo + REGISTER_ITEMS);
      const items = Array.from({ length: next - lo }, (_, index): RegisterItem => {
        const number = lo + index;
        return number % RECORDS_PER_GATEWAY === 0
          ? { kind: "gateway", gateway: gatewayInput(number, ttlMs) }
          : { kind: "agent", agent: agentInput(number, ttlMs, withDomain) };
      });
      const outcomes = await client.registerMany(items);
      outcomes.forEach(({ registered, error }, index) => {
        if (error !== undefined) throw error;
        take(lo + index, registered.incarnation);
      });
    }
  };
  await Promise.all(Array.from({ length: REGISTER_DEPTH }, worker));
}
