/**
 * The program of a process that runs test files, one after the other.
 *
 * The next file starts once the event loop has nothing left to do, which is when a process of its
 * own would have ended. So a file that leaves something open never reaches the next one, and an
 * error that a file causes after its tests ends the process while it is still that file's turn.
 *
 * A file with a failure, or one that changed the globals, is the last one of its process: whatever
 * it left behind reaches no other file. Another process runs the rest.
 *
 * Two marks in the output tell the runner how far it is: `ended` when the tests of a file have
 * ended, and `next`, in both streams, before the next file starts.
 */
import process from "node:process";
import { surroundingsChanged } from "./surroundings.ts";

/** The files, as URLs, and the text that begins a mark. */
export interface BatchWork {
  readonly files: readonly string[];
  readonly mark: string;
}

declare global {
  // uvu's names. A test file that calls `test.run()` adds to the queue; a truthy UVU_DEFER keeps uvu
  // from running the queue by itself.
  var UVU_DEFER: boolean | undefined;
  var UVU_QUEUE: unknown[][] | undefined;
}

// Taken before any test can replace them.
const { stdout, stderr } = process;

async function write(stream: typeof stdout | typeof stderr, text: string): Promise<void> {
  await new Promise<void>((resolve) => void stream.write(text, () => resolve()));
}

async function main({ files, mark }: BatchWork): Promise<void> {
  globalThis.UVU_DEFER = true;
  const queue = globalThis.UVU_QUEUE = [[null]];
  const uvu = await import("./uvu.ts");
  let index = 0;
  let hasEnded = false;
  const changed = surroundingsChanged();
  const run = async () => {
    hasEnded = false;
    uvu.begin(index);
    queue.splice(0, queue.length, [null]);
    await import(files[index]!);
    await uvu.exec();
    await write(stdout, `${mark} ended\n`);
    hasEnded = true;
  };
  const next = async () => {
    index++;
    await Promise.all([stdout, stderr].map((stream) => write(stream, `${mark} next\n`)));
    await run();
  };
  // The event loop is empty.
  globalThis.addEventListener("beforeunload", (event) => {
    if (!hasEnded || index + 1 === files.length || process.exitCode !== 0 || changed()) return;
    event.preventDefault();
    void next();
  });
  await run();
}

await main(JSON.parse(Deno.env.get("CRS_TEST_BATCH")!));
