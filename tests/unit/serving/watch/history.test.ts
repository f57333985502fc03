/** The history of a partition: what it holds, from where it can be read, and what it gives up. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../../src/base/prng.ts";
import {
  WATCH_HISTORY_CHUNK_BYTES,
  WATCH_HISTORY_PARTITION_BYTES,
} from "../../../../src/base/limits.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import { Histories } from "../../../../src/serving/watch/histories.ts";
import { newHistoryChange } from "../../../../src/serving/watch/history_change.ts";
import type { EventType, StoreEvent } from "../../../../src/store/event.ts";
import type { StoredSpan } from "../../../../src/store/reply.ts";
import { WATCH_EVENT_TYPES } from "../../../../schemas/gen/wire.ts";
import { ORDINAL_END } from "../../../../src/wire/watch_message.ts";

function spanOf(bytes: number, value: number): StoredSpan {
  const form = new Uint8Array(bytes).fill(value);
  return { bytes: form, view: new DataView(form.buffer), start: 0, end: bytes };
}

function eventOf(index: number, fields: Partial<StoreEvent> = {}): StoreEvent {
  return {
    ...{ partition: 0, type: "registered" as EventType, kind: KIND_AGENT, generation: 1, index },
    ...{ stored: spanOf(64, index & 0xff), before: undefined },
    ...fields,
  };
}

/** The history of one partition of a node. */
class One {
  readonly #of: Histories;
  readonly #partition: number;

  constructor(of: Histories, { partition = 0, index = 0 } = {}) {
    this.#of = of;
    this.#partition = partition;
    of.onBegin(partition, index);
  }

  /** Appends an event, and returns whether it is a change. */
  append(event: StoreEvent): boolean {
    let isChange = false;
    this.#of.watcher = { changed: () => isChange = true, begun: () => {} };
    this.#of.onEvent({ ...event, partition: this.#partition });
    return isChange;
  }

  covers(index: number, ordinal: number): boolean {
    return this.#of.covers(this.#partition, index, ordinal);
  }

  /** Returns the types of all changes. */
  get types(): number[] {
    const types: number[] = [];
    const visit = ({ type }: { type: number }) => types.push(type) > 0;
    this.#of.read(this.#partition, 0, 0, newHistoryChange(), visit);
    return types;
  }

  /** Returns the positions of the changes behind one. */
  readFrom(index: number, ordinal = ORDINAL_END): string[] {
    const found: string[] = [];
    this.#of.read(this.#partition, index, ordinal, newHistoryChange(), (change) => {
      const { record, before } = change;
      found.push(`${change.index}.${change.ordinal} ${record.bytes[record.start]}`);
      assert.is(record.bytes[record.end - 1], record.bytes[record.start]);
      if (before.end > before.start) assert.is(before.bytes[before.start], 9);
      return true;
    });
    return found;
  }
}

test("append: changes are numbered within their entry, and extensions are none", () => {
  const history = new One(new Histories());
  assert.is(history.append(eventOf(3)), true);
  assert.is(history.append(eventOf(4, { type: "extended" })), false);
  assert.is(history.append(eventOf(5, { type: "expired" })), true);
  assert.is(
    history.append(eventOf(5, { type: "claim_dropped" })),
    false,
    "It ended with its agent",
  );
  assert.is(history.append(eventOf(5, { type: "expired" })), true);
  assert.is(history.append(eventOf(6, { type: "claim_dropped" })), true);
  assert.is(history.append(eventOf(6, { type: "updated", before: spanOf(64, 9) })), true);
  assert.equal(history.readFrom(0), ["3.1 3", "5.1 5", "5.2 5", "6.1 6", "6.2 6"]);
  assert.equal(history.readFrom(5, 1), ["5.2 5", "6.1 6", "6.2 6"]);
  assert.equal(history.readFrom(5), ["6.1 6", "6.2 6"]);
  assert.equal(history.readFrom(6), []);
});

test("append: a claim of another agent takes a domain over", () => {
  const history = new One(new Histories());
  history.append(eventOf(1, { type: "claimed", kind: 3 }));
  history.append(eventOf(2, { type: "claimed", kind: 3, before: spanOf(64, 2) }));
  history.append(eventOf(3, { type: "claimed", kind: 3, before: spanOf(64, 4) }));
  const { put, superseded } = WATCH_EVENT_TYPES;
  assert.equal(history.types, [put, put, superseded]);
});

