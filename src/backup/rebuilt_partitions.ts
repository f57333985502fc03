/**
 * Partitions of a cluster that is restored or recovered. Their states are of different moments, so what
 * two of them agree on, the domains of agents, is made whole; every lease is extended, because nobody
 * could renew; and the cursors and fences of other regions' feeds are dropped, because mirrors may be older
 * than cursors, and group 0 older than fences and feeds. Mirrors of a region that group 0 does not know are
 * removed, as those of a removed region are.
 *
 * Domains change by commands, as in a running cluster. Two fields of records are set in place: the claim,
 * because a registration would take a sequence number from the record's owner, and the end of the cover,
 * because a renewal would say that the owner was seen.
 */
import { assert } from "../base/assert.ts";
import { compareBytes } from "../base/bytes.ts";
import { firstTermOf, type PartitionId } from "../base/ids.ts";
import { COVER_TTLS } from "../base/limits.ts";
import { comparePositions, type Position, samePosition } from "../base/position.ts";
import { formatUuid } from "../base/uuid.ts";
import { ALIAS_STATES } from "../../schemas/gen/record.ts";
import {
  type CommandHeader,
  encodeClaim,
  encodeConfirm,
  encodeMirrorDrop,
  encodeRelease,
  encodeRemove,
  encodeTick,
} from "../record/command.ts";
import { keyOfDomain, KIND_AGENT, KIND_ALIAS } from "../record/key.ts";
import { RECORD_KINDS } from "../record/kinds.ts";
import { Partitioner } from "../ring/partition.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { PartitionStore } from "../store/store.ts";

/** Outcomes of the domains of agents. */
export interface ClaimsMade {
  /** Domains whose claim was whole, and those that their agent has claimed again. */
  readonly kept: number;
  readonly reclaimed: number;
  /** Domains that no agent names any more. */
  readonly dropped: number;
  /** Agents whose domain another one holds: their records ended. */
  readonly lost: readonly LostDomain[];
}

/** An agent whose record ended because another one holds its domain. */
export interface LostDomain {
  readonly agentId: string;
  readonly domain: string;
  readonly holder: string;
}

/** How partitions are rebuilt. */
export interface RebuiltPartitionsOptions {
  readonly hashKey: Uint8Array;
  readonly generation: number;
  /** Returns the generation of a peer region's feed in group 0; undefined if it is no peer there. */
  feedOf(home: string): number | undefined;
}

/** An agent that names a domain. */
interface Candidate {
  readonly partition: PartitionId;
  readonly id: Uint8Array;
  readonly claim: Position;
}

/** Makes the partitions of a cluster, by their number, one whole. */
export function rebuildPartitions(
  stores: readonly PartitionStore[],
  options: RebuiltPartitionsOptions,
): ClaimsMade {
  return new PartitionsRebuild(stores, options).run();
}

class PartitionsRebuild {
  readonly #stores: readonly PartitionStore[];
  readonly #options: RebuiltPartitionsOptions;
  readonly #partitioner: Partitioner;
  readonly #lost: LostDomain[] = [];
  #kept = 0;
  #reclaimed = 0;
  #dropped = 0;

  constructor(stores: readonly PartitionStore[], options: RebuiltPartitionsOptions) {
    this.#stores = stores;
    this.#options = options;
    this.#partitioner = new Partitioner(options.hashKey, stores.length);
  }

