/** Calls about the node and the cluster: status and ring map. */
import { ringMapCodec, type RingMapView, statusReplyCodec } from "../../../schemas/gen/wire.ts";
import { formatUuid } from "../../base/uuid.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import { ringMapFromWire } from "../../wire/control.ts";
import type { Invoker } from "../invoker.ts";
import type { CallOptions, NodeStatus } from "../types.ts";

/** The calls Status and GetRingMap. */
export class NodeCalls {
  readonly #invoker: Invoker;

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** See `Client.nodeStatus`. */
  status(options?: CallOptions): Promise<NodeStatus> {
    return this.#invoker.invoke("status", {}, (response) => {
      const plain = response.bodyInto(statusReplyCodec.newView()).toPlain();
      return { ...plain, clusterId: formatUuid(plain.clusterId) };
    }, options);
  }

  /** See `Client.ringMap`. */
  ringMap(options?: CallOptions): Promise<RingMap> {
    return this.#invoker.invoke(
      "getRingMap",
      {},
      (response) =>
        ringMapFromWire(response.bodyInto<RingMapView>(ringMapCodec.newView()).toPlain()),
      options,
    );
  }
}
