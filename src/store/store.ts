/**
 * The public interface of one partition's state machine.
 *
 * `apply` is a pure function of the state and the entry: the same entries give the same state,
 * replies and events on every replica, and bytes that are not a command give a reply like any
 * other. Beside it is the leader's volatile knowledge, which is not logged: when leases are due
 * ({@link Leases}). Synchronous throughout; a slot, a span or a view is valid until the next apply.
 * Source: design §3.
 */
import { assert } from "../base/assert.ts";
import { generationOfTerm } from "../base/ids.ts";
import { RegistryError } from "../base/errors.ts";
import { EXPIRE_ITEMS_MAX, FORGET_PER_ENTRY_MAX, GROUP_TIME_MS_MAX } from "../base/limits.ts";
import type { Position } from "../base/position.ts";
import type { AgentView, AliasView, GatewayView } from "../../schemas/gen/record.ts";
import { KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../record/key.ts";
import type { OwnedView } from "../record/kind_row.ts";
import type { RecordKind } from "../record/kinds.ts";
import { applyCommand } from "./apply_command.ts";
import { PARTITION_APPLY_VERSION } from "./apply_version.ts";
import type { GatewayRanking } from "./free_capacity.ts";
import {
  ImageLoader,
  type PreparedState,
  readImage,
  writeImage,
  type WrittenImage,
} from "./image.ts";
import { Leases, type RenewOutcome } from "./leases.ts";
import { forEachGateway, keysAfter, listRegion, type RegionList } from "./listing.ts";
import { type MirrorChoice, MirrorReads } from "./mirrors/mirror_reads.ts";
import { PartitionState } from "./partition_state.ts";
import { EXPIRE_ALL, type OverdueCommands, type OverdueJudge } from "./overdue.ts";
import { type ApplyReply, refusal, type StoredSpan } from "./reply.ts";
import { FLAG_TOMBSTONE } from "./slot_table.ts";
import type { PartitionStoreOptions, StoreEntry } from "./store_options.ts";

/** The state machine of one partition. */
export class PartitionStore {
  readonly #options: PartitionStoreOptions;
  #state: PartitionState;
  #leases: Leases;
  #onEarlier = (): void => {};
  /** Copies of other regions' records. */
  readonly mirrors: MirrorReads = new MirrorReads(() => this.#state);
  /** Called when it becomes leader; must not change the store. */
  onLeading: () => void = () => {};

  constructor(options: PartitionStoreOptions) {
    this.#options = options;
    this.#state = this.#newState();
    this.#leases = this.#newLeases(this.#state);
    this.#begins();
  }

  /** Tells the sink that the state begins here: the events before are not passed. */
  #begins(): void {
    const { appliedIndex, partition } = this.#state;
    this.#options.sink?.onBegin(partition, appliedIndex);
  }

  #newLeases(state: PartitionState): Leases {
    return new Leases(state, () => this.#onEarlier());
  }

  #newState(): PartitionState {
    const { shared, partition = 0, sink } = this.#options;
    return new PartitionState(shared, partition, sink);
  }

  /** The version by which commands are applied. */
  get applyVersion(): number {
    return this.#state.applyVersion;
  }

  /** The highest apply version that the program knows. */
  get applyVersionMax(): number {
    return this.#options.applyVersionMax ?? PARTITION_APPLY_VERSION;
  }

  /** Last applied group time, ms. */
  get timeMs(): number {
    return this.#state.timeMs;
  }

  /** Index of the last applied entry; 0 if none. */
  get appliedIndex(): number {
    return this.#state.appliedIndex;
  }

  /** Returns the number of live records of a kind. */
  countOf(kind: RecordKind): number {
    return this.#state.counts[kind]!;
  }

  get aliasCount(): number {
    return this.#state.aliasCount;
  }

  /** Size of the slots and index, bytes, not counting the arena. */
  get tableBytes(): number {
    return this.#state.table.tableBytes;
  }

  /**
   * Applies the next entry.
   *
   * @throws RegistryError `unsupported_version` if only a later program knows the command; the replica
   * must stop then. No other content of an entry makes it throw.
   * @param leaderNowMs the leader's group time if known: the lease of a registration then starts at
   * the reply rather than at the proposal. Does not affect replicated state.
   */
  apply(entry: StoreEntry, leaderNowMs = 0): ApplyReply {
    const { data, index, term } = entry;
    const state = this.#state;
    assert(
      index > state.appliedIndex,
      () => `Entry to apply must be above ${state.appliedIndex}: its index is ${index}`,
    );
    state.appliedIndex = index;
    state.generation = generationOfTerm(term);
    this.#leases.observe(leaderNowMs);
    try {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const command = state.shared.views.command.wrap(view, data, 0, data.length);
      const timeMs = command.timeMs;
      if (timeMs > GROUP_TIME_MS_MAX) {
        return refusal("malformed", `Time must be at most ${GROUP_TIME_MS_MAX}: found ${timeMs}`);
      }
      state.advanceTime(timeMs);
      state.forget(FORGET_PER_ENTRY_MAX);
      const { unixS, writer } = command;
      const reply = applyCommand({
        state,
        leases: this.#leases,
        command,
        data,
        view,
        index,
        unixS,
        writer,
        applyVersionMax: this.applyVersionMax,
      });
      this.#leases.applied();
      return reply;
    } catch (error) {
      // Bytes that are not a command are refused alike on every replica; other errors are bugs.
      if (!(error instanceof RegistryError) || error.code === "unsupported_version") throw error;
      return refusal(error.code, error.message);
    }
  }

  // Reads.

  /**
   * Returns the slot of a live record or alias, or -1 if there is none. Does not allocate.
   *
   * @param key for a record the 16 bytes of its id, for an alias the lower-case domain, at
   * `[start, end)`.
   */
  find(kind: number, key: Uint8Array, start: number, end: number): number {
    return this.#state.findLive(kind, key, start, end);
  }

  /** Sets `into` to the location of the slot's stored form, root pointer first, and returns it. */
  locate(slot: number, into: StoredSpan): StoredSpan {
    return this.#state.locate(slot, into);
  }

  /** Returns the shared view on an agent's slot; any use of a partition of the node repositions it. */
  agentView(slot: number): AgentView {
    assert(this.#state.table.kindOf(slot) === KIND_AGENT, () => `Slot ${slot} must hold an agent`);
    return this.#state.recordView(slot) as AgentView;
  }

  /** Returns the shared view on a gateway's slot; any use of a partition of the node repositions it. */
  gatewayView(slot: number): GatewayView {
    assert(
      this.#state.table.kindOf(slot) === KIND_GATEWAY,
      () => `Slot ${slot} must hold a gateway`,
    );
    return this.#state.recordView(slot) as GatewayView;
  }

  /** Returns the shared view on an alias' slot; any use of a partition of the node repositions it. */
  aliasView(slot: number): AliasView {
    assert(this.#state.table.kindOf(slot) === KIND_ALIAS, () => `Slot ${slot} must hold an alias`);
    return this.#state.aliasView(slot);
  }

  /**
   * Returns the shared view on a slot's record of any kind; any use of a partition of the node
   * repositions it.
   */
  recordView(slot: number): OwnedView {
    return this.#state.recordView(slot);
  }

  /** Returns the current incarnation of the slot's record. */
  incarnationOf(slot: number): Position {
    const record = this.#state.recordView(slot);
    return { generation: record.incarnationGeneration, index: record.incarnationIndex };
  }

  /** Returns the remaining lease, ms: by due time on the leader, otherwise by the logged cover. */
  remainingMs(slot: number, nowMs: number): number {
    return this.#leases.remainingMs(slot, nowMs);
  }

  /**
   * Returns at most `limit` slots of a region's records with an id after `afterId` (16 bytes), by
   * id.
   */
  listRegion(options: RegionList): number[] {
    return this.#state.shared.kinds.find(options.kind) === undefined
      ? []
      : listRegion(this.#state, options);
  }

  /** Number of slots, those of tombstones included: the cost of a scan. */
  get slotCount(): number {
    return this.#state.table.count;
  }

  /**
   * Returns the first `limit` keys behind `after` (undefined: from the start) of the live records or
   * aliases of some kinds, in order; a key of several kinds as often. The caller owns them.
   */
  keysAfter(kinds: readonly number[], after: Uint8Array | undefined, limit: number): Uint8Array[] {
    return keysAfter(this.#state, { kinds, after, limit });
  }

  /** Offers the live gateways and mirrors of a region that are not draining and that `mayOffer` permits. */
  rankGateways(
    region: Uint8Array,
    ranking: GatewayRanking<PartitionStore>,
    choice: MirrorChoice,
    mayOffer: (slot: number) => boolean,
  ): void {
    forEachGateway(this.#state, ranking.kind, region, choice, (slot, gateway, isSuspended) => {
      if (mayOffer(slot)) ranking.offer(this, slot, gateway, isSuspended);
    });
  }

  /** Calls `visit` with the slot of each live record or alias of a kind; it must apply nothing. */
  forEachSlot(kind: number, visit: (slot: number) => void): void {
    const { table } = this.#state;
    for (let slot = 0; slot < table.count; slot++) {
      if (table.kindOf(slot) === kind && !table.hasFlag(slot, FLAG_TOMBSTONE)) visit(slot);
    }
  }

  // The leader's volatile knowledge.

  /**
   * Starts leading, at the first applied entry of the leader's own term; leases are due by the
   * covers.
   */
  onBecomeLeader(nowMs: number): void {
    this.#leases.lead(nowMs);
    this.onLeading();
  }

  /** Stops leading and forgets everything that was not logged. */
  onLoseLeadership(): void {
    this.#leases.follow();
  }

  /**
   * Renews a lease in memory alone if its cover permits it.
   *
   * `needs_extension`: nothing was promised; propose `extendCommand({ force: true })`, and call
   * again once it is applied. `not_found`: the record expired or was removed. Does not allocate.
   *
   * @param id 16 bytes at `start`.
   */
  renew(
    kind: number,
    id: Uint8Array,
    start: number,
    incarnation: Position,
    nowMs: number,
  ): RenewOutcome {
    return this.#leases.renew(kind, id, start, incarnation, nowMs);
  }

  /**
   * Sets whether the right of a record's owner has ended; {@link renew} then returns
   * `permission_denied`. Not logged, and forgotten with the leadership: the caller also removes the
   * record.
   */
  setEnded(slot: number, ended: boolean): void {
    this.#leases.setEnded(slot, ended);
  }

  /**
   * Ttl of the lease that {@link renew} renewed last, ms: for the renewal interval sent in a reply.
   */
  get renewedTtlMs(): number {
    return this.#leases.renewedTtlMs;
  }

  /**
   * Returns the time at which `extendCommand` or `overdueCommands` next has work, group ms, or
   * Infinity.
   */
  nextDeadlineMs(): number {
    return this.#leases.nextDeadlineMs;
  }

  /** Searches for the first end of a lease that is not renewed, group ms; Infinity if there is none. */
  findNextDueMs(): number {
    return this.#leases.findNextDueMs();
  }

  /**
   * Returns a command that extends covers, to be proposed as it is; `undefined` if none is due.
   *
   * @param options `force`: at once, because an owner waits; otherwise only what was gathered long
   * enough.
   */
  extendCommand(
    { nowMs, unixS, force = false }: { nowMs: number; unixS: number; force?: boolean },
  ): Uint8Array | undefined {
    return this.#leases.extendCommand(nowMs, unixS, force);
  }

  /**
   * Returns commands for overdue records, to be proposed as they are: they expire, or become stale, as
   * `judge` decides.
   */
  overdueCommands(
    { nowMs, unixS, limit = EXPIRE_ITEMS_MAX, judge = EXPIRE_ALL }: {
      readonly nowMs: number;
      readonly unixS: number;
      readonly limit?: number;
      readonly judge?: OverdueJudge;
    },
  ): OverdueCommands {
    return this.#leases.overdueCommands(nowMs, unixS, limit, judge);
  }

  /** The records that the expiry guard may keep, as the leader sees them. */
  get guarded(): Pick<Leases, "census" | "hurryStale"> {
    return this.#leases;
  }

  /**
   * Returns the latest time at which the time must be logged, group ms; Infinity if nothing depends
   * on it.
   */
  timeLogMs(): number {
    return this.#leases.timeLogMs;
  }

  /**
   * Sets a function that is called, during an apply or a renewal, whenever something becomes due
   * before the time last passed to {@link planned}: by a deadline that moved forward or by becoming
   * leader. It must not change the store.
   */
  watchDeadlines(onEarlier: () => void): void {
    this.#onEarlier = onEarlier;
  }

  /** Records when the leader next checks its deadlines, group ms; Infinity: not until it is called. */
  planned(plannedMs: number): void {
    this.#leases.planned(plannedMs);
  }

  // Image.

  /** Estimated size of an image of the present state, bytes. */
  get imageBytes(): number {
    return this.#state.imageBytes;
  }

  /**
   * Begins an image of the present state, which may change while its chunks are taken.
   *
   * @param scratch of the store's shared part: each chunk is then valid until another one is taken.
   */
  writeImage(scratch?: Uint8Array<ArrayBuffer>): WrittenImage {
    return writeImage(this.#state, scratch);
  }

  /** Returns a loader that reads an image piece by piece into this store, which must be empty. */
  imageLoader(): Pick<ImageLoader, "push" | "finish"> {
    assert(this.#state.table.count === 0, "A store that takes an image must be empty");
    const loader = new ImageLoader(this.#state, this.applyVersionMax);
    return {
      push: (chunk) => loader.push(chunk),
      finish: () => {
        loader.finish();
        this.#begins();
      },
    };
  }

  /**
   * Loads a whole image, given as chunks of any sizes, into this store, which must be empty.
   *
   * @throws RegistryError `corrupt`, `unsupported_version`.
   */
  loadImage(chunks: Iterable<Uint8Array>): void {
    const loader = this.imageLoader();
    for (const chunk of chunks) loader.push(chunk);
    loader.finish();
  }

  /**
   * Reads a whole image step by step beside the current state, which stays in use; both occupy memory
   * until `install` or `discard` is called. `install` replaces the state by the image: no slot stays
   * valid, and the leader's volatile knowledge is lost. Both return the work of freeing what is not used
   * any more.
   *
   * @throws RegistryError `corrupt`, `unsupported_version`.
   */
  *readImage(image: Uint8Array): Generator<number, PreparedState, undefined> {
    const state = this.#newState();
    yield* readImage(state, image, this.applyVersionMax);
    return {
      install: () => {
        const freeing = this.#replace(state);
        this.#begins();
        return freeing;
      },
      discard: () => state.release(),
    };
  }

  /** Empties the store; returns the work of freeing its memory. */
  retire(): Generator<number, void, undefined> {
    return this.#replace(this.#newState());
  }

  /** Frees all memory; the store is empty afterwards. */
  release(): void {
    for (const _ of this.retire());
  }

  #replace(state: PartitionState): Generator<number, void, undefined> {
    const replaced = this.#state;
    this.#leases.follow();
    this.#state = state;
    this.#leases = this.#newLeases(state);
    return replaced.release();
  }
}
