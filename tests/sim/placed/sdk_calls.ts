/** The calls of a client's program, and what their answers show. */
import { toRegistryError } from "../../../src/base/errors.ts";
import { TTL_MS_MAX } from "../../../src/base/limits.ts";
import type { SeededEntropy } from "../../../src/base/prng.ts";
import { ageBoundMsOf } from "../../../src/client/mod.ts";
import type {
  CallOptions,
  Client,
  Incarnation,
  Receipt,
  ResolvedAgent,
} from "../../../src/client/mod.ts";
import type { AgentInfo } from "../../../src/record/agent.ts";
import type { GatewayInfo } from "../../../src/record/gateway.ts";
import type { SdkCall, SeenDomain, SeenRecord } from "./sdk_history.ts";
import { tierOf } from "./watch_reader.ts";

/** Pages of the longest list. */
export const LIST_PAGES_MAX = 40;
/** The part of the agents that name a gateway, which need not be registered. */
const NAMES_GATEWAY = 0.5;
const GATEWAYS_MAX = 256;
const PAGE_SIZE = 3;
/** The address of a gateway. */
const WHERE = { address: "192.0.2.10", port: 4_000 };

/** The records and domains that there may be, all UUIDs. */
export interface Names {
  /** The region of all records. */
  readonly region: string;
  readonly agents: readonly string[];
  readonly domains: readonly string[];
  readonly gateways: readonly string[];
}

/** The outcome of a call that succeeded. */
export interface Outcome {
  readonly end?: "ok" | "not_found";
  readonly records?: readonly SeenRecord[];
  readonly domains?: readonly SeenDomain[];
  readonly receipts?: readonly Receipt[];
}

/** Makes the calls of one client, one after another. */
export class SdkCalls {
  readonly #names: Names;
  readonly #entropy: SeededEntropy;
  readonly #hasTiers: boolean;
  /** Incarnations that it knows, by UUID. */
  readonly #known = new Map<string, Incarnation>();

  /** @param hasTiers whether agents have the label by which watches tell them apart. */
  constructor(names: Names, entropy: SeededEntropy, hasTiers: boolean) {
    this.#names = names;
    this.#entropy = entropy;
    this.#hasTiers = hasTiers;
  }

  /** Whether it knows an incarnation of the agent. */
  knows(id: string): boolean {
    return this.#known.has(id);
  }

