/**
 * A region as its feed tells of it: partitions with histories that may be cut, records of both scopes
 * with domains, and a loss of everything after which it begins anew. Remembers all that ever was true,
 * so that a mirror can be judged.
 */
import { compareOrders, type MirrorOrder } from "../../src/store/mirrors/mirror_sources.ts";
import { at } from "./mirrors.ts";

/** An agent's claim on a domain. */
export interface HomeClaim {
  readonly domain: string;
  readonly claim: number;
}

/** A live record. */
export interface HomeRecord {
  readonly number: number;
  /** Index of its last change in its partition. */
  readonly index: number;
  readonly port: number;
  readonly isGlobal: boolean;
  readonly held: HomeClaim | undefined;
}

/** A change, as the feed sends it. */
export interface HomeEvent {
  readonly index: number;
  readonly number: number;
  /** The record after the change; undefined when it was removed. */
  readonly record: HomeRecord | undefined;
  readonly before: HomeRecord | undefined;
}

/** A region. */
export class MirrorHome {
  readonly partitionCount: number;
  /** Generation of the feed: rises when everything was lost. */
  feed = 1;
  readonly records = new Map<number, HomeRecord>();
  /** The changes of each partition, by index - 1. */
  readonly logs: HomeEvent[][];
  /** Changes up to this index are no longer told, by partition. */
  readonly trimmed: number[];
  readonly #claims = new Map<string, { number: number; claim: number }>();
  readonly #contents = new Map<string, HomeRecord>();
  /** For each record, the changes by which it ended or left the global scope. */
  readonly #ends = new Map<number, MirrorOrder[]>();
  #ports = 0;
  #claimed = 0;

  constructor(partitionCount: number) {
    this.partitionCount = partitionCount;
    this.logs = Array.from({ length: partitionCount }, () => []);
    this.trimmed = this.logs.map(() => 0);
  }

  partitionOf(number: number): number {
    return number % this.partitionCount;
  }

  indexOf(partition: number): number {
    return this.logs[partition]!.length;
  }

  /** Registers or updates a record; a domain that another live agent holds is left out. */
  register(number: number, isGlobal: boolean, domain: string | undefined): void {
    const index = this.indexOf(this.partitionOf(number)) + 1;
    const held = domain === undefined ? undefined : this.#claim(number, domain);
    const record = { number, index, port: ++this.#ports, isGlobal, held };
    this.#contents.set(`${this.feed}/${number}/${index}`, record);
    this.#log(number, record);
    this.records.set(number, record);
    if (!isGlobal) this.#end(number, index);
  }

  remove(number: number): void {
    if (!this.records.has(number)) return;
    this.#log(number, undefined);
    this.records.delete(number);
    this.#end(number, this.indexOf(this.partitionOf(number)));
  }

  /** Forgets the older half of a partition's history. */
  trim(partition: number): void {
    const index = this.indexOf(partition);
    this.trimmed[partition] = Math.max(this.trimmed[partition]!, Math.ceil(index / 2));
  }

  /** Loses everything, and is accepted again as a new feed. */
  recreate(): void {
    this.feed++;
    const known = new Set([...this.records.keys(), ...this.#ends.keys()]);
    this.records.clear();
    this.#claims.clear();
    this.logs.forEach((log) => log.length = 0);
    this.trimmed.fill(0);
    for (const number of known) this.#end(number, 0);
  }

  /** Returns what a record was at a change; undefined if that change never was, or was no put. */
  contentAt(number: number, { feed, revision }: MirrorOrder): HomeRecord | undefined {
    return this.#contents.get(`${feed}/${number}/${revision.index}`);
  }

  /** Returns the first change after `order` that ended the record; undefined if there is none. */
  endAfter(number: number, order: MirrorOrder): MirrorOrder | undefined {
    return this.#ends.get(number)?.find((end) => compareOrders(end, order) > 0);
  }

  #claim(number: number, domain: string): HomeClaim | undefined {
    const current = this.#claims.get(domain);
    const holder = current === undefined ? undefined : this.records.get(current.number);
    const isHeld = holder?.held?.domain === domain;
    if (current !== undefined && current.number !== number && isHeld) return undefined;
    if (current?.number === number) return { domain, claim: current.claim };
    const claim = ++this.#claimed;
    this.#claims.set(domain, { number, claim });
    return { domain, claim };
  }

  #log(number: number, record: HomeRecord | undefined): void {
    const log = this.logs[this.partitionOf(number)]!;
    log.push({ index: log.length + 1, number, record, before: this.records.get(number) });
  }

  #end(number: number, index: number): void {
    const ends = this.#ends.get(number) ?? [];
    ends.push({ feed: this.feed, revision: at(index) });
    this.#ends.set(number, ends);
  }
}
