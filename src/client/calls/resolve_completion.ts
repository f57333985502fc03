/**
 * Completes answers for domains whose parts are held by several nodes: the agent that an alias names
 * and the gateway that the agent names are fetched by their ids, at most two trips one after the
 * other, and those of many domains in parallel.
 *
 * An agent counts only if it holds the claim that the alias names. If it does not, the domain may
 * have changed hands between the two reads, so the alias is read again: if it still names the same
 * claim, nobody holds the domain.
 */
import {
  recordReplyCodec,
  type ResolveCandidate,
  RESOLVED_PARTS,
} from "../../../schemas/gen/wire.ts";
import { agentCodec } from "../../../schemas/gen/record.ts";
import { RegistryError } from "../../base/errors.ts";
import { CLIENT_RETRY_MS_BASE } from "../../base/limits.ts";
import { samePosition } from "../../base/position.ts";
import { formatUuid, isNilUuid, parseUuid } from "../../base/uuid.ts";
import type { Invoker } from "../invoker.ts";
import { AGENT } from "../../record/agent.ts";
import { canonicalDomain } from "../../record/domain.ts";
import type { AgentInfo, GatewayInfo, Incarnation } from "../records.ts";
import { askedHome, sourceOf } from "../sources.ts";
import type { CallOptions, GatewayAnswer, Receipt, RecordSource, ResolvedAgent } from "../types.ts";
import { type GetCalls, receiptsOf } from "./get.ts";

/** Reads of an alias whose domain changes hands again and again. */
const TRIES_MAX = 3;

/** A received answer, some parts of which may still have to be fetched. */
export interface Parts {
  readonly agent: AgentInfo | undefined;
  readonly gateway: GatewayInfo | undefined;
  readonly agentId: string;
  readonly gatewayId: string | undefined;
  readonly agentRemainingMs: number;
  readonly gatewayRemainingMs: number;
  readonly agentPart: number;
  readonly gatewayPart: number;
  readonly claim: Incarnation;
  readonly agentSource: RecordSource | undefined;
  readonly gatewaySource: RecordSource | undefined;
  /** Agents of other regions that may hold the domain, if the agent is elsewhere. */
  readonly candidates: readonly ResolveCandidate[];
  readonly receipts: readonly Receipt[];
}

/** Reports whether nothing has to be fetched. */
export function isComplete({ agentPart, gatewayPart }: Parts): boolean {
  return agentPart !== RESOLVED_PARTS.elsewhere && gatewayPart !== RESOLVED_PARTS.elsewhere;
}

/** Returns the answer made of complete parts. @throws RegistryError `not_found` without an agent. */
export function resolvedOf(domain: string, parts: Parts): ResolvedAgent {
  const { agentSource, gatewaySource } = parts;
  if (parts.agent === undefined) throw noHolder(domain);
  const resolved: ResolvedAgent = {
    domain,
    agent: parts.agent,
    gateway: parts.gateway,
    gatewayId: parts.gatewayId,
    agentRemainingMs: parts.agentRemainingMs,
    gatewayRemainingMs: parts.gatewayRemainingMs,
    stale: false,
    ageMs: 0,
    receipts: parts.receipts,
  };
  // Most answers have neither, and are spared the copy.
  if (agentSource === undefined && gatewaySource === undefined) return resolved;
  return {
    ...resolved,
    ...(agentSource === undefined ? {} : { agentSource }),
    ...(gatewaySource === undefined ? {} : { gatewaySource }),
  };
}

/** Returns the gateway that an agent names; `undefined` if none. */
export function gatewayIdOf(id: Uint8Array): string | undefined {
  return isNilUuid(id) ? undefined : formatUuid(id);
}

/** The completion of the answers of one call. */
export class ResolveCompletion {
  readonly #invoker: Invoker;
  readonly #get: GetCalls;
  readonly #options: () => CallOptions;
  readonly #again: (domain: string, options: CallOptions) => Promise<Parts>;
  /** The gateways fetched so far; many agents share one. */
  readonly #gateways = new Map<string, Promise<GatewayAnswer | undefined>>();

  /**
   * @param get fetches gateways.
   * @param options returns the options of the next request.
   * @param again reads the alias of a domain again.
   */
  constructor(
    invoker: Invoker,
    get: GetCalls,
    options: () => CallOptions,
    again: (domain: string, options: CallOptions) => Promise<Parts>,
  ) {
    this.#invoker = invoker;
    this.#get = get;
    this.#options = options;
    this.#again = again;
  }

