/**
 * A link to a region of a test (mirror_home.ts), as a real one behaves: it sends the state of partitions
 * that it cannot continue in pieces while they change, names cursors after what they cover, and proves
 * freshness by the clocks of the reader. Nothing is sent before the reader asks; the test may cut it off.
 */
import { readClocks } from "../../src/base/clock_reading.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import type { World } from "../../src/base/world.ts";
import { KIND_AGENT } from "../../src/record/key.ts";
import { Partitioner } from "../../src/ring/partition.ts";
import type {
  FeedBatch,
  FeedEvent,
  FollowRequest,
  LinkContact,
  RegionFeed,
  RegionLink,
  SourceStatus,
} from "../../src/region/region_link.ts";
import { type HomeEvent, type HomeRecord, MirrorHome } from "./mirror_home.ts";
import { agentPut, at } from "./mirrors.ts";
import { idOf } from "./store.ts";

/** A region whose records are placed as in a cluster. */
export class SourceRegion extends MirrorHome {
  status: SourceStatus;
  readonly #partitioner: Partitioner;

  constructor(partitionCount: number, cluster = 1) {
    super(partitionCount);
    const clusterId = new Uint8Array(16).fill(cluster);
    // Another one than the id: a cluster may choose both.
    const hashKey = new Uint8Array(16).fill(cluster, 8);
    this.status = { region: "us", clusterId, generation: 1, partitionCount, hashKey };
    this.#partitioner = new Partitioner(hashKey, partitionCount);
  }

  override partitionOf(number: number): number {
    return this.#partitioner.partitionOf(KIND_AGENT, idOf(number), 0, 16);
  }

  /** Returns the records of a partition that leave the region, in the order in which it lists them. */
  listed(partition: number): HomeRecord[] {
    return [...this.records.values()]
      .filter(({ number, isGlobal }) => isGlobal && this.partitionOf(number) === partition)
      .sort((left, right) => left.number - right.number);
  }
}

/** A link to a region under test. */
export class FakeRegionLink implements RegionLink {
  readonly #source: SourceRegion;
  readonly #world: World;
  readonly #random: SeededEntropy;
  readonly #feeds = new Set<FakeFeed>();
  /** While false, nothing is answered. */
  isUp = true;
  /** Records, or changes, of one batch. */
  pieceMax = 3;
  /** Whether it stops after the records of a state, before their end. */
  endsEarly = false;
  /** Whether it calls partitions fresh although their state is under way. */
  provesEarly = false;
  statusAsked = 0;
  isClosed = false;

  constructor(source: SourceRegion, world: World, seed = 1) {
    this.#source = source;
    this.#world = world;
    this.#random = new SeededEntropy(seed);
  }

