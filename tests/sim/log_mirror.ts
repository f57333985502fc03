/**
 * The shared log of a node as checkers see it: passes everything on to the real one, and records
 * the content of each replica's log, durable or not, by index and term.
 */
import type {
  ImagePoint,
  LogEntry,
  LoggedHardState,
  SharedLog,
} from "../../src/storage/shared_log.ts";
import type { AppendedEntry, ImageTaken, ReplicaRef, Words } from "./history.ts";
import { hashBytes } from "./trace.ts";

/** The hash of no bytes, with which the chunk-wise hash of an image begins. */
export const EMPTY_HASH = hashBytes(new Uint8Array(0));

/** Events reported by a mirror. */
export interface MirrorEvents {
  /**
   * Returns the replica of a group whose log this is; undefined: none is known, and nothing is
   * reported.
   */
  refOf(group: number): ReplicaRef | undefined;
  appended(ref: ReplicaRef, entry: AppendedEntry): void;
  /** A hard state is durable. */
  voted(ref: ReplicaRef, term: number, vote: number): void;
  imaged(ref: ReplicaRef, image: ImageTaken): void;
  imageDurable(ref: ReplicaRef, index: number): void;
}

/** The entries of one replica, by term. */
class ReplicaTerms {
  /** Index below the first of `terms`, whose term is known unless it is 0. */
  base = 0;
  baseTerm = 0;
  terms: number[] = [];
  /** The index up to which a restart knows entries to be committed. */
  durableCommit = 0;
  /** The state that a restart would find: writes become durable in the order of their handover. */
  readonly disk = { term: 0, vote: 0, lastIndex: 0 };

  get lastIndex(): number {
    return this.base + this.terms.length;
  }

  at(index: number): number | undefined {
    if (index === this.base) return index === 0 ? 0 : this.baseTerm;
    return this.terms[index - this.base - 1];
  }

  /**
   * Truncates the log at `index`; on the disk it is truncated only when its replacement is durable.
   */
  cut(index: number): void {
    if (index <= this.base) this.reset(index - 1, 0);
    else this.terms.length = Math.min(this.terms.length, index - this.base - 1);
  }

  reset(base: number, baseTerm: number): void {
    this.base = base;
    this.baseTerm = baseTerm;
    this.terms = [];
  }
}

/** Mirrors the logs of all groups of one run of a node. */
export class LogMirror {
  readonly #events: MirrorEvents;
  readonly #groups = new Map<number, ReplicaTerms>();

  constructor(events: MirrorEvents) {
    this.#events = events;
  }

  /** Returns the term of an entry in a group's log, durable or not. */
  termAt(group: number, index: number): number | undefined {
    return this.#groups.get(group)?.at(index);
  }

  /**
   * Returns the index up to which a restart of the node would know a group's entries to be
   * committed.
   */
  durableCommit(group: number): number {
    return this.#groups.get(group)?.durableCommit ?? 0;
  }

  /** Returns the state of a group that a restart of the node would find. */
  disk(group: number): Words["disk"] {
    return this.#of(group).disk;
  }

  /** Records a hard state from recovery. */
  recoveredHardState(group: number, state: LoggedHardState): void {
    this.#saved(group, state);
  }

  /** Records an image from recovery. */
  recoveredImage(group: number, { index, term }: ImagePoint, hash: number): void {
    this.#of(group).reset(index, term);
    this.#committed(group, index);
    this.#of(group).disk.lastIndex = index;
    const ref = this.#events.refOf(group);
    if (ref === undefined) return;
    this.#events.imaged(ref, { index, term, hash });
    this.#events.imageDurable(ref, index);
  }

  /** Records an entry from recovery. */
  recoveredEntry(group: number, index: number, entry: LogEntry): void {
    const terms = this.#of(group);
    if (terms.lastIndex !== index - 1) terms.reset(index - 1, 0);
    this.#append(group, index, entry);
    terms.disk.lastIndex = index;
  }

