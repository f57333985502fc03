/** One partition of a watch: how far it has come, and which request continues it. */
import { WATCH_STARTS } from "../../../schemas/gen/wire.ts";
import { comparePositions, type HistoryPosition } from "../../wire/watch_message.ts";
import type { ClockReading } from "../../base/clock_reading.ts";

type WatchStart = (typeof WATCH_STARTS)[keyof typeof WATCH_STARTS];

const NO_BYTES = new Uint8Array(0);

/** A request that continues partitions. */
export interface ContinuedBy {
  /** The time as of which everything of its partitions is known; undefined if it is not. */
  readonly asOf: ClockReading | undefined;
}

/** The progress of a watch in a partition. */
export class WatchCursor implements HistoryPosition {
  readonly partition: number;
  /** Its place among the partitions of the watch. */
  readonly place: number;
  generation = 0;
  index = 0;
  ordinal = 0;
  /** Where the next request starts: at the position, with the next change, or with the state. */
  start: WatchStart;
  /** While the state is being sent: the id of the last record of it. */
  afterId: Uint8Array = NO_BYTES;
  /** Whether a part of its state may be known that no longer counts. */
  isToReset = false;
  /** Whether a node has begun to serve it. */
  hasBegun = false;
  /** The request that continues it. */
  feed: ContinuedBy | undefined;
  /** The nodes that did not serve it since the last pause. */
  asked: readonly number[] = [];
  /** The node named by the last refusal; 0 for none. */
  hint = 0;
  /** The time as of which it is known, if no request continues it. */
  asOf: ClockReading | undefined;

  /** @param from the position to continue at, or a start without one. */
  constructor(partition: number, place: number, from: HistoryPosition | "next" | "state") {
    this.partition = partition;
    this.place = place;
    this.start = WATCH_STARTS.position;
    if (from === "next") this.start = WATCH_STARTS.next;
    else if (from === "state") this.start = WATCH_STARTS.state;
    else this.moveTo(from);
  }

  /** Whether its position is known, or its state asked for. */
  get isPlaced(): boolean {
    return this.start !== WATCH_STARTS.next;
  }

  /** Whether its state has not been sent completely. */
  get isListing(): boolean {
    return this.start === WATCH_STARTS.state;
  }

  /** Reports whether a change at that position was received before. */
  has(position: HistoryPosition): boolean {
    return comparePositions(this, position) >= 0;
  }

  /** Moves to a position; the request that follows continues there. */
  moveTo({ generation, index, ordinal }: HistoryPosition): void {
    this.generation = generation;
    this.index = index;
    this.ordinal = ordinal;
    if (this.start === WATCH_STARTS.next) this.start = WATCH_STARTS.position;
  }

  /** Forgets its state, which is sent anew. */
  restart(): void {
    this.start = WATCH_STARTS.state;
    this.afterId = NO_BYTES;
    this.generation = this.index = this.ordinal = 0;
  }

  /** Records the generation of the state that follows, so that its first records are known to be of it. */
  stateOf(generation: number): void {
    this.generation = generation;
  }

  /** Records that its state has been sent up to an id. */
  listedTo(id: Uint8Array): void {
    this.afterId = id;
  }

  /** Records that its state has been sent. */
  endState(): void {
    this.start = WATCH_STARTS.position;
    this.afterId = NO_BYTES;
  }

  /** Returns its position as a value. */
  position(): HistoryPosition {
    const { generation, index, ordinal } = this;
    return { generation, index, ordinal };
  }
}
