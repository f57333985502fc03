/**
 * The watch of a domain: two watches joined, of its alias and of the agent that the alias names. The
 * domain resolves while the agent's record holds the claim of the alias, as for every resolve.
 *
 * Alias and agent are in different partitions, whose changes have no common order, so the outcome is
 * judged after each change of either.
 */
import { type AgentView, aliasCodec } from "../../../schemas/gen/record.ts";
import { bytesEqual } from "../../base/bytes.ts";
import { type RegistryError, toRegistryError } from "../../base/errors.ts";
import { type Position, samePosition } from "../../base/position.ts";
import { KIND_AGENT } from "../../record/key.ts";
import type { Client } from "../types.ts";
import { WatchChange, type WatchSink } from "./change.ts";
import {
  type AliasTarget,
  decodeDomainToken,
  type DomainToken,
  encodeDomainToken,
} from "./domain_token.ts";
import { eventOf, RecordDecoder } from "./events.ts";
import { agentFilter, aliasFilter, type CheckedFilter } from "./filter.ts";
import { PositionMap } from "./positions.ts";
import { ReadableWatch } from "./readable_watch.ts";
import { WatchSession, type WatchSessionOptions } from "./session.ts";
import type { WatchRouting } from "./watch_routing.ts";

/** Parameters of a {@link DomainWatch}. */
export interface DomainWatchOptions extends
  Pick<
    WatchSessionOptions,
    "progressMs" | "withBefore" | "maxStalenessMs" | "timeoutMs"
  > {
  readonly domain: string;
  /** The token behind which it continues. */
  readonly from: string | undefined;
  /** Whether the agent that holds the domain at the start is an event. */
  readonly state: boolean;
}

/** Calls of the client that a watch of a domain makes. */
export type DomainCalls = Pick<Client, "getAgentStored">;

/** The agent as it is known. */
interface KnownAgent {
  readonly claim: Position;
  /** The stored form and its source; undefined if only a token tells of it. */
  readonly change: WatchChange | undefined;
}

/** The state of a domain watch behind one event, from which the token of that event is made. */
interface Snapshot {
  readonly alias: PositionMap;
  readonly agent: PositionMap | undefined;
  readonly agentSession: WatchSession | undefined;
  readonly target: AliasTarget | undefined;
  readonly agentClaim: Position | undefined;
  readonly isResolved: boolean;
}

/**
 * The state of one of the two watches. Its events wait until it is complete, so that the tokens of
 * what is told have a position in it.
 */
class PartState {
  isComplete: boolean;
  readonly #waiting: WatchChange[] = [];

  constructor(isComplete = false) {
    this.isComplete = isComplete;
  }

  /** Keeps an event until the state is complete. */
  wait(change: WatchChange): void {
    this.#waiting.push(copyOf(change));
  }

  /** Ends the state; returns the events that waited. */
  complete(): readonly WatchChange[] {
    this.isComplete = true;
    return this.#waiting.splice(0);
  }
}

/** A watch of a domain. */
export class DomainWatch extends ReadableWatch {
  readonly #routing: WatchRouting;
  readonly #options: DomainWatchOptions;
  readonly #calls: DomainCalls;
  readonly #decoder = new RecordDecoder();
  readonly #aliasView = aliasCodec.newView();
  #aliasSession: WatchSession | undefined;
  #agentSession: WatchSession | undefined;
  #aliasPositions = PositionMap.empty(1);
  #agentPositions: PositionMap | undefined;
  #target: AliasTarget | undefined;
  #agent: KnownAgent | undefined;
  #aliasState = new PartState();
  #agentState = new PartState();
  /** The record that the reader knows; undefined if the domain did not resolve. */
  #resolved: WatchChange | undefined;
  #isResolved = false;
  /** Whether what is told is the state: at the start, and after a reset. */
  #isStarting = true;
  #wasReset = false;
  /** Changes of the alias that wait until the agent's removal is told. */
  #deferred: WatchChange[] | undefined;
  #isOver = false;

