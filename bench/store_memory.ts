/**
 * Measures the memory and time of the store with a million records in one process.
 *
 * Run: `deno run -A --v8-flags=--expose-gc bench/store_memory.ts [records] [partitions]`, with a
 * third argument `aliases` for aliases alone. Resident memory is measured relative to that of the
 * empty store, after a collection. No log, no network: bytes in, apply, bytes out.
 */
import { agentCodec, gatewayCodec } from "../schemas/gen/record.ts";
import { NO_POSITION } from "../src/base/position.ts";
import { encodeClaim, encodePut, encodeTick } from "../src/record/command.ts";
import { KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../src/record/key.ts";
import { Partitioner } from "../src/ring/partition.ts";
import { StoreShared } from "../src/store/shared.ts";
import { PartitionStore } from "../src/store/store.ts";
import { ResultFile } from "./harness.ts";

const RECORDS = Number(Deno.args[0] ?? 1_000_000);
const PARTITIONS = Number(Deno.args[1] ?? 1_024);
const TTL_MS = 30_000;
const GATEWAY_EVERY = 50;
const REGIONS = 8;
const HASH_SEED = new Uint8Array(16).fill(9);

const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});

const results = new ResultFile(
  Deno.args[2] === "aliases" ? "store_aliases" : "store_memory",
  new Date().toISOString(),
);

function report(what: string, fields: Record<string, number>): void {
  results.write({ what, ...fields });
}

function residentBytes(): number {
  collect();
  collect();
  return Deno.memoryUsage().rss;
}

/** Returns the nanoseconds per call over `count` calls. */
function perCall(count: number, run: () => void): number {
  const start = performance.now();
  run();
  return Math.round((performance.now() - start) * 1e6 / count);
}

const id = new Uint8Array(16);
const idView = new DataView(id.buffer);
/** Sets the id to a spread one that is derived from the number. */
function setId(number: number): void {
  idView.setUint32(0, Math.imul(number, 0x9e3779b1));
  idView.setUint32(4, Math.imul(number, 0x85ebca6b) ^ 0x5bd1e995);
  idView.setUint32(8, Math.imul(number, 0xc2b2ae35));
  idView.setUint32(12, number);
}

const kindOf = (number: number) => number % GATEWAY_EVERY === 0 ? KIND_GATEWAY : KIND_AGENT;
const agent = { ...agentCodec.empty(), id, process: 1, sequence: 1, ttlMs: TTL_MS };
const gateway = {
  ...gatewayCodec.empty(),
  id,
  process: 1,
  sequence: 1,
  ttlMs: TTL_MS,
  port: 4_000,
};

/**
 * Creates a command that registers a record of 23 words (184 bytes; long names of regions make both
 * kinds that long). Commands are created once and patched, so that the store's memory is measured
 * and not the bench's.
 */
const header = { timeMs: 0, unixS: 1_700_000_000, writer: 1 };
const templates = Array.from({ length: 2 * REGIONS }, (_, index) => {
  const region = `region-${index >> 1}`;
  const kind = index % 2 === 0 ? KIND_AGENT : KIND_GATEWAY;
  const record = kind === KIND_AGENT
    ? agentCodec.encode({ ...agent, region: region.padEnd(31, "x") })
    : gatewayCodec.encode({ ...gateway, region: region.padEnd(15, "x") });
  const command = encodePut(header, { record, kind, expected: NO_POSITION });
  // The id is the first field of the record, which is the last part of the command.
  return { command, idAt: command.length - record.length + 8 };
});

/** Returns a command for the record, valid until the next call. */
function register(number: number): Uint8Array {
  setId(number);
  const { command, idAt } = templates[(number % REGIONS) * 2 + kindOf(number) - KIND_AGENT]!;
  command.set(id, idAt);
  return command;
}

function newStores(shared: StoreShared): PartitionStore[] {
  return Array.from(
    { length: PARTITIONS },
    () => new PartitionStore({ shared }),
  );
}

function benchRecords(): { stores: PartitionStore[]; partitioner: Partitioner } {
  const partitioner = new Partitioner(new Uint8Array(16).fill(3), PARTITIONS);
  const shared = new StoreShared({ bytesMax: 8 * 1024 ** 3, hashSeed: HASH_SEED });
  const stores = newStores(shared);
  for (const store of stores) {
    store.apply({ index: 1, term: 1, data: encodeTick({ timeMs: 0, unixS: 0, writer: 0 }) });
    store.onBecomeLeader(0);
  }
  const emptyBytes = residentBytes();
  const applyNs = perCall(RECORDS, () => {
    for (let number = 0; number < RECORDS; number++) {
      const data = register(number);
      const store = stores[partitioner.partitionOf(kindOf(number), id, 0, 16)]!;
      store.apply({ index: store.appliedIndex + 1, term: 1, data });
    }
  });
  const fullBytes = residentBytes();
  const { recordBytes, arenaBytes } = shared.statistics();
  const tableBytes = stores.reduce((sum, store) => sum + store.tableBytes, 0);
  report("records", {
    records: RECORDS,
    partitions: PARTITIONS,
    residentBytesPerRecord: Math.round((fullBytes - emptyBytes) / RECORDS),
    storedBytesPerRecord: Math.round(recordBytes / RECORDS),
    arenaBytesPerRecord: Math.round(arenaBytes / RECORDS),
    tableBytesPerRecord: Math.round(10 * tableBytes / RECORDS) / 10,
    applyNs,
  });
  return { stores, partitioner };
}

