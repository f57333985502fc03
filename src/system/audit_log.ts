/**
 * The audit log of group 0: issued and renewed certificates, bans, and actions of controllers. Each
 * entry contains the hash of the previous one, so that no entry can be changed or removed
 * undetected.
 *
 * Every replica builds the chain itself, in apply. The newest `AUDIT_ENTRIES_MAX` entries are kept;
 * of older ones the hash of the last remains (the anchor), from which the kept entries can be
 * verified. Entries needed for longer must be exported before they are dropped. Source: a hash
 * chain as in RFC 9162 §2.1, without its tree, because the log is always read whole.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import {
  AUDIT_ACTIONS,
  type AuditAction,
  type AuditEntry,
  auditEntryCodec,
} from "../../schemas/gen/audit.ts";
import { assert } from "../base/assert.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { AUDIT_ENTRIES_MAX } from "../base/limits.ts";

/** The hash that precedes the first entry. */
export const AUDIT_ORIGIN: Uint8Array = new Uint8Array(32);

/** Returns the hash of an entry, which the next entry contains. */
export function auditHash(entry: Uint8Array): Uint8Array {
  return sha256(entry);
}

/**
 * Result of a verification: the hash of the last entry, or the position of the first invalid one.
 */
export type AuditVerdict =
  | { readonly ok: true; readonly head: Uint8Array }
  | { readonly ok: false; readonly at: number; readonly reason: string };

/**
 * Verifies that `entries` (encoded) form a chain that starts at `anchor`, the hash before the
 * first.
 *
 * @returns the hash of the last entry, or the position of the first that does not fit.
 */
export function verifyAudit(anchor: Uint8Array, entries: Iterable<Uint8Array>): AuditVerdict {
  let head = anchor;
  let number: number | undefined;
  let at = 0;
  for (const bytes of entries) {
    const entry = decoded(bytes);
    if (entry === undefined) return { ok: false, at, reason: "it is not an entry" };
    if (number !== undefined && entry.number !== number + 1) {
      return { ok: false, at, reason: `its number is ${entry.number}, not ${number + 1}` };
    }
    if (!bytesEqual(entry.previous, head)) {
      return { ok: false, at, reason: `entry ${entry.number} does not follow the one before` };
    }
    if ((entry.number === 1) !== bytesEqual(entry.previous, AUDIT_ORIGIN)) {
      return { ok: false, at, reason: `entry ${entry.number} claims to be the first` };
    }
    number = entry.number;
    head = auditHash(bytes);
    at++;
  }
  return { ok: true, head };
}

function decoded(bytes: Uint8Array): AuditEntry | undefined {
  try {
    return auditEntryCodec.decode(bytes);
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

/** The kept part of the audit log. */
export class AuditLog {
  readonly #entriesMax: number;
  /** Ring buffer of encoded entries. */
  #entries: Uint8Array[] = [];
  #oldest = 0;
  #count = 0;
  #anchor = AUDIT_ORIGIN;
  #head = AUDIT_ORIGIN;

  /** @param entriesMax number of entries kept, at least 1. */
  constructor(entriesMax = AUDIT_ENTRIES_MAX) {
    assert(entriesMax > 0, "An audit log must keep at least one entry");
    this.#entriesMax = entriesMax;
  }

  /** Number of entries ever appended. */
  get count(): number {
    return this.#count;
  }

  /** Hash of the newest entry. */
  get head(): Uint8Array {
    return this.#head;
  }

  /** Hash that precedes the oldest kept entry. */
  get anchor(): Uint8Array {
    return this.#anchor;
  }

  /** Appends an entry; the log sets its number and its link. */
  append(
    { action, ...rest }: Omit<AuditEntry, "number" | "previous" | "action"> & {
      readonly action: AuditAction;
    },
  ): void {
    this.#push(auditEntryCodec.encode({
      ...rest,
      action: AUDIT_ACTIONS[action],
      number: this.#count + 1,
      previous: this.#head,
    }));
  }

  /** Returns at most `max` kept entries from number `first` (from 1) on, as views. */
  read(first: number, max: number): Uint8Array[] {
    const kept = this.#entries.length;
    const oldest = this.#count - kept + 1;
    const from = Math.max(0, first - oldest);
    const until = Math.min(kept, from + max);
    const found: Uint8Array[] = [];
    for (let at = from; at < until; at++) found.push(this.#entries[(this.#oldest + at) % kept]!);
    return found;
  }

  /**
   * Restores the values that {@link read} and the getters returned into an empty log.
   *
   * @throws RegistryError `corrupt` when the entries do not form a chain.
   */
  restore(
    { count, anchor, entries }: {
      readonly count: number;
      readonly anchor: Uint8Array;
      readonly entries: readonly Uint8Array[];
    },
  ): void {
    assert(this.#count === 0, "An audit log must be empty to be restored");
    const verdict = verifyAudit(anchor, entries);
    if (!verdict.ok) {
      throw new RegistryError("corrupt", `Audit log is broken at ${verdict.at}: ${verdict.reason}`);
    }
    const last = entries.at(-1);
    if (last !== undefined && auditEntryCodec.decode(last).number !== count) {
      throw new RegistryError("corrupt", `Audit log must end at entry ${count}: it does not`);
    }
    this.#anchor = this.#head = anchor;
    this.#count = count - entries.length;
    for (const entry of entries) this.#push(entry);
  }

  #push(entry: Uint8Array): void {
    if (this.#entries.length < this.#entriesMax) {
      this.#entries.push(entry);
    } else {
      this.#anchor = auditHash(this.#entries[this.#oldest]!);
      this.#entries[this.#oldest] = entry;
      this.#oldest = (this.#oldest + 1) % this.#entriesMax;
    }
    this.#head = auditHash(entry);
    this.#count++;
  }
}
