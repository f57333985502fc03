/**
 * Watchers of a cluster, and writers whose changes they watch: some watchers of everything, others of
 * a label, of some ids, of a region, or of a domain, and views. All watchers begin before the first
 * write, so what each of them is told can be compared: with what the watchers of everything were told,
 * with every acknowledged write, and at the end with full lists.
 */
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  type AgentInfo,
  type CachedView,
  type Client,
  connect,
  type ConnectParameters,
  type Watch,
  type WatchFilter,
} from "../../src/client/mod.ts";
import { findTarget } from "../../src/cli/target.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { until } from "./until.ts";

/** Clients over which the watchers are spread. */
const CLIENTS = 8;
const GROUPS = 10;
const REGIONS = ["east", "west"] as const;
const TTL_MS = 600_000;
/** A record with a lease this short is not renewed, and so expires. */
const SHORT_TTL_MS = 5_000;
/** Of the writes of a record, each so many is a deregistration, or is left to expire. */
const REMOVE_EVERY = 5;
const EXPIRE_EVERY = 7;

/** The size of a fleet. */
export interface FleetSize {
  readonly watchers: number;
  readonly records?: number;
  /** Pause of each writer between two writes, ms. */
  readonly pauseMs?: number;
}

/** A change as a watcher was told it. */
interface Told {
  readonly type: string;
  readonly partition: number;
  readonly index: number;
  readonly node: number;
  readonly record: AgentInfo;
}

/** A watcher, and what it was told. */
class Watcher {
  readonly name: string;
  readonly watch: Watch;
  readonly told: Told[] = [];
  readonly state = new Map<string, AgentInfo>();
  /** The number of partitions that were reset. */
  resets = 0;
  error: unknown;
  readonly #matches: (record: AgentInfo) => boolean;
  readonly #last = new Map<number, number>();

  constructor(name: string, watch: Watch, matches: (record: AgentInfo) => boolean) {
    this.name = name;
    this.watch = watch;
    this.#matches = matches;
    void this.#read();
  }

  /** Reports whether an event of everything is one of this watcher. */
  matches(told: Told): boolean {
    return this.#matches(told.record);
  }

  async #read(): Promise<void> {
    try {
      for await (const event of this.watch) {
        if (event.type === "reset") this.resets++;
        if (!("record" in event) || event.kind !== "agent") continue;
        const { type, record, receipt: { partition, index, node } } = event;
        const last = this.#last.get(partition) ?? 0;
        if (index < last) {
          throw new Error(`${this.name}: index ${index} of partition ${partition} after ${last}`);
        }
        this.#last.set(partition, index);
        this.told.push({ type, partition, index, node, record });
        if (type === "put" || type === "superseded") this.state.set(record.id, record);
        else if (type !== "domain_lost" || this.name.startsWith("domain")) {
          this.state.delete(record.id);
        }
      }
    } catch (error) {
      this.error = error;
    }
  }
}

/** Watchers and writers. */
export class WatchFleet {
  readonly watchers: Watcher[] = [];
  readonly views: { readonly view: CachedView<"agent">; readonly region: string }[] = [];
  /** Positions of acknowledged writes, as `partition:index`. */
  readonly acknowledged: string[] = [];
  /** Writes that failed, as text. */
  readonly failures: string[] = [];
  readonly #clients: readonly Client[];
  readonly #dialer: QuicDialer;
  readonly #records: number;
  readonly #pauseMs: number;
  #writers: Promise<void>[] = [];
  #isEnded = false;

  private constructor(clients: readonly Client[], dialer: QuicDialer, size: FleetSize) {
    const { records = 40, pauseMs = 200 } = size;
    this.#clients = clients;
    this.#dialer = dialer;
    this.#records = records;
    this.#pauseMs = pauseMs;
  }

