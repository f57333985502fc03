/**
 * The watch that a client reads, and the view that it keeps: production's SDK over everything that
 * breaks. The watch is ended and continued by tokens of its events, read slowly at times; what it
 * delivers between two tokens is compared with the truth, and the view with its age.
 */
import { toRegistryError } from "../../../src/base/errors.ts";
import type { SeededEntropy } from "../../../src/base/prng.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { toHex } from "../../../src/base/bytes.ts";
import type { CachedView, Client, WatchEvent } from "../../../src/client/mod.ts";
import { kindNamed, RECORD_KINDS } from "../../../src/record/kinds.ts";
import { decodeWatchToken } from "../../../src/wire/watch_token.ts";
import { Finding } from "../history.ts";
import type { Process } from "../machine.ts";
import type { SimWorld } from "../world.ts";
import {
  comparePlaces,
  leavesForm,
  nameOf,
  type Place,
  type TrueChange,
  type TrueFilter,
  type WatchTruth,
} from "./watch_truth.ts";

/** Events after which a reader ends its watch and continues it. */
const EVENTS_MAX = 60;
const SLOW = 0.05;
const SLOW_MS_MAX = 400;
/** The part of the continuations that begin behind an older event. */
const OLDER = 0.3;
const RETRY_MS = 100;
const PROGRESS_MS = 200;
/** Drift of clocks over an age, and their resolution, ms. */
const AGE_SLACK_MS = 5;
const AGE_SLACK_SHARE = 1.01;
/** The tier of a write: labels by which some readers choose. */
export function tierOf(value: number): string {
  return value % 2 === 0 ? "gold" : "iron";
}

/** Codes with which a watch or a view may end before it has begun. */
const EXPECTED: readonly string[] = [
  ...["deadline_exceeded", "connection_lost", "canceled", "shutting_down", "not_caught_up"],
  ...["not_replica", "not_leader", "overloaded", "too_stale", "storage_unavailable"],
];

/** Parameters of a {@link WatchReader}. */
export interface WatchReaderOptions {
  readonly number: number;
  readonly world: SimWorld;
  readonly truth: WatchTruth;
  readonly entropy: SeededEntropy;
  /** UUIDs of some agents. */
  readonly agents: readonly string[];
  readonly partitionCount: number;
  readonly leases: boolean;
}

/** A reader of one client. */
export class WatchReader {
  readonly #options: WatchReaderOptions;
  readonly #filter: TrueFilter;
  #client: Client | undefined;
  /** The token behind which the watch continues. */
  #from: string | undefined;
  readonly #kept: string[] = [];
  /** By partition; undefined while its state comes, or nothing is known. */
  #places = new Map<number, Place | undefined>();
  #view: CachedView | undefined;
  /** Events that were read. */
  events = 0;

  constructor(options: WatchReaderOptions) {
    this.#options = options;
    this.#filter = this.#trueFilter();
  }

  /** Reads with a new client. */
  begin(client: Client, process: Process): void {
    this.#client = client;
    this.#view = undefined;
    const { world } = this.#options;
    this.#read(client, process).catch((error) => world.fail(error));
    this.#look(client, process).catch((error) => world.fail(error));
  }

