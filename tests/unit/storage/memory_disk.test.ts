/**
 * The memory disk: the state after a process died, a power cut and a failing sync, and its delays.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { MemoryDisk } from "../../../src/storage/memory_storage.ts";
import type { Storage, StorageOperation } from "../../../src/storage/storage.ts";
import { ManualWorld } from "../../support/manual_world.ts";

const PAGE = 4_096;
const SECTOR = 512;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A disk with a storage open on it, whose operations are awaited one by one. */
class Bench {
  readonly disk = new MemoryDisk();
  readonly world = new ManualWorld();
  /** The kinds of failure of all completed operations, in order. */
  readonly ended: (string | undefined)[] = [];
  storage: Storage;

  constructor() {
    this.storage = this.open();
  }

  open(): Storage {
    this.storage = this.disk.open(this.world);
    this.storage.attach(() => this.storage.drain(({ failure }) => this.ended.push(failure?.kind)));
    return this.storage;
  }

  /** Runs operations one after another. */
  do(...operations: StorageOperation[]): void {
    for (const operation of operations) {
      this.storage.submit(operation);
      this.world.settle();
    }
  }

  crash(seed?: number): void {
    this.disk.crash(seed === undefined ? undefined : new SeededEntropy(seed));
    this.open();
  }

  text(file: string): string | undefined {
    const bytes = this.disk.peek(file);
    return bytes && decoder.decode(bytes);
  }

  names(): string[] {
    return this.disk.list().map(({ name }) => name);
  }
}

function write(file: string, text: string, position = 0): StorageOperation {
  return { kind: "write", file, position, bytes: encoder.encode(text) };
}

function sync(file: string): StorageOperation {
  return { kind: "sync", file };
}

const SYNC_FOLDER: StorageOperation = { kind: "syncFolder" };

/** Returns all possible states after a power cut, over many seeds. */
function leftovers(make: () => Bench, tell: (bench: Bench) => string, seeds = 200): Set<string> {
  const left = new Set<string>();
  for (let seed = 1; seed <= seeds; seed++) {
    const bench = make();
    bench.crash(seed);
    left.add(tell(bench));
  }
  return left;
}

test("memory disk forgets what was not synced: data, names, sizes", () => {
  const disk = new MemoryDisk();
  const world = new ManualWorld();
  const opened = () => {
    const storage = disk.open(world);
    storage.attach(() => storage.drain(() => {}));
    return (operation: StorageOperation) => {
      storage.submit(operation);
      world.settle();
    };
  };
  const submit = opened();
  submit({ kind: "write", file: "a", position: 0, bytes: encoder.encode("durable") });
  submit({ kind: "sync", file: "a" });
  submit({ kind: "write", file: "unnamed", position: 0, bytes: encoder.encode("gone") });
  submit({ kind: "sync", file: "unnamed" });
  disk.crash();
  assert.equal(disk.list(), []);
  const then = opened();
  then({ kind: "write", file: "a", position: 0, bytes: encoder.encode("durable") });
  then({ kind: "sync", file: "a" });
  then({ kind: "syncFolder" });
  then({ kind: "write", file: "a", position: 0, bytes: encoder.encode("CHANGED!") });
  then({ kind: "rename", file: "a", to: "b" });
  disk.crash();
  assert.equal(disk.list(), [{ name: "a", size: 7 }]);
  assert.is(decoder.decode(disk.peek("a")), "durable");
});

test("memory disk poisons the storage with a failed sync, terminally; reads go on", () => {
  const disk = new MemoryDisk();
  const world = new ManualWorld();
  const storage = disk.open(world);
  const kinds: (string | undefined)[] = [];
  storage.attach(() => storage.drain(({ failure }) => kinds.push(failure?.kind)));
  storage.submit({ kind: "write", file: "a", position: 0, bytes: encoder.encode("x") });
  world.settle();
  disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  storage.submit({ kind: "sync", file: "a" });
  world.settle();
  disk.intercept = () => undefined;
  storage.submit({ kind: "sync", file: "a" });
  storage.submit({ kind: "write", file: "a", position: 0, bytes: encoder.encode("y") });
  storage.submit({ kind: "read", file: "a", position: 0, target: new Uint8Array(1) });
  world.settle();
  assert.equal(kinds, [undefined, "io", "poisoned", "poisoned", undefined]);
  assert.ok(storage.poisoned);
});

