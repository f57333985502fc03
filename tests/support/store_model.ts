/**
 * A second, plain implementation of the partition's rules: maps, no memory management, no index,
 * nothing shared with the store but its types. The store must give the same replies.
 */
import type { ErrorCode } from "../../src/base/errors.ts";
import { NO_POSITION, type Position, samePosition } from "../../src/base/position.ts";

const REMEMBERED_MS = 600_000;

/** A process that lost a record. */
export interface Superseded {
  process: number;
  untilMs: number;
}

/** A record as the model knows it. */
export interface ModelRecord {
  process: number;
  sequence: number;
  port: number;
  ttlMs: number;
  state: number;
  coverMs: number;
  incarnation: Position;
  revision: Position;
  claim: Position;
  domain: string;
  superseded: Superseded[];
}

interface ModelTombstone {
  process: number;
  sequence: number;
  incarnation: Position;
  forgetAtMs: number;
  superseded: Superseded[];
}

interface ModelAlias {
  agent: number;
  claim: Position;
  confirmed: boolean;
}

/** The fields of a register. */
export interface ModelPut {
  key: string;
  process: number;
  sequence: number;
  port: number;
  ttlMs: number;
  expected: Position;
  domain: string;
  claim: Position;
}

/** The code of a reply; "ok" for success. */
export type ModelCode = "ok" | ErrorCode;

/** The simple model of a partition. Keys are texts such as `1/7`: kind and number. */
export class StoreModel {
  readonly records = new Map<string, ModelRecord>();
  readonly tombstones = new Map<string, ModelTombstone>();
  readonly aliases = new Map<string, ModelAlias>();
  readonly revoked = new Map<string, number>();
  timeMs = 0;
  index = 0;
  readonly generation: number;

  constructor(generation: number) {
    this.generation = generation;
  }

  /** Begins the next entry. */
  begin(timeMs: number): void {
    this.timeMs = Math.max(this.timeMs, timeMs);
    this.index++;
    for (const [key, tombstone] of this.tombstones) {
      if (tombstone.forgetAtMs <= this.timeMs) this.tombstones.delete(key);
    }
    for (const [key, untilMs] of this.revoked) {
      if (untilMs <= this.timeMs) this.revoked.delete(key);
    }
  }