  run(): ClaimsMade {
    const holders = this.#chooseHolders();
    for (const store of this.#stores) this.#dropAliases(store, holders);
    for (const [domain, holder] of holders) this.#claim(domain, holder);
    for (const store of this.#stores) {
      this.#extendLeases(store);
      store.mirrors.forgetPullers((home) => this.#options.feedOf(home) ?? 0);
      this.#dropMirrors(store);
    }
    return {
      kept: this.#kept,
      reclaimed: this.#reclaimed,
      dropped: this.#dropped,
      lost: this.#lost,
    };
  }

  #apply(store: PartitionStore, encode: (from: CommandHeader) => Uint8Array): ApplyReply {
    const data = encode({ timeMs: store.timeMs, unixS: 0, writer: 0 });
    const term = firstTermOf(this.#options.generation);
    return store.apply({ index: store.appliedIndex + 1, term, data });
  }

  // Domains.

  /** Chooses the holder of each domain that an agent names; the records of the others end. */
  #chooseHolders(): Map<string, Candidate> {
    const holders = new Map<string, Candidate>();
    const losers: (Candidate & { readonly domain: string })[] = [];
    this.#stores.forEach((store, number) => {
      store.forEachSlot(KIND_AGENT, (slot) => {
        const agent = store.agentView(slot);
        const { domain, claimGeneration: generation, claimIndex: index } = agent;
        if (domain === "") return;
        const claim = { generation, index };
        const candidate = { partition: number as PartitionId, id: agent.id.slice(), claim };
        const before = holders.get(domain);
        if (before === undefined) return void holders.set(domain, candidate);
        const isBetter = this.#beats(candidate, before, domain);
        if (isBetter) holders.set(domain, candidate);
        losers.push({ ...(isBetter ? before : candidate), domain });
      });
    });
    for (const { partition, id, domain } of losers) {
      this.#end(partition, id);
      const holder = holders.get(domain)!;
      this.#lost.push({ agentId: formatUuid(id), domain, holder: formatUuid(holder.id) });
    }
    return holders;
  }

  /** Reports whether an agent holds the domain rather than another: by the alias, or by the later claim. */
  #beats(candidate: Candidate, other: Candidate, domain: string): boolean {
    const alias = this.#aliasOf(domain);
    if (alias !== undefined && isHeldBy(alias, candidate)) return true;
    if (alias !== undefined && isHeldBy(alias, other)) return false;
    const byClaim = comparePositions(candidate.claim, other.claim);
    return (byClaim || compareBytes(candidate.id, other.id)) > 0;
  }

  #domainStore(domain: string): PartitionStore {
    return this.#stores[this.#partitioner.partitionOfKey(keyOfDomain(domain))]!;
  }

  #aliasOf(domain: string) {
    const store = this.#domainStore(domain);
    const key = keyOfDomain(domain);
    const slot = store.find(KIND_ALIAS, key, 1, key.length);
    if (slot === -1) return undefined;
    const alias = store.aliasView(slot);
    const { claimGeneration: generation, claimIndex: index, state } = alias;
    return { agentId: alias.agentId.slice(), claim: { generation, index }, state };
  }

  /** Ends the record of an agent that lost its domain, which emits `claim_dropped`. */
  #end(partition: PartitionId, id: Uint8Array): void {
    const store = this.#stores[partition]!;
    const slot = store.find(KIND_AGENT, id, 0, id.length);
    const incarnation = store.incarnationOf(slot);
    const body = { id, incarnation, process: 0, sequence: 0, kind: KIND_AGENT };
    applied(this.#apply(store, (from) => encodeRemove(from, body)));
  }

  /** Frees the domains that no agent names. */
  #dropAliases(store: PartitionStore, holders: ReadonlyMap<string, Candidate>): void {
    const unheld: { readonly domain: string; readonly claim: Position }[] = [];
    store.forEachSlot(KIND_ALIAS, (slot) => {
      const { domain, claimGeneration: generation, claimIndex: index } = store.aliasView(slot);
      if (!holders.has(domain)) unheld.push({ domain, claim: { generation, index } });
    });
    for (const body of unheld) applied(this.#apply(store, (from) => encodeRelease(from, body)));
    this.#dropped += unheld.length;
  }

  #claim(domain: string, holder: Candidate): void {
    const store = this.#domainStore(domain);
    const alias = this.#aliasOf(domain);
    const isWhole = alias !== undefined && isHeldBy(alias, holder);
    let { claim } = holder;
    if (isWhole) this.#kept++;
    else {
      this.#reclaimed++;
      const replaces = alias?.claim ?? { generation: 0, index: 0 };
      const body = { domain, agentId: holder.id, replaces };
      const made = applied(this.#apply(store, (from) => encodeClaim(from, body)));
      claim = made.claim;
      this.#setClaim(holder, claim);
    }
    if (isWhole && alias.state === ALIAS_STATES.confirmed) return;
    const body = { domain, agentId: holder.id, claim };
    applied(this.#apply(store, (from) => encodeConfirm(from, body)));
  }

  #setClaim({ partition, id }: Candidate, { generation, index }: Position): void {
    const store = this.#stores[partition]!;
    // The record changes at an entry of its own, so that its revision is a new one.
    applied(this.#apply(store, encodeTick));
    const agent = store.agentView(store.find(KIND_AGENT, id, 0, id.length));
    agent.claimGeneration = generation;
    agent.claimIndex = index;
    agent.revisionGeneration = this.#options.generation;
    agent.revisionIndex = store.appliedIndex;
  }

  // Mirrors.

  /** Removes the mirrors of regions that group 0 does not know, of which no fence is left. */
  #dropMirrors(store: PartitionStore): void {
    for (const home of store.mirrors.homes) {
      if (this.#options.feedOf(home) !== undefined) continue;
      while (store.mirrors.source(home) !== undefined) {
        applied(this.#apply(store, (from) => encodeMirrorDrop(from, { home, fence: 0 })));
      }
    }
  }

  // Leases.

  /** Extends the cover of every record to what a renewal now would extend it to. */
  #extendLeases(store: PartitionStore): void {
    for (const { number: kind, hasLease } of RECORD_KINDS.rows) {
      if (!hasLease) continue;
      store.forEachSlot(kind, (slot) => {
        const record = store.recordView(slot);
        const coverMs = store.timeMs + COVER_TTLS * record.ttlMs;
        record.leaseExpiryMs = Math.max(record.leaseExpiryMs, coverMs);
      });
    }
  }
}

function isHeldBy(
  alias: { readonly agentId: Uint8Array; readonly claim: Position },
  { id, claim }: Candidate,
): boolean {
  return compareBytes(alias.agentId, id) === 0 && samePosition(alias.claim, claim);
}

/** Returns the reply of a command that must have had its effect. */
function applied(reply: ApplyReply): ApplyReply {
  const { code, message } = reply;
  assert(code === "ok", () => `A rebuilt partition refused a command: ${code}: ${message}`);
  return reply;
}