  /** Fetches what is missing. @throws RegistryError `not_found` if nobody holds the domain. */
  async complete(domain: string, first: Parts): Promise<ResolvedAgent> {
    let parts = first;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (parts.agentPart !== RESOLVED_PARTS.elsewhere) return await this.#resolved(domain, parts);
      if (parts.agentId !== NIL_UUID) {
        const own = await this.#withAgent(parts, parts);
        if (own !== undefined) return await this.#resolved(domain, own);
        const again = await this.#again(domain, this.#options());
        const isSame = again.agentPart === RESOLVED_PARTS.elsewhere && isSameClaim(again, parts);
        parts = again;
        if (!isSame) continue;
      }
      const mirrored = await this.#withCandidate(domain, parts);
      if (mirrored === undefined) throw noHolder(domain);
      return await this.#resolved(domain, mirrored);
    }
    throw new RegistryError(
      "overloaded",
      `The domain ${domain} changed hands at each of ${TRIES_MAX} reads`,
      { retryAfterMs: CLIENT_RETRY_MS_BASE },
    );
  }

  async #resolved(domain: string, parts: Parts): Promise<ResolvedAgent> {
    return resolvedOf(domain, await this.#withGateway(parts));
  }

  /** Fetches the agents of other regions until one holds the domain; undefined if none does. */
  async #withCandidate(domain: string, parts: Parts): Promise<Parts | undefined> {
    for (const { agentId, claim, home } of parts.candidates) {
      const found = await this.#withAgent(parts, { agentId: formatUuid(agentId), claim, home });
      // After a loss a region may assign a claim again, to another domain.
      if (found?.agent?.domain === canonicalDomain(domain)) return found;
    }
    return undefined;
  }

  /**
   * Fetches an agent; returns undefined if it does not hold the claim.
   *
   * @param holder the agent; `home` if it is of another region.
   */
  async #withAgent(
    parts: Parts,
    { agentId, claim, home }: Pick<Parts, "agentId" | "claim"> & { readonly home?: string },
  ): Promise<Parts | undefined> {
    try {
      const found = await this.#fetchAgent(agentId, home);
      const isHolder = samePosition(found.claim, claim) && found.agentSource?.home === home;
      if (!isHolder) return undefined;
      const { agent, agentSource, gatewayId, remainingMs, receipts } = found;
      return {
        ...parts,
        agent,
        agentId,
        agentSource,
        gatewayId,
        agentPart: RESOLVED_PARTS.included,
        agentRemainingMs: remainingMs,
        // Only the agent says which gateway it names, so the gateway was not looked up yet.
        gatewayPart: gatewayId === undefined ? parts.gatewayPart : RESOLVED_PARTS.elsewhere,
        receipts: [...parts.receipts, ...receipts],
      };
    } catch (error) {
      if (error instanceof RegistryError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  async #withGateway(parts: Parts): Promise<Parts> {
    const { gatewayId, gatewayPart } = parts;
    if (gatewayPart !== RESOLVED_PARTS.elsewhere || gatewayId === undefined) return parts;
    let fetched = this.#gateways.get(gatewayId);
    if (fetched === undefined) {
      this.#gateways.set(gatewayId, fetched = this.#fetchGateway(gatewayId));
    }
    const found = await fetched;
    // An agent may name a gateway that is not registered; that is a valid answer.
    if (found === undefined) return parts;
    return {
      ...parts,
      gateway: found.gateway,
      gatewaySource: found.source,
      gatewayRemainingMs: found.remainingMs,
      receipts: [...parts.receipts, ...found.receipts],
    };
  }

  #fetchAgent(id: string, home: string | undefined) {
    const options = this.#options();
    return this.#invoker.invoke(
      "getAgent",
      { id: parseUuid(id), home: home === undefined ? askedHome(options) : { name: home } },
      (response, view, bytes) => {
        const reply = response.bodyInto(recordReplyCodec.newView());
        const start = reply.recordOffset;
        const agent = agentCodec.newView().wrap(view, bytes, start, start + reply.recordLength);
        return {
          agent: AGENT.decode(agent),
          agentSource: reply.hasSource ? sourceOf(reply.source) : undefined,
          gatewayId: gatewayIdOf(agent.gatewayId),
          claim: { generation: agent.claimGeneration, index: agent.claimIndex },
          remainingMs: reply.remainingMs,
          receipts: receiptsOf(response),
        };
      },
      options,
    );
  }

  async #fetchGateway(id: string): Promise<GatewayAnswer | undefined> {
    try {
      return await this.#get.gateway(id, this.#options());
    } catch (error) {
      if (error instanceof RegistryError && error.code === "not_found") return undefined;
      throw error;
    }
  }
}

const NIL_UUID = "00000000-0000-0000-0000-000000000000";

function isSameClaim(left: Parts, right: Parts): boolean {
  return left.agentId === right.agentId && samePosition(left.claim, right.claim);
}

function noHolder(domain: string): RegistryError {
  return new RegistryError("not_found", `No live agent holds the domain ${domain}`);
}
