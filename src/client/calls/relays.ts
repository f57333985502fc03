/**
 * The calls on relays, and on the agents placed at them.
 *
 * An agent counts only while the incarnation of its relay lives, which is a record of another
 * partition. Reads of the two are no snapshot: an agent that moved in between looks as if its relay had
 * ended under it. So whoever finds that reads the placement once more; only if it is the same is the
 * agent gone. An incarnation that ended never lives again, so the other outcome needs no such care: the
 * agent was there when its placement was read.
 */
import { type GetPlacementReply, RESOLVED_PARTS } from "../../../schemas/gen/wire.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  CLIENT_RETRY_MS_BASE,
  LIST_ITEMS_MAX,
  NAMED_LIST_ITEMS_MAX,
  RELAY_LIST_ENTRIES_MAX,
} from "../../base/limits.ts";
import { samePosition } from "../../base/position.ts";
import { compareUtf8 } from "../../base/utf8_order.ts";
import { type Entropy, type MonotonicClock, randomUint53 } from "../../base/world.ts";
import * as types from "../../record/field_types.ts";
import { PLACEMENT } from "../../record/placement.ts";
import { RELAY } from "../../record/relay.ts";
import { infoOf } from "../../record/stored_form.ts";
import {
  type Operation,
  type OperationName,
  OPERATIONS,
  type ReplyOf,
  type RequestOf,
} from "../../wire/operations/mod.ts";
import type { Receipt } from "../answer_types.ts";
import type { CallOptions } from "../call_options.ts";
import type { Part } from "../cluster_routing.ts";
import { Deadline } from "../deadline.ts";
import type { Invoker } from "../invoker.ts";
import type {
  AcceptedHeartbeat,
  NamedList,
  NamedListOptions,
  PlacementAnswer,
  PlacementEntry,
  PlacementInput,
  RegisteredName,
  RelayAnswer,
  RelayClient,
  RelayEntry,
  RelayInput,
  RelayWriteOptions,
} from "../relay_types.ts";
import { receiptsOf } from "./get.ts";
import { pageOfCluster } from "./list.ts";

/** Reads of a placement that moves again and again. */
const TRIES_MAX = 3;
const NO_CURSOR = new Uint8Array(0);

/** A reply and its receipts. */
interface Answered<T> {
  readonly reply: T;
  readonly receipts: readonly Receipt[];
}

/** A page of relays or placements. */
interface NamedPage<T> extends NamedList<T> {
  readonly nextCursor: Uint8Array | undefined;
}

/** A lease as an answer tells of it. */
interface AnsweredLease {
  readonly remainingMs: number;
  readonly unixMs: number;
}

/** Start and size of a page. */
interface NamedRequest {
  readonly cursor: Uint8Array;
  readonly limit: number;
}

/** A list, with its parameters other than the page. */
type NamedQuery =
  | { readonly name: "listRelays" }
  | { readonly name: "listPlacements"; readonly relayId: string };

/** The calls of one invoker. */
export class RelayCalls implements RelayClient {
  readonly #invoker: Invoker;
  readonly #entropy: Entropy;
  readonly #clock: MonotonicClock;
  readonly #timeoutMs: number;