test("read: from every covered position exactly what is behind it", () => {
  const entropy = new SeededEntropy(7);
  const below = (end: number) => Math.floor(entropy.unit() * end);
  const all64 = new Histories(64 * 1024);
  const history = new One(all64);
  const other = new One(all64, { partition: 500 });
  const all: { index: number; ordinal: number }[] = [];
  let index = 0;
  for (let entry = 0; entry < 600; entry++) {
    index += 1 + below(3);
    const count = 1 + below(3);
    for (let ordinal = 1; ordinal <= count; ordinal++) {
      history.append(eventOf(index, { stored: spanOf(64 + 8 * below(200), 5) }));
      all.push({ index, ordinal });
    }
    if (below(4) === 0) other.append(eventOf(index, { stored: spanOf(64 + 8 * below(900), 6) }));
    assert.ok(all64.bytes <= 64 * 1024);
    for (let tries = 0; tries < 3; tries++) {
      const from = { index: below(index + 2), ordinal: below(4) };
      const wanted = all.filter((change) =>
        change.index > from.index || change.index === from.index && change.ordinal > from.ordinal
      );
      if (!history.covers(from.index, from.ordinal)) continue;
      const found = history.readFrom(from.index, from.ordinal);
      assert.equal(
        found.map((text) => text.split(" ")[0]),
        wanted.map((change) => `${change.index}.${change.ordinal}`),
      );
    }
  }
  assert.not(history.covers(0, ORDINAL_END));
  assert.ok(history.covers(index, 1));
});

test("covers: nothing from before the state with which it began", () => {
  const history = new One(new Histories(), { index: 100 });
  assert.not(history.covers(99, ORDINAL_END));
  assert.not(history.covers(100, 3));
  assert.ok(history.covers(100, ORDINAL_END));
  history.append(eventOf(101));
  assert.equal(history.readFrom(100), ["101.1 101"]);
});

test("append: one partition takes no more than its share, and the oldest changes go first", () => {
  const node = new Histories(4 * WATCH_HISTORY_PARTITION_BYTES);
  const [busy, quiet] = [new One(node), new One(node, { partition: 1 })];
  quiet.append(eventOf(1));
  for (let index = 1; index < 10_000; index++) {
    busy.append(eventOf(index, { stored: spanOf(512, 1) }));
  }
  assert.ok(node.bytes <= WATCH_HISTORY_PARTITION_BYTES + WATCH_HISTORY_CHUNK_BYTES);
  assert.ok(quiet.covers(0, ORDINAL_END));
  assert.ok(busy.covers(9_000, ORDINAL_END));
  assert.not(busy.covers(1_000, ORDINAL_END));
  node.onBegin(0, 0);
  node.onBegin(1, 0);
  assert.is(node.bytes, 0);
  assert.ok(busy.covers(0, 0), "It begins anew");
});

test("allocate: when the node holds too many, the partition with the oldest gives it up", () => {
  const node = new Histories(4 * WATCH_HISTORY_CHUNK_BYTES);
  const [first, second] = [new One(node), new One(node, { partition: 1 })];
  first.append(eventOf(1));
  for (let index = 1; index < 100; index++) {
    second.append(eventOf(index, { stored: spanOf(512, 1) }));
  }
  assert.not(first.covers(0, ORDINAL_END));
  assert.ok(first.covers(1, ORDINAL_END));
  assert.equal(first.readFrom(1), []);
  first.append(eventOf(2));
  assert.equal(first.readFrom(1), ["2.1 2"]);
  assert.ok(node.bytes <= 4 * WATCH_HISTORY_CHUNK_BYTES);
});

test("append: a change that is larger than a chunk has one of its own", () => {
  const history = new One(new Histories());
  history.append(eventOf(1));
  history.append(eventOf(2, { stored: spanOf(8_184, 2), before: spanOf(8_184, 9) }));
  history.append(eventOf(3));
  assert.equal(history.readFrom(0), ["1.1 1", "2.1 2", "3.1 3"]);
});

test.run();
