/** Events of watches as JSON objects: the lines of `crs watch --json`, and the data of HTTP events. */
import type { RecordEvent, WatchEvent, WatchReceipt } from "../client/mod.ts";
import { placementOf, type RingMap } from "../ring/ring_map.ts";
import type { JsonDocument } from "./record_json.ts";

/** Returns the object of an event. */
export function watchEventJson(event: WatchEvent): JsonDocument {
  const { type, receipt, token } = event;
  if (!isOfRecord(event)) {
    // A state ends with one such event for each partition, and a token has a part for each, too.
    const place = type === "complete" ? {} : { token };
    return { event: type, receipt: receiptJson(receipt), ...place };
  }
  const { kind, record, home, before, isState, hasLeft, remainingMs } = event;
  return {
    event: type,
    kind,
    [kind]: record,
    home: home ?? null,
    ...(before === undefined ? {} : { before }),
    isState,
    hasLeft,
    remainingMs,
    receipt: receiptJson(receipt),
    token,
  };
}

/** Reports whether an event is about a record. */
export function isOfRecord(event: WatchEvent): event is RecordEvent {
  return "record" in event;
}

/** Returns the object of a ring map. */
export function ringJson(map: RingMap): JsonDocument {
  const { epoch, partitionCount, nodes } = map;
  const leading = leadingOf(map);
  return {
    event: "ring",
    epoch,
    partitionCount,
    nodes: nodes.map(({ nodeId, zone, addresses }) => ({
      nodeId,
      zone,
      addresses,
      leading: leading.get(nodeId) ?? 0,
    })),
  };
}

/** Returns how many partitions each node leads. */
export function leadingOf(map: RingMap): ReadonlyMap<number, number> {
  const leading = new Map<number, number>();
  for (let partition = 0; partition < map.partitionCount; partition++) {
    const { leader } = placementOf(map, partition);
    leading.set(leader, (leading.get(leader) ?? 0) + 1);
  }
  return leading;
}

function receiptJson(receipt: WatchReceipt): JsonDocument {
  return { ...receipt, ageBoundMs: receipt.ageBoundMs ?? null };
}
