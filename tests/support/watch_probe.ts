/**
 * A watch over the wire, sent by hand: its replies as they arrive, and what they make of the
 * records, checked for order at each step.
 */
import {
  WATCH_EVENT_TYPES,
  WATCH_PHASES,
  type WatchEvent,
  type WatchPosition,
  type WatchReply,
} from "../../schemas/gen/wire.ts";
import { toHex } from "../../src/base/bytes.ts";
import { errorCodeFromWire } from "../../src/base/errors.ts";
import { KIND_ALIAS } from "../../src/record/key.ts";
import {
  comparePositions,
  type HistoryPosition,
  ORDINAL_END,
} from "../../src/wire/watch_message.ts";
import type { RequestOf } from "../../src/wire/operations/mod.ts";
import type { RawPeer, RawReply } from "./raw_peer.ts";

const NO_ID = new Uint8Array(0);

/** An event with what its part says. */
export interface ProbedEvent extends WatchEvent {
  readonly partition: number;
  readonly phase: number;
}

/** Fields of a watch's request; the others have defaults. */
export type ProbeOrder = Partial<RequestOf<"watch">>;

/** Returns positions that start in all partitions alike. */
export function startAll(partitionCount: number, start: number): WatchPosition[] {
  return Array.from({ length: partitionCount }, (_, partition) => ({
    ...{ partition, start, generation: 0, index: 0, ordinal: 0, afterId: NO_ID },
  }));
}

/** The replies of a watch. Throws if they contradict each other. */
export class WatchedRecords {
  /** Events in the order of their arrival. */
  readonly events: ProbedEvent[] = [];
  /** The position in each partition whose state is complete. */
  readonly positions = new Map<number, HistoryPosition>();
  /** Records by kind and key, in hexadecimal, as last received. */
  readonly records = new Map<string, Uint8Array>();
  /** Partitions that the node serves no longer, by code. */
  readonly ended = new Map<number, string>();
  /** Partitions that began anew. */
  readonly resets: number[] = [];
  readonly #partitionOf = new Map<string, number>();
  /** Partitions whose state is being received, and the id up to which it was. */
  readonly #listing = new Map<number, Uint8Array>();
  readonly #keyOf: (event: WatchEvent) => string;

  constructor(keyOf: (event: WatchEvent) => string = idOfEvent) {
    this.#keyOf = keyOf;
  }

  take({ parts }: WatchReply): void {
    for (const part of parts) {
      const { partition, phase, events, generation, index, ordinal } = part;
      if (phase === WATCH_PHASES.reset) this.#reset(partition);
      if (phase === WATCH_PHASES.ended) {
        this.ended.set(partition, errorCodeFromWire(part.code));
        continue;
      }
      for (const event of events) this.#event({ ...event, partition, phase }, generation);
      if (phase === WATCH_PHASES.stateEnd) this.#listing.delete(partition);
      const position = { generation, index, ordinal };
      const before = this.positions.get(partition);
      if (before !== undefined && comparePositions(position, before) < 0) {
        throw new Error(
          `Position of ${partition} goes back: ${JSON.stringify([before, position])}`,
        );
      }
      this.positions.set(partition, position);
    }
  }

  /** Returns the positions by which another watch continues this one. */
  resume(): WatchPosition[] {
    return [...this.positions].map(([partition, position]) => ({
      ...{ partition, ...position, start: this.#listing.has(partition) ? 2 : 0 },
      afterId: this.#listing.get(partition) ?? NO_ID,
    }));
  }

  #reset(partition: number): void {
    this.resets.push(partition);
    this.positions.delete(partition);
    this.#listing.set(partition, NO_ID);
    for (const [key, of] of this.#partitionOf) {
      if (of !== partition) continue;
      this.records.delete(key);
      this.#partitionOf.delete(key);
    }
  }

  #event(event: ProbedEvent, generation: number): void {
    this.events.push(event);
    const { partition, phase, index, ordinal, type, left } = event;
    const key = this.#keyOf(event);
    if (phase === WATCH_PHASES.changes) {
      const position = { generation, index, ordinal };
      const before = this.positions.get(partition);
      if (before !== undefined && comparePositions(position, before) <= 0) {
        throw new Error(`Event is repeated or out of order: ${JSON.stringify([before, position])}`);
      }
      this.positions.set(partition, position);
    } else {
      if (this.records.has(key)) throw new Error(`State repeats ${key}`);
      this.#listing.set(partition, event.record.slice(8, 24));
    }
    if (type === WATCH_EVENT_TYPES.domainLost && event.kind !== KIND_ALIAS) return;
    const hasForm = type === WATCH_EVENT_TYPES.put || type === WATCH_EVENT_TYPES.superseded;
    if (hasForm && !left) {
      this.records.set(key, event.record);
      this.#partitionOf.set(key, partition);
    } else {
      this.records.delete(key);
      this.#partitionOf.delete(key);
    }
  }
}

/** Returns the kind and the id of an event's record; not for aliases. */
export function idOfEvent({ kind, record }: WatchEvent): string {
  return `${kind} ${toHex(record.subarray(8, 24))}`;
}

/** The replies of one watch. */
export class WatchReplyLog extends WatchedRecords {
  /** Every reply, in order. */
  readonly replies: RawReply[] = [];
  /** Progress replies. */
  readonly progress: RawReply[] = [];
  /** The code with which the watch ended; `ok` after a cancel. */
  end: string | undefined;

  arrived(reply: RawReply): void {
    this.replies.push(reply);
    if (reply.code !== "ok") {
      this.end = reply.code;
      return;
    }
    const body = reply.body as WatchReply;
    if (body.isLast) this.end = "ok";
    if (body.progress) this.progress.push(reply);
    this.take(body);
  }
}

/** One watch of a raw peer. */
export class WatchProbe extends WatchReplyLog {
  readonly peer: RawPeer;
  readonly id: number;

  /** Sends the request of a watch; replies are taken as the world goes on. */
  constructor(
    peer: RawPeer,
    operation: "watch" | "listAndWatch" | "regionFeed",
    order: ProbeOrder,
    keyOf?: (event: WatchEvent) => string,
  ) {
    super(keyOf);
    this.peer = peer;
    this.id = peer.watch(operation, { ...NO_ORDER, ...order }, (reply) => this.arrived(reply));
  }
}

/** The request of a watch without any choice. */
export const NO_ORDER: RequestOf<"watch"> = {
  ...{ kind: 0, region: "", labels: [], ids: [], domains: [], positions: [] },
  ...{ progressMs: 0, withBefore: false, follower: "", withMirrors: false },
};

/** The position behind an entry. */
export function behind(partition: number, index: number, generation = 1): WatchPosition {
  return {
    partition,
    generation,
    index,
    ordinal: ORDINAL_END,
    start: 0,
    afterId: new Uint8Array(0),
  };
}
