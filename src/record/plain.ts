/**
 * Records as plain values for people and programs: ids and addresses as text, labels as an object,
 * states by name. agent.ts and gateway.ts add the fields of their kinds; stored_form.ts and
 * record_info.ts convert to and from the stored form (schemas/record.capnp).
 */
import type { Position } from "../base/position.ts";

/** The states of a record, indexed by their number. */
export const RECORD_STATES = ["active", "draining"] as const;
/** The name of a state. */
export type RecordState = (typeof RECORD_STATES)[number];

/** The scopes of a record, indexed by their number. */
export const RECORD_SCOPES = ["global", "region"] as const;
/** The name of a scope: `global` records may be mirrored by other regions, `region` ones never leave. */
export type RecordScope = (typeof RECORD_SCOPES)[number];

/** Fields of a record set by its owner. Absent ones are empty, zero, or the default. */
export interface RecordInput {
  /** UUID text; defaults to the id of the caller's identity. */
  readonly id?: string;
  readonly domain?: string;
  /** IPv4 or IPv6 text. */
  readonly address?: string;
  readonly port?: number;
  readonly region: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Hexadecimal, up to 64 bytes. */
  readonly credentialHash?: string;
  /** Lease, 5,000 to 86,400,000; default 30,000. */
  readonly ttlMs?: number;
  readonly state?: RecordState;
  /** Default `global`. */
  readonly scope?: RecordScope;
}

/** Fields of every registered record. */
export interface RecordInfo {
  readonly id: string;
  readonly domain: string;
  readonly address: string;
  readonly port: number;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly credentialHash: string;
  readonly ttlMs: number;
  readonly state: RecordState;
  /**
   * Whether its lease is over. The registry keeps it because many records ended at once, and its owner may
   * be alive: it recovers when it is renewed.
   */
  readonly isStale: boolean;
  readonly scope: RecordScope;
  readonly incarnation: Position;
  readonly revision: Position;
  /** Wall time of the last logged sign of life, ms since 1970; for display. */
  readonly lastSeenUnixMs: number;
  /** Number in the system group of the identity that wrote the record last. */
  readonly writer: number;
}

/**
 * Identification of a request's place in time: the owner's process and its growing sequence number.
 */
export interface Ownership {
  /** Random number chosen at each start of the owner, `[1, 2^53)`. */
  readonly process: number;
  /** Grows with each request of the process, `[1, 2^32)`. */
  readonly sequence: number;
}
