/** Tokens of watches: what they carry, what they cost, and what is refused. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { RegistryError } from "../../../src/base/errors.ts";
import { type HistoryPosition, ORDINAL_END } from "../../../src/wire/watch_message.ts";
import {
  decodeWatchToken,
  encodeWatchToken,
  type TokenPosition,
} from "../../../src/wire/watch_token.ts";

const CLUSTER = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const OTHER = new Uint8Array(16).fill(9);

function at(index: number, ordinal = ORDINAL_END, generation = 1): HistoryPosition {
  return { generation, index, ordinal };
}

function refusedCode(text: string, clusterId = CLUSTER): string {
  try {
    decodeWatchToken(text, clusterId);
    return "ok";
  } catch (error) {
    assert.instance(error, RegistryError);
    return (error as RegistryError).code;
  }
}

test("encodeWatchToken: a token carries the position of each partition", () => {
  const positions = new Map<number, TokenPosition>([
    [7, at(12, 3)],
    [0, at(5)],
    [1, at(0, 0)],
    [8191, at(2 ** 50 - 1, 1, 4)],
    [8, "state"],
    [9, at(13)],
  ]);
  const decoded = decodeWatchToken(encodeWatchToken(CLUSTER, positions), CLUSTER);
  assert.equal([...decoded], [...positions].sort(([left], [right]) => left - right));
});

test("encodeWatchToken: no positions, and one", () => {
  assert.is(decodeWatchToken(encodeWatchToken(CLUSTER, new Map()), CLUSTER).size, 0);
  const token = encodeWatchToken(CLUSTER, new Map([[3, at(1_000)]]));
  assert.ok(token.length < 40, `${token.length}`);
});

test("encodeWatchToken: all partitions of a large cluster take at most 40 KB", () => {
  const positions = new Map<number, TokenPosition>();
  for (let partition = 0; partition < 8_192; partition++) {
    positions.set(partition, at(5_000_000 + partition * 7_919 % 60_000));
  }
  const token = encodeWatchToken(CLUSTER, positions);
  assert.ok(token.length <= 40 * 1024, `${token.length}`);
  assert.equal(decodeWatchToken(token, CLUSTER), positions);
});

test("encodeWatchToken: the bytes of version 1 stay as they are", () => {
  const token = encodeWatchToken(
    CLUSTER,
    new Map<number, TokenPosition>([[0, at(300)], [1, at(299, 2)], [5, "state"], [6, at(1, 1, 2)]]),
  );
  assert.is(token, FROZEN);
});

const FROZEN = "AQECAwQFBgcICQoLDA0ODxACAALiEgH_____DwYBAgMCA80SAUAw0RQ";

test("decodeWatchToken refuses a token of another cluster", () => {
  assert.is(refusedCode(encodeWatchToken(OTHER, new Map([[0, at(1)]]))), "wrong_cluster");
});

test("decodeWatchToken refuses a later version", () => {
  assert.is(refusedCode("Ag"), "unsupported_version");
});

test("decodeWatchToken refuses every change of a token, and each of its beginnings", () => {
  const token = encodeWatchToken(CLUSTER, new Map([[0, at(1)], [1, at(70_000, 5)]]));
  for (let place = 2; place < token.length; place++) {
    const character = token[place] === "A" ? "B" : "A";
    const changed = token.slice(0, place) + character + token.slice(place + 1);
    assert.is(refusedCode(changed), "invalid_argument", `${place}`);
    assert.is(refusedCode(token.slice(0, place)), "invalid_argument", `${place}`);
  }
  assert.is(refusedCode(""), "invalid_argument");
  assert.is(refusedCode("A".repeat(1_000_000)), "invalid_argument");
});

test("decodeWatchToken: any bytes give positions or a code", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const text = btoa(String.fromCharCode(1, ...bytes)).replaceAll("+", "-").replaceAll("/", "_");
    refusedCode(text.replaceAll("=", ""));
  }));
});

test("encodeWatchToken: any positions come back", () => {
  const position = fc.oneof(
    fc.constant<TokenPosition>("state"),
    fc.record({
      generation: fc.integer({ min: 1, max: 5 }),
      index: fc.maxSafeNat().map((index) => index % 2 ** 50),
      ordinal: fc.oneof(fc.constant(ORDINAL_END), fc.nat()),
    }, { noNullPrototype: true }),
  );
  const partition = fc.integer({ min: 0, max: 8_191 });
  fc.assert(fc.property(fc.array(fc.tuple(partition, position)), (entries) => {
    const positions = new Map<number, TokenPosition>(entries);
    assert.equal(decodeWatchToken(encodeWatchToken(CLUSTER, positions), CLUSTER), positions);
  }));
});

test.run();
