/**
 * Gets one record by its id; the most frequent call. Its reply is decoded in place in the chunk,
 * with reused views. The `stored` variants copy the record's bytes and decode nothing.
 */
import type { ResponseView } from "../../../schemas/gen/wire.ts";
import { AGENT } from "../../record/agent.ts";
import { GATEWAY } from "../../record/gateway.ts";
import type { OwnedView, ReadableKind } from "../../record/kind_row.ts";
import { kindNamed, RECORD_KINDS } from "../../record/kinds.ts";
import { infoOf } from "../../record/stored_form.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { Invoker } from "../invoker.ts";
import type { Decode } from "../call.ts";
import { IdSlab } from "../id_slab.ts";
import type { AgentInfo, GatewayInfo, Incarnation } from "../records.ts";
import type { ServedKind } from "../served_kind.ts";
import { KIND_OPERATIONS } from "./kind_operations.ts";
import { askedHome, sourceOf, withSource } from "../sources.ts";
import type {
  AgentAnswer,
  CallOptions,
  GatewayAnswer,
  Receipt,
  RecordSource,
  StoredAnswer,
} from "../types.ts";

/** Returns a copy of a reply's receipts. */
export function receiptsOf(response: ResponseView): readonly Receipt[] {
  return response.receipts.toPlain();
}

/** The process that holds a record, and under which incarnation. */
export interface RecordHolder {
  readonly process: number;
  readonly incarnation: Incarnation;
}

/** The calls GetAgent and GetGateway. */
export class GetCalls {
  readonly #invoker: Invoker;
  readonly #ids = new IdSlab();
  readonly #reply = OPERATIONS.getAgent.reply.newView();
  /** By the number of the kind. */
  readonly #views = new Map<number, OwnedView>(
    RECORD_KINDS.rows.map(({ number, codec }) => [number, codec.newView()]),
  );
  readonly #agent = this.#decoder(AGENT, (agent, remainingMs, receipts) => ({
    agent,
    remainingMs,
    receipts,
  }));
  readonly #gateway = this.#decoder(GATEWAY, (gateway, remainingMs, receipts) => ({
    gateway,
    remainingMs,
    receipts,
  }));
  readonly #agentStored = this.#storedDecoder(AGENT);
  readonly #gatewayStored = this.#storedDecoder(GATEWAY);

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** See `Client.getAgent`. */
  agent(id: string | Uint8Array, options?: CallOptions): Promise<AgentAnswer> {
    return this.#get("agent", id, this.#agent, options);
  }

  /** See `Client.getGateway`. */
  gateway(id: string | Uint8Array, options?: CallOptions): Promise<GatewayAnswer> {
    return this.#get("gateway", id, this.#gateway, options);
  }

  /** See `Client.getAgentStored`. */
  agentStored(id: string | Uint8Array, options?: CallOptions): Promise<StoredAnswer<AgentInfo>> {
    return this.#get("agent", id, this.#agentStored, options);
  }

  /** See `Client.getGatewayStored`. */
  gatewayStored(
    id: string | Uint8Array,
    options?: CallOptions,
  ): Promise<StoredAnswer<GatewayInfo>> {
    return this.#get("gateway", id, this.#gatewayStored, options);
  }

  /** Returns the incarnation and the process under which a record is held; linearizable. */
  holder(kind: ServedKind, id: string, options?: CallOptions): Promise<RecordHolder> {
    const read = this.#views.get(kindNamed(kind).number)!;
    return this.#get(kind, id, (response, view, bytes) => {
      const reply = response.bodyInto(this.#reply);
      const start = reply.recordOffset;
      const record = read.wrap(view, bytes, start, start + reply.recordLength);
      const { process, incarnationGeneration: generation, incarnationIndex: index } = record;
      return { process, incarnation: { generation, index } };
    }, { ...options, maxStalenessMs: 0 });
  }

  /** Sends the request. Not async, which would cost another promise. */
  #get<T>(
    kind: ServedKind,
    id: string | Uint8Array,
    decode: Decode<T>,
    options: CallOptions | undefined,
  ): Promise<T> {
    let body;
    try {
      body = { id: this.#ids.keep(id), home: askedHome(options) };
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#invoker.invoke(KIND_OPERATIONS[kind].get, body, decode, options);
  }

  /** Returns a function that decodes a reply in place; `answer` gives it its shape. */
  #decoder<View extends OwnedView, Info, Answer extends object>(
    row: ReadableKind<View, Info>,
    answer: (info: Info, remainingMs: number, receipts: readonly Receipt[]) => Answer,
  ): Decode<Answer> {
    const record = row.codec.newView();
    return (response, view, bytes) => {
      const reply = response.bodyInto(this.#reply);
      const start = reply.recordOffset;
      const info = row.decode(record.wrap(view, bytes, start, start + reply.recordLength));
      return withSource(answer(info, reply.remainingMs, receiptsOf(response)), reply);
    };
  }

  #storedDecoder<View extends OwnedView, Info>(
    row: ReadableKind<View, Info>,
  ): Decode<StoredAnswer<Info>> {
    const from = (bytes: Uint8Array) => infoOf(row, bytes);
    return (response) => {
      const reply = response.bodyInto(this.#reply);
      const source = reply.hasSource ? sourceOf(reply.source) : undefined;
      const receipts = receiptsOf(response);
      return new StoredRecord(reply.record.slice(), reply.remainingMs, receipts, source, from);
    };
  }
}

class StoredRecord<T> implements StoredAnswer<T> {
  readonly bytes: Uint8Array;
  readonly remainingMs: number;
  readonly receipts: readonly Receipt[];
  declare readonly source?: RecordSource;
  readonly #from: (bytes: Uint8Array) => T;

  constructor(
    bytes: Uint8Array,
    remainingMs: number,
    receipts: readonly Receipt[],
    source: RecordSource | undefined,
    from: (bytes: Uint8Array) => T,
  ) {
    if (source !== undefined) this.source = source;
    this.bytes = bytes;
    this.remainingMs = remainingMs;
    this.receipts = receipts;
    this.#from = from;
  }

  decode(): T {
    return this.#from(this.bytes);
  }
}
