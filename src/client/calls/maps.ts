/**
 * Calls on the records of the Maps protocol, whose keys are names and ids of that protocol. A registration
 * is by a process of its own: the owner has none that lasts, and its next one may come through another front.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Input as Encoded } from "../../../schemas/runtime.ts";
import { defined } from "../../base/assert.ts";
import { fromHex, toHex } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import { NO_POSITION } from "../../base/position.ts";
import type { MonotonicClock } from "../../base/world.ts";
import { canonicalDomain } from "../../record/domain.ts";
import { idOfForeignKey } from "../../record/derived_id.ts";
import type { KindRow, OwnedRecord, OwnedView, ReadableKind } from "../../record/kind_row.ts";
import {
  MAPS_AGENT,
  type MapsAgentInfo,
  type MapsAgentInput,
} from "../../record/maps/maps_agent.ts";
import { MAPS_ENDPOINT } from "../../record/maps/maps_endpoint.ts";
import {
  MAPS_GATEWAY,
  type MapsGatewayInfo,
  type MapsGatewayInput,
} from "../../record/maps/maps_gateway.ts";
import {
  MAPS_SEEDER,
  type MapsSeederInfo,
  type MapsSeederInput,
} from "../../record/maps/maps_seeder.ts";
import type { RecordInfo, RecordInput } from "../../record/plain.ts";
import { infoOf, toStored } from "../../record/stored_form.ts";
import { Deadline } from "../deadline.ts";
import { ask, type Invoker } from "../invoker.ts";
import { notEncoded } from "../not_encoded.ts";
import type { OwnershipSequence } from "../ownership.ts";
import type { ListedMapsAgent, ListedMapsGateway, MapsClient } from "../maps_types.ts";
import type { CallOptions, ListOptions, Page, ResolveGatewaysOptions } from "../types.ts";
import type { ListCalls } from "./list.ts";

/** The operations that register a record of the Maps protocol. */
type RegisterName =
  | "registerMapsEndpoint"
  | "registerMapsGateway"
  | "registerMapsAgent"
  | "registerMapsSeeder";

/** Dependencies of {@link MapsCalls}. */
export interface MapsCallsParts {
  readonly invoker: Invoker;
  readonly ownership: OwnershipSequence;
  readonly list: ListCalls;
  readonly clock: MonotonicClock;
  /** Timeout of calls that have none of their own. */
  readonly timeoutMs: number;
}

/** The calls of {@link MapsClient}. */
export class MapsCalls implements MapsClient {
  readonly #invoker: Invoker;
  readonly #ownership: OwnershipSequence;
  readonly #list: ListCalls;
  readonly #clock: MonotonicClock;
  readonly #timeoutMs: number;

  constructor({ invoker, ownership, list, clock, timeoutMs }: MapsCallsParts) {
    this.#invoker = invoker;
    this.#ownership = ownership;
    this.#list = list;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  async registerGateway(gateway: MapsGatewayInput, options: CallOptions = {}): Promise<void> {
    const deadline = this.#deadline(options);
    const { region, address, port, credential, ttlMs, scope } = gateway;
    const endpoint = {
      ...{ region, address, port, credential },
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(scope === undefined ? {} : { scope }),
    };
    await this.#register("registerMapsEndpoint", MAPS_ENDPOINT, endpoint, deadline.options());
    await this.#register("registerMapsGateway", MAPS_GATEWAY, gateway, deadline.options());
  }

  async registerAgent(agent: MapsAgentInput, options?: CallOptions): Promise<void> {
    await this.#register("registerMapsAgent", MAPS_AGENT, agent, options);
  }

  async getGateway(gatewayId: string, options?: CallOptions): Promise<MapsGatewayInfo> {
    const id = canonicalId(gatewayId);
    const found = await this.#get("getMapsGateway", MAPS_GATEWAY, [id], options);
    if (found?.gatewayId === id) return found;
    throw new RegistryError("not_found", `No gateway ${id} is registered`);
  }

  async getAgent(domain: string, options?: CallOptions): Promise<MapsAgentInfo> {
    const name = canonicalDomain(domain);
    const found = await this.#get("getMapsAgent", MAPS_AGENT, [name], options);
    if (found?.domain === name) return found;
    throw new RegistryError("not_found", `No agent is registered for domain ${name}`);
  }

