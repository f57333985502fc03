/** Handlers of the operations on the node and the cluster. */
import type { StatusReply } from "../../../schemas/gen/wire.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { NODE_OPERATIONS } from "../../wire/operations/node.ts";
import type { Handlers } from "../handler.ts";

/** Facts of the node that its handlers report. */
export interface NodeFacts {
  readonly status: () => StatusReply;
  readonly ringMap: () => RingMap;
}

/** Returns the handlers of the operations on the node and the cluster. */
export function nodeHandlers({ status, ringMap }: NodeFacts): Handlers<typeof NODE_OPERATIONS> {
  return { status, getRingMap: ringMap };
}
