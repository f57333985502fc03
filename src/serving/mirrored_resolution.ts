/**
 * Domains that agents of other regions hold: the aliases of all regions in the domain's partition, the
 * preferred region first, and the mirror of the agent that each names. As at home, an agent holds the
 * domain only if it has the claim of the alias. An agent that another node holds is left to the client,
 * with those that come after it.
 */
import { agentCodec } from "../../schemas/gen/record.ts";
import { type ResolveCandidate, RESOLVED_PARTS } from "../../schemas/gen/wire.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { samePosition } from "../base/position.ts";
import { KIND_AGENT } from "../record/key.ts";
import type { CredentialRedaction } from "./credential_redaction.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { ReadPoint } from "../replication/group_interface.ts";
import { pointOf, type ReadBarrier } from "./read_answer.ts";
import { isElsewhere, type ReadBy } from "./read_by.ts";
import type { ReadLimits } from "./read_limits.ts";
import type { MirrorHomes } from "./regions/mirror_homes.ts";
import { noteRead, type Resolution } from "./resolution.ts";

/** A domain in lower case. */
export interface AskedDomain {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Finds agents of other regions by their domains. */
export class MirroredResolution {
  readonly #table: PartitionTable;
  readonly #redaction: CredentialRedaction;
  readonly #homes: MirrorHomes;
  readonly #limits: ReadLimits;
  readonly #agent = agentCodec.newView();

  constructor(
    table: PartitionTable,
    redaction: CredentialRedaction,
    homes: MirrorHomes,
    limits: ReadLimits,
  ) {
    this.#table = table;
    this.#limits = limits;
    this.#redaction = redaction;
    this.#homes = homes;
  }

  /**
   * Completes an answer in which no own agent is included: with the agent of another region, or with the
   * candidates that the client is to ask for. Returns the group to wait for, if any.
   *
   * @param home the domain's partition, which was read.
   */
  find(
    home: Partition,
    domain: AskedDomain,
    by: ReadBy,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): ReadBarrier | undefined {
    const { reply } = into;
    const candidates = this.#candidates(home, domain, by);
    if (candidates.length === 0) return undefined;
    if (reply.agentPart === RESOLVED_PARTS.elsewhere) {
      reply.candidates = { agents: candidates };
      return undefined;
    }
    for (let index = 0; index < candidates.length; index++) {
      const { agentId } = candidates[index]!;
      const place = this.#table.of(KIND_AGENT, agentId);
      const { maxStalenessMs, permits } = by;
      const point = place.isHere ? pointOf(place.group, maxStalenessMs, permits) : undefined;
      if (!place.isHere || (point === undefined && isElsewhere(place.group, by))) {
        reply.agentPart = RESOLVED_PARTS.elsewhere;
        reply.agentId = NIL_ID;
        reply.candidates = { agents: candidates.slice(index) };
        return undefined;
      }
      if (point === undefined) return place.group;
      noteRead(into, place, point);
      if (this.#include(place, point, candidates[index]!, domain, peer, into)) return undefined;
    }
    return undefined;
  }

  #candidates({ store }: Partition, { bytes, start, end }: AskedDomain, by: ReadBy) {
    const choice = by.asked.mirrors;
    if (choice === undefined || store.mirrors.isEmpty) return [];
    return store.mirrors.aliases(bytes, start, end, choice).map((slot): ResolveCandidate => {
      const { agentId, claim, home } = store.mirrors.aliasView(slot).toPlain();
      return { agentId, claim, home };
    });
  }

  /** Includes the mirror of an agent, if it holds the domain; returns whether it does. */
  #include(
    { store }: Partition,
    point: ReadPoint,
    { agentId, claim, home }: ResolveCandidate,
    domain: AskedDomain,
    peer: AuthenticatedPeer,
    into: Resolution,
  ): boolean {
    const slot = store.mirrors.findOf(KIND_AGENT, agentId, home);
    if (slot === -1) return false;
    const { reply } = into;
    const span = store.mirrors.locate(slot, into.agent);
    const agent = this.#agent.wrap(span.view, span.bytes, span.start, span.end);
    const held = { generation: agent.claimGeneration, index: agent.claimIndex };
    if (!samePosition(held, claim) || !hasDomain(agent, domain)) return false;
    if (!this.#limits.permit(peer, KIND_AGENT, span)) return false;
    reply.agentPart = RESOLVED_PARTS.included;
    reply.agentId = agentId;
    reply.claim = claim;
    reply.agentSource = this.#homes.sourceOf(store.mirrors.view(slot), point.ageBoundMs);
    reply.agent = this.#redaction.redact(peer, KIND_AGENT, span);
    reply.agentRemainingMs = 0;
    return true;
  }
}

const NIL_ID = new Uint8Array(16);

/** Reports whether an agent names the domain: after a loss its home may assign a claim again. */
function hasDomain(
  agent: {
    readonly $bytes: Uint8Array;
    readonly domainOffset: number;
    readonly domainLength: number;
  },
  { bytes, start, end }: AskedDomain,
): boolean {
  if (agent.domainLength !== end - start) return false;
  for (let at = 0; at < agent.domainLength; at++) {
    if (agent.$bytes[agent.domainOffset + at] !== bytes[start + at]) return false;
  }
  return true;
}
