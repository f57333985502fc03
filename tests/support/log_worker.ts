/**
 * A process that opens a shared log in the given folder, checks its content (entry n holds the
 * number n), prints `found <last index>`, and appends until it is killed, printing `acknowledged
 * <index>`.
 */
import { groupId, logIndex, term } from "../../src/base/ids.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { openFileStorage } from "../../src/storage/file_storage.ts";
import { openSharedLog } from "../../src/storage/open_shared_log.ts";
import type { SharedLog } from "../../src/storage/shared_log.ts";

const IN_FLIGHT = 16;
const group = groupId(1);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

function work(log: SharedLog, found: number): void {
  let last = found;
  const next = () => {
    const index = ++last;
    const entry = { term: term(1), kind: 0, data: encoder.encode(String(index)) };
    const refusal = log.appendOne(group, logIndex(index), entry, (error) => {
      if (error !== undefined) throw error;
      say(`acknowledged ${index}`);
      next();
    });
    if (refusal !== undefined) throw refusal;
  };
  for (let count = 0; count < IN_FLIGHT; count++) next();
}

const world = processWorld();
let found = 0;
openSharedLog({
  storage: openFileStorage(Deno.args[0]!, world.scheduler),
  clock: world.monotonic,
  scheduler: world.scheduler,
  entropy: world.entropy,
  handlers: {
    hardState() {},
    imageStart() {},
    imageChunk() {},
    imageEnd() {},
    entry(_, index, __, ___, data) {
      if (decoder.decode(data) !== String(index)) throw new Error(`Entry ${index} holds another`);
      found = index;
    },
    ready(log) {
      say(`found ${found}`);
      work(log, found);
    },
    failed(error) {
      throw error;
    },
    poisoned(error) {
      throw error;
    },
  },
});