  /** Returns the log with this mirror in front of it. */
  inFrontOf(log: SharedLog): SharedLog {
    return {
      generation: log.generation,
      append: (group, firstIndex, entries, done) => {
        const terms = this.#of(group);
        const refused = log.append(group, firstIndex, entries, (error) => {
          // An append truncates its group's log at its first index.
          if (error === undefined) terms.disk.lastIndex = firstIndex + entries.length - 1;
          done(error);
        });
        if (refused !== undefined) return refused;
        terms.cut(firstIndex);
        let index: number = firstIndex;
        for (const entry of entries) this.#append(group, index++, entry);
        return undefined;
      },
      appendOne: (group, index, entry, done) => {
        const terms = this.#of(group);
        const refused = log.appendOne(group, index, entry, (error) => {
          if (error === undefined) terms.disk.lastIndex = index;
          done(error);
        });
        if (refused !== undefined) return refused;
        terms.cut(index);
        this.#append(group, index, entry);
        return undefined;
      },
      writeImage: (group, point, chunks, done) =>
        log.writeImage(group, point, this.#hashed(group, point, chunks), (error) => {
          if (error === undefined) this.#imageDurable(group, point.index);
          done(error);
        }),
      installImage: (group, point, chunks, done) => {
        const hashed = this.#hashed(group, point, chunks);
        const terms = this.#of(group);
        const refused = log.installImage(group, point, hashed, (error) => {
          if (error === undefined) {
            // The image replaces the whole log.
            terms.disk.lastIndex = point.index;
            this.#imageDurable(group, point.index);
          }
          done(error);
        });
        if (refused === undefined) terms.reset(point.index, point.term);
        return refused;
      },
      forget: (group, done) => {
        const refused = log.forget(group, done);
        if (refused === undefined) this.#groups.delete(group);
        return refused;
      },
      saveHardState: (group, state, done) =>
        log.saveHardState(group, state, (error) => {
          if (error === undefined) this.#saved(group, state);
          done?.(error);
        }),
      lastIndex: (group) => log.lastIndex(group),
      imageIndex: (group) => log.imageIndex(group),
      live: (group) => log.live(group),
      oldestHolders: () => log.oldestHolders(),
      relocateOldest: (groups, done) => log.relocateOldest(groups, done),
      stats: () => log.stats(),
      close: (done) => log.close(done),
    };
  }

  #of(group: number): ReplicaTerms {
    let terms = this.#groups.get(group);
    if (terms === undefined) this.#groups.set(group, terms = new ReplicaTerms());
    return terms;
  }

  #append(group: number, index: number, { term, kind, data }: LogEntry): void {
    const terms = this.#of(group);
    const previousTerm = terms.at(index - 1);
    terms.terms.push(term);
    const ref = this.#events.refOf(group);
    if (ref === undefined) return;
    const isKnown = previousTerm !== 0 || index === 1;
    this.#events.appended(ref, {
      index,
      term,
      previousTerm: isKnown ? previousTerm : undefined,
      kind,
      hash: hashBytes(data),
    });
  }

  #saved(group: number, { commit, term, vote }: LoggedHardState): void {
    this.#committed(group, commit);
    Object.assign(this.#of(group).disk, { term, vote });
    const ref = this.#events.refOf(group);
    if (ref !== undefined) this.#events.voted(ref, term, vote);
  }

  #committed(group: number, index: number): void {
    const terms = this.#of(group);
    terms.durableCommit = Math.max(terms.durableCommit, index);
  }

  #imageDurable(group: number, index: number): void {
    this.#committed(group, index);
    const { disk } = this.#of(group);
    disk.lastIndex = Math.max(disk.lastIndex, index);
    const ref = this.#events.refOf(group);
    if (ref !== undefined) this.#events.imageDurable(ref, index);
  }

  /** Passes the chunks of an image on, and reports their hash with the last of them. */
  *#hashed(group: number, point: ImagePoint, chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
    let hash = EMPTY_HASH;
    for (const chunk of chunks) {
      hash = hashBytes(chunk, hash);
      yield chunk;
    }
    const ref = this.#events.refOf(group);
    if (ref !== undefined) {
      this.#events.imaged(ref, { index: point.index, term: point.term, hash });
    }
  }
}