  get contact(): LinkContact {
    return {
      lastContact: this.isUp ? readClocks(this.#world) : undefined,
      isConnected: this.isUp,
      lastError: undefined,
      bytesReceived: 0,
      eventsReceived: 0,
      resets: 0,
    };
  }

  status(): Promise<SourceStatus> {
    this.statusAsked++;
    if (this.isUp) return Promise.resolve(this.#source.status);
    return Promise.reject(new RegistryError("connection_lost", "The region is out of reach"));
  }

  governedLog(): Promise<never> {
    return Promise.reject(new RegistryError("connection_lost", "Its plane is out of reach"));
  }

  feed(request: FollowRequest): RegionFeed {
    const feed = new FakeFeed(this, this.#source, request, this.#world, this.#random);
    this.#feeds.add(feed);
    return feed;
  }

  /** The feeds that were asked for, with where they began. */
  get feeds(): readonly FakeFeed[] {
    return [...this.#feeds];
  }

  /** Tells the feeds that something changed. */
  poke(): void {
    for (const feed of this.#feeds) feed.poke();
  }

  close(): Promise<void> {
    this.isClosed = true;
    for (const feed of this.#feeds) feed.close();
    return Promise.resolve();
  }
}

/** The state of a partition that is being sent. */
interface Listing {
  /** Number of the last record sent; -1: none. */
  sent: number;
}

/** A feed of a {@link FakeRegionLink}. */
export class FakeFeed implements RegionFeed {
  readonly request: FollowRequest;
  readonly #link: FakeRegionLink;
  readonly #source: SourceRegion;
  readonly #world: World;
  readonly #random: SeededEntropy;
  readonly #read = new Map<number, number>();
  readonly #listings = new Map<number, Listing>();
  readonly #moved = new Set<number>();
  #wake: (() => void) | undefined;
  #isClosed = false;
  #error: RegistryError | undefined;
  /** The data that it began with; when that is lost it ends. */
  readonly #incarnation: number;

  constructor(
    link: FakeRegionLink,
    source: SourceRegion,
    request: FollowRequest,
    world: World,
    random: SeededEntropy,
  ) {
    this.#link = link;
    this.#source = source;
    this.#incarnation = source.feed;
    this.request = request;
    this.#world = world;
    this.#random = random;
    for (const partition of request.partitions) {
      const cursor = request.cursors.get(partition);
      if (cursor !== undefined) this.#read.set(partition, cursor.index);
    }
  }

  poke(): void {
    this.#wake?.();
  }

  close(): void {
    this.#isClosed = true;
    this.poke();
  }

  /** Ends it with an error. */
  fail(error: RegistryError): void {
    this.#error = error;
    this.poke();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FeedBatch, void, undefined> {
    for (;;) {
      if (this.#isClosed) return;
      if (this.#error !== undefined) throw this.#error;
      if (this.#incarnation !== this.#source.feed) {
        throw new RegistryError("wrong_cluster", "The region was created anew");
      }
      const events = this.#link.isUp ? this.#next() : [];
      if (events.length > 0) yield { events, bytes: 100 * events.length };
      else await this.#poked();
    }
  }

  async #poked(): Promise<void> {
    const { scheduler } = this.#world;
    await new Promise<void>((resolve) => {
      const timer = scheduler.after(1_000, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
    // A second has passed, or something changed: it is proven anew.
    this.#isProven = false;
  }

  #isProven = false;

  #next(): FeedEvent[] {
    const { partitions } = this.request;
    const events: FeedEvent[] = [];
    const start = Math.floor(this.#random.unit() * partitions.length);
    for (let count = 0; count < partitions.length && events.length === 0; count++) {
      this.#pull(partitions[(start + count) % partitions.length]!, events);
    }
    if (events.length > 0) return events;
    if (this.#moved.size > 0) {
      const cursors = [...this.#moved].map((partition) => this.#cursorOf(partition));
      this.#moved.clear();
      return [{ type: "cursors", cursors }];
    }
    if (this.#isProven || this.#listings.size > 0 && !this.#link.provesEarly) return [];
    this.#isProven = true;
    return [{ type: "fresh", asOf: readClocks(this.#world) }];
  }

  #cursorOf(partition: number) {
    return { partition, generation: 1, index: this.#read.get(partition)!, ordinal: 0 };
  }

  #pull(partition: number, events: FeedEvent[]): void {
    const read = this.#read.get(partition);
    const listing = this.#listings.get(partition);
    if (read === undefined || read < this.#source.trimmed[partition]!) {
      this.#listings.set(partition, { sent: -1 });
      this.#read.set(partition, this.#source.indexOf(partition));
      this.#moved.delete(partition);
      events.push({ type: "reset", partition });
      return;
    }
    // While it is listed, what has changed comes before more of the state.
    const changes = this.#source.logs[partition]!.slice(read, read + this.#link.pieceMax);
    for (const change of changes) {
      if (change.number <= (listing?.sent ?? Infinity)) events.push(eventOf(partition, change));
    }
    this.#read.set(partition, read + changes.length);
    if (listing === undefined) {
      if (changes.length > 0) this.#moved.add(partition);
    } else if (changes.length === 0) this.#list(partition, listing, events);
  }

  #list(partition: number, listing: Listing, events: FeedEvent[]): void {
    const page = this.#source.listed(partition)
      .filter(({ number }) => number > listing.sent).slice(0, this.#link.pieceMax);
    for (const record of page) {
      events.push(putOf(partition, record, { isState: true }));
      listing.sent = record.number;
    }
    if (page.length > 0 || this.#link.endsEarly) return;
    this.#listings.delete(partition);
    const { partition: _, ...position } = this.#cursorOf(partition);
    events.push({ type: "complete", partition, position });
    this.#moved.add(partition);
  }
}

function eventOf(partition: number, { index, number, record, before }: HomeEvent): FeedEvent {
  const was = before?.isGlobal === true ? before.held : undefined;
  const after = record?.isGlobal === true ? record : undefined;
  const isLost = was !== undefined && was.claim !== after?.held?.claim;
  const lost = isLost ? { lost: { domain: was.domain, claim: at(was.claim) } } : {};
  if (after === undefined) {
    const id = idOf(number);
    return { type: "remove", partition, kind: KIND_AGENT, id, revision: at(index), ...lost };
  }
  const keptClaim = was !== undefined && was.claim === after.held?.claim;
  return { ...putOf(partition, after, { isState: false }), keptClaim, ...lost };
}

function putOf(
  partition: number,
  { number, index, port, held }: HomeRecord,
  { isState }: { readonly isState: boolean },
): Extract<FeedEvent, { readonly type: "put" }> {
  const claim = at(held?.claim ?? 0);
  const { kind, revision, record } = agentPut(index, {
    number,
    port,
    ...(held === undefined ? {} : { domain: held.domain, claim }),
  });
  const form = { kind: kind as number, record: record as Uint8Array };
  return { type: "put", partition, isState, id: idOf(number), revision: revision!, ...form };
}
