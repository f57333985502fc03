/** The arena: blocks, reuse, the ceiling; and the pages of tables. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ARENA_CHUNK_BYTES } from "../../../src/base/limits.ts";
import { Arena } from "../../../src/store/arena.ts";
import { PagePool } from "../../../src/store/page_pool.ts";

function fill(arena: Arena, ref: number, words: number, value: number): void {
  const at = arena.offsetOf(ref);
  arena.bytesOf(ref).fill(value, at, at + words * 8);
}

test("arena gives blocks that do not overlap, over several chunks", () => {
  const arena = new Arena({ bytesMax: 1 << 30 });
  const blocks = Array.from({ length: 3_000 }, (_, index) => {
    const words = 1 + (index * 7) % 1_023;
    const ref = arena.allocate(words);
    fill(arena, ref, words, index & 0xff);
    return { ref, words, value: index & 0xff };
  });
  assert.ok(arena.statistics().chunkBytes > 2 * ARENA_CHUNK_BYTES);
  for (const { ref, words, value } of blocks) {
    assert.is.not(ref, 0);
    const at = arena.offsetOf(ref);
    const bytes = arena.bytesOf(ref).subarray(at, at + words * 8);
    assert.is(bytes.length, words * 8);
    assert.ok(bytes.every((byte) => byte === value));
  }
});

test("arena gives a released block to the next of its length", () => {
  const arena = new Arena({ bytesMax: 1 << 30 });
  const first = arena.allocate(23);
  const second = arena.allocate(23);
  arena.release(first, 23);
  arena.release(second, 23);
  assert.is.not(arena.allocate(22), second);
  assert.is(arena.allocate(23), second);
  assert.is(arena.allocate(23), first);
  assert.is(arena.statistics().freeBytes, 0);
});

test("arena counts what is used, and says whether there is room below its ceiling", () => {
  const arena = new Arena({ bytesMax: 1_000 });
  assert.ok(arena.room(1_000));
  const ref = arena.allocate(100);
  assert.is(arena.statistics().usedBytes, 800);
  assert.ok(arena.room(200));
  assert.not(arena.room(201));
  arena.allocate(100);
  assert.is(arena.statistics().usedBytes, 1_600, "apply is never refused");
  arena.release(ref, 100);
  assert.is(arena.statistics().usedBytes, 800);
});

test("arena at its ceiling cuts longer free blocks before it takes another chunk", () => {
  const arena = new Arena({ bytesMax: ARENA_CHUNK_BYTES });
  const blocks: number[] = [];
  while (arena.statistics().usedBytes + 1_000 * 8 < ARENA_CHUNK_BYTES) {
    blocks.push(arena.allocate(1_000));
  }
  for (const ref of blocks) arena.release(ref, 1_000);
  for (let count = 0; count < blocks.length * 10; count++) arena.allocate(100);
  assert.is(arena.statistics().chunkBytes, ARENA_CHUNK_BYTES);
});

test("arena refuses blocks of no or too many words", () => {
  const arena = new Arena({ bytesMax: 1 << 30 });
  assert.throws(() => arena.allocate(0), /1 to 1,023/);
  assert.throws(() => arena.allocate(1_024), /1 to 1,023/);
});

test("page pool gives pages of zeros, apart from each other, released ones first", () => {
  const pool = new PagePool(8);
  const pages = Array.from({ length: 5_000 }, () => pool.allocate());
  for (const page of pages) {
    const at = pool.offsetOf(page);
    const numbers = pool.chunkOf(page).subarray(at, at + 8);
    assert.ok(numbers.every((number) => number === 0));
    numbers.fill(page + 1);
  }
  pool.release(pages[4_321]!);
  const again = pool.allocate();
  assert.is(again, pages[4_321]);
  assert.is(pool.chunkOf(again)[pool.offsetOf(again)], 0);
});

test.run();