  /** Returns what it lacks of everything; undefined if nothing. */
  get unmet(): string | undefined {
    const { number, partitionCount, truth } = this.#options;
    for (let partition = 0; partition < partitionCount; partition++) {
      if (!this.#watches(partition)) continue;
      const place = this.#places.get(partition);
      if (place === undefined) return `the watch of client ${number} has no place in ${partition}`;
      const end = { index: Infinity, ordinal: Infinity };
      const missed = truth.firstBetween(partition, place, end, this.#filter);
      if (missed !== undefined) return `the watch of client ${number} lacks ${nameOf(missed)}`;
    }
    const view = this.#view;
    if (view === undefined) return `client ${number} has no view`;
    // Without leases no node proves an age.
    if (this.#options.leases && (view.isStale || view.ageMs > 3 * PROGRESS_MS)) {
      return `the view of client ${number} has an age of ${view.ageMs} ms`;
    }
    for (const change of this.#lastChanges(Infinity)) {
      if (!this.#shows(view, change)) return `the view of client ${number} lacks ${nameOf(change)}`;
    }
    return undefined;
  }

  /** Checks that the view shows everything that is older than its age. */
  checkView(): void {
    const view = this.#view;
    if (view === undefined || view.ageMs === Infinity) return;
    const { number, world: { nowMs } } = this.#options;
    const { ageMs } = view;
    const beforeMs = nowMs - ageMs * AGE_SLACK_SHARE - AGE_SLACK_MS;
    for (const change of this.#lastChanges(beforeMs)) {
      if (this.#shows(view, change)) continue;
      throw new Finding(
        "view_age",
        `The view of client ${number} says an age of ${ageMs.toFixed(1)} ms at ` +
          `${nowMs.toFixed(1)} ms and lacks ${nameOf(change)}, applied at ` +
          `${change.appliedMs.toFixed(1)} ms`,
      );
    }
  }

  async #read(client: Client, process: Process): Promise<void> {
    const { entropy, number } = this.#options;
    while (this.#client === client) {
      let left = 1 + Math.floor(entropy.unit() * EVENTS_MAX);
      this.#places = this.#placesOf(this.#from);
      const start = this.#from === undefined ? { state: number % 2 === 0 } : { from: this.#from };
      const filter = this.#sdkFilter();
      try {
        for await (const event of client.watch(filter, { ...start, progressMs: PROGRESS_MS })) {
          if (this.#client !== client) return;
          this.#take(event);
          if (entropy.unit() < SLOW) await pause(process, entropy.unit() * SLOW_MS_MAX);
          if (--left === 0) break;
        }
      } catch (error) {
        if (error instanceof Finding) throw error;
        this.#checkEnd("watch", error);
        await pause(process, RETRY_MS);
      }
      const isOlder = entropy.unit() < OLDER && this.#kept.length > 0;
      if (isOlder) this.#from = this.#kept[Math.floor(entropy.unit() * this.#kept.length)];
    }
  }

  async #look(client: Client, process: Process): Promise<void> {
    while (this.#client === client && this.#view === undefined) {
      try {
        const view = await client.cachedView({}, { progressMs: PROGRESS_MS, timeoutMs: 5_000 });
        if (this.#client === client) this.#view = view;
      } catch (error) {
        this.#checkEnd("view", error);
        await pause(process, RETRY_MS);
      }
    }
  }

  #checkEnd(what: string, error: unknown): void {
    const { code, message } = toRegistryError(error);
    if (EXPECTED.includes(code)) return;
    const { number } = this.#options;
    throw new Finding(
      "watch_codes",
      `A ${what} of client ${number} ended with ${code}: ${message}`,
    );
  }

  #take(event: WatchEvent): void {
    this.events++;
    const { entropy } = this.#options;
    const before = this.#places;
    this.#places = this.#placesOf(event.token);
    const { partition } = event.receipt;
    let expected: TrueChange | undefined;
    if ("record" in event && !event.isState) expected = this.#expected(event, partition);
    if (event.type === "reset" && this.#places.get(partition) !== undefined) {
      this.#fail(`a reset of partition ${partition} leaves it a position`);
    }
    for (const [of, place] of this.#places) this.#passed(of, before.get(of), place, expected);
    this.#from = event.token;
    if (entropy.unit() < 0.1) this.#kept.push(event.token);
  }

  /** Returns the change that an event is of. */
  #expected(
    event: Extract<WatchEvent, { record: unknown }>,
    partition: number,
  ): TrueChange | undefined {
    const { truth } = this.#options;
    const place = this.#places.get(partition);
    // While the state comes, a change has no position.
    if (place === undefined) return undefined;
    const change = truth.of(partition).find((one) => comparePlaces(one, place) === 0);
    const key = `${kindNamed(event.kind).number} ${toHex(parseUuid(event.record.id))}`;
    const isIt = change?.key === key && TYPES[change.type] === event.type &&
      event.receipt.index === change.index;
    if (isIt) return change;
    this.#fail(`${event.type} of ${key} is ${change === undefined ? "none" : nameOf(change)}`);
  }

  /** Checks that nothing was passed over. */
  #passed(
    partition: number,
    from: Place | undefined,
    to: Place | undefined,
    expected: TrueChange | undefined,
  ): void {
    if (from === undefined || to === undefined) return;
    const { truth } = this.#options;
    if (comparePlaces(to, from) < 0) this.#fail(`partition ${partition} goes back`);
    const isOfEvent = expected?.partition === partition;
    if (isOfEvent && comparePlaces(to, from) === 0) this.#fail(`${nameOf(expected)} is repeated`);
    const isOther = (one: TrueChange) => one !== expected;
    const missed = truth.firstBetween(partition, from, to, this.#filter, isOther);
    if (missed !== undefined) this.#fail(`${nameOf(missed)} is passed over`);
  }

  #placesOf(token: string | undefined): Map<number, Place | undefined> {
    if (token === undefined) return new Map();
    const clusterId = this.#clusterIdOf(token);
    return new Map(
      [...decodeWatchToken(token, clusterId)].map(([partition, position]) => [
        partition,
        position === "state" ? undefined : position,
      ]),
    );
  }

  #clusterIdOf(token: string): Uint8Array {
    const bytes = atob(token.slice(0, 24).replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(bytes.slice(1, 17), (character) => character.charCodeAt(0));
  }

  /** Returns the last change of each record that was applied before a true time. */
  #lastChanges(beforeMs: number): Iterable<TrueChange> {
    const last = new Map<string, TrueChange>();
    const { partitionCount, truth } = this.#options;
    for (let partition = 0; partition < partitionCount; partition++) {
      for (const change of truth.of(partition)) {
        const { kind, type, appliedMs, key } = change;
        if (appliedMs >= beforeMs) break;
        if (isWatched(kind) && type !== 5) last.set(key, change);
      }
    }
    return last.values();
  }

