/** The histories of a node's partitions: they follow the events of its stores. */
import { WATCH_HISTORY_NODE_BYTES } from "../../base/limits.ts";
import type { EventSink, StoreEvent } from "../../store/event.ts";
import { PartitionHistory } from "./history.ts";
import { HistoryChunks } from "./history_chunks.ts";

/** What a node's watches need to know of its histories at once. Neither may apply anything. */
export interface HistoryWatcher {
  /** A change was appended. */
  changed(partition: number): void;
  /** The state of a partition begins anew: what watches have of it is void. */
  begun(partition: number): void;
}

/** The histories of all partitions of a node. */
export class Histories implements EventSink {
  /** Told of every change, once there are watches. */
  watcher: HistoryWatcher | undefined;
  readonly #chunks = new HistoryChunks(WATCH_HISTORY_NODE_BYTES);
  readonly #histories: (PartitionHistory | undefined)[] = [];

  /** Bytes held. */
  get bytes(): number {
    return this.#chunks.bytes;
  }

  /** Returns the history of a partition; undefined if it had no change since index 0. */
  of(partition: number): PartitionHistory | undefined {
    return this.#histories[partition];
  }

  onEvent(event: StoreEvent): void {
    const { partition } = event;
    const history = this.#histories[partition] ??= new PartitionHistory(this.#chunks, 0);
    if (history.append(event)) this.watcher?.changed(partition);
  }

  onBegin(partition: number, index: number): void {
    this.drop(partition);
    if (index > 0) this.#histories[partition] = new PartitionHistory(this.#chunks, index);
    this.watcher?.begun(partition);
  }

  /** Gives up the history of a partition that left this node. */
  drop(partition: number): void {
    this.#histories[partition]?.clear();
    this.#histories[partition] = undefined;
  }
}
