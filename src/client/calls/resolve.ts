/**
 * Resolves agents by domain, with their gateways. A part that another node holds is returned as its
 * id and fetched here; an agent counts only if it still holds the claim that the domain names.
 */
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import type { ResolveReplyView, ResponseView } from "../../../schemas/gen/wire.ts";
import { errorCodeFromWire, RegistryError, toRegistryError } from "../../base/errors.ts";
import { RESOLVE_ITEMS_MAX } from "../../base/limits.ts";
import { formatUuid, isNilUuid, parseUuid } from "../../base/uuid.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { Invoker } from "../invoker.ts";
import { agentOf, gatewayOf } from "../record_decoder.ts";
import type { AgentInfo, GatewayInfo, Incarnation } from "../records.ts";
import type { CallOptions, Receipt, ResolvedAgent, ResolveOutcome } from "../types.ts";
import { receiptsOf } from "./get.ts";

// The states of a part of the answer (schemas/wire.capnp, ResolveReply).
const PART_INCLUDED = 1;
const PART_ELSEWHERE = 3;

/** A received answer, some parts of which may still have to be fetched. */
interface Parts {
  agent: AgentInfo | undefined;
  gateway: GatewayInfo | undefined;
  agentId: string;
  gatewayId: string | undefined;
  agentRemainingMs: number;
  gatewayRemainingMs: number;
  agentPart: number;
  gatewayPart: number;
  claim: Incarnation;
  receipts: readonly Receipt[];
}

/** The outcome for one of many domains: parts, or a refusal. */
type PartsOutcome = Parts | RegistryError;