function benchReads(stores: PartitionStore[], partitioner: Partitioner): void {
  const count = Math.min(RECORDS, 1_000_000);
  let found = 0;
  const span = { bytes: id, view: idView, start: 0, end: 0 };
  const findNs = perCall(count, () => {
    for (let at = 0; at < count; at++) {
      const number = (at * 7_919) % RECORDS;
      setId(number);
      const kind = kindOf(number);
      const store = stores[partitioner.partitionOf(kind, id, 0, 16)]!;
      const slot = store.find(kind, id, 0, 16);
      if (slot !== -1) found += store.locate(slot, span).end > 0 ? 1 : 0;
    }
  });
  let renewed = 0;
  const renewNs = perCall(count, () => {
    for (let at = 0; at < count; at++) {
      const number = (at * 7_919) % RECORDS;
      setId(number);
      const kind = kindOf(number);
      const store = stores[partitioner.partitionOf(kind, id, 0, 16)]!;
      const incarnation = store.incarnationOf(store.find(kind, id, 0, 16));
      if (store.renew(kind, id, 0, incarnation, 9_000) === "renewed") renewed++;
    }
  });
  let deadlines = 0;
  const idleNs = perCall(PARTITIONS, () => {
    for (const store of stores) deadlines += store.nextDeadlineMs() > 0 ? 1 : 0;
  });
  let extended = 0;
  const extendMs = perCall(1, () => {
    for (const store of stores) {
      const data = store.extendCommand({ nowMs: 10_000, unixS: 0, force: true });
      if (data !== undefined) {
        extended += store.apply({ index: store.appliedIndex + 1, term: 1, data }).count;
      }
    }
  }) / 1e6;
  report("reads", { findNs, renewNs, idleNs, found, renewed, extended, extendMs, deadlines });
}

function benchImage(stores: PartitionStore[]): void {
  let chunks: Uint8Array[][] = [];
  const writeMs = perCall(1, () => chunks = stores.map((store) => [...store.writeImage()])) / 1e6;
  const bytes = chunks.flat().reduce((sum, chunk) => sum + chunk.length, 0);
  const shared = new StoreShared({ bytesMax: 8 * 1024 ** 3, hashSeed: HASH_SEED });
  const loaded = newStores(shared);
  const loadMs = perCall(1, () => {
    loaded.forEach((store, partition) => store.loadImage(chunks[partition]!));
  }) / 1e6;
  report("image", {
    bytes,
    writeMs,
    loadMs,
    records: shared.counts.records[KIND_AGENT]! + shared.counts.records[KIND_GATEWAY]!,
  });
  for (const store of loaded) store.release();
}

function benchExpiry(stores: PartitionStore[]): void {
  const before = residentBytes();
  let expired = 0;
  const start = performance.now();
  for (const store of stores) {
    for (;;) {
      const data = store.overdueCommands({ nowMs: 1e8, unixS: 0 }).expire;
      if (data === undefined) break;
      expired += store.apply({ index: store.appliedIndex + 1, term: 1, data }).count;
    }
  }
  const expireNs = Math.round((performance.now() - start) * 1e6 / Math.max(1, expired));
  report("expiry", { expired, expireNs, moreBytes: residentBytes() - before });
  const forgetMs = perCall(1, () => {
    for (const store of stores) {
      for (let round = 0; round < 8; round++) {
        const data = encodeTick({ timeMs: 2e8, unixS: 0, writer: 0 });
        store.apply({ index: store.appliedIndex + 1, term: 1, data });
      }
    }
  }) / 1e6;
  report("forget", {
    forgetMs,
    slotBytes: stores.reduce((sum, store) => sum + store.tableBytes, 0),
  });
}

function benchAliases(): void {
  const partitioner = new Partitioner(new Uint8Array(16).fill(3), PARTITIONS);
  const shared = new StoreShared({ bytesMax: 8 * 1024 ** 3, hashSeed: HASH_SEED });
  const stores = newStores(shared);
  const emptyBytes = residentBytes();
  // One command is patched: only digits of the domain and the agent's id differ.
  const domain = "a0000000.agents.example";
  const marker = new Uint8Array(16).fill(0xab);
  const command = encodeClaim(header, { domain, agentId: marker, replaces: NO_POSITION });
  const idAt = command.indexOf(0xab);
  const domainAt = command.length - 24;
  for (let number = 0; number < RECORDS; number++) {
    setId(number);
    command.set(id, idAt);
    for (let digit = 7, left = number; digit > 0; digit--, left = Math.floor(left / 10)) {
      command[domainAt + digit] = 0x30 + left % 10;
    }
    const start = domainAt;
    const partition = partitioner.partitionOf(KIND_ALIAS, command, start, start + domain.length);
    const store = stores[partition]!;
    store.apply({ index: store.appliedIndex + 1, term: 1, data: command });
  }
  const fullBytes = residentBytes();
  const { aliases, recordBytes } = shared.statistics();
  report("aliases", {
    aliases,
    residentBytesPerAlias: Math.round((fullBytes - emptyBytes) / RECORDS),
    storedBytesPerAlias: Math.round(recordBytes / RECORDS),
  });
}

function benchEmpty(): void {
  const before = residentBytes();
  const shared = new StoreShared({ bytesMax: 1024 ** 3, hashSeed: HASH_SEED });
  const stores = Array.from(
    { length: 8_192 },
    () => new PartitionStore({ shared }),
  );
  report("empty partitions", {
    count: stores.length,
    bytesEach: Math.round((residentBytes() - before) / stores.length),
  });
}

if (Deno.args[2] === "aliases") {
  // Run twice: the second time the heap of the process has the size that such a load requires.
  benchAliases();
  benchAliases();
} else {
  benchEmpty();
  const { stores, partitioner } = benchRecords();
  benchReads(stores, partitioner);
  benchImage(stores);
  benchExpiry(stores);
}
