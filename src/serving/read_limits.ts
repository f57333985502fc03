/**
 * Limits on what a peer may read of others' records (`Grants.reads`): by region, label and domain. To
 * a peer a record outside of them is as if it were not there, in gets, resolves, lists and watches.
 * Its own record, those attached to it and those that its grants name are always within them.
 */
import type { StoredSpan } from "../store/reply.ts";
import type { AuthenticatedPeer, ReadLimit } from "../base/peer.ts";
import { grantsDomain, recordFacts, relationTo } from "../record/access.ts";
import type { OwnedView } from "../record/kind_row.ts";
import { RECORD_KINDS } from "../record/kinds.ts";
import { canonicalJson } from "../signing/canonical_json.ts";
import { hasLabel } from "./stored_text.ts";

/** The limits of a peer, in the form in which they are compared with stored forms. */
export interface StoredReads {
  /** The same for peers with the same limits and relations. */
  readonly name: string;
  readonly peer: AuthenticatedPeer;
  readonly limits: readonly StoredLimit[];
}

interface StoredLimit {
  readonly regions: readonly string[];
  readonly labels: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[];
  /** Patterns, as grants have them. */
  readonly domains: readonly string[];
}

/** Returns the limits of a peer; `undefined` if it has none. */
export function readsOf(peer: AuthenticatedPeer): StoredReads | undefined {
  const { subject, grants: { reads, gateways } } = peer;
  if (reads === undefined) return undefined;
  const name = canonicalJson({ subject, gateways, reads });
  return { name, peer, limits: reads.map(storedLimit) };
}

function storedLimit({ regions, labels, domains }: ReadLimit): StoredLimit {
  const encoder = new TextEncoder();
  return {
    ...{ regions, domains },
    labels: labels.map(({ key, value }) => ({
      key: encoder.encode(key),
      value: encoder.encode(value),
    })),
  };
}

/** Reports whether a record is within limits. */
export function isWithinReads(
  { peer, limits }: StoredReads,
  kind: number,
  record: OwnedView,
): boolean {
  if (limits.every((limit) => fits(limit, record))) return true;
  return relationTo(peer, recordFacts(kind, record)) !== "other";
}

/** Reports whether the limits are on domains alone, so that who holds a domain may be known. */
export function knowsDomains({ limits }: StoredReads): boolean {
  return limits.every(({ regions, labels }) => regions.length === 0 && labels.length === 0);
}

/** Reports whether the limits permit to know who holds a domain, of which nothing else is known. */
export function isDomainWithinReads({ limits }: StoredReads, domain: string): boolean {
  return limits.every(({ domains }) => domains.length === 0 || grantsDomain(domains, domain));
}

function fits({ regions, labels, domains }: StoredLimit, record: OwnedView): boolean {
  if (regions.length > 0 && !regions.includes(record.region)) return false;
  if (domains.length > 0 && !grantsDomain(domains, record.domain)) return false;
  return labels.every(({ key, value }) => hasLabel(record, key, value));
}

/** Decides about records in their stored forms. One instance serves all streams of a node. */
export class ReadLimits {
  /** By the number of the kind. */
  readonly #views: OwnedView[] = [];
  readonly #stored = new WeakMap<AuthenticatedPeer, StoredReads>();

  constructor() {
    for (const { number, codec } of RECORD_KINDS.rows) this.#views[number] = codec.newView();
  }

  /** Reports whether a peer may read a record. */
  permit(peer: AuthenticatedPeer, kind: number, span: StoredSpan): boolean {
    if (peer.grants.reads === undefined) return true;
    let stored = this.#stored.get(peer);
    if (stored === undefined) this.#stored.set(peer, stored = readsOf(peer)!);
    const { view, bytes, start, end } = span;
    return isWithinReads(stored, kind, this.#views[kind]!.wrap(view, bytes, start, end));
  }
}
