/** Memory that is released: garbage of both generations, and pages of the program. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import process from "node:process";
import { releaseMemory, unwrittenFilePages } from "../../../src/node/memory_release.ts";

test("releaseMemory gives back what garbage took of the heap", () => {
  let kept: unknown[] = [];
  for (let count = 0; count < 500_000; count++) kept.push({ count, text: `number ${count}` });
  const full = process.memoryUsage();
  assert.is(kept.length, 500_000);
  kept = [];
  releaseMemory();
  const after = process.memoryUsage();
  assert.ok(
    after.heapTotal < full.heapTotal - 10 * 2 ** 20,
    `${after.heapTotal} of ${full.heapTotal}`,
  );
  assert.ok(after.heapTotal < 1.5 * after.heapUsed, `${after.heapTotal} for ${after.heapUsed}`);
  releaseMemory();
});

test("unwrittenFilePages are read-only mappings of programs without pages of their own", () => {
  const mapping = (head: string, anonymousKiB: number, swapKiB = 0) =>
    `${head}\nSize:    8 kB\nAnonymous:    ${anonymousKiB} kB\nSwap:    ${swapKiB} kB\nVmFlags: rd\n`;
  const smaps = mapping("55d0a000-55d0c000 r--p 00000000 fe:00 7627        /usr/bin/deno", 0) +
    mapping("55d0c000-55d0f000 r-xp 00002000 fe:00 7627        /usr/bin/deno", 0) +
    mapping("55d0f000-55d10000 r--p 00005000 fe:00 7627        /usr/bin/deno", 4) +
    mapping("55d10000-55d11000 r--p 00006000 fe:00 7627        /usr/bin/deno", 0, 4) +
    mapping("7e000000-7e001000 r--p 00000000 fe:00 13          /etc/ld.so.cache", 0) +
    mapping("55d11000-55d13000 rw-p 00007000 fe:00 7627        /usr/bin/deno", 0) +
    mapping("7f000000-7f001000 r--s 00000000 fe:00 12          /shared", 0) +
    mapping("7f001000-7f002000 r-xp 00000000 00:00 0           [vdso]", 0) +
    mapping("7f002000-7f003000 r--p 00000000 00:00 0 ", 0);
  assert.equal(unwrittenFilePages(smaps), [
    { start: 0x55d0a000n, end: 0x55d0c000n },
    { start: 0x55d0c000n, end: 0x55d0f000n },
  ]);
});

test("releaseMemory gives back pages of the program that are not in use", () => {
  if (Deno.build.os !== "linux") return;
  const fileKiB = () =>
    Number(/^RssFile:\s+(\d+) kB/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1]);
  // Pages of every part of the program: the code that reads and compiles it was used at the start.
  const before = fileKiB();
  releaseMemory();
  // What this program itself uses comes back at once: some 8 MiB.
  const inUseKiB = 10 * 1024;
  assert.ok(fileKiB() < Math.max(before / 2, inUseKiB), `${fileKiB()} of ${before} KiB`);
});

test.run();