test("memory disk after a kill has what was written, and a power cut may still take it", () => {
  const bench = new Bench();
  bench.do(write("a", "old"), sync("a"), SYNC_FOLDER, write("a", "new"));
  bench.disk.kill();
  bench.open();
  assert.is(bench.text("a"), "new");
  bench.crash();
  assert.is(bench.text("a"), "old");
});

test("memory disk after a kill has what the next process synced", () => {
  const bench = new Bench();
  bench.do(write("a", "new"));
  bench.disk.kill();
  bench.open();
  bench.do(sync("a"), SYNC_FOLDER);
  bench.crash();
  assert.is(bench.text("a"), "new");
});

test("memory disk at a kill carries out of what is under way all, nothing, or part of a write", () => {
  const left = new Set<string>();
  for (let seed = 0; seed <= 100; seed++) {
    const bench = new Bench();
    bench.do(write("a", "....."), write("b", "b"));
    bench.storage.submit(write("a", "WRITE"));
    bench.storage.submit({ kind: "remove", file: "b" });
    bench.disk.kill(seed === 0 ? undefined : new SeededEntropy(seed));
    const told = `${bench.text("a")} ${bench.names().includes("b")}`;
    if (seed === 0) assert.is(told, "WRITE false");
    left.add(told);
    bench.world.settle();
    assert.equal(bench.ended, [undefined, undefined]);
  }
  for (const text of ["..... true", "WRITE true", "WRI.. true", "WRITE false", "..... false"]) {
    assert.ok(left.has(text), text);
  }
});

test("memory disk syncs what was complete when the sync was submitted, and no more", () => {
  const bench = new Bench();
  bench.do(write("a", "1"), SYNC_FOLDER);
  bench.storage.submit(sync("a"));
  bench.storage.submit(write("a", "2", 1));
  bench.world.settle();
  assert.is(bench.text("a"), "12");
  bench.crash();
  assert.is(bench.text("a"), "1");
});

test("memory disk syncs the folder as it was when the sync was submitted", () => {
  const bench = new Bench();
  bench.do(write("a", "a"), sync("a"));
  bench.storage.submit(SYNC_FOLDER);
  bench.storage.submit({ kind: "rename", file: "a", to: "b" });
  bench.world.settle();
  assert.equal(bench.names(), ["b"]);
  bench.crash();
  assert.equal(bench.names(), ["a"]);
});

test("memory disk whose sync failed keeps its pages in the cache, clean: no later sync writes them", () => {
  const bench = new Bench();
  bench.disk.poisons = false;
  bench.do(write("a", "old"), sync("a"), SYNC_FOLDER, write("a", "new"));
  bench.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  bench.do(sync("a"));
  bench.disk.intercept = () => undefined;
  bench.do(sync("a"));
  assert.equal(bench.ended.slice(-2), ["io", undefined]);
  bench.disk.kill();
  bench.open();
  bench.do(sync("a"));
  assert.is(bench.text("a"), "new");
  const again = structuredClone(bench.disk.peek("a"));
  assert.is(decoder.decode(again), "new");
  bench.crash(7);
  assert.is(bench.text("a"), "old");
});

test("memory disk whose sync failed makes durable what is written anew", () => {
  const bench = new Bench();
  bench.disk.poisons = false;
  bench.do(write("a", "old"), sync("a"), SYNC_FOLDER, write("a", "new"));
  bench.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  bench.do(sync("a"));
  bench.disk.intercept = () => undefined;
  bench.do(write("a", "new"), sync("a"));
  bench.crash();
  assert.is(bench.text("a"), "new");
});

test("memory disk at a power cut keeps any of several writes that were not synced", () => {
  const left = leftovers(() => {
    const bench = new Bench();
    bench.do(write("a", ".".repeat(3 * PAGE)), sync("a"), SYNC_FOLDER);
    for (const page of [0, 1, 2]) bench.do(write("a", "#".repeat(PAGE), page * PAGE));
    bench.disk.sectorBytes = PAGE;
    return bench;
  }, (bench) => [0, 1, 2].map((page) => bench.text("a")![page * PAGE]).join(""));
  assert.is(left.size, 8);
});

