/**
 * Resolves agents by domain, with their gateways. A part that another node holds is returned as its
 * id and fetched by resolve_completion.ts.
 */
import {
  type ResolveCandidate,
  RESOLVED_PARTS,
  type ResolveReplyView,
  type ResponseView,
} from "../../../schemas/gen/wire.ts";
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import { errorCodeFromWire, RegistryError, toRegistryError } from "../../base/errors.ts";
import { RESOLVE_ITEMS_MAX } from "../../base/limits.ts";
import { formatUuid } from "../../base/uuid.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import { partitionOfDomain } from "../call_key.ts";
import type { Part } from "../cluster_routing.ts";
import type { Deadline } from "../deadline.ts";
import type { Invoker } from "../invoker.ts";
import { askInParts } from "../parts.ts";
import { AGENT } from "../../record/agent.ts";
import { GATEWAY } from "../../record/gateway.ts";
import type { AgentInfo, GatewayInfo } from "../records.ts";
import type { CallOptions, Receipt, ResolvedAgent, ResolveOutcome } from "../types.ts";
import { askedHome, sourceOf } from "../sources.ts";
import { type GetCalls, receiptsOf } from "./get.ts";
import {
  gatewayIdOf,
  isComplete,
  type Parts,
  ResolveCompletion,
  resolvedOf,
} from "./resolve_completion.ts";

const NO_CANDIDATES: readonly ResolveCandidate[] = [];

/** The outcome for one of many domains: parts, or a refusal. */
type PartsOutcome = Parts | RegistryError;

/** The calls ResolveAgent and ResolveMany. */
export class ResolveCalls {
  readonly #invoker: Invoker;
  readonly #get: GetCalls;
  readonly #reply = OPERATIONS.resolveAgent.reply.newView();
  readonly #manyReply = OPERATIONS.resolveAgents.reply.newView();
  readonly #agent = agentCodec.newView();
  readonly #gateway = gatewayCodec.newView();

  /** @param get fetches gateways that another node holds. */
  constructor(invoker: Invoker, get: GetCalls) {
    this.#invoker = invoker;
    this.#get = get;
  }

  /** See `Client.resolveAgent`. The answer is never stale. */
  async agent(domain: string, options: CallOptions = {}): Promise<ResolvedAgent> {
    // The cluster may become known while the first request is on its way.
    const deadline = this.#invoker.deadline(options);
    const parts = await this.#ask(domain, options);
    if (isComplete(parts)) return resolvedOf(domain, parts);
    return await this.#completion(deadline).complete(domain, parts);
  }

  /** See `Client.resolveAgents`. Answers are never stale. */
  async agents(domains: readonly string[], options: CallOptions = {}): Promise<ResolveOutcome[]> {
    const { cluster } = this.#invoker;
    if (cluster === undefined) return await this.#askAll(domains, options);
    const { partitioner } = cluster;
    const partitions = domains.map((domain) => partitionOfDomain(partitioner, domain));
    const outcomes = await askInParts<ResolvedAgent>(cluster, {
      count: domains.length,
      partitionOf: (position) => partitions[position]!,
      ask: async (positions, left, part) => {
        const some = positions.map((position) => domains[position]!);
        return (await this.#askAll(some, left, part)).map(({ found, error }) => found ?? error);
      },
      options,
      maxStalenessMs: cluster.stalenessOf(options),
    });
    return outcomes.map((outcome, index): ResolveOutcome => {
      const domain = domains[index]!;
      return outcome instanceof RegistryError
        ? { domain, error: outcome }
        : { domain, found: outcome };
    });
  }

  /** Resolves domains in as few requests as the limit allows. */
  async #askAll(
    domains: readonly string[],
    options: CallOptions,
    part?: Part,
  ): Promise<ResolveOutcome[]> {
    const requests: Promise<ResolveOutcome[]>[] = [];
    for (let start = 0; start < domains.length; start += RESOLVE_ITEMS_MAX) {
      requests.push(this.#batch(domains.slice(start, start + RESOLVE_ITEMS_MAX), options, part));
    }
    return (await Promise.all(requests)).flat();
  }

  async #batch(
    domains: readonly string[],
    options: CallOptions,
    part: Part | undefined,
  ): Promise<ResolveOutcome[]> {
    const completion = this.#completion(this.#invoker.deadline(options));
    const outcomes = await this.#invoker.invoke(
      "resolveAgents",
      { domains, home: askedHome(options) },
      this.#decodeMany,
      options,
      part,
    );
    if (outcomes.length !== domains.length) {
      throw new RegistryError(
        "malformed",
        `Reply must answer all ${domains.length} domains: it answers ${outcomes.length}`,
      );
    }
    const again = await this.#againTooLarge(domains, outcomes, options, part);
    return await Promise.all(domains.map(async (domain, index): Promise<ResolveOutcome> => {
      const outcome = outcomes[index]!;
      if (outcome instanceof RegistryError) return again.get(index) ?? { domain, error: outcome };
      try {
        if (isComplete(outcome)) return { domain, found: resolvedOf(domain, outcome) };
        return { domain, found: await completion.complete(domain, outcome) };
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
    part: Part | undefined,
  ): Promise<ReadonlyMap<number, ResolveOutcome>> {
    const left = domains.flatMap((_, index) => {
      const outcome = outcomes[index];
      return outcome instanceof RegistryError && outcome.code === "too_large" ? [index] : [];
    });
    if (left.length === 0 || left.length === domains.length) return new Map();
    const answers = await this.#batch(left.map((index) => domains[index]!), options, part);
    return new Map(left.map((index, position) => [index, answers[position]!]));
  }

  #ask(domain: string, options: CallOptions): Promise<Parts> {
    const body = { domain, home: askedHome(options) };
    return this.#invoker.invoke("resolveAgent", body, this.#decodeOne, options);
  }

  #completion(deadline: Deadline): ResolveCompletion {
    return new ResolveCompletion(
      this.#invoker,
      this.#get,
      () => deadline.options(),
      (domain, left) => this.#ask(domain, left),
    );
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
    if (agentPart === RESOLVED_PARTS.included) {
      const start = reply.agentOffset;
      agent = AGENT.decode(this.#agent.wrap(view, bytes, start, start + reply.agentLength));
    }
    if (gatewayPart === RESOLVED_PARTS.included) {
      const start = reply.gatewayOffset;
      gateway = GATEWAY.decode(this.#gateway.wrap(view, bytes, start, start + reply.gatewayLength));
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
      agentSource: reply.hasAgentSource ? sourceOf(reply.agentSource) : undefined,
      gatewaySource: reply.hasGatewaySource ? sourceOf(reply.gatewaySource) : undefined,
      candidates: reply.hasCandidates ? reply.candidates.agents.toPlain() : NO_CANDIDATES,
      receipts,
    };
  }
}

function refusedDomain(wireCode: number, cacheMs: number): RegistryError {
  const code = errorCodeFromWire(wireCode);
  return new RegistryError(
    code,
    code === "not_found" ? "No live agent holds the domain" : `The registry answered ${code}`,
    cacheMs > 0 ? { cacheMs } : {},
  );
}
