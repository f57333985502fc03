/**
 * The answer for a domain while it is composed: the agent, its gateway, and the partitions in which
 * they were read.
 */
import { RESOLVED_PARTS, type ResolveReply } from "../../schemas/gen/wire.ts";
import type { Input } from "../../schemas/runtime/writer.ts";
import { NO_POSITION } from "../base/position.ts";
import { UUID_BYTES } from "../base/uuid.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import { emptySpan, type StoredSpan } from "../store/reply.ts";
import type { Partition } from "./partitions.ts";

/** Answer for a domain, reused between requests, with room for its stored forms. */
export interface Resolution {
  readonly reply: Mutable<Input<ResolveReply>>;
  readonly agent: StoredSpan;
  readonly gateway: StoredSpan;
  /**
   * Partitions in which the parts were read: alias, agent, gateway, as far as this node holds them.
   */
  readonly partitions: number[];
  readonly points: ReadPoint[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const NO_BYTES = new Uint8Array(0);
const NIL_ID = new Uint8Array(UUID_BYTES);

/** Returns an empty resolution. */
export function newResolution(): Resolution {
  return {
    reply: {
      agent: NO_BYTES,
      gateway: NO_BYTES,
      agentId: NIL_ID,
      gatewayId: NIL_ID,
      agentRemainingMs: 0,
      gatewayRemainingMs: 0,
      agentPart: RESOLVED_PARTS.none,
      gatewayPart: RESOLVED_PARTS.none,
      claim: NO_POSITION,
      agentSource: undefined,
      gatewaySource: undefined,
      candidates: undefined,
    },
    agent: emptySpan(),
    gateway: emptySpan(),
    partitions: [],
    points: [],
  };
}

/** Empties a resolution for its next use. */
export function clearResolution(resolution: Resolution): void {
  const reply = resolution.reply;
  resolution.partitions.length = 0;
  resolution.points.length = 0;
  reply.agent = reply.gateway = NO_BYTES;
  reply.agentId = reply.gatewayId = NIL_ID;
  reply.agentRemainingMs = reply.gatewayRemainingMs = 0;
  reply.agentPart = reply.gatewayPart = RESOLVED_PARTS.none;
  reply.claim = NO_POSITION;
  reply.agentSource = reply.gatewaySource = reply.candidates = undefined;
}

/** Notes that a part was read in `home` with the permission `point`. */
export function noteRead(into: Resolution, home: Partition, point: ReadPoint): void {
  into.partitions.push(home.id);
  into.points.push(point);
}