  /** @throws RegistryError `invalid_argument`. */
  constructor(
    routing: WatchRouting,
    options: DomainWatchOptions,
    calls: DomainCalls,
    signal?: AbortSignal,
  ) {
    super(signal);
    this.#routing = routing;
    this.#options = options;
    this.#calls = calls;
    const { domain, from } = options;
    const filter = aliasFilter(domain);
    if (from === undefined) this.#watchAlias(filter, "state");
    else {
      this.#continue(filter, decodeDomainToken(from)).catch((error) =>
        this.#finish(toRegistryError(error))
      );
    }
  }

  close(): void {
    this.#finish(undefined);
  }

  protected resume(): void {
    this.#aliasSession?.resume();
    this.#agentSession?.resume();
  }

  /**
   * Continues behind a token. The agent is read first: should it lose the domain by a change of the
   * alias alone, the record to tell is known. If there is none, its removal is still to come.
   */
  async #continue(filter: CheckedFilter, token: DomainToken): Promise<void> {
    this.#isStarting = false;
    this.#aliasState.isComplete = true;
    const { target, agentClaim: claim, agent } = token;
    if (target !== undefined) {
      this.#target = target;
      this.#isResolved = token.isResolved;
      const change = await this.#read(target.agentId);
      if (this.#isOver) return;
      if (token.isResolved) this.#resolved = change;
      if (claim !== undefined) this.#agent = { claim, change };
      this.#follow(agent === undefined ? "state" : { token: agent });
    }
    this.#watchAlias(filter, { token: token.alias });
  }

  /** Reads an agent; returns undefined if there is none. */
  async #read(agentId: Uint8Array): Promise<WatchChange | undefined> {
    try {
      const { timeoutMs } = this.#options;
      const { bytes } = await this.#calls.getAgentStored(agentId, { timeoutMs });
      const change = new WatchChange(PositionMap.empty(0));
      change.kind = KIND_AGENT;
      change.bytes = bytes;
      change.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      change.record = { start: 0, end: bytes.length };
      return change;
    } catch (error) {
      if (toRegistryError(error).code !== "not_found") throw error;
      return undefined;
    }
  }

  #watchAlias(filter: CheckedFilter, from: WatchSessionOptions["from"]): void {
    const sink = this.#sink((change) => this.#aliasChanged(change), () => this.onBegun());
    this.#aliasSession = new WatchSession(
      this.#routing,
      { ...this.#common(), filter, from },
      sink,
    );
  }

  /** Watches the agent that the alias names, however long it takes: the watch has begun. */
  #follow(from: WatchSessionOptions["from"]): void {
    this.#agentSession?.close();
    this.#agentState = new PartState(from !== "state");
    const filter = agentFilter(this.#target!.agentId);
    const sink = this.#sink((change) => this.#agentChanged(change), () => {});
    this.#agentSession = new WatchSession(
      this.#routing,
      { ...this.#common(), timeoutMs: Infinity, filter, from },
      sink,
    );
  }

  #common() {
    const { progressMs, withBefore, maxStalenessMs, timeoutMs } = this.#options;
    return {
      ...{ progressMs, withBefore, maxStalenessMs, timeoutMs, withMirrors: false },
      asksProgress: false,
      follower: "",
      startsAnew: false,
    };
  }

  #sink(take: (change: WatchChange) => void, onBegun: () => void): WatchSink {
    const { queue } = this;
    return {
      get isFull() {
        return queue.isFull;
      },
      take,
      onBegun,
      onEnded: (error) => {
        if (error !== undefined) this.#finish(error);
      },
    };
  }

  #finish(error: RegistryError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#aliasSession?.close();
    this.#agentSession?.close();
    this.onEnded(error);
  }

  #aliasChanged(change: WatchChange): void {
    this.#aliasPositions = change.positions;
    switch (change.type) {
      case "progress":
        return this.#progress(change);
      case "reset":
        this.#aliasState = new PartState();
        return this.#reset(change);
      case "complete": {
        const events = this.#aliasState.complete();
        if (events.length === 0) this.#leave(change);
        for (const event of events) this.#aliasEvent(event);
        return this.#settle(change);
      }
      default:
        if (this.#aliasState.isComplete) this.#aliasEvent(change);
        else this.#aliasState.wait(change);
    }
  }

  #aliasEvent(change: WatchChange): void {
    // The reader was told that it resolves, and nobody knows the record: the agent's removal, which
    // is on its way, comes first.
    if (this.#isResolved && this.#resolved === undefined) {
      this.#deferred ??= [];
      this.#deferred.push(copyOf(change));
      return;
    }
    if (change.type === "put" || change.type === "superseded") this.#named(change);
    else this.#leave(change);
  }

  /** The alias names an agent, by a claim. */
  #named(change: WatchChange): void {
    const { view, bytes, record: { start, end } } = change;
    const alias = this.#aliasView.wrap(view, bytes, start, end);
    const { claimGeneration: generation, claimIndex: index } = alias;
    const target = { agentId: alias.agentId.slice(), claim: { generation, index } };
    const isSame = this.#target !== undefined && bytesEqual(this.#target.agentId, target.agentId);
    if (!isSame) this.#leave(change);
    this.#target = target;
    if (!isSame) this.#follow("state");
    else this.#judge(change, "domain_lost");
  }

  /** The alias no longer names the agent that it named. */
  #leave(change: WatchChange): void {
    this.#target = undefined;
    this.#judge(change, "domain_lost");
    this.#agentSession?.close();
    this.#agentSession = this.#agentPositions = this.#agent = undefined;
  }

  #agentChanged(change: WatchChange): void {
    this.#agentPositions = change.positions;
    switch (change.type) {
      case "progress":
        return this.#progress(change);
      case "reset":
        this.#agentState = new PartState();
        this.#reset(change);
        return this.#replay();
      case "complete": {
        const events = this.#agentState.complete();
        if (events.length === 0) this.#agent = undefined;
        for (const event of events) this.#agentEvent(event);
        return this.#settle(change);
      }
      default:
        if (this.#agentState.isComplete) this.#agentEvent(change);
        else this.#agentState.wait(change);
    }
  }

  #agentEvent(change: WatchChange): void {
    const { type } = change;
    if (isForm(type)) return this.#agentPut(change, type);
    if (type !== "deregistered" && type !== "expired") return;
    this.#agent = undefined;
    this.#judge(change, type);
    this.#replay();
  }

  #agentPut(change: WatchChange, type: FormType): void {
    const kept = copyOf(change);
    const view = this.#decoder.view(kept, kept.record) as unknown as AgentView;
    const claim = { generation: view.claimGeneration, index: view.claimIndex };
    this.#agent = { claim, change: kept };
    if (this.#resolves) this.#tell(type, kept);
    else this.#judge(change, "domain_lost");
  }

  /** Judges the changes of the alias that waited. */
  #replay(): void {
    const deferred = this.#deferred ?? [];
    this.#deferred = undefined;
    for (const change of deferred) this.#aliasEvent(change);
  }

  /** Whether the domain resolves, by what is known. */
  get #resolves(): boolean {
    return this.#target !== undefined && this.#agent !== undefined &&
      samePosition(this.#target.claim, this.#agent.claim);
  }

  /** Tells whether the domain resolves, if that changed. @param lost the reason if it does not. */
  #judge(change: WatchChange, lost: "domain_lost" | "expired" | "deregistered"): void {
    if (this.#resolves === this.#isResolved) return;
    if (!this.#isResolved) {
      const known = this.#agent!.change;
      // Only a token told of the agent: its record comes with its state.
      if (known === undefined) this.#follow("state");
      else this.#tell("put", known);
      return;
    }
    const last = lost === "domain_lost" ? this.#resolved : change;
    this.#isResolved = false;
    this.#resolved = undefined;
    if (last === undefined) return;
    const told = copyOf(last);
    told.type = lost;
    told.isState = false;
    told.remainingMs = 0;
    this.#push(told);
  }

  #tell(type: FormType, kept: WatchChange): void {
    this.#isResolved = true;
    this.#resolved = kept;
    kept.type = type;
    kept.isState = this.#isStarting;
    if (!this.#isSilent) this.#push(kept);
  }

  /** Whether the state is not asked for. */
  get #isSilent(): boolean {
    return this.#isStarting && !this.#options.state && !this.#wasReset;
  }

  #reset(change: WatchChange): void {
    this.#push(change);
    this.#isStarting = this.#wasReset = true;
    this.#isResolved = false;
    this.#resolved = undefined;
  }

  /** Ends the state once that of the alias and of its agent are complete. */
  #settle(change: WatchChange): void {
    const isComplete = this.#aliasState.isComplete &&
      (this.#target === undefined || this.#agentState.isComplete);
    if (!this.#isStarting || !isComplete) return;
    // The two watches are told of as one.
    change.isWhole = true;
    if (!this.#isSilent) this.#push(change);
    this.#isStarting = false;
  }

  #progress(change: WatchChange): void {
    const event = eventOf(change, this.#snapshot(), this.#tokenOf, this.#decoder);
    this.queue.replace(event, ({ type }) => type === "progress");
  }

  #push(change: WatchChange): void {
    const event = eventOf(change, this.#snapshot(), this.#tokenOf, this.#decoder);
    this.queue.push(event, change.recordBytes);
  }

  #snapshot(): Snapshot {
    return {
      alias: this.#aliasPositions,
      agent: this.#agentPositions,
      agentSession: this.#agentSession,
      target: this.#target,
      agentClaim: this.#agent?.claim,
      isResolved: this.#isResolved,
    };
  }

  readonly #tokenOf = (snapshot: Snapshot): string => {
    const { alias, agent, agentSession, target, agentClaim, isResolved } = snapshot;
    return encodeDomainToken({
      alias: this.#aliasSession!.tokenOf(alias),
      agent: agent === undefined ? undefined : agentSession?.tokenOf(agent),
      ...{ target, agentClaim, isResolved },
    });
  };
}

/** Returns a copy of a change that may be kept, with the bytes of its records. */
function copyOf(change: WatchChange): WatchChange {
  const { record, before } = change;
  const copy = Object.assign(new WatchChange(change.positions), change);
  const size = record.end - record.start;
  const bytes = new Uint8Array(size + before.end - before.start);
  bytes.set(change.bytes.subarray(record.start, record.end));
  bytes.set(change.bytes.subarray(before.start, before.end), size);
  copy.bytes = bytes;
  copy.view = new DataView(bytes.buffer);
  copy.record = { start: 0, end: size };
  copy.before = { start: size, end: bytes.length };
  return copy;
}

/** The types of events that tell a record's present form. */
type FormType = "put" | "superseded" | "stale" | "recovered";

function isForm(type: WatchChange["type"]): type is FormType {
  return type === "put" || type === "superseded" || type === "stale" || type === "recovered";
}
