/**
 * Gets one record by its id; the most frequent call. Its reply is decoded in place in the chunk,
 * with reused views. The `stored` variants copy the record's bytes and decode nothing.
 */
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import type { ResponseView } from "../../../schemas/gen/wire.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { Invoker } from "../invoker.ts";
import { IdSlab } from "../id_slab.ts";
import { agentOf, gatewayOf } from "../record_decoder.ts";
import type { AgentInfo, GatewayInfo, Incarnation } from "../records.ts";
import type { AgentAnswer, CallOptions, GatewayAnswer, Receipt, StoredAnswer } from "../types.ts";

/** Returns a copy of a reply's receipts. */
export function receiptsOf(response: ResponseView): readonly Receipt[] {
  return response.receipts.toPlain();
}

/** The process that holds a record, and under which incarnation. */
export interface Holder {
  readonly process: number;
  readonly incarnation: Incarnation;
}

/** The calls GetAgent and GetGateway. */
export class GetCalls {
  readonly #invoker: Invoker;
  readonly #ids = new IdSlab();
  readonly #reply = OPERATIONS.getAgent.reply.newView();
  readonly #agent = agentCodec.newView();
  readonly #gateway = gatewayCodec.newView();

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** See `Client.getAgent`. */
  agent(id: string | Uint8Array, options?: CallOptions): Promise<AgentAnswer> {
    return this.#get("getAgent", id, this.#decodeAgent, options);
  }

  /** See `Client.getGateway`. */
  gateway(id: string | Uint8Array, options?: CallOptions): Promise<GatewayAnswer> {
    return this.#get("getGateway", id, this.#decodeGateway, options);
  }

  /** See `Client.getAgentStored`. */
  agentStored(id: string | Uint8Array, options?: CallOptions): Promise<StoredAnswer<AgentInfo>> {
    return this.#get("getAgent", id, this.#decodeStoredAgent, options);
  }

  /** See `Client.getGatewayStored`. */
  gatewayStored(
    id: string | Uint8Array,
    options?: CallOptions,
  ): Promise<StoredAnswer<GatewayInfo>> {
    return this.#get("getGateway", id, this.#decodeStoredGateway, options);
  }

  /** Returns the incarnation and the process under which a record is held. */
  holder(kind: "agent" | "gateway", id: string, options?: CallOptions): Promise<Holder> {
    const name = kind === "agent" ? "getAgent" : "getGateway";
    return this.#get(name, id, (response, view, bytes) => {
      const reply = response.bodyInto(this.#reply);
      const start = reply.recordOffset;
      const record = (kind === "agent" ? this.#agent : this.#gateway)
        .wrap(view, bytes, start, start + reply.recordLength);
      const { process, incarnationGeneration: generation, incarnationIndex: index } = record;
      return { process, incarnation: { generation, index } };
    }, options);
  }

  /** Sends the request. Not async, which would cost another promise. */
  #get<T>(
    name: "getAgent" | "getGateway",
    id: string | Uint8Array,
    decode: (response: ResponseView, view: DataView, bytes: Uint8Array) => T,
    options: CallOptions | undefined,
  ): Promise<T> {
    let body;
    try {
      body = { id: this.#ids.keep(id) };
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#invoker.invoke(name, body, decode, options);
  }

  readonly #decodeAgent = (
    response: ResponseView,
    view: DataView,
    bytes: Uint8Array,
  ): AgentAnswer => {
    const reply = response.bodyInto(this.#reply);
    const start = reply.recordOffset;
    const agent = this.#agent.wrap(view, bytes, start, start + reply.recordLength);
    return {
      agent: agentOf(agent),
      remainingMs: reply.remainingMs,
      receipts: receiptsOf(response),
    };
  };

  readonly #decodeGateway = (
    response: ResponseView,
    view: DataView,
    bytes: Uint8Array,
  ): GatewayAnswer => {
    const reply = response.bodyInto(this.#reply);
    const start = reply.recordOffset;
    const gateway = this.#gateway.wrap(view, bytes, start, start + reply.recordLength);
    return {
      gateway: gatewayOf(gateway),
      remainingMs: reply.remainingMs,
      receipts: receiptsOf(response),
    };
  };

  readonly #decodeStoredAgent = (response: ResponseView): StoredAnswer<AgentInfo> => {
    const reply = response.bodyInto(this.#reply);
    return new StoredRecord(
      reply.record.slice(),
      reply.remainingMs,
      receiptsOf(response),
      agentFrom,
    );
  };

  readonly #decodeStoredGateway = (response: ResponseView): StoredAnswer<GatewayInfo> => {
    const reply = response.bodyInto(this.#reply);
    return new StoredRecord(
      reply.record.slice(),
      reply.remainingMs,
      receiptsOf(response),
      gatewayFrom,
    );
  };
}

function agentFrom(bytes: Uint8Array): AgentInfo {
  return agentOf(agentCodec.newView().wrap(viewOf(bytes), bytes, 0, bytes.length));
}

function gatewayFrom(bytes: Uint8Array): GatewayInfo {
  return gatewayOf(gatewayCodec.newView().wrap(viewOf(bytes), bytes, 0, bytes.length));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

class StoredRecord<T> implements StoredAnswer<T> {
  readonly bytes: Uint8Array;
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
  readonly #from: (bytes: Uint8Array) => T;

  constructor(
    bytes: Uint8Array,
    remainingMs: number,
    receipts: readonly Receipt[],
    from: (bytes: Uint8Array) => T,
  ) {
    this.bytes = bytes;
    this.remainingMs = remainingMs;
    this.receipts = receipts;
    this.#from = from;
  }

  decode(): T {
    return this.#from(this.bytes);
  }
}
