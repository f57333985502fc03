/**
 * A puller as the design describes it, driven step by step: it logs its fence everywhere, reads the
 * cursors that were saved, turns changes into batches for the partitions here, repeats batches whose
 * answer it lost, saves a cursor after what it covers, and lists a partition anew when its history is
 * gone. It may stop at any step, or go on although another one has taken over.
 */
import type {
  MirrorAliasItem,
  MirrorAliasSweep,
  MirrorPut,
  MirrorRemoval,
  MirrorSweep,
} from "../../schemas/gen/command.ts";
import type { Input } from "../../schemas/runtime.ts";
import { KIND_AGENT, KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../src/record/key.ts";
import type { ApplyReply } from "../../src/store/reply.ts";
import type { HomeEvent, HomeRecord, MirrorHome } from "./mirror_home.ts";
import { agentPut, at, type BatchFields, type MirrorHarness } from "./mirrors.ts";
import { idOf } from "./store.ts";

/** The changes of a batch while it is composed. */
interface Changes {
  readonly puts: Input<MirrorPut>[];
  readonly removals: Input<MirrorRemoval>[];
  readonly sweeps: Input<MirrorSweep>[];
  readonly aliases: Input<MirrorAliasItem>[];
  readonly aliasRemovals: Input<MirrorAliasItem>[];
  readonly aliasSweeps: Input<MirrorAliasSweep>[];
}

/** Changes by partition here. */
type Batches = Map<number, Changes>;

/** A batch on its way, and the last index of each partition of the source that it covers. */
interface Sent {
  readonly number: number;
  readonly fields: BatchFields;
  readonly covers: ReadonlyMap<number, { readonly from: number; readonly to: number }>;
  /** The cursors that it saves. */
  readonly saves: readonly number[] | undefined;
}

/** A listing whose sweep is still to be made. */
interface Listing {
  readonly index: number;
  readonly numbers: ReadonlySet<number>;
  readonly claims: ReadonlySet<string>;
}

/** Returns the number of an id made by `idOf`. */
export function numberOf(id: Uint8Array): number {
  return new DataView(id.buffer, id.byteOffset).getUint32(12);
}

/** A puller. */
export class TestPuller {
  readonly fence: number;
  readonly feed: number;
  /** Whether it noticed that another one has taken over. */
  isSuperseded = false;
  readonly #home: MirrorHome;
  readonly #here: readonly MirrorHarness[];
  readonly #fenced: boolean[];
  /** Read, and saved, by partition of the source; -1: nothing was saved. */
  readonly #read: number[] = [];
  readonly #saved: number[] = [];
  /** Index of each partition when the fences were logged. */
  #heads: number[] = [];
  readonly #queues: Sent[][];
  readonly #numbers: number[];
  /** Batches that were applied and are not settled yet, by partition here. */
  readonly #applied: Sent[][];
  readonly #listings = new Map<number, Listing>();

  constructor(fence: number, home: MirrorHome, here: readonly MirrorHarness[]) {
    this.fence = fence;
    this.feed = home.feed;
    this.#home = home;
    this.#here = here;
    this.#fenced = here.map(() => false);
    this.#queues = here.map(() => []);
    this.#numbers = here.map(() => 0);
    this.#applied = here.map(() => []);
  }

  get isFenced(): boolean {
    return this.#fenced.every((fenced) => fenced);
  }

  /** Whether it may still talk to the region that it was made for. */
  get isOfHome(): boolean {
    return this.feed === this.#home.feed;
  }

  /** Logs the fence in one partition here. */
  logFence(partition: number): void {
    if (this.#fenced[partition] === true || this.isSuperseded) return;
    const { code } = this.#here[partition]!.fence(this.fence);
    if (code !== "ok") return void (this.isSuperseded = true);
    this.#fenced[partition] = true;
    if (this.isFenced) this.#begin();
  }

  #begin(): void {
    const source = this.#here[0]!.store.mirrors.source("us");
    for (let partition = 0; partition < this.#home.partitionCount; partition++) {
      const cursor = source?.feed === this.feed ? source.cursors.get(partition) : undefined;
      this.#read[partition] = cursor?.index ?? 0;
      this.#saved[partition] = cursor?.index ?? -1;
      // What it never followed has to be listed: mirrors of an earlier feed may be there.
      if (cursor === undefined) this.#list(partition);
    }
    this.#heads = this.#read.map((_, partition) => this.#home.indexOf(partition));
  }

  /** Takes up to `count` changes of a partition, and sends them. */
  pull(partition: number, count: number): void {
    if (!this.isFenced || this.isSuperseded || !this.isOfHome) return;
    const from = this.#read[partition]!;
    if (from < this.#home.trimmed[partition]!) return this.#list(partition);
    const events = this.#home.logs[partition]!.slice(from, from + count);
    if (events.length === 0) return;
    const batches: Batches = new Map();
    for (const event of events) this.#add(event, batches);
    const to = from + events.length;
    this.#send(batches, partition, { from, to });
    this.#read[partition] = to;
  }

  #batch(batches: Batches, partition: number): Changes {
    let changes = batches.get(partition);
    if (changes === undefined) {
      changes = {
        ...{ puts: [], removals: [], sweeps: [] },
        ...{ aliases: [], aliasRemovals: [], aliasSweeps: [] },
      };
      batches.set(partition, changes);
    }
    return changes;
  }

  #add({ index, number, record, before }: HomeEvent, batches: Batches) {
    const own = this.#batch(batches, number % this.#here.length);
    const after = record?.isGlobal === true ? record : undefined;
    if (after !== undefined) own.puts.push(putOf(after));
    else own.removals.push({ id: idOf(number), kind: KIND_AGENT, revision: at(index) });
    const [was, is] = [before?.isGlobal === true ? before.held : undefined, after?.held];
    if (was !== undefined && was.claim !== is?.claim) {
      const item = { ...was, claim: at(was.claim), agentId: idOf(number), revision: at(index) };
      this.#batch(batches, this.#partitionOf(was.domain)).aliasRemovals.push(item);
    }
    if (is !== undefined && was?.claim !== is.claim) {
      const item = { ...is, claim: at(is.claim), agentId: idOf(number), revision: at(index) };
      this.#batch(batches, this.#partitionOf(is.domain)).aliases.push(item);
    }
  }

  #partitionOf(domain: string): number {
    return domain.charCodeAt(0) % this.#here.length;
  }

  /** Lists a partition whose history is gone; the sweep follows when that is mirrored. */
  #list(partition: number): void {
    const index = this.#home.indexOf(partition);
    const from = this.#read[partition]!;
    const batches: Batches = new Map();
    const listed: HomeRecord[] = [];
    for (const record of this.#home.records.values()) {
      if (this.#home.partitionOf(record.number) !== partition || !record.isGlobal) continue;
      listed.push(record);
      this.#add({ index: record.index, number: record.number, record, before: undefined }, batches);
    }
    this.#send(batches, partition, { from, to: index });
    this.#read[partition] = index;
    const claims = listed.flatMap(({ number, held }) =>
      held === undefined ? [] : [`${held.domain}/${number}/${held.claim}`]
    );
    const numbers = new Set(listed.map(({ number }) => number));
    this.#listings.set(partition, { index, numbers, claims: new Set(claims) });
  }

  /** Sweeps what a listing did not have, once all of the listing was applied. */
  sweep(partition: number): void {
    const listing = this.#listings.get(partition);
    if (listing === undefined || this.#isOnItsWay(partition) || this.isSuperseded) return;
    const batches: Batches = new Map();
    const listed = at(listing.index);
    this.#here.forEach(({ store }, here) => {
      store.forEachSlot(KIND_MIRROR, (slot) => {
        const { id, feed, revision } = store.mirrors.view(slot).toPlain();
        const number = numberOf(id);
        if (this.#home.partitionOf(number) !== partition || listing.numbers.has(number)) return;
        const sweep = { id, kind: KIND_AGENT, feed, revision, listed };
        this.#batch(batches, here).sweeps.push(sweep);
      });
      store.forEachSlot(KIND_MIRROR_ALIAS, (slot) => {
        const { home: _, agentId, ...seen } = store.mirrors.aliasView(slot).toPlain();
        const number = numberOf(agentId);
        const isListed = seen.feed === this.feed &&
          listing.claims.has(`${seen.domain}/${number}/${seen.claim.index}`);
        if (this.#home.partitionOf(number) !== partition || isListed) return;
        this.#batch(batches, here).aliasSweeps.push({ ...seen, listed });
      });
    });
    this.#send(batches, partition, { from: this.#saved[partition]!, to: listing.index });
    this.#listings.delete(partition);
  }

  #isOnItsWay(partition: number): boolean {
    return this.#queues.some((queue) => queue.some(({ covers }) => covers.has(partition)));
  }

  #send(
    batches: ReadonlyMap<number, BatchFields>,
    partition: number,
    cover: { from: number; to: number },
  ): void {
    for (const [here, fields] of batches) {
      this.#enqueue(here, fields, new Map([[partition, cover]]), undefined);
    }
  }

  #enqueue(here: number, fields: BatchFields, covers: Sent["covers"], saves: Sent["saves"]): void {
    this.#queues[here]!.push({ number: ++this.#numbers[here]!, fields, covers, saves });
  }

  /**
   * Applies the batch at `place` of those on their way to a partition; with `isLost` its answer does not
   * come back, so it will be sent again.
   */
  deliver(here: number, { place = 0, isLost = false } = {}): void {
    const sent = this.#queues[here]![place];
    if (sent === undefined || this.isSuperseded) return;
    const { code } = this.#apply(here, sent);
    if (code === "superseded") this.isSuperseded = true;
    if (code !== "ok" || isLost || place > 0) return;
    this.#queues[here]!.shift();
    this.#applied[here]!.push(sent);
    sent.saves?.forEach((index, partition) => this.#saved[partition] = index);
  }

  #apply(here: number, { number, fields }: Sent): ApplyReply {
    const settled = this.#settledOf(here);
    const settledEarlier = this.#saved.every((saved, partition) =>
      saved >= this.#heads[partition]!
    );
    const { fence, feed } = this;
    const batch = { ...fields, number, fence, feed, settled, settledEarlier };
    return this.#here[here]!.batch(batch);
  }

  #settledOf(here: number): number {
    const applied = this.#applied[here]!;
    const isSaved = ({ covers }: Sent) =>
      [...covers].every(([partition, { to }]) => to <= this.#saved[partition]!);
    while (applied.length > 0 && isSaved(applied[0]!)) applied.shift();
    return (applied[0]?.number ?? this.#queues[here]![0]?.number ?? this.#numbers[here]! + 1) - 1;
  }

  /** Saves the cursors of what was applied everywhere. */
  save(): void {
    if (!this.isFenced || this.isSuperseded) return;
    const saves = this.#read.map((read, partition) => {
      // Until the sweep, what came before the listing is needed again.
      if (this.#listings.has(partition)) return this.#saved[partition]!;
      let index = read;
      for (const queue of this.#queues) {
        for (const { covers } of queue) {
          index = Math.min(index, covers.get(partition)?.from ?? index);
        }
      }
      return Math.max(index, this.#saved[partition]!);
    });
    // A cursor says that what came before it was mirrored, so there is none before the first sweep.
    const cursors = saves.flatMap((index, partition) =>
      index === -1 ? [] : [{ partition, generation: 1, index, ordinal: 0 }]
    );
    this.#enqueue(0, { cursors }, new Map(), saves);
  }

  /** Does all that is left to do. */
  finish(): void {
    this.#here.forEach((_, here) => this.logFence(here));
    for (let round = 0; round < 3; round++) {
      for (let partition = 0; partition < this.#home.partitionCount; partition++) {
        this.pull(partition, 1_000);
        this.#deliverAll();
        this.sweep(partition);
        this.#deliverAll();
      }
      this.save();
      this.#deliverAll();
    }
    this.#here.forEach((_, here) => this.#enqueue(here, {}, new Map(), undefined));
    this.#deliverAll();
  }

  #deliverAll(): void {
    this.#queues.forEach((queue, here) => {
      while (queue.length > 0 && !this.isSuperseded) this.deliver(here);
    });
  }
}

function putOf({ number, index, port, held }: HomeRecord) {
  const claim = { generation: 1, index: held?.claim ?? 0 };
  return agentPut(index, {
    number,
    port,
    ...(held === undefined ? {} : { domain: held.domain, claim }),
  });
}
