/**
 * The interface that the relay registry needs of etcd and Consul: a store of keys that end with a lease
 * and change in transactions. Leases are measured by the store alone.
 */
import type { BackendCall } from "../relay_backend.ts";

/** The kinds of entries. */
export type LeasedKind = "relay" | "agent";

/** The key of an entry. */
export interface EntryKey {
  readonly kind: LeasedKind;
  readonly id: string;
}

/** An entry that exists. */
export interface LeasedEntry extends EntryKey {
  readonly value: string;
  /** Id of the lease with which the entry ends; no later lease has the same id. */
  readonly lease: string;
  /** Changes with each write of the entry. */
  readonly revision: string;
}

/** A condition of a write: the entry is absent, has not changed since, or has this lease. */
export type EntryCondition =
  & { readonly key: EntryKey }
  & ({ readonly is: "absent" } | { readonly revision: string } | { readonly lease: string });

/** A write. For an entry that exists, `lease` is the one it has. */
export interface EntryWrite {
  readonly key: EntryKey;
  readonly value: string;
  readonly lease: string;
}

/** Entries at one moment, in the order of the request. */
export interface Reading<T> {
  readonly entries: T;
  /** The server's time, whole seconds in ms. */
  readonly unixMs: number;
}

/** A store. Its calls reject with coded errors, and end when their signal is aborted. */
export interface LeaseStore {
  /** The address for messages. */
  readonly name: string;
  /** Reads entries at one moment; `undefined` for absent ones. */
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
  /** Writes if all conditions hold and the lease lasts; otherwise writes nothing and returns false. */
  commit(
    conditions: readonly EntryCondition[],
    put: EntryWrite,
    call: BackendCall,
  ): Promise<boolean>;
  /** Begins a lease of at least `ttlMs` and returns its id. */
  grant(ttlMs: number, call: BackendCall): Promise<string>;
  /** Restarts a lease's time; returns false if it ended. */
  renew(lease: string, call: BackendCall): Promise<boolean>;
  /** Ends a lease, and the entries that have it. */
  revoke(lease: string, call: BackendCall): Promise<void>;
}
