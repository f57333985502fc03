/** The events about records in a feed, read from what the other region sent and not trusted. */
import { agentCodec, type AgentView } from "../../schemas/gen/record.ts";
import { RegistryError } from "../base/errors.ts";
import { type Position, samePosition } from "../base/position.ts";
import { UUID_BYTES } from "../base/uuid.ts";
import type { ByteRange, WatchChange } from "../client/watch/change.ts";
import { KIND_AGENT } from "../record/key.ts";
import type { OwnedView } from "../record/kind_row.ts";
import { RECORD_KINDS } from "../record/kinds.ts";
import type { FeedEvent, LostClaim } from "./region_link.ts";

/** Scope of the records that leave their region. */
const GLOBAL = 0;
/**
 * Size of the blocks into which records are copied, bytes: memory of its own for each record would cost
 * more than everything else that is done with it. A block is kept while any record in it is.
 */
const BLOCK_BYTES = 64 * 1024;

/**
 * A put. Thousands wait at a time, and the collector moves each of them while everything else stops: so
 * it has no bytes of its own for the id.
 */
class PutEvent {
  readonly type = "put";
  readonly partition: number;
  readonly isState: boolean;
  readonly kind: number;
  readonly revision: Position;
  readonly record: Uint8Array;
  readonly #idAt: number;
  declare lost?: LostClaim;
  declare keptClaim?: boolean;

  /** @param idAt offset of the id in the record. */
  constructor(
    of: Pick<PutEvent, "partition" | "isState" | "kind" | "revision">,
    record: Uint8Array,
    idAt: number,
  ) {
    this.partition = of.partition;
    this.isState = of.isState;
    this.kind = of.kind;
    this.revision = of.revision;
    this.record = record;
    this.#idAt = idAt;
  }

  get id(): Uint8Array {
    return this.record.subarray(this.#idAt, this.#idAt + UUID_BYTES);
  }
}

/** Reads records of feeds. */
export class FeedRecords {
  /** By the number of the kind. */
  readonly #views: (OwnedView | undefined)[] = [];
  readonly #before: AgentView = agentCodec.newView();
  readonly #after: AgentView = agentCodec.newView();
  /** The block that is being filled, and how far it is. */
  #block = new Uint8Array(0);
  #used = 0;

  /**
   * Returns the event of a change, which owns its bytes; undefined if it says nothing about a record
   * that may be mirrored.
   */
  eventOf(change: WatchChange): FeedEvent | undefined {
    try {
      return this.#eventOf(change);
    } catch (error) {
      if (error instanceof RegistryError) return undefined;
      throw error;
    }
  }

  #eventOf(change: WatchChange): FeedEvent | undefined {
    const { type, kind, partition, isState, generation, index } = change;
    const view = this.#viewOn(change);
    if (view === undefined) return undefined;
    const isPut = type === "put" || type === "superseded";
    if (!isPut || change.hasLeft) {
      if (!isPut && type !== "deregistered" && type !== "expired") return undefined;
      const lost = this.#claimIn(change, change.record, this.#before);
      const revision = { generation, index };
      return { type: "remove", partition, kind, id: view.id, revision, ...(lost && { lost }) };
    }
    const revision = { generation: view.revisionGeneration, index: view.revisionIndex };
    // A home that does its work never sends it; whatever is mirrored of it ends.
    if (view.scope !== GLOBAL) return { type: "remove", partition, kind, id: view.id, revision };
    const before = this.#claimIn(change, change.before, this.#before);
    const claim = this.#claimIn(change, change.record, this.#after);
    const isKept = before !== undefined && claim !== undefined && isSame(before, claim);
    const record = this.#copyOf(change.bytes, change.record);
    const idAt = view.idOffset - change.record.start;
    const put = new PutEvent({ partition, isState, kind, revision }, record, idAt);
    if (isKept) put.keptClaim = true;
    else if (before !== undefined) put.lost = before;
    return put;
  }

  /** Returns a copy of bytes of a reply. */
  #copyOf(bytes: Uint8Array, { start, end }: ByteRange): Uint8Array {
    const length = end - start;
    if (this.#used + length > this.#block.length) {
      this.#block = new Uint8Array(Math.max(BLOCK_BYTES, length));
      this.#used = 0;
    }
    const copy = this.#block.subarray(this.#used, this.#used += length);
    copy.set(bytes.subarray(start, end));
    return copy;
  }

  /** Returns the view on a change's record; undefined if it is none that can be read. */
  #viewOn({ kind, bytes, view, record: { start, end } }: WatchChange): OwnedView | undefined {
    const row = RECORD_KINDS.find(kind);
    if (row === undefined || end - start < 8) return undefined;
    const { dataWords, pointerWords } = row.codec.layout;
    const isOfKind = view.getUint32(start, true) === 0 &&
      view.getUint16(start + 4, true) >= dataWords &&
      view.getUint16(start + 6, true) >= pointerWords &&
      end - start >= 8 * (1 + dataWords + pointerWords);
    if (!isOfKind) return undefined;
    return (this.#views[kind] ??= row.codec.newView()).wrap(view, bytes, start, end);
  }

  /** Returns the claim that an agent's form has; undefined if it has none, or is of another kind. */
  #claimIn(
    { kind, bytes, view }: WatchChange,
    { start, end }: ByteRange,
    agent: AgentView,
  ): LostClaim | undefined {
    if (kind !== KIND_AGENT || end === start) return undefined;
    const { claimGeneration: generation, claimIndex: index, domain } = agent.wrap(
      view,
      bytes,
      start,
      end,
    );
    return index === 0 || domain === "" ? undefined : { domain, claim: { generation, index } };
  }
}

function isSame(left: LostClaim, right: LostClaim): boolean {
  return left.domain === right.domain && samePosition(left.claim, right.claim);
}