  /** Connects to the cluster of a folder, and starts the watchers. */
  static async start(folder: string, size: FleetSize): Promise<WatchFleet> {
    const world = processWorld();
    const { endpoints, trust } = findTarget({ data: folder }, {});
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
    const parameters: ConnectParameters = { endpoints, trust, dialer, world };
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(parameters)));
    const fleet = new WatchFleet(clients, dialer, size);
    for (let number = 0; number < size.watchers; number++) fleet.#watch(number);
    await Promise.all(fleet.watchers.map(({ watch }) => watch.begun));
    await Promise.all(REGIONS.map(async (region, at) => {
      const view = await clients[at]!.cachedView({ kind: "agent", region });
      fleet.views.push({ view, region });
    }));
    return fleet;
  }

  /** Starts the writers. */
  write(): void {
    this.#writers = Array.from({ length: this.#records }, (_, record) => this.#writeOne(record));
  }

  /** Resolves when so many further writes were acknowledged. */
  async acknowledges(count: number, deadlineMs = 30_000): Promise<void> {
    const wanted = this.acknowledged.length + count;
    await until(`${count} writes`, () => this.acknowledged.length >= wanted, deadlineMs);
  }

  /** Ends the writers. */
  async endWrites(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#writers);
  }

  /**
   * Waits until every watcher and view has what full lists have, and then compares what each of them
   * was told. @throws Error that says what differs.
   */
  async check(deadlineMs = 20_000): Promise<void> {
    let difference = "";
    await until("watchers that agree with full lists", async () => {
      difference = await this.#difference();
      return difference === "";
    }, deadlineMs).catch((cause) => {
      throw new Error(difference, { cause });
    });
    const [first] = this.watchers;
    const all = first!.told;
    const texts = textsOf(all).split("\n");
    const twice = texts.filter((text, at) => texts.indexOf(text) !== at);
    if (twice.length > 0) throw new Error(`Told twice: ${twice.join()}`);
    const seen = new Set(all.map(({ partition, index }) => `${partition}:${index}`));
    const lost = this.acknowledged.filter((position) => !seen.has(position));
    if (lost.length > 0) throw new Error(`Acknowledged, and never told: ${lost.join()}`);
    for (const watcher of this.watchers) {
      if (watcher.error !== undefined) throw watcher.error;
      if (watcher.resets > 0) throw new Error(`${watcher.name} was reset`);
      if (watcher.name.startsWith("domain")) continue;
      const wanted = textsOf(all.filter((told) => watcher.matches(told)));
      const told = textsOf(watcher.told);
      if (told !== wanted) throw new Error(`${watcher.name} was told\n${told}\nnot\n${wanted}`);
    }
  }

  /** The events that all watchers were told. */
  get told(): number {
    return this.watchers.reduce((sum, { told }) => sum + told.length, 0);
  }

  /** The nodes from which events came. */
  get nodes(): ReadonlySet<number> {
    return new Set(this.watchers.flatMap(({ told }) => told.map(({ node }) => node)));
  }

  /** Closes everything. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#writers);
    for (const { watch } of this.watchers) watch.close();
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#dialer.close();
  }

  #watch(number: number): void {
    const client = this.#clients[number % CLIENTS]!;
    const record = number % this.#records;
    const id = idOf(record);
    const { kind, filter, matches } = KINDS[number % KINDS.length]!(number, record, id);
    const watch = client.watch(filter);
    this.watchers.push(new Watcher(`${kind} ${number}`, watch, matches));
  }

  async #writeOne(record: number): Promise<void> {
    const client = this.#clients[record % CLIENTS]!;
    const id = idOf(record);
    for (let number = 1; !this.#isEnded; number++) {
      try {
        if (number % REMOVE_EVERY === 0) await client.deregisterAgent(id);
        else {
          const ttlMs = number % EXPIRE_EVERY === 0 ? SHORT_TTL_MS : TTL_MS;
          const { revision, receipts } = await client.registerAgent({
            ...inputOf(record),
            port: number,
            ttlMs,
          });
          this.acknowledged.push(`${receipts.at(-1)!.partition}:${revision.index}`);
        }
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        if (error.code !== "not_found") this.failures.push(`${error.code}: ${error.message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }

  /** Returns what differs between the lists and the watchers; "" if nothing does. */
  async #difference(): Promise<string> {
    const [client] = this.#clients;
    const lists = await Promise.all(
      REGIONS.map((region) => client!.listAgents(region, { limit: 1_000 })),
    );
    const listed = lists.flatMap(({ items }) => items.map(({ agent }) => agent));
    for (const watcher of this.watchers) {
      const { name, state, error } = watcher;
      if (error !== undefined) return `${name}: ${error}`;
      const wanted = listed.filter((record) =>
        watcher.matches({ type: "", partition: 0, index: 0, node: 0, record })
      );
      const difference = differenceOf(wanted, [...state.values()]);
      if (difference !== "") return `${name}: ${difference}`;
    }
    for (const { view, region } of this.views) {
      const wanted = listed.filter((record) => record.region === region);
      const difference = differenceOf(wanted, [...view.list()]);
      if (difference !== "") return `view of ${region}: ${difference}`;
      if (view.isStale) return `view of ${region}: stale, ${view.ageMs} ms old`;
    }
    return "";
  }
}

interface WatcherKind {
  readonly kind: string;
  readonly filter: WatchFilter;
  readonly matches: (record: AgentInfo) => boolean;
}

/** The kinds of watcher, in turns. */
const KINDS: readonly ((number: number, record: number, id: string) => WatcherKind)[] = [
  () => ({ kind: "everything", filter: { kind: "agent" }, matches: () => true }),
  (number) => {
    const group = String(number % GROUPS);
    return {
      kind: "label",
      filter: { kind: "agent", labels: { group } },
      matches: ({ labels }) => labels["group"] === group,
    };
  },
  (_, __, id) => ({
    kind: "id",
    filter: { kind: "agent", ids: [id] },
    matches: (record) => record.id === id,
  }),
  (number) => {
    const region = REGIONS[number % 2]!;
    return {
      kind: "region",
      filter: { kind: "agent", region, labels: { group: String(number % GROUPS) } },
      matches: (record) =>
        record.region === region && record.labels["group"] === String(number % GROUPS),
    };
  },
  (_, record) => {
    const { domain } = inputOf(record);
    return { kind: "domain", filter: { domain }, matches: (found) => found.domain === domain };
  },
];

function idOf(record: number): string {
  return `00000000-0000-4000-8000-${String(record).padStart(12, "0")}`;
}

function inputOf(record: number) {
  return {
    id: idOf(record),
    region: REGIONS[record % 2]!,
    domain: `w${record}.example`,
    labels: { group: String(record % GROUPS) },
    address: "192.0.2.1",
  };
}

/** Returns events as text, by partition. */
function textsOf(told: readonly Told[]): string {
  return [...told].sort((left, right) => left.partition - right.partition)
    .map(({ type, partition, index, record: { id, port } }) =>
      `${partition}:${index} ${type} ${id.slice(-4)} ${port}`
    ).join("\n");
}

function differenceOf(wanted: readonly AgentInfo[], found: readonly AgentInfo[]): string {
  const text = ({ id, port }: AgentInfo) => `${id.slice(-4)}:${port}`;
  const [left, right] = [wanted, found].map((records) => records.map(text).sort().join(" "));
  return left === right ? "" : `has ${right} where the list has ${left}`;
}