test("memory disk at a power cut may leave a page as it was in between", () => {
  const left = leftovers(() => {
    const bench = new Bench();
    bench.do(write("a", "0"), sync("a"), SYNC_FOLDER, write("a", "1"), write("a", "2"));
    return bench;
  }, (bench) => bench.text("a")!);
  assert.equal([...left].sort(), ["0", "1", "2"]);
});

test("memory disk at a power cut tears a page between sectors, nowhere else", () => {
  const left = leftovers(() => {
    const bench = new Bench();
    bench.do(write("a", ".".repeat(PAGE)), sync("a"), SYNC_FOLDER, write("a", "#".repeat(PAGE)));
    return bench;
  }, (bench) => bench.text("a")!);
  let torn = 0;
  for (const text of left) {
    for (let at = 0; at < PAGE; at += SECTOR) {
      const sector = text.slice(at, at + SECTOR);
      assert.ok([".", "#"].some((of) => sector === of.repeat(SECTOR)));
    }
    if (text.includes(".#") || text.includes("#.")) torn++;
  }
  assert.ok(torn > 3);
});

test("memory disk at a power cut leaves a growing file at any page, and a cut one cut or whole", () => {
  const grown = leftovers(() => {
    const bench = new Bench();
    bench.do(write("a", "x"), sync("a"), SYNC_FOLDER, write("a", "y".repeat(3 * PAGE)));
    return bench;
  }, (bench) => String(bench.text("a")!.length));
  assert.equal(
    [...grown].sort((left, right) => Number(left) - Number(right)),
    ["1", String(PAGE), String(2 * PAGE), String(3 * PAGE)],
  );
  const cut = leftovers(() => {
    const bench = new Bench();
    bench.disk.sectorBytes = PAGE;
    bench.do(write("a", "x".repeat(2 * PAGE)), sync("a"), SYNC_FOLDER);
    bench.do({ kind: "truncate", file: "a", size: 10 });
    return bench;
  }, (bench) => `${bench.text("a")!.length} ${bench.text("a")!.replaceAll("x", "").length}`);
  assert.equal([...cut].sort(), ["10 0", `${2 * PAGE} 0`, `${2 * PAGE} ${PAGE - 10}`]);
});

test("memory disk reads zeros where a file was cut and grew again, after a power cut too", () => {
  const bench = new Bench();
  bench.do(write("a", "x".repeat(3 * PAGE)), sync("a"), SYNC_FOLDER);
  bench.do({ kind: "truncate", file: "a", size: 1 }, {
    kind: "truncate",
    file: "a",
    size: 3 * PAGE,
  });
  assert.is(bench.text("a"), "x" + "\0".repeat(3 * PAGE - 1));
  bench.do(sync("a"));
  bench.crash();
  assert.is(bench.text("a"), "x" + "\0".repeat(3 * PAGE - 1));
});

test("memory disk at a power cut keeps folder changes in order, or of each name in order", () => {
  const left = leftovers(() => {
    const bench = new Bench();
    bench.do(write("a", "a"), sync("a"), write("b", "b"), sync("b"));
    bench.do({ kind: "rename", file: "a", to: "c" }, { kind: "remove", file: "b" });
    return bench;
  }, (bench) => bench.names().join(""));
  // A rename without its source, or a removal before its file was created, has no effect.
  assert.equal([...left].sort(), ["", "a", "ab", "b", "bc", "c"]);
});