/** The calls ResolveAgent and ResolveMany. */
export class ResolveCalls {
  readonly #invoker: Invoker;
  readonly #reply = OPERATIONS.resolveAgent.reply.newView();
  readonly #manyReply = OPERATIONS.resolveAgents.reply.newView();
  readonly #recordReply = OPERATIONS.getAgent.reply.newView();
  readonly #agent = agentCodec.newView();
  readonly #gateway = gatewayCodec.newView();

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** See `Client.resolveAgent`. The answer is never stale. */
  async agent(domain: string, options: CallOptions = {}): Promise<ResolvedAgent> {
    const parts = await this.#invoker.invoke(
      "resolveAgent",
      { domain },
      this.#decodeOne,
      options,
    );
    return await this.#complete(domain, parts, options);
  }

  /** See `Client.resolveAgents`. Answers are never stale. */
  async agents(domains: readonly string[], options: CallOptions = {}): Promise<ResolveOutcome[]> {
    const requests: Promise<ResolveOutcome[]>[] = [];
    for (let start = 0; start < domains.length; start += RESOLVE_ITEMS_MAX) {
      requests.push(this.#batch(domains.slice(start, start + RESOLVE_ITEMS_MAX), options));
    }
    return (await Promise.all(requests)).flat();
  }

  async #batch(domains: readonly string[], options: CallOptions): Promise<ResolveOutcome[]> {
    const outcomes = await this.#invoker.invoke(
      "resolveAgents",
      { domains },
      this.#decodeMany,
      options,
    );
    if (outcomes.length !== domains.length) {
      throw new RegistryError(
        "malformed",
        `Reply must answer all ${domains.length} domains: it answers ${outcomes.length}`,
      );
    }
    const again = await this.#againTooLarge(domains, outcomes, options);
    return await Promise.all(domains.map(async (domain, index): Promise<ResolveOutcome> => {
      const outcome = outcomes[index]!;
      if (outcome instanceof RegistryError) return again.get(index) ?? { domain, error: outcome };
      try {
        return { domain, found: await this.#complete(domain, outcome, options) };
      } catch (error) {
        return { domain, error: toRegistryError(error) };
      }
    }));
  }

  /** Asks again for domains that did not fit into the reply; a reply holds at least one. */
  async #againTooLarge(
    domains: readonly string[],
    outcomes: readonly PartsOutcome[],
    options: CallOptions,
  ): Promise<ReadonlyMap<number, ResolveOutcome>> {
    const left = domains.flatMap((_, index) => {
      const outcome = outcomes[index];
      return outcome instanceof RegistryError && outcome.code === "too_large" ? [index] : [];
    });
    if (left.length === 0 || left.length === domains.length) return new Map();
    const answers = await this.#batch(left.map((index) => domains[index]!), options);
    return new Map(left.map((index, position) => [index, answers[position]!]));
  }

  async #complete(domain: string, parts: Parts, options: CallOptions): Promise<ResolvedAgent> {
    if (parts.agentPart === PART_ELSEWHERE) await this.#fetchAgent(domain, parts, options);
    if (parts.gatewayPart === PART_ELSEWHERE) await this.#fetchGateway(parts, options);
    if (parts.agent === undefined) throw noHolder(domain);
    return {
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
  }

  async #fetchAgent(domain: string, parts: Parts, options: CallOptions): Promise<void> {
    const found = await this.#invoker.invoke(
      "getAgent",
      { id: parseUuid(parts.agentId) },
      (response, view, bytes) => {
        const reply = response.bodyInto(this.#recordReply);
        const start = reply.recordOffset;
        const agent = this.#agent.wrap(view, bytes, start, start + reply.recordLength);
        return {
          agent: agentOf(agent),
          gatewayId: gatewayIdOf(agent.gatewayId),
          claim: { generation: agent.claimGeneration, index: agent.claimIndex },
          remainingMs: reply.remainingMs,
          receipts: receiptsOf(response),
        };
      },
      options,
    );
    const { claim } = found;
    if (claim.generation !== parts.claim.generation || claim.index !== parts.claim.index) {
      throw noHolder(domain);
    }
    parts.agent = found.agent;
    parts.agentRemainingMs = found.remainingMs;
    parts.receipts = [...parts.receipts, ...found.receipts];
    parts.gatewayId = found.gatewayId;
    // Only the agent says which gateway it names, so the gateway was not looked up yet.
    if (found.gatewayId !== undefined) parts.gatewayPart = PART_ELSEWHERE;
  }

  async #fetchGateway(parts: Parts, options: CallOptions): Promise<void> {
    if (parts.gatewayId === undefined) return;
    try {
      const found = await this.#invoker.invoke(
        "getGateway",
        { id: parseUuid(parts.gatewayId) },
        (response, view, bytes) => {
          const reply = response.bodyInto(this.#recordReply);
          const start = reply.recordOffset;
          const gateway = this.#gateway.wrap(view, bytes, start, start + reply.recordLength);
          return {
            gateway: gatewayOf(gateway),
            remainingMs: reply.remainingMs,
            receipts: receiptsOf(response),
          };
        },
        options,
      );
      parts.gateway = found.gateway;
      parts.gatewayRemainingMs = found.remainingMs;
      parts.receipts = [...parts.receipts, ...found.receipts];
    } catch (error) {
      // An agent may name a gateway that is not registered; that is a valid answer.
      if (!(error instanceof RegistryError && error.code === "not_found")) throw error;
    }
  }

  readonly #decodeOne = (response: ResponseView, view: DataView, bytes: Uint8Array): Parts =>
    this.#parts(response.bodyInto(this.#reply), receiptsOf(response), view, bytes);

  readonly #decodeMany = (
    response: ResponseView,
    view: DataView,
    bytes: Uint8Array,
  ): PartsOutcome[] => {
    const outcomes: PartsOutcome[] = [];
    const { items } = response.bodyInto(this.#manyReply);
    for (let index = 0; index < items.count; index++) {
      const item = items.at(index);
      const { code, cacheMs } = item;
      outcomes.push(
        code === 0
          ? this.#parts(item.reply, item.receipts.toPlain(), view, bytes)
          : refusedDomain(code, cacheMs),
      );
    }
    return outcomes;
  };

  #parts(
    reply: ResolveReplyView,
    receipts: readonly Receipt[],
    view: DataView,
    bytes: Uint8Array,
  ): Parts {
    const { agentPart, gatewayPart } = reply;
    let agent: AgentInfo | undefined;
    let gateway: GatewayInfo | undefined;
    if (agentPart === PART_INCLUDED) {
      const start = reply.agentOffset;
      agent = agentOf(this.#agent.wrap(view, bytes, start, start + reply.agentLength));
    }
    if (gatewayPart === PART_INCLUDED) {
      const start = reply.gatewayOffset;
      gateway = gatewayOf(this.#gateway.wrap(view, bytes, start, start + reply.gatewayLength));
    }
    return {
      agent,
      gateway,
      agentId: formatUuid(reply.agentId),
      gatewayId: gatewayIdOf(reply.gatewayId),
      agentRemainingMs: reply.agentRemainingMs,
      gatewayRemainingMs: reply.gatewayRemainingMs,
      agentPart,
      gatewayPart,
      claim: { generation: reply.claimGeneration, index: reply.claimIndex },
      receipts,
    };
  }
}

function gatewayIdOf(id: Uint8Array): string | undefined {
  return isNilUuid(id) ? undefined : formatUuid(id);
}

function noHolder(domain: string): RegistryError {
  return new RegistryError("not_found", `No live agent holds the domain ${domain}`);
}

function refusedDomain(wireCode: number, cacheMs: number): RegistryError {
  const code = errorCodeFromWire(wireCode);
  return new RegistryError(
    code,
    code === "not_found" ? "No live agent holds the domain" : `The registry answered ${code}`,
    cacheMs > 0 ? { cacheMs } : {},
  );
}