  /** Reports whether a view shows a change, or a later one of the record. */
  #shows(view: CachedView, { key, kind, type, index, partition }: TrueChange): boolean {
    const { truth } = this.#options;
    const id = uuidOf(key);
    const found = view.get(id, RECORD_KINDS.row(kind).name as "agent")?.record.revision.index ?? 0;
    if (found >= index) return true;
    if (!leavesForm(type)) return found === 0;
    return truth.of(partition).some((one) =>
      one.key === key && one.index > index && !leavesForm(one.type)
    ) &&
      found === 0;
  }

  #watches(partition: number): boolean {
    return this.#filter.keys.size === 0 || this.#places.has(partition);
  }

  #sdkFilter() {
    const { agents, number } = this.#options;
    switch (number % 4) {
      case 0:
        return {};
      case 1:
        return { kind: "agent", labels: { tier: "gold" } } as const;
      case 2:
        return { kind: "agent", ids: agents.slice(0, 2) } as const;
      default:
        return { kind: "gateway", region: "eu" } as const;
    }
  }

  #trueFilter(): TrueFilter {
    const { kind, labels = {}, ids = [], region = "" }: {
      kind?: "agent" | "gateway";
      labels?: Readonly<Record<string, string>>;
      ids?: readonly string[];
      region?: string;
    } = this.#sdkFilter();
    const kinds = kind === undefined
      ? RECORD_KINDS.servedRows.map(({ number }) => number)
      : [kindNamed(kind).number];
    return {
      kinds,
      region,
      labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
      keys: new Set(ids.map((id) => `${kinds[0]} ${toHex(parseUuid(id))}`)),
    };
  }

  #fail(what: string): never {
    throw new Finding("watch_sdk", `In the watch of client ${this.#options.number}, ${what}`);
  }
}

/** The types of events of the SDK, by number. */
const TYPES: readonly string[] = [
  ...["", "put", "superseded", "deregistered", "expired", "domain_lost", "stale", "recovered"],
];

function pause(process: Process, delayMs: number): Promise<void> {
  return new Promise((resolve) => void process.after(delayMs, resolve));
}

function uuidOf(key: string): string {
  const hex = key.slice(key.indexOf(" ") + 1);
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([from, to]) => hex.slice(from, to))
    .join("-");
}

/** Reports whether watches of all kinds have the records of a kind: those that programs use by its name. */
function isWatched(kind: number): boolean {
  const row = RECORD_KINDS.find(kind);
  return row !== undefined && row.hasOwnOperations !== true;
}
