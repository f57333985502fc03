/**
 * Events of the governed plane. Applied entries come from the log, so that none is lost: an event's id
 * is the global version. A proposal is told by the front that took it, to its own readers, without an
 * id.
 */
import type { EventSource, SentEvent } from "../event_stream.ts";
import type { AppliedEntry } from "../../governance/governed_log.ts";
import { HTTP_CORRELATIONS_MAX, HTTP_PROPOSED_WAITING_MAX } from "../../base/limits.ts";
import type { GovernedSource } from "../../faces/governed_source.ts";

/** The name of every event. */
const EVENT = "registry.update";

/** The type of an entry by the name of its payload's schema. */
const TYPES: Readonly<Record<string, string>> = {
  descriptor: "Published",
  supersession: "Published",
  deprecation: "Deprecated",
  signers: "ConfigUpdated",
  freeze: "ConfigUpdated",
  home: "ConfigUpdated",
};

/** A proposal that this front took. */
export interface TakenProposal {
  readonly proposal: number;
  readonly id: string;
  readonly kind: string;
  readonly version: number;
  readonly contentId: string;
  readonly requestId: string;
  /** Global version when it was taken. */
  readonly globalVersion: number;
}

/** The events of one front. */
export class GovernedEvents {
  readonly #source: GovernedSource;
  readonly #readers = new Set<LogReader>();
  /** Correlation ids of the requests to apply, by proposal; the oldest first. */
  readonly #correlations = new Map<number, string>();
  /** One event for all readers. */
  readonly #events = new WeakMap<AppliedEntry, SentEvent>();

  constructor(source: GovernedSource) {
    this.#source = source;
  }

  /**
   * Notes which request has a proposal applied. To be called before it is: readers may be told of the
   * entry before the request is answered.
   *
   * @returns a function that takes the note back, for a request that fails.
   */
  applying(proposal: number, requestId: string): () => void {
    const isNoted = this.#correlations.has(proposal);
    // Another request has applied it, or is about to.
    if (isNoted || this.#source.log?.ofProposal(proposal) !== undefined) return () => {};
    this.#correlations.set(proposal, requestId);
    if (this.#correlations.size > HTTP_CORRELATIONS_MAX) {
      const [oldest] = this.#correlations.keys();
      this.#correlations.delete(oldest!);
    }
    return () => void this.#correlations.delete(proposal);
  }

  /** Tells the readers of this front of a proposal. */
  proposed(proposed: TakenProposal): void {
    const { proposal, id, kind, version, contentId, requestId, globalVersion } = proposed;
    const event = {
      event: EVENT,
      data: {
        type: "Proposed",
        version: globalVersion,
        payload_b3: contentId,
        committed_at: null,
        corr_id: requestId,
        id,
        kind,
        id_version: version,
        proposal_id: proposal,
      },
    };
    for (const reader of this.#readers) reader.tell(event);
  }

  /**
   * Returns the events after a global version, which the caller reads.
   *
   * @param permission asked before each event; the events end with its error.
   */
  after(version: number, permission: Permission): EventSource {
    const eventOf = (entry: AppliedEntry) => this.#eventOf(entry);
    const reader = new LogReader(version, { source: this.#source, eventOf, permission });
    this.#readers.add(reader);
    const unfollow = this.#source.follow(() => reader.wake());
    return {
      events: reader,
      id: () => String(reader.version),
      close: () => {
        unfollow();
        this.#readers.delete(reader);
        reader.end();
      },
    };
  }

  #eventOf(applied: AppliedEntry): SentEvent {
    let event = this.#events.get(applied);
    if (event === undefined) {
      const { entry, read } = applied;
      event = {
        event: EVENT,
        id: String(entry.version),
        data: {
          type: TYPES[read.action] ?? "ConfigUpdated",
          version: entry.version,
          payload_b3: entry.contentId,
          committed_at: entry.committedAt,
          corr_id: this.#correlations.get(entry.proposal) ?? null,
          id: entry.id,
          kind: entry.kind,
          id_version: entry.idVersion,
          proposal_id: entry.proposal,
        },
      };
      this.#events.set(applied, event);
    }
    return event;
  }
}

/** Says whether a reader may still read, by `GovernedSource.permission`. */
type Permission = ReturnType<GovernedSource["permission"]>;

/** The parts of which a reader makes its events. */
interface ReaderParts {
  readonly source: GovernedSource;
  readonly eventOf: (entry: AppliedEntry) => SentEvent;
  readonly permission: Permission;
}

/** One reader's place in the log. */
class LogReader implements AsyncIterator<SentEvent | undefined> {
  /** Global version up to which everything was read. */
  version: number;
  readonly #parts: ReaderParts;
  /** Events that are not in the log. */
  readonly #told: SentEvent[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;

  constructor(version: number, parts: ReaderParts) {
    this.version = version;
    this.#parts = parts;
    const known = parts.source.log?.version ?? 0;
    if (version <= known) return;
    // The reader knows a log that this one is not.
    this.version = known;
    const reason = `the log has no version ${version}`;
    this.#told.push({ event: "reset", id: String(known), data: { version: known, reason } });
  }

  async next(): Promise<IteratorResult<SentEvent | undefined>> {
    while (!this.#isEnded) {
      if (this.#told.length === 0 && this.#entry === undefined) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      const asking = this.#parts.permission();
      if (asking !== undefined) await asking;
      if (this.#isEnded) break;
      const told = this.#told.shift();
      if (told !== undefined) return { done: false, value: told };
      const entry = this.#entry;
      // Another view took the place of the log meanwhile, and is not as far yet.
      if (entry === undefined) continue;
      this.version++;
      return { done: false, value: this.#parts.eventOf(entry) };
    }
    return { done: true, value: undefined };
  }

  /** The entry that is next, once it is there. */
  get #entry(): AppliedEntry | undefined {
    return this.#parts.source.log?.at(this.version + 1);
  }

  /** Takes an event that is not in the log; the oldest ones of a slow reader are dropped. */
  tell(event: SentEvent): void {
    if (this.#told.length >= HTTP_PROPOSED_WAITING_MAX) this.#told.shift();
    this.#told.push(event);
    this.wake();
  }

  /** Has `next` look again. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.wake();
  }
}