  get #here(): Position {
    return { generation: this.generation, index: this.index };
  }

  #fresh(superseded: Superseded[]): Superseded[] {
    return superseded.filter(({ untilMs }) => untilMs > this.timeMs);
  }

  put(put: ModelPut): ModelCode {
    const { key, process, sequence } = put;
    if (put.domain === "" ? put.claim.index !== 0 : put.claim.index === 0) {
      return "invalid_argument";
    }
    if (put.domain !== "" && this.revoked.has(`${key}@${put.claim.index}`)) return "claim_revoked";
    const record = this.records.get(key);
    const tombstone = this.tombstones.get(key);
    let superseded: Superseded[] = [];
    let kept: ModelRecord | undefined;
    if (record !== undefined) {
      superseded = this.#fresh(record.superseded);
      if (record.process === process) {
        if (sequence < record.sequence) return "stale_sequence";
        if (sequence === record.sequence) return "ok";
        kept = record;
      } else {
        if (superseded.some((other) => other.process === process)) return "superseded";
        if (!samePosition(put.expected, record.incarnation)) return "incarnation_mismatch";
        superseded = this.#lost(superseded, record.process);
      }
    } else if (tombstone !== undefined) {
      superseded = this.#fresh(tombstone.superseded);
      if (tombstone.process === process) {
        if (sequence <= tombstone.sequence) return "stale_sequence";
      } else {
        if (superseded.some((other) => other.process === process)) return "superseded";
        superseded = this.#lost(superseded, tombstone.process);
      }
      this.tombstones.delete(key);
    }
    this.records.set(key, {
      process,
      sequence,
      port: put.port,
      ttlMs: put.ttlMs,
      state: 0,
      coverMs: Math.max(
        this.timeMs + 2 * put.ttlMs,
        kept?.coverMs ?? 0,
        kept === undefined || kept.ttlMs === put.ttlMs
          ? 0
          : Math.min(kept.coverMs, this.timeMs + 86_400_000) + put.ttlMs,
      ),
      incarnation: kept?.incarnation ?? this.#here,
      revision: this.#here,
      claim: put.claim,
      domain: put.domain,
      superseded,
    });
    return "ok";
  }

  #lost(before: Superseded[], process: number): Superseded[] {
    return [...before, { process, untilMs: this.timeMs + REMEMBERED_MS }].slice(-4);
  }

  extend(key: string, incarnation: Position, renewedMs: number): ModelCode {
    const record = this.records.get(key);
    if (record !== undefined && samePosition(record.incarnation, incarnation)) {
      record.coverMs = Math.max(record.coverMs, Math.max(0, renewedMs) + 2 * record.ttlMs);
    }
    return "ok";
  }

  remove(key: string, incarnation: Position, process: number, sequence: number): ModelCode {
    const record = this.records.get(key);
    const tombstone = this.tombstones.get(key);
    if (record === undefined) {
      if (tombstone === undefined) return "not_found";
      return samePosition(tombstone.incarnation, incarnation) ? "ok" : "not_found";
    }
    if (!samePosition(record.incarnation, incarnation)) return "superseded";
    const own = process !== 0 && process === record.process;
    if (own && sequence < record.sequence) return "stale_sequence";
    this.#bury(key, own ? Math.max(sequence, record.sequence) : record.sequence);
    return "ok";
  }

  expire(key: string, incarnation: Position, coverMs: number): ModelCode {
    const record = this.records.get(key);
    if (record === undefined || !samePosition(record.incarnation, incarnation)) return "ok";
    if (record.coverMs === coverMs) this.#bury(key, record.sequence);
    return "ok";
  }

  #bury(key: string, sequence: number): void {
    const record = this.records.get(key)!;
    this.records.delete(key);
    this.tombstones.set(key, {
      process: record.process,
      sequence,
      incarnation: record.incarnation,
      forgetAtMs: this.timeMs + REMEMBERED_MS,
      superseded: this.#fresh(record.superseded),
    });
  }

  report(key: string, incarnation: Position, state: number): ModelCode {
    const record = this.records.get(key);
    if (record === undefined) return "not_found";
    if (!samePosition(record.incarnation, incarnation)) return "superseded";
    record.state = state;
    record.revision = this.#here;
    return "ok";
  }

  claim(domain: string, agent: number, replaces: Position): ModelCode {
    const alias = this.aliases.get(domain);
    if (alias !== undefined) {
      if (!samePosition(alias.claim, replaces)) {
        return alias.agent === agent ? "ok" : "domain_taken";
      }
    }
    this.aliases.set(domain, { agent, claim: this.#here, confirmed: false });
    return "ok";
  }

  confirm(domain: string, agent: number, claim: Position): ModelCode {
    const alias = this.aliases.get(domain);
    if (alias === undefined || alias.agent !== agent || !samePosition(alias.claim, claim)) {
      return "claim_revoked";
    }
    alias.confirmed = true;
    return "ok";
  }

  revoke(agent: number, claim: Position): ModelCode {
    if (claim.index === 0) return "invalid_argument";
    const record = this.records.get(`1/${agent}`);
    if (record === undefined || !samePosition(record.claim, claim)) {
      this.revoked.set(`1/${agent}@${claim.index}`, this.timeMs + REMEMBERED_MS);
    }
    return "ok";
  }

  release(domain: string, claim: Position): ModelCode {
    const alias = this.aliases.get(domain);
    if (alias === undefined) return "ok";
    if (!samePosition(alias.claim, claim)) return "claim_revoked";
    this.aliases.delete(domain);
    return "ok";
  }

  /** Returns the incarnation of a record, live or removed. */
  incarnationOf(key: string): Position {
    return this.records.get(key)?.incarnation ?? this.tombstones.get(key)?.incarnation ??
      NO_POSITION;
  }
}
