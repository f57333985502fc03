/**
 * A view: the records of a filter in memory, as a watch tells them, with the age of each answer.
 *
 * The age is measured by this machine's clocks alone: from when a progress was asked for, plus the
 * age that its node proved. While nothing arrives it grows; what was known stays readable, marked.
 */
import type { AgentView } from "../../../schemas/gen/record.ts";
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { READ_STALENESS_MS_MAX } from "../../base/limits.ts";
import { NO_POSITION, type Position } from "../../base/position.ts";
import { formatUuid, parseUuid } from "../../base/uuid.ts";
import type { Timer } from "../../base/world.ts";
import { canonicalDomain } from "../../record/domain.ts";
import { KIND_AGENT } from "../../record/key.ts";
import {
  kindNamed,
  RECORD_KINDS,
  type RecordKindName,
  recordKindName,
} from "../../record/kinds.ts";
import type { CallOptions } from "../call_options.ts";
import { ageBoundMsOf } from "../receipts.ts";
import type { AgentInfo, GatewayInfo } from "../records.ts";
import { isUnknown } from "../retry.ts";
import type { Client } from "../types.ts";
import type {
  CachedView,
  InfoOf,
  ViewAge,
  ViewReadOptions,
  ViewRecord,
  ViewResolved,
} from "../watch_types.ts";
import type { WatchChange, WatchSink } from "./change.ts";
import { RecordDecoder } from "./events.ts";
import { WatchSession, type WatchSessionOptions } from "./session.ts";
import { type ViewEntry, ViewRecords } from "./view_records.ts";
import type { WatchRouting } from "./watch_routing.ts";

/** Progress intervals after which an answer counts as stale. */
const STALE_INTERVALS = 3;

/** Calls of the client to which a view falls through. */
export type ViewCalls = Pick<Client, "getAgent" | "getGateway" | "resolveAgent">;

/** Parameters of a {@link WatchedView}. */
export interface WatchedViewOptions {
  readonly session: WatchSessionOptions;
  readonly recordsMax: number;
  readonly bytesMax: number;
  /** Default of reads that may fall through, ms; Infinity if they never do. */
  readonly maxStalenessMs: number;
}

/** A view that a watch keeps. */
export class WatchedView implements CachedView, WatchSink {
  readonly isFull = false;
  readonly ended: Promise<RegistryError | undefined>;
  readonly #ended = Promise.withResolvers<RegistryError | undefined>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #routing: WatchRouting;
  readonly #options: WatchedViewOptions;
  readonly #calls: ViewCalls;
  readonly #session: WatchSession;
  readonly #records = new ViewRecords();
  readonly #decoder = new RecordDecoder();
  /** Ends the time in which a node may prove an age. */
  #proof: Timer | undefined;
  #hasBegun = false;
  #isOver = false;

  constructor(routing: WatchRouting, options: WatchedViewOptions, calls: ViewCalls) {
    this.#routing = routing;
    this.#options = options;
    this.#calls = calls;
    this.ended = this.#ended.promise;
    // `ready` throws the same error, and nobody may be waiting there when the view ends.
    this.#ready.promise.catch(() => {});
    this.#session = new WatchSession(routing, options.session, this);
  }