  async bestGateways(
    region: string,
    options: ResolveGatewaysOptions = {},
  ): Promise<readonly MapsGatewayInfo[]> {
    const { items } = await this.#list.bestMapsGateways(region, options);
    return items.map(({ gateway }) => gateway);
  }

  listGateways(region: string, options: ListOptions = {}): Promise<Page<ListedMapsGateway>> {
    return this.#list.mapsGateways(region, options);
  }

  listAgents(region: string, options: ListOptions = {}): Promise<Page<ListedMapsAgent>> {
    return this.#list.mapsAgents(region, options);
  }

  async removeAgent(domain: string, options?: CallOptions): Promise<void> {
    await this.#remove(MAPS_AGENT, [canonicalDomain(domain)], options);
  }

  async removeGateway(gatewayId: string, options: CallOptions = {}): Promise<void> {
    const deadline = this.#deadline(options);
    const { region, address, port } = await this.getGateway(gatewayId, deadline.options());
    await this.#remove(MAPS_GATEWAY, [canonicalId(gatewayId)], deadline.options());
    await this.#remove(MAPS_ENDPOINT, [region, address, String(port)], deadline.options())
      // It may have ended just before, or be that of an earlier region or port.
      .catch((error) => {
        if (!(error instanceof RegistryError) || error.code !== "not_found") throw error;
      });
  }

  async registerSeeder(seeder: MapsSeederInput, options?: CallOptions): Promise<void> {
    await this.#register("registerMapsSeeder", MAPS_SEEDER, seeder, options);
  }

  async listSeeders(region: string, options: ListOptions = {}): Promise<readonly MapsSeederInfo[]> {
    const { items } = await this.#list.mapsSeeders(region, options);
    return items.map(({ seeder }) => seeder);
  }

  #deadline(options: CallOptions): Deadline {
    return new Deadline(this.#clock, options, this.#timeoutMs);
  }

  /** Registers a record under the id of its key. */
  async #register<
    Stored extends OwnedRecord,
    View extends OwnedView,
    Input extends RecordInput,
    Info extends RecordInfo,
  >(
    name: RegisterName,
    row: KindRow<Stored, View, Input, Info>,
    input: NoInfer<Input>,
    options: CallOptions | undefined,
  ): Promise<void> {
    const record = toStored(row, input, this.#ownership.other().next());
    const id = idOfForeignKey(defined(row.foreignKey, "The kind has foreign keys")(record), sha256);
    let bytes;
    try {
      bytes = row.codec.encode({ ...record, id } as Encoded<Stored>);
    } catch (error) {
      throw notEncoded(error);
    }
    await ask(this.#invoker, name, { record: bytes, expected: NO_POSITION }, options);
  }

  async #remove(
    { number: kind }: { readonly number: number },
    key: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    await ask(this.#invoker, "removeRecord", { kind, id: idOfForeignKey(key, sha256) }, options);
  }

  /** Returns the record with the id of a key, which may be that of another key; undefined: none. */
  async #get<View extends OwnedView, Info>(
    name: "getMapsGateway" | "getMapsAgent",
    row: ReadableKind<View, Info>,
    key: readonly string[],
    options: CallOptions | undefined,
  ): Promise<Info | undefined> {
    try {
      const body = { id: idOfForeignKey(key, sha256), home: undefined };
      const { record } = await ask(this.#invoker, name, body, options);
      return infoOf(row, record);
    } catch (error) {
      if (error instanceof RegistryError && error.code === "not_found") return undefined;
      throw error;
    }
  }
}

/** Returns an id of the protocol in lower case. @throws RegistryError `invalid_argument`. */
function canonicalId(gatewayId: string): string {
  const bytes = fromHex(gatewayId);
  if (bytes?.length === 32) return toHex(bytes);
  throw new RegistryError(
    "invalid_argument",
    `gatewayId must have 64 hexadecimal digits: found ${JSON.stringify(gatewayId.slice(0, 80))}`,
    { field: "gatewayId" },
  );
}