test("memory disk takes as long as its owner says, and operations overtake each other", () => {
  const bench = new Bench();
  bench.do(write("a", "a"));
  const ended: string[] = [];
  const tickets = new Map<number, string>();
  bench.storage.attach(() =>
    bench.storage.drain(({ ticket }) => ended.push(`${tickets.get(ticket)} ${bench.world.nowMs()}`))
  );
  const delays = { sync: 40, write: 5, list: 0, syncFolder: Infinity };
  bench.disk.delayMs = ({ kind }) => delays[kind as keyof typeof delays];
  for (const operation of [sync("a"), write("b", "b"), SYNC_FOLDER, { kind: "list" } as const]) {
    tickets.set(bench.storage.submit(operation), operation.kind);
  }
  bench.world.pass(100);
  assert.equal(ended, ["list 0", "write 5", "sync 40"]);
  bench.disk.releaseHeld();
  bench.world.settle();
  assert.is(ended.at(-1), "syncFolder 100");
});

test("memory disk that is full refuses what needs room, and takes what does not", () => {
  const bench = new Bench();
  bench.do(write("a", "a".repeat(2 * PAGE)), write("b", "b"));
  assert.is(bench.disk.usedBytes, 3 * PAGE);
  bench.disk.capacityBytes = 3 * PAGE;
  bench.do(write("a", "over".repeat(PAGE / 2)), write("b", "more", 1));
  bench.do(write("b", "x".repeat(PAGE), PAGE), write("c", "c"));
  assert.equal(bench.ended.slice(2), [undefined, undefined, "no_space", "no_space"]);
  bench.do({ kind: "remove", file: "a" }, write("c", "c"));
  assert.is(bench.ended.at(-1), undefined);
  // A hole uses no space; zeros that were written do.
  bench.do({ kind: "truncate", file: "d", size: 100 * PAGE });
  assert.is(bench.disk.usedBytes, 2 * PAGE);
});

test("memory disk with a flipped bit shows it, in a clean cache at once", () => {
  const bench = new Bench();
  bench.do(write("a", "AB"), sync("a"), SYNC_FOLDER);
  bench.disk.flip("a", 1, 0);
  assert.is(bench.text("a"), "AC");
  bench.do(write("a", "X"));
  bench.disk.flip("a", 0, 1);
  assert.is(bench.text("a"), "XC");
  bench.crash();
  assert.is(bench.text("a"), "CC");
});

test("memory disk agrees with plain arrays over random work, kills and power cuts", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededEntropy(seed);
    const upTo = (limit: number) => Math.floor(random.unit() * limit);
    const bench = new Bench();
    bench.do(write("a", ""), SYNC_FOLDER);
    let now: Uint8Array = new Uint8Array(0);
    /** Every state since the last sync, which is the first of them. */
    let states = [now];
    for (let step = 0; step < 80; step++) {
      const action = upTo(20);
      if (action < 12) {
        const position = upTo(5 * PAGE);
        const bytes = new Uint8Array(upTo(3 * PAGE)).fill(upTo(4));
        const grown = new Uint8Array(
          Math.max(now.length, bytes.length === 0 ? 0 : position + bytes.length),
        );
        grown.set(now);
        grown.set(bytes, bytes.length === 0 ? 0 : position);
        now = grown;
        bench.do({ kind: "write", file: "a", position, bytes });
        states.push(now);
      } else if (action < 14) {
        const size = upTo(8 * PAGE);
        const cut = new Uint8Array(size);
        cut.set(now.subarray(0, size));
        now = cut;
        bench.do({ kind: "truncate", file: "a", size });
        states.push(now);
      } else if (action < 17) {
        bench.do(sync("a"));
        states = [now];
      } else if (action < 18) {
        bench.disk.kill();
        bench.open();
      } else {
        const keepsNothing = upTo(2) === 0;
        bench.crash(keepsNothing ? undefined : upTo(2 ** 30));
        const left = bench.disk.peek("a")!.slice();
        if (keepsNothing) assert.equal(left, states[0], `seed ${seed}, step ${step}`);
        for (let at = 0; at < left.length; at += SECTOR) {
          const sector = left.subarray(at, at + SECTOR);
          const known = states.some((state) =>
            sector.every((byte, offset) => byte === (state[at + offset] ?? 0))
          );
          assert.ok(known, `seed ${seed}, step ${step}: sector at ${at}`);
        }
        now = left;
        states = [now];
      }
      assert.equal(bench.disk.peek("a"), now, `seed ${seed}, step ${step}`);
    }
  }
});

test.run();