  /** Makes the call. @throws RegistryError as the SDK does. */
  async run(client: Client, call: SdkCall, about: string): Promise<Outcome> {
    const { kind, value, domain } = call;
    switch (kind) {
      case "get":
      case "get_kept":
        return await this.#get(client, about, boundOf(call));
      case "put":
      case "take_over": {
        const expected = kind === "put" ? undefined : this.#known.get(about);
        // The incarnation is used once: if it was the wrong one, the next takeover reads again.
        this.#known.delete(about);
        const { incarnation } = await client.registerAgent({
          id: about,
          region: this.#names.region,
          ttlMs: TTL_MS_MAX,
          labels: { v: String(value), ...(this.#hasTiers && { tier: tierOf(value) }) },
          ...(domain === "" ? {} : { domain }),
          ...(this.#unit() < NAMES_GATEWAY ? { gatewayId: this.#gateway() } : {}),
        }, expected === undefined ? {} : { expected });
        this.#known.set(about, incarnation);
        return {};
      }
      case "remove": {
        const incarnation = this.#known.get(about);
        this.#known.delete(about);
        await client.deregisterAgent(about, incarnation === undefined ? {} : { incarnation });
        return {};
      }
      case "resolve":
        return await this.#resolve(client, about, boundOf(call));
      case "resolve_many":
        return await this.#resolveMany(client, boundOf(call));
      case "list":
        return await this.#list(client, boundOf(call));
      case "put_gateway": {
        const gateway = { id: about, region: this.#names.region, ttlMs: TTL_MS_MAX, ...WHERE };
        await client.registerGateway({ ...gateway, labels: { v: String(value) } });
        return {};
      }
      case "remove_gateway":
        await client.deregisterGateway(about);
        return {};
      case "gateways":
        return await this.#gateways(client, boundOf(call));
    }
  }

  async #get(client: Client, id: string, options: CallOptions): Promise<Outcome> {
    try {
      const { agent, receipts } = await client.getAgent(id, options);
      this.#known.set(id, agent.incarnation);
      return { records: [seen(agent, ageBoundMsOf(receipts))], receipts };
    } catch (error) {
      if (toRegistryError(error).code !== "not_found") throw error;
      this.#known.delete(id);
      return { end: "not_found", records: [absent(id, ageMsMax(options))] };
    }
  }

  async #resolve(client: Client, domain: string, options: CallOptions): Promise<Outcome> {
    try {
      const found = await client.resolveAgent(domain, options);
      return { ...shownBy(found), receipts: found.receipts };
    } catch (error) {
      if (toRegistryError(error).code !== "not_found") throw error;
      return { end: "not_found", domains: [vacant(domain, ageMsMax(options))] };
    }
  }

  async #resolveMany(client: Client, options: CallOptions): Promise<Outcome> {
    const records: SeenRecord[] = [];
    const domains: SeenDomain[] = [];
    const receipts: Receipt[] = [];
    const answers = await client.resolveAgents(this.#names.domains, options);
    for (const { domain, found, error } of answers) {
      if (found !== undefined) {
        const shown = shownBy(found);
        records.push(...shown.records);
        domains.push(...shown.domains);
        receipts.push(...found.receipts);
      } else if (error.code === "not_found") domains.push(vacant(domain, ageMsMax(options)));
    }
    return { records, domains, receipts };
  }

  async #gateways(client: Client, options: CallOptions): Promise<Outcome> {
    const { items, receipts } = await client.resolveGateways(this.#names.region, {
      ...options,
      limit: GATEWAYS_MAX,
    });
    const ageMs = ageBoundMsOf(receipts);
    const records = items.map(({ gateway }) => seen(gateway, ageMs));
    return { records: withAbsent(records, this.#names.gateways, ageMs), receipts };
  }

  /** Reads all pages: whatever they do not show is absent. */
  async #list(client: Client, options: CallOptions): Promise<Outcome> {
    const records: SeenRecord[] = [];
    const receipts: Receipt[] = [];
    let cursor: Uint8Array | undefined;
    for (let pages = 0; pages === 0 || cursor !== undefined; pages++) {
      if (pages === LIST_PAGES_MAX) {
        throw new Error(`A list of ${records.length} records never ends`);
      }
      const page = await client.listAgents(this.#names.region, {
        ...options,
        limit: PAGE_SIZE,
        ...(cursor === undefined ? {} : { cursor }),
      });
      const ageMs = ageBoundMsOf(page.receipts);
      for (const { agent } of page.items) records.push(seen(agent, ageMs));
      receipts.push(...page.receipts);
      cursor = page.nextCursor;
    }
    return { records: withAbsent(records, this.#names.agents, ageBoundMsOf(receipts)), receipts };
  }

  #gateway(): string {
    const { gateways } = this.#names;
    return gateways[Math.floor(this.#entropy.unit() * gateways.length)]!;
  }

  #unit(): number {
    return this.#entropy.unit();
  }
}

function boundOf({ maxStalenessMs }: SdkCall): CallOptions {
  return maxStalenessMs === 0 ? {} : { maxStalenessMs };
}

/** The age of an answer without receipts. */
function ageMsMax({ maxStalenessMs = 0 }: CallOptions): number {
  return maxStalenessMs;
}

/** Adds that the other records are absent. */
function withAbsent(
  records: readonly SeenRecord[],
  all: readonly string[],
  ageMs: number,
): SeenRecord[] {
  const keys = new Set(records.map(({ key }) => key));
  return [...records, ...all.filter((key) => !keys.has(key)).map((key) => absent(key, ageMs))];
}

/** Returns what an answer shows of the domain, its agent, and the gateway that the agent names. */
function shownBy({ agent, domain, gateway, gatewayId, receipts }: ResolvedAgent) {
  const ageMs = ageBoundMsOf(receipts);
  const records = [seen(agent, ageMs)];
  if (gatewayId !== undefined) {
    records.push(gateway === undefined ? absent(gatewayId, ageMs) : seen(gateway, ageMs));
  }
  return { records, domains: [{ domain, holder: agent.id, named: agent.domain, ageMs }] };
}

function seen({ id, labels }: AgentInfo | GatewayInfo, ageMs: number): SeenRecord {
  return { key: id, value: Number(labels["v"]), ageMs };
}

function absent(key: string, ageMs: number): SeenRecord {
  return { key, value: undefined, ageMs };
}

function vacant(domain: string, ageMs: number): SeenDomain {
  return { domain, holder: undefined, named: "", ageMs };
}
