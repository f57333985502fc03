/**
 * The linearizability checker on histories with a known verdict: at least one for each class of
 * fault that it must find, and for each freedom that a correct register has.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  findNotLinearizable,
  type RegisterOperation,
} from "../../../../sim/checkers/register_search.ts";

/** `[called, answered, ...]`; `Infinity`: no reply. */
const write = (calledAt: number, answeredAt: number, value: number, key = "a") =>
  ({ key, kind: "write", value, calledAt, answeredAt }) as RegisterOperation;
const read = (calledAt: number, answeredAt: number, value: number | undefined, key = "a") =>
  ({ key, kind: "read", value, calledAt, answeredAt }) as RegisterOperation;
const remove = (calledAt: number, answeredAt: number, key = "a") =>
  ({ key, kind: "remove", value: undefined, calledAt, answeredAt }) as RegisterOperation;

function holds(...history: RegisterOperation[]): void {
  const found = findNotLinearizable(history);
  assert.is(found, undefined, `It can be explained: ${JSON.stringify(found)}`);
}

function fails(answer: RegisterOperation, ...others: RegisterOperation[]): void {
  const found = findNotLinearizable([answer, ...others]);
  assert.is(found?.answer, answer, "It cannot be explained, and that answer shows it");
}

test("findNotLinearizable accepts what happened one after another", () => {
  holds(read(1, 2, undefined), write(3, 4, 1), read(5, 6, 1), write(7, 8, 2), read(9, 10, 2));
  holds(write(1, 2, 1), remove(3, 4), read(5, 6, undefined), write(7, 8, 2), read(9, 10, 2));
});

test("findNotLinearizable accepts either order of what overlaps", () => {
  holds(write(1, 10, 1), write(2, 9, 2), read(11, 12, 1));
  holds(write(1, 10, 1), write(2, 9, 2), read(11, 12, 2));
  holds(write(1, 10, 1), read(2, 3, undefined), read(4, 5, 1));
  holds(write(1, 10, 1), read(2, 9, undefined), read(3, 4, 1));
  holds(write(1, 2, 1), write(3, 20, 2), write(4, 19, 3), read(5, 6, 3), read(7, 8, 2));
});

test("findNotLinearizable finds a stale read", () => {
  fails(read(5, 6, 1), write(1, 2, 1), write(3, 4, 2));
  fails(read(3, 4, undefined), write(1, 2, 1));
  // One client saw the new value, and after that another the old one.
  fails(read(5, 6, undefined), write(1, 10, 1), read(3, 4, 1));
});

test("findNotLinearizable finds a lost write", () => {
  fails(read(5, 6, undefined), write(1, 2, 1), write(3, 4, 2));
  fails(read(9, 10, 1), write(1, 2, 1), write(3, 4, 2), read(5, 6, 2), read(7, 8, 2));
  fails(read(7, 8, 1), write(1, 2, 1), remove(3, 4), read(5, 6, undefined));
});

test("findNotLinearizable finds a dirty read", () => {
  // Seen, and never written: neither before nor after it was seen.
  fails(read(3, 4, 7), write(1, 2, 1));
  // Seen before it was written.
  fails(read(1, 2, 1), write(3, 4, 1));
  fails(read(1, 2, 1), write(3, Infinity, 1));
  // Seen while it was pending, and gone again without a write in between.
  fails(read(5, 6, 1), write(1, 2, 1), write(3, Infinity, 2), read(3.1, 3.2, 2));
});

test("findNotLinearizable finds a split brain", () => {
  // Two leaders reply, each from its own log.
  const history = [write(1, 2, 1), write(3, 4, 2), read(5, 6, 2), read(7, 8, 1)];
  assert.is(findNotLinearizable(history)?.answer, history[3]);
  const both = [write(1, 20, 1), write(2, 19, 2), read(3, 4, 1), read(5, 6, 2), read(7, 8, 1)];
  assert.is(findNotLinearizable(both)?.answer, both[4]);
});

test("findNotLinearizable lets a write of unknown outcome take effect late or never", () => {
  holds(write(1, 2, 1), write(3, Infinity, 2), read(4, 5, 1), read(6, 7, 1));
  holds(write(1, 2, 1), write(3, Infinity, 2), read(4, 5, 1), read(60, 70, 2));
  holds(write(1, Infinity, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1));
});

test("findNotLinearizable lets a write of unknown outcome take effect once only", () => {
  fails(read(9, 10, 1), write(1, Infinity, 1), read(3, 4, 1), write(5, 6, 2), read(7, 8, 2));
  fails(read(6, 7, 2), write(1, Infinity, 1), write(2, 3, 2), read(4, 5, 1), read(8, 9, 1));
});

test("findNotLinearizable lets a remove of unknown outcome take effect late, once, or never", () => {
  const start = [write(1, 2, 1), remove(3, Infinity)];
  holds(...start, read(4, 5, 1), read(6, 7, 1));
  holds(...start, read(4, 5, 1), read(6, 7, undefined));
  holds(...start, write(4, 5, 2), read(6, 7, 2), read(8, 9, undefined));
  fails(read(8, 9, 1), ...start, read(4, 5, 1), read(6, 7, undefined));
  const again = [write(8, 9, 2), read(4, 5, undefined)];
  fails(read(10, 11, undefined), ...start, ...again);
  holds(read(10, 11, undefined), remove(3, Infinity), ...start, ...again);
});

test("findNotLinearizable ignores operations that failed", () => {
  // An unanswered read reveals nothing.
  holds(write(1, 2, 1), read(3, Infinity, undefined), read(4, 5, 1));
});

test("findNotLinearizable judges each key by itself", () => {
  holds(write(1, 2, 1, "a"), read(3, 4, undefined, "b"), read(3, 4, 1, "a"));
  const wrong = read(5, 6, undefined, "b");
  fails(wrong, write(1, 2, 1, "a"), write(3, 4, 2, "b"), read(5, 6, 1, "a"));
});

test("findNotLinearizable names what was pending and what the register may have held", () => {
  const pending = write(3, 10, 2);
  const found = findNotLinearizable([write(1, 2, 1), pending, read(5, 6, 9)]);
  assert.is(found?.key, "a");
  assert.ok(found?.pending.includes(pending));
  assert.equal(found?.values, [1]);
});

test("findNotLinearizable refuses writes that cannot be told apart", () => {
  assert.throws(() => findNotLinearizable([write(1, 2, 1), write(3, 4, 1)]), TypeError);
});

test("findNotLinearizable judges thousands of operations on many keys", () => {
  // Eight concurrent operations on each of 16 keys, with every seventh write of each key
  // unanswered.
  const history: RegisterOperation[] = [];
  const held = new Map<string, number>();
  for (let at = 0; at < 4_000; at++) {
    const key = `k${at % 16}`;
    const calledAt = at * 10;
    if (at % 3 > 0) {
      history.push(read(calledAt, calledAt + 1_280, held.get(key), key));
    } else {
      held.set(key, at);
      history.push(write(calledAt, at % 7 === 0 ? Infinity : calledAt + 1_280, at, key));
    }
  }
  holds(...history);
  fails(read(50_000, 50_001, 0, "k0"), ...history);
});

test.run();
