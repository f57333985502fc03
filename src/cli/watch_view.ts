/** Events of watches as lines: text for people, one JSON object for scripts. */
import type { RecordEvent, StreamEvent, WatchEvent, WatchReceipt } from "../client/mod.ts";
import { placementOf, type RingMap } from "../ring/ring_map.ts";
import { addressText } from "./record_view.ts";

/** Width of the longest type of event. */
const TYPE_COLUMNS = "deregistered".length;

/** Returns an event for scripts. */
export function watchEventJson(event: WatchEvent): Readonly<Record<string, unknown>> {
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

/** Returns an event as one line for people. */
export function watchEventText(event: WatchEvent): string {
  const { type, receipt } = event;
  if (!isOfRecord(event)) {
    const what = STREAM_TEXTS[event.type](receipt.partition);
    return `${type.padEnd(TYPE_COLUMNS)} ${what} (${sourceText(receipt)})`;
  }
  const { kind, record: { id, domain, state }, home, isState, hasLeft } = event;
  const facts = [
    type.padEnd(TYPE_COLUMNS),
    kind,
    id,
    ...(domain === "" ? [] : [domain]),
    addressText(event.record),
    state,
    ...(home === undefined ? [] : [`of region ${home}`]),
    ...(isState ? ["as it is"] : []),
    ...(hasLeft ? ["no longer matches"] : []),
  ];
  return `${facts.join(" ")} (${receiptText(receipt)})`;
}

const STREAM_TEXTS: Readonly<Record<StreamEvent["type"], (partition: number) => string>> = {
  reset: (partition) => `changes of partition ${partition} are lost; its records follow`,
  complete: (partition) => `all records of partition ${partition} were shown`,
  progress: () => "nothing is missing",
};

/** Returns a ring map for scripts. */
export function ringJson(map: RingMap): Readonly<Record<string, unknown>> {
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

/** Returns a ring map as one line for people. */
export function ringText(map: RingMap): string {
  const { epoch: { generation, number }, partitionCount, nodes } = map;
  const leading = leadingOf(map);
  const leaders = nodes.map(({ nodeId }) => `node ${nodeId} leads ${leading.get(nodeId) ?? 0}`);
  return `ring ${generation}.${number}: ${partitionCount} partitions, ${leaders.join(", ")}`;
}

/** Returns how many partitions each node leads. */
function leadingOf(map: RingMap): ReadonlyMap<number, number> {
  const leading = new Map<number, number>();
  for (let partition = 0; partition < map.partitionCount; partition++) {
    const { leader } = placementOf(map, partition);
    leading.set(leader, (leading.get(leader) ?? 0) + 1);
  }
  return leading;
}

function isOfRecord(event: WatchEvent): event is RecordEvent {
  return "record" in event;
}

function receiptJson(receipt: WatchReceipt): Readonly<Record<string, unknown>> {
  return { ...receipt, ageBoundMs: receipt.ageBoundMs ?? null };
}

function receiptText(receipt: WatchReceipt): string {
  const { partition, index } = receipt;
  return `${sourceText(receipt)}, partition ${partition}, index ${index}`;
}

function sourceText({ node, ageBoundMs }: WatchReceipt): string {
  const age = ageBoundMs === undefined
    ? "of unknown age"
    : ageBoundMs === 0
    ? "up to date"
    : `at most ${ageBoundMs} ms behind`;
  return `node ${node}, ${age}`;
}
