/** Both storages in one suite: ownership, order of completions, files, folder, errors. */
import fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { openFileStorage } from "../../../src/storage/file_storage.ts";
import { MemoryDisk } from "../../../src/storage/memory_storage.ts";
import type { Storage, StorageCompletion, StorageOperation } from "../../../src/storage/storage.ts";
import { ManualWorld } from "../../support/manual_world.ts";

/** One kind of storage: on a folder or disk that outlives it. */
interface Place {
  open(): Storage;
  /** Waits until `count` completions have been drained. */
  wait(storage: Storage, count: number): Promise<StorageCompletion[]>;
  dispose(): void;
}

function memoryPlace(delayMs: () => number): Place {
  const disk = new MemoryDisk();
  const world = new ManualWorld();
  disk.delayMs = delayMs;
  return {
    open: () => disk.open(world),
    wait(storage, count) {
      const drained: StorageCompletion[] = [];
      storage.attach(() => storage.drain((completion) => drained.push(completion)));
      world.pass(100);
      assert.is(drained.length, count);
      return Promise.resolve(drained);
    },
    dispose() {},
  };
}

function filePlace(): Place {
  const folder = Deno.makeTempDirSync();
  return {
    open: () => openFileStorage(`${folder}/log`),
    wait(storage, count) {
      const drained: StorageCompletion[] = [];
      return new Promise((resolve) => {
        storage.attach(() => {
          storage.drain((completion) => drained.push(completion));
          if (drained.length === count) resolve(drained);
        });
      });
    },
    dispose: () => fs.rmSync(folder, { recursive: true }),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const PLACES = [
  ["memory", () => memoryPlace(() => 0)],
  ["slow memory", () => memoryPlace(slowly())],
  ["file", filePlace],
] as const;

/** Returns delays that let operations overtake each other. */
function slowly(): () => number {
  let count = 0;
  return () => [3, 1, 2][count++ % 3]!;
}

for (const [kind, newPlace] of PLACES) {
  const check = (
    name: string,
    run: (
      storage: Storage,
      all: (...operations: StorageOperation[]) => Promise<StorageCompletion[]>,
      place: Place,
    ) => Promise<void>,
  ) =>
    test(`${kind} storage ${name}`, async () => {
      const place = newPlace();
      const storage = place.open();
      const all = async (...operations: StorageOperation[]) => {
        const completions: StorageCompletion[] = [];
        for (const operation of operations) {
          storage.submit(operation);
          completions.push(...await place.wait(storage, 1));
        }
        return completions;
      };
      try {
        await run(storage, all, place);
      } finally {
        storage.close();
        place.dispose();
      }
    });

  check(
    "reads what was written, in pieces and out of order, with zeros between",
    async (_, all) => {
      const target = new Uint8Array(12).fill(9);
      const [first, second, read] = await all(
        { kind: "write", file: "a", position: 8, bytes: encoder.encode("tail") },
        { kind: "write", file: "a", position: 0, bytes: encoder.encode("head") },
        { kind: "read", file: "a", position: 0, target },
      );
      assert.is(first!.failure, undefined);
      assert.is(second!.failure, undefined);
      assert.is(read!.byteCount, 12);
      assert.is(decoder.decode(target), "head\0\0\0\0tail");
    },
  );

  check("reads short at a file's end, and nothing beyond it", async (_, all) => {
    const [, short, none] = await all(
      { kind: "write", file: "a", position: 0, bytes: encoder.encode("12345") },
      { kind: "read", file: "a", position: 3, target: new Uint8Array(10) },
      { kind: "read", file: "a", position: 99, target: new Uint8Array(10) },
    );
    assert.is(short!.byteCount, 2);
    assert.is(none!.byteCount, 0);
  });

  check("renames over a file, removes, truncates both ways, lists by name", async (_, all) => {
    const completions = await all(
      { kind: "write", file: "b", position: 0, bytes: encoder.encode("new") },
      { kind: "write", file: "a", position: 0, bytes: encoder.encode("old one") },
      { kind: "rename", file: "b", to: "a" },
      { kind: "write", file: "c", position: 0, bytes: encoder.encode("123456") },
      { kind: "truncate", file: "c", size: 4 },
      { kind: "truncate", file: "c", size: 5 },
      { kind: "write", file: "d", position: 0, bytes: encoder.encode("x") },
      { kind: "sync", file: "c" },
      { kind: "syncFolder" },
      { kind: "release", file: "c" },
      { kind: "remove", file: "d" },
      { kind: "list" },
    );
    assert.ok(completions.every(({ failure }) => failure === undefined));
    const files = completions.at(-1)!.files.filter(({ name }) => name !== "lock");
    assert.equal(files, [{ name: "a", size: 3 }, { name: "c", size: 5 }]);
    const target = new Uint8Array(5);
    await all({ kind: "read", file: "c", position: 0, target });
    assert.is(decoder.decode(target), "1234\0");
  });

  check("commits: writes, syncs, then writes the mark", async (_, all) => {
    await all(
      { kind: "write", file: "log", position: 0, bytes: encoder.encode("first") },
      { kind: "write", file: "tail", position: 0, bytes: encoder.encode("mark of none") },
    );
    const bytes = encoder.encode(" and second");
    const mark = { file: "tail", position: 8, bytes: encoder.encode("two ") };
    const [commit] = await all({ kind: "commit", file: "log", position: 5, bytes, mark });
    assert.is(commit!.failure, undefined);
    const [found, tail] = [new Uint8Array(16), new Uint8Array(12)];
    await all(
      { kind: "read", file: "log", position: 0, target: found },
      { kind: "read", file: "tail", position: 0, target: tail },
    );
    assert.is(decoder.decode(found), "first and second");
    assert.is(decoder.decode(tail), "mark of two ");
  });

  check("answers not_found for a file that is not there, unpoisoned", async (storage, all) => {
    const completions = await all(
      { kind: "read", file: "none", position: 0, target: new Uint8Array(1) },
      { kind: "sync", file: "none" },
      { kind: "remove", file: "none" },
      { kind: "rename", file: "none", to: "other" },
    );
    assert.ok(completions.every(({ failure }) => failure?.kind === "not_found"));
    assert.not(storage.poisoned);
  });

  check(
    "completes many operations under way together, each ticket once",
    async (storage, _, place) => {
      const tickets = new Set<number>();
      for (let at = 0; at < 20; at++) {
        const bytes = encoder.encode(String.fromCharCode(65 + at));
        tickets.add(storage.submit({ kind: "write", file: "a", position: at, bytes }));
      }
      assert.is(tickets.size, 20);
      const completions = await place.wait(storage, 20);
      assert.equal(new Set(completions.map(({ ticket }) => ticket)), tickets);
      const target = new Uint8Array(20);
      storage.submit({ kind: "read", file: "a", position: 0, target });
      await place.wait(storage, 1);
      assert.is(decoder.decode(target), "ABCDEFGHIJKLMNOPQRST");
    },
  );

  check("is never called back from within submit", async (storage, _, place) => {
    let submitting = true;
    let early = false;
    const told = new Promise<void>((resolve) =>
      storage.attach(() => {
        early ||= submitting;
        resolve();
      })
    );
    storage.submit({ kind: "read", file: "none", position: 0, target: new Uint8Array(1) });
    submitting = false;
    const waited = kind === "file" ? told : place.wait(storage, 1);
    await waited;
    assert.not(early);
  });

  check(
    "keeps a second one out while it is open, and lets it in after",
    async (storage, all, place) => {
      await all({ kind: "write", file: "a", position: 0, bytes: encoder.encode("kept") });
      const isLocked = (error: unknown) =>
        error instanceof RegistryError && error.code === "locked";
      assert.throws(() => place.open(), isLocked);
      storage.close();
      const second = place.open();
      const target = new Uint8Array(4);
      second.submit({ kind: "read", file: "a", position: 0, target });
      await place.wait(second, 1);
      assert.is(decoder.decode(target), "kept");
      second.close();
    },
  );
}

test("file storage makes its folder, with modes for the owner alone", () => {
  const folder = Deno.makeTempDirSync();
  const storage = openFileStorage(`${folder}/deep/log`);
  assert.is(fs.statSync(`${folder}/deep/log`).mode & 0o777, 0o700);
  storage.close();
  fs.rmSync(folder, { recursive: true });
});

test("file storage says storage_unavailable where no folder can be", () => {
  const file = Deno.makeTempFileSync();
  const isUnavailable = (error: unknown) =>
    error instanceof RegistryError && error.code === "storage_unavailable";
  assert.throws(() => openFileStorage(`${file}/log`), isUnavailable);
  Deno.removeSync(file);
});

test("folder lock ends with a process that was killed", async () => {
  const folder = Deno.makeTempDirSync();
  const module = new URL("../../../src/storage/file_storage.ts", import.meta.url).href;
  const script = `import { openFileStorage } from ${JSON.stringify(module)};
    openFileStorage(${JSON.stringify(folder)}); console.log("open"); setInterval(() => {}, 1000);`;
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  Deno.writeTextFileSync(file, script);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", file],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const isHeld = (error: unknown) =>
    error instanceof RegistryError && error.code === "locked" &&
    error.message.includes(String(child.pid));
  assert.throws(() => openFileStorage(folder), isHeld);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  openFileStorage(folder).close();
  Deno.removeSync(file);
  fs.rmSync(folder, { recursive: true });
});

test.run();
