/** Mirrors under test: short forms for fences, batches and what a partition has of another region. */
import type { MirrorBatchCommand, MirrorPut } from "../../schemas/gen/command.ts";
import type { Input } from "../../schemas/runtime.ts";
import type { Position } from "../../src/base/position.ts";
import {
  encodeMirrorBatch,
  encodeMirrorDrop,
  encodeMirrorFence,
} from "../../src/record/command.ts";
import { domainBytes, KIND_AGENT, KIND_MIRROR, KIND_MIRROR_ALIAS } from "../../src/record/key.ts";
import { MirrorHomes, NO_FRESHNESS } from "../../src/serving/regions/mirror_homes.ts";
import { MIRRORS_APPLY_VERSION } from "../../src/store/apply_version.ts";
import type { MirrorChoice } from "../../src/store/mirrors/mirror_reads.ts";
import type { ApplyReply } from "../../src/store/reply.ts";
import { agentBytes, type AgentFields, idOf, StoreHarness } from "./store.ts";

/** Returns a position of generation 1. */
export function at(index: number): Position {
  return { generation: 1, index };
}

/** Returns the change of an agent at a position of its home. */
export function agentPut(index: number, fields: AgentFields = {}): Input<MirrorPut> {
  const revision = at(index);
  return { kind: KIND_AGENT, revision, record: agentBytes({ region: "us", revision, ...fields }) };
}

/** Of a cluster without peer regions. */
export const NO_HOMES = new MirrorHomes({
  own: "global",
  regions: () => [],
  freshness: NO_FRESHNESS,
  clock: { nowMs: () => 0 },
});

/** Serves the mirrors of all regions, in the order of their names. */
export const ANY_HOME: MirrorChoice = { rankOf: (bytes, start) => bytes[start]! };

/** The fields of a batch; the others are empty. */
export type BatchFields = Partial<Input<MirrorBatchCommand>>;

/** A mirror as tests compare it. */
export interface SeenMirror {
  readonly home: string;
  readonly feed: number;
  readonly revision: Position;
  readonly port: number;
}

/** A store that takes mirrors of the region `us`, by a puller with fence 1 unless one is named. */
export class MirrorHarness extends StoreHarness {
  #batches = 0;

  constructor(options: ConstructorParameters<typeof StoreHarness>[0] = {}) {
    super(options);
    this.raise(MIRRORS_APPLY_VERSION);
  }

  fence(fence: number, { home = "us", shard = 0 } = {}): ApplyReply {
    this.#batches = 0;
    return this.apply(encodeMirrorFence(this.header, { home, shard, fence }));
  }

  /** Applies a batch; by default the next one, of fence and feed 1. */
  batch(fields: BatchFields): ApplyReply {
    const number = fields.number ?? this.#batches + 1;
    const reply = this.apply(encodeMirrorBatch(this.header, batchOf({ ...fields, number })));
    if (reply.code === "ok") this.#batches = Math.max(this.#batches, number as number);
    return reply;
  }

  drop(fence: number, home = "us"): ApplyReply {
    return this.apply(encodeMirrorDrop(this.header, { home, fence }));
  }

  /** Returns the mirrors of a record. */
  mirrors(number: number, kind = KIND_AGENT): SeenMirror[] {
    const seen: SeenMirror[] = [];
    this.store.forEachSlot(KIND_MIRROR, (slot) => {
      const { kind: found, home, feed, id, ...view } = this.store.mirrors.view(slot).toPlain();
      if (found !== kind || String(id) !== String(idOf(number))) return;
      const { port } = this.store.mirrors.recordView(slot).toPlain() as unknown as { port: number };
      seen.push({ home, feed, revision: view.revision, port });
    });
    return seen;
  }

  /** Returns the aliases of all regions for a domain: the region, and the number of the agent. */
  aliases(domain: string): [string, number][] {
    const key = domainBytes(domain);
    return this.store.mirrors.aliases(key, 0, key.length, ANY_HOME).map((slot) => {
      const { home, agentId } = this.store.mirrors.aliasView(slot);
      return [home, new DataView(agentId.buffer, agentId.byteOffset).getUint32(12)];
    });
  }

  get mirrorCount(): number {
    return this.#count(KIND_MIRROR);
  }

  get mirrorAliasCount(): number {
    return this.#count(KIND_MIRROR_ALIAS);
  }

  #count(kind: number): number {
    let count = 0;
    this.store.forEachSlot(kind, () => void count++);
    return count;
  }
}

/** Returns a whole batch. */
export function batchOf(fields: BatchFields): Input<MirrorBatchCommand> {
  return {
    ...{ home: "us", shard: 0, fence: 1, number: 1, feed: 1, settled: 0, settledEarlier: false },
    ...{ puts: [], removals: [], sweeps: [], aliases: [], aliasRemovals: [], aliasSweeps: [] },
    cursors: [],
    ...fields,
  };
}

/** Returns the removal of an agent. */
export function agentRemoval(number: number, index: number) {
  return { id: idOf(number), kind: KIND_AGENT, revision: at(index) };
}

/** Returns the sweep of an agent that was seen at `seen`, by a listing at `listed`. */
export function agentSweep(number: number, { seen = 0, listed = 0, feed = 1 }) {
  const id = idOf(number);
  return { id, kind: KIND_AGENT, revision: at(seen), listed: at(listed), feed };
}

/** Returns an agent's claim on a domain. */
export function aliasItem(domain: string, number: number, { claim = 1, revision = 1 }) {
  return { domain, agentId: idOf(number), claim: at(claim), revision: at(revision) };
}
