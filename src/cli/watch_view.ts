/** Events of watches as lines for people. */
import { isOfRecord, leadingOf } from "../answers/watch_json.ts";
import type { StreamEvent, WatchEvent, WatchReceipt } from "../client/mod.ts";
import type { RingMap } from "../ring/ring_map.ts";
import { addressText, stateText } from "./record_view.ts";

/** Width of the longest type of event. */
const TYPE_COLUMNS = "deregistered".length;

/** Returns an event as one line for people. */
export function watchEventText(event: WatchEvent): string {
  const { type, receipt } = event;
  if (!isOfRecord(event)) {
    const what = STREAM_TEXTS[event.type](receipt.partition);
    return `${type.padEnd(TYPE_COLUMNS)} ${what} (${sourceText(receipt)})`;
  }
  const { kind, record: { id, domain }, home, isState, hasLeft } = event;
  const facts = [
    type.padEnd(TYPE_COLUMNS),
    kind,
    id,
    ...(domain === "" ? [] : [domain]),
    addressText(event.record),
    stateText(event.record),
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

/** Returns a ring map as one line for people. */
export function ringText(map: RingMap): string {
  const { epoch: { generation, number }, partitionCount, nodes } = map;
  const leading = leadingOf(map);
  const leaders = nodes.map(({ nodeId }) => `node ${nodeId} leads ${leading.get(nodeId) ?? 0}`);
  return `ring ${generation}.${number}: ${partitionCount} partitions, ${leaders.join(", ")}`;
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
