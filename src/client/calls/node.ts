/** Calls about the node and the cluster: status and ring map. */
import { formatUuid } from "../../base/uuid.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import { ringMapFromWire } from "../../wire/control.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { Part } from "../cluster_routing.ts";
import { ask, type Invoker } from "../invoker.ts";
import type { CallOptions, NodeStatus } from "../types.ts";

/** The calls Status and GetRingMap. */
export class StatusCalls {
  readonly #invoker: Invoker;

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** See `Client.nodeStatus`. */
  async status(options?: CallOptions): Promise<NodeStatus> {
    const status = await ask(this.#invoker, "status", {}, options);
    return { ...status, clusterId: formatUuid(status.clusterId) };
  }

  /** See `Client.ringMap`. @param part the node to ask. Default: any. */
  ringMap(options?: CallOptions, part?: Part): Promise<RingMap> {
    // Decoded by hand, so that an invalid map ends the connection as malformed.
    return this.#invoker.invoke(
      "getRingMap",
      {},
      (response) =>
        ringMapFromWire(response.bodyInto(OPERATIONS.getRingMap.reply.newView()).toPlain()),
      options,
      part,
    );
  }
}
