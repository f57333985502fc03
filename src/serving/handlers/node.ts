/** Handlers of the operations on the node and the cluster. */
import type { StatusReply } from "../../../schemas/gen/wire.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { NODE_OPERATIONS } from "../../wire/operations/node.ts";
import type { Handlers } from "../handler.ts";

/**
 * Returns the handlers of the operations on the node and the cluster.
 *
 * @param reports what the node says about itself at the time of the call.
 */
export function nodeHandlers(
  { status, ringMap }: { readonly status: () => StatusReply; readonly ringMap: () => RingMap },
): Handlers<typeof NODE_OPERATIONS> {
  return { status, getRingMap: ringMap };
}
