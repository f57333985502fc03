/**
 * A store of keys that end with a lease, and change in transactions: what the relay registry needs of
 * etcd and of Consul. Leases are measured by the store alone.
 */
import type { BackendCall } from "../relay_backend.ts";

/** The kinds of entries. */
export type LeasedKind = "relay" | "agent";

/** The key of an entry. */
export interface EntryKey {
  readonly kind: LeasedKind;
  readonly id: string;
}

/** An entry that is there. */
export interface LeasedEntry extends EntryKey {
  readonly value: string;
  /** The entry ends with it, and no lease ever has the id of an earlier one. */
  readonly lease: string;
  /** Changes with each write of the entry. */
  readonly revision: string;
}

/** What must hold for a write: the entry is not there, was not written since, or has this lease. */
export type EntryCondition =
  & { readonly key: EntryKey }
  & ({ readonly is: "absent" } | { readonly revision: string } | { readonly lease: string });

/** A write. An entry that is there keeps its lease, and `lease` is that one. */
export interface EntryWrite {
  readonly key: EntryKey;
  readonly value: string;
  readonly lease: string;
}

/** Entries at one moment, in the order of what was asked for. */
export interface Reading<T> {
  readonly entries: T;
  /** The server's time, whole seconds in ms. */
  readonly unixMs: number;
}

/** A store. Its calls reject with coded errors, and end when their signal is aborted. */
export interface LeaseStore {
  /** The address for messages. */
  readonly name: string;
  /** Reads entries at one moment; `undefined` for those that are not there. */
  read(
    keys: readonly EntryKey[],
    call: BackendCall,
  ): Promise<Reading<readonly (LeasedEntry | undefined)[]>>;
  /** Reads all entries of some kinds at one moment, or any `countMax` of a kind with more. */
  list(
    kinds: readonly LeasedKind[],
    countMax: number,
    call: BackendCall,
  ): Promise<readonly (readonly LeasedEntry[])[]>;
  /** Writes all or, unless all conditions hold and the lease lasts, nothing and returns false. */
  commit(
    conditions: readonly EntryCondition[],
    put: EntryWrite,
    call: BackendCall,
  ): Promise<boolean>;
  /** Begins a lease of at least `ttlMs` and returns its id. */
  grant(ttlMs: number, call: BackendCall): Promise<string>;
  /** Begins the lease's time anew; returns false if it ended. */
  renew(lease: string, call: BackendCall): Promise<boolean>;
  /** Ends a lease, and the entries that have it. */
  revoke(lease: string, call: BackendCall): Promise<void>;
}