  /**
   * Resolves once all partitions are complete and their age is known; where no node proves ages,
   * some intervals later.
   *
   * @throws RegistryError the refusal, `overloaded` if it does not fit, `deadline_exceeded`.
   */
  async ready(timeoutMs: number): Promise<void> {
    const { world: { scheduler } } = this.#routing;
    const timer = scheduler.after(timeoutMs, () => this.#session.fail(this.#late(timeoutMs)));
    try {
      await this.#ready.promise;
    } finally {
      timer.cancel();
      this.#proof?.cancel();
    }
  }

  get size(): number {
    return this.#records.count;
  }

  get ageMs(): number {
    return this.#session.ageMs;
  }

  get isStale(): boolean {
    return this.#isOver || this.#records.listing > 0 || this.#isOld(this.ageMs);
  }

  get<K extends RecordKindName>(id: string, kind?: K): ViewRecord<InfoOf<K>> | undefined {
    const entry = this.#find(id, kind);
    if (entry === undefined) return undefined;
    return { record: entry.info as InfoOf<K>, ...this.#ageOf(entry) };
  }

  resolve(domain: string): ViewResolved | undefined {
    const entry = this.#records.holder(canonicalDomain(domain));
    if (entry === undefined) return undefined;
    const age = this.#ageOf(entry);
    if (entry.kind !== KIND_AGENT) {
      return { agent: undefined, gateway: entry.info as GatewayInfo, ...age };
    }
    const agent = entry.info as AgentInfo;
    const gateway = agent.gatewayId === "" ? undefined : this.#find(agent.gatewayId, "gateway");
    if (gateway === undefined) return { agent, gateway: undefined, ...age };
    const { ageMs, isStale } = this.#ageOf(gateway);
    return {
      agent,
      gateway: gateway.info as GatewayInfo,
      ageMs: Math.max(ageMs, age.ageMs),
      isStale: isStale || age.isStale,
    };
  }

  *list(): IterableIterator<AgentInfo | GatewayInfo> {
    for (const { info } of this.#records) yield info as AgentInfo | GatewayInfo;
  }

  async read<K extends RecordKindName>(
    id: string,
    options: ViewReadOptions & { readonly kind?: K } = {},
  ): Promise<ViewRecord<InfoOf<K>>> {
    const kind = options.kind ?? this.#kind;
    const known = () => this.get<K>(id, kind as K | undefined);
    return await this.#youngest(known, options, async (call) => {
      const { record, receipts } = await this.#ask(id, kind, call);
      return { record: record as InfoOf<K>, ageMs: ageBoundMsOf(receipts), isStale: false };
    });
  }

  async readResolved(domain: string, options: ViewReadOptions = {}): Promise<ViewResolved> {
    return await this.#youngest(() => this.resolve(domain), options, async (call) => {
      const { agent, gateway, receipts } = await this.#calls.resolveAgent(domain, call);
      return { agent, gateway, ageMs: ageBoundMsOf(receipts), isStale: false };
    });
  }

  close(): void {
    this.#session.close();
  }

  // What the session tells (WatchSink).

  onBegun(): void {
    this.#hasBegun = true;
    this.#settle();
  }

  take(change: WatchChange): void {
    const { type, partition } = change;
    this.#records.begin(this.#session.partitions);
    if (type === "reset") this.#records.reset(partition);
    else if (type === "complete") this.#records.complete(partition);
    else if (type === "progress") this.#settle();
    // An agent that gives its domain up is put without it next.
    else if (type !== "domain_lost") this.#apply(change);
  }

  onEnded(error: RegistryError | undefined): void {
    this.#isOver = true;
    this.#ready.reject(error ?? new RegistryError("canceled", "The view was closed"));
    this.#ended.resolve(error);
  }

  #apply(change: WatchChange): void {
    const { kind, partition, record, hasLeft, type } = change;
    const view = this.#decoder.view(change, record);
    if (hasLeft || type === "deregistered" || type === "expired") {
      return this.#records.remove(partition, kind, formatUuid(view.id));
    }
    const info = RECORD_KINDS.row(kind).decode(view);
    const claim = kind === KIND_AGENT ? claimOf(view as unknown as AgentView) : NO_POSITION;
    this.#records.put({ kind, partition, info, bytes: record.end - record.start, claim });
    const { recordsMax, bytesMax } = this.#options;
    const { count, bytes } = this.#records;
    if (count > recordsMax || bytes > bytesMax) this.#session.fail(tooLarge(this.#options));
  }

  /** Finds out whether the view is ready. */
  #settle(): void {
    this.#records.begin(this.#session.partitions);
    if (!this.#hasBegun || this.#records.listing > 0) return;
    const ready = () => this.#ready.resolve();
    if (this.ageMs < Infinity) return ready();
    const waitMs = STALE_INTERVALS * this.#options.session.progressMs;
    this.#proof ??= this.#routing.world.scheduler.after(waitMs, ready);
  }

  /** The kind of record of a view of one kind. */
  get #kind(): RecordKindName | undefined {
    const { kind } = this.#options.session.filter;
    // Watches are of kinds with names.
    return kind === 0 ? undefined : recordKindName(kind) as RecordKindName;
  }

  #find(id: string, kind: RecordKindName | undefined): ViewEntry | undefined {
    const { partitioner } = this.#routing;
    if (partitioner === undefined) return undefined;
    const bytes = parseUuid(id, "id");
    const text = formatUuid(bytes);
    const one = kind ?? this.#kind;
    const rows = one === undefined ? RECORD_KINDS.rows : [kindNamed(one)];
    for (const { number } of rows) {
      const partition = partitioner.partitionOf(number, bytes, 0, bytes.length);
      const entry = this.#records.get(partition, number, text);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #ageOf({ partition }: ViewEntry): ViewAge {
    const ageMs = this.#session.ageMsOf(partition);
    const isListing = this.#records.isListing(partition);
    return { ageMs, isStale: this.#isOver || isListing || this.#isOld(ageMs) };
  }

  #isOld(ageMs: number): boolean {
    return ageMs > STALE_INTERVALS * this.#options.session.progressMs;
  }

  /**
   * Returns what is known if it is young enough, else what `ask` returns; what is known, too, if that
   * fails for a reason that says nothing about the record.
   */
  async #youngest<T extends ViewAge>(
    known: () => T | undefined,
    options: ViewReadOptions,
    ask: (call: CallOptions) => Promise<T>,
  ): Promise<T> {
    const { maxStalenessMs = this.#options.maxStalenessMs, timeoutMs, signal } = options;
    const found = known();
    const { ageMs, isStale } = found ?? this;
    if (!isStale && ageMs <= maxStalenessMs) {
      if (found !== undefined) return found;
      throw new RegistryError("not_found", "The view has no such record");
    }
    try {
      return await ask({
        maxStalenessMs: Math.min(Math.floor(maxStalenessMs), READ_STALENESS_MS_MAX),
        ...(timeoutMs !== undefined && { timeoutMs }),
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      const last = isUnknown(toRegistryError(error)) ? known() : undefined;
      if (last === undefined) throw error;
      return { ...last, isStale: true };
    }
  }

  async #ask(id: string, kind: RecordKindName | undefined, call: CallOptions) {
    if (kind !== "gateway") {
      const { agent, receipts } = await this.#calls.getAgent(id, call);
      return { record: agent, receipts };
    }
    const { gateway, receipts } = await this.#calls.getGateway(id, call);
    return { record: gateway, receipts };
  }

  #late(timeoutMs: number): RegistryError {
    const { listing } = this.#records;
    return new RegistryError(
      "deadline_exceeded",
      `The view must be complete within ${timeoutMs} ms: ${listing} partitions are missing`,
    );
  }
}

function claimOf({ claimGeneration: generation, claimIndex: index }: AgentView): Position {
  return { generation, index };
}

function tooLarge({ recordsMax, bytesMax }: WatchedViewOptions): RegistryError {
  return new RegistryError(
    "overloaded",
    `A view must have at most ${recordsMax} records of ${bytesMax} bytes: the registry has more. ` +
      "Raise recordsMax and bytesMax, or narrow the filter",
  );
}
