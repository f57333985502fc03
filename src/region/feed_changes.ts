/**
 * The changes that an event of a feed makes here: of the mirror, in the partition of its key, and of the
 * alias of an agent, in the partition of its domain. Aliases do not travel: they follow from the claims
 * of the mirrored agents.
 */
import { MIRRORED_BYTES_MAX } from "../base/limits.ts";
import { NO_POSITION, type Position, samePosition } from "../base/position.ts";
import { RegistryError } from "../base/errors.ts";
import { domainBytes, KIND_ALIAS } from "../record/key.ts";
import { RECORD_KINDS } from "../record/kinds.ts";
import { agentCodec } from "../../schemas/gen/record.ts";
import type { MirrorTarget } from "./mirror_target.ts";
import type { MirrorChange } from "./partition_queue.ts";
import type { FeedEvent, LostClaim } from "./region_link.ts";

/** An event about a record. */
export type RecordFeedEvent = Extract<FeedEvent, { readonly id: Uint8Array }>;

/** A change and where it goes. */
export interface PlacedChange {
  readonly partition: number;
  readonly change: MirrorChange;
  /** Its share of a command, bytes, roughly. */
  readonly bytes: number;
}

/** The changes of an event. */
export interface EventChanges {
  readonly changes: readonly PlacedChange[];
  /** The claim that the record holds after the event; zero: none. */
  readonly claim: Position;
}

/** Size of a change in a command without its record or domain, bytes. */
const ITEM_BYTES = 64;

/** Turns events into changes. */
export class FeedChanges {
  readonly #target: MirrorTarget;
  readonly #agent = agentCodec.newView();
  /** The memory of the last record, of which many share one, and a view on it. */
  #memory: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  constructor(target: MirrorTarget) {
    this.#target = target;
  }

  /** Returns the changes of an event; undefined if the record cannot be mirrored here. */
  of(event: RecordFeedEvent): EventChanges | undefined {
    const { kind, id, revision } = event;
    const row = RECORD_KINDS.find(kind);
    if (row === undefined || id.length !== 16) return undefined;
    const partition = this.#target.partitionOf(kind, id);
    const changes: PlacedChange[] = [];
    let claim = NO_POSITION;
    if (event.type === "remove") {
      const item = { id, kind, revision };
      changes.push({ partition, change: { list: "removals", item }, bytes: ITEM_BYTES });
    } else {
      const { record } = event;
      if (record.length > MIRRORED_BYTES_MAX) return undefined;
      const bytes = record.length + ITEM_BYTES;
      changes.push({
        partition,
        // The event itself has the fields of the item: another object would wait with it.
        change: { list: "puts", item: event },
        bytes,
      });
      const held = row.claimsDomain ? this.#claimOf(record) : undefined;
      claim = held?.claim ?? NO_POSITION;
      if (held !== undefined && event.keptClaim !== true) {
        changes.push(this.#alias("aliases", held, event));
      }
    }
    const { lost } = event;
    if (lost !== undefined && !samePosition(lost.claim, claim)) {
      changes.push(this.#alias("aliasRemovals", lost, event));
    }
    return { changes, claim };
  }

  #alias(
    list: "aliases" | "aliasRemovals",
    { domain, claim }: LostClaim,
    { id: agentId, revision }: RecordFeedEvent,
  ): PlacedChange {
    const key = domainBytes(domain);
    return {
      partition: this.#target.partitionOf(KIND_ALIAS, key),
      change: { list, item: { domain, agentId, claim, revision } },
      bytes: ITEM_BYTES + key.length,
    };
  }

  /** Returns the claim of an agent's stored form; undefined if it has none, or is no stored form. */
  #claimOf(record: Uint8Array): LostClaim | undefined {
    const { buffer, byteOffset: start, byteLength } = record;
    if (this.#memory.buffer !== buffer) {
      this.#memory = new Uint8Array(buffer);
      this.#view = new DataView(buffer);
    }
    try {
      const agent = this.#agent.wrap(this.#view, this.#memory, start, start + byteLength);
      const { claimGeneration: generation, claimIndex: index } = agent;
      if (index === 0 || agent.domainLength === 0) return undefined;
      return { domain: agent.domain, claim: { generation, index } };
    } catch (error) {
      // The partition refuses it.
      if (!(error instanceof RegistryError)) throw error;
      return undefined;
    }
  }
}