  constructor(
    invoker: Invoker,
    { entropy, clock, timeoutMs }: {
      readonly entropy: Entropy;
      readonly clock: MonotonicClock;
      readonly timeoutMs: number;
    },
  ) {
    this.#invoker = invoker;
    this.#entropy = entropy;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** See `RelayClient.register`. */
  async register(relay: RelayInput, options: RelayWriteOptions = {}): Promise<RegisteredName> {
    const { relayId, address, grpcPort, ttlMs = 0 } = relay;
    const body = { relayId, address, grpcPort: grpcPort >>> 0, ttlMs, ...this.#written(options) };
    return registered(await this.#ask("registerRelay", body, options));
  }

  /** See `RelayClient.place`. */
  async place(
    { agentId, relayId, ttlMs = 0 }: PlacementInput,
    options: RelayWriteOptions = {},
  ): Promise<RegisteredName> {
    const body = { agentId, relayId, ttlMs, ...this.#written(options) };
    return registered(await this.#ask("placeAgent", body, options));
  }

  /** See `RelayClient.heartbeat`. */
  async heartbeat(relayId: string, options: RelayWriteOptions = {}): Promise<AcceptedHeartbeat> {
    const body = { relayId, credentialHash: credentialOf(options) };
    return (await this.#ask("heartbeatRelay", body, options)).reply;
  }

  /** See `RelayClient.heartbeatAgent`. */
  async heartbeatAgent(
    agentId: string,
    relayId: string | undefined,
    options: RelayWriteOptions = {},
  ): Promise<AcceptedHeartbeat> {
    const body = { agentId, relayId: relayId ?? "", credentialHash: credentialOf(options) };
    return (await this.#ask("heartbeatAgent", body, options)).reply;
  }

  /** See `RelayClient.get`. */
  async get(relayId: string, options: CallOptions = {}): Promise<RelayAnswer> {
    const { reply, receipts } = await this.#ask("getRelay", { relayId }, options);
    return { ...relayOf(reply.relay, reply), receipts };
  }

  /** See `RelayClient.placement`. */
  async placement(agentId: string, options: CallOptions = {}): Promise<PlacementAnswer> {
    const deadline = this.#deadline(options);
    let hidden: PlacementAnswer | undefined;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const { reply, receipts } = await this.#ask("getPlacement", { agentId }, deadline.options());
      const placed = { ...placementOf(reply.placement, reply), receipts };
      if (reply.relayPart === RESOLVED_PARTS.included) return placed;
      if (hidden !== undefined && isSamePlacement(hidden, placed)) throw notPlaced(agentId);
      const found = await this.#atLiveRelay(placed, reply, deadline);
      if (found !== undefined) return found;
      hidden = placed;
    }
    throw new RegistryError(
      "overloaded",
      `The agent ${JSON.stringify(agentId)} moved at each of ${TRIES_MAX} reads`,
      { retryAfterMs: CLIENT_RETRY_MS_BASE },
    );
  }

  /** Returns a placement if its relay, which another node knows, still lives. */
  async #atLiveRelay(
    placed: PlacementAnswer,
    { relayPart }: GetPlacementReply,
    deadline: Deadline,
  ): Promise<PlacementAnswer | undefined> {
    if (relayPart !== RESOLVED_PARTS.elsewhere) return undefined;
    const relay = await this.#find(placed.relayId, deadline);
    if (relay === undefined || !samePosition(relay.incarnation, placed.relayIncarnation)) {
      return undefined;
    }
    return { ...placed, receipts: [...placed.receipts, ...relay.receipts] };
  }

  /** See `RelayClient.list`. */
  list(options: NamedListOptions = {}): Promise<NamedList<RelayEntry>> {
    return this.#relays(options, this.#deadline(options));
  }

  /** See `RelayClient.agents`. */
  async agents(options: NamedListOptions = {}): Promise<NamedList<PlacementEntry>> {
    const deadline = this.#deadline(options);
    let before = incarnationsOf(await this.#relays(options, deadline));
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const placed = await this.#placements("", options, deadline);
      const relays = await this.#relays(options, deadline);
      const after = incarnationsOf(relays);
      const items = placed.items.filter((placement) => isLive(after, placement));
      // A relay that ended in between may have lost its agents to others before.
      const isSure = placed.items.every((placement) =>
        isLive(after, placement) || !isLive(before, placement)
      );
      if (isSure) return { items, receipts: [...placed.receipts, ...relays.receipts] };
      before = after;
    }
    throw new RegistryError("overloaded", `Relays ended at each of ${TRIES_MAX} reads of agents`, {
      retryAfterMs: CLIENT_RETRY_MS_BASE,
    });
  }

  /** See `RelayClient.agentsOf`. */
  async agentsOf(
    relayId: string,
    options: NamedListOptions = {},
  ): Promise<NamedList<PlacementEntry>> {
    const deadline = this.#deadline(options);
    const placed = await this.#placements(relayId, options, deadline);
    // Asked afterwards: what ended before the placements were read has ended then too.
    const relay = await this.#find(relayId, deadline);
    if (relay === undefined) return { items: [], receipts: placed.receipts };
    const live = incarnationsOf({ items: [relay] });
    return {
      items: placed.items.filter((placement) => isLive(live, placement)),
      receipts: [...placed.receipts, ...relay.receipts],
    };
  }

  async #find(relayId: string, deadline: Deadline): Promise<RelayAnswer | undefined> {
    try {
      return await this.get(relayId, deadline.options());
    } catch (error) {
      if (error instanceof RegistryError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  #relays(options: NamedListOptions, deadline: Deadline): Promise<NamedList<RelayEntry>> {
    const query: NamedQuery = { name: "listRelays" };
    return this.#all(query, options, deadline, relayOf, ({ relayId }) => relayId);
  }

  #placements(
    relayId: string,
    options: NamedListOptions,
    deadline: Deadline,
  ): Promise<NamedList<PlacementEntry>> {
    const query: NamedQuery = { name: "listPlacements", relayId };
    return this.#all(query, options, deadline, placementOf, ({ agentId }) => agentId);
  }

  /** Reads all pages of a list, and puts them in order. */
  async #all<T>(
    query: NamedQuery,
    { itemsMax = RELAY_LIST_ENTRIES_MAX }: NamedListOptions,
    deadline: Deadline,
    entryOf: (stored: Uint8Array, lease: AnsweredLease) => T,
    nameOf: (entry: T) => string,
  ): Promise<NamedList<T>> {
    if (!(Number.isInteger(itemsMax) && itemsMax > 0 && itemsMax <= NAMED_LIST_ITEMS_MAX)) {
      throw new RegistryError(
        "invalid_argument",
        `itemsMax must be an integer in [1, ${NAMED_LIST_ITEMS_MAX}]: found ${itemsMax}`,
        { field: "itemsMax" },
      );
    }
    const items: T[] = [];
    const receipts: Receipt[] = [];
    let cursor: Uint8Array | undefined = NO_CURSOR;
    while (cursor !== undefined) {
      const page: NamedPage<T> = await this.#page(query, cursor, deadline.options(), entryOf);
      items.push(...page.items);
      receipts.push(...page.receipts);
      if (items.length > itemsMax) {
        throw new RegistryError(
          "too_large",
          `The list must have at most ${itemsMax} items: it has more`,
        );
      }
      cursor = page.nextCursor;
    }
    items.sort((left, right) => compareUtf8(nameOf(left), nameOf(right)));
    return { items, receipts };
  }

  #page<T>(
    { name, ...asked }: NamedQuery,
    cursor: Uint8Array,
    options: CallOptions,
    entryOf: (stored: Uint8Array, lease: AnsweredLease) => T,
  ): Promise<NamedPage<T>> {
    const ask = async (request: NamedRequest, left: CallOptions, part?: Part) => {
      const { reply, receipts } = await this.#ask(name, { ...asked, ...request }, left, part);
      const { unixMs, nextCursor } = reply;
      return {
        items: reply.items.map(({ record, remainingMs }) =>
          entryOf(record, { remainingMs, unixMs })
        ),
        nextCursor: nextCursor.length === 0 ? undefined : nextCursor,
        receipts,
      };
    };
    const { cluster } = this.#invoker;
    const page = { cursor, limit: LIST_ITEMS_MAX };
    return cluster === undefined
      ? ask(page, options)
      : pageOfCluster(cluster, { ...page, options }, ask);
  }

  #ask<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    options: CallOptions,
    part?: Part,
  ): Promise<Answered<ReplyOf<Name>>> {
    const { reply }: Operation = OPERATIONS[name];
    return this.#invoker.invoke(
      name,
      body,
      (response) => ({
        reply: response.bodyInto(reply.newView()).toPlain() as ReplyOf<Name>,
        receipts: receiptsOf(response),
      }),
      options,
      part,
    );
  }

  #deadline(options: CallOptions): Deadline {
    return new Deadline(this.#clock, options, this.#timeoutMs);
  }

  /** Returns the credential and process of a registration. Each has a random process, which retries keep. */
  #written(options: RelayWriteOptions) {
    return {
      credentialHash: credentialOf(options),
      process: Math.max(1, randomUint53(this.#entropy)),
    };
  }
}

function credentialOf({ credentialHash = "" }: RelayWriteOptions): Uint8Array {
  return types.credentialHash.toStored(credentialHash, "credentialHash");
}

function registered({ reply, receipts }: Answered<ReplyOf<"placeAgent">>): RegisteredName {
  const { incarnation, created, renewAfterMs } = reply;
  return { incarnation, created, renewAfterMs, receipts };
}

function relayOf(stored: Uint8Array, lease: AnsweredLease): RelayEntry {
  const { relayId, address, grpcPort, ttlMs, incarnation } = infoOf(RELAY, stored);
  return { relayId, address, grpcPort, ttlMs, incarnation, ...leaseOf(ttlMs, lease) };
}

function placementOf(stored: Uint8Array, lease: AnsweredLease): PlacementEntry {
  const { agentId, relayId, ttlMs, incarnation, relayIncarnation } = infoOf(PLACEMENT, stored);
  return { agentId, relayId, ttlMs, incarnation, relayIncarnation, ...leaseOf(ttlMs, lease) };
}

/** Returns a lease, and when it was renewed: heartbeats move its end and are not logged. */
function leaseOf(ttlMs: number, { remainingMs, unixMs }: AnsweredLease) {
  return { remainingMs, lastHeartbeatUnixMs: unixMs - Math.max(0, ttlMs - remainingMs) };
}

/** The live incarnation of each relay. */
type Incarnations = ReadonlyMap<string, RelayEntry["incarnation"]>;

function incarnationsOf({ items }: { readonly items: readonly RelayEntry[] }): Incarnations {
  return new Map(items.map(({ relayId, incarnation }) => [relayId, incarnation]));
}

function isLive(live: Incarnations, { relayId, relayIncarnation }: PlacementEntry): boolean {
  const incarnation = live.get(relayId);
  return incarnation !== undefined && samePosition(incarnation, relayIncarnation);
}

function isSamePlacement(one: PlacementEntry, other: PlacementEntry): boolean {
  return samePosition(one.incarnation, other.incarnation) &&
    samePosition(one.relayIncarnation, other.relayIncarnation);
}

function notPlaced(agentId: string): RegistryError {
  return new RegistryError("not_found", `The agent ${JSON.stringify(agentId)} is not registered`);
}
