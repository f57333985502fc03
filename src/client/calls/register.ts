/**
 * Registers one record or many. The SDK adds process and sequence. A retried request keeps them;
 * only a takeover, which is a new request, gets a new sequence.
 */
import type { RegisterOutcomeView, ResponseView } from "../../../schemas/gen/wire.ts";
import { errorCodeFromWire, RegistryError, toRegistryError } from "../../base/errors.ts";
import { CLIENT_REGISTER_BYTES_MAX, REGISTER_ITEMS_MAX } from "../../base/limits.ts";
import { NO_POSITION } from "../../base/position.ts";
import { formatUuid } from "../../base/uuid.ts";
import type { MonotonicClock } from "../../base/world.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import { partitionOfRecord } from "../call_key.ts";
import type { ClusterRouting, Part } from "../cluster_routing.ts";
import { Deadline } from "../deadline.ts";
import type { Invoker } from "../invoker.ts";
import { askInParts } from "../parts.ts";
import type { OwnershipSequence } from "../ownership.ts";
import { isRecordKindName, kindNamed } from "../../record/kinds.ts";
import type { Incarnation } from "../records.ts";
import { storedRecord } from "../register_item.ts";
import type {
  CallOptions,
  Receipt,
  Registered,
  RegisterItem,
  RegisterOptions,
  RegisterOutcome,
} from "../types.ts";
import { receiptsOf } from "./get.ts";
import type { ServedKind } from "../served_kind.ts";
import { KIND_OPERATIONS } from "./kind_operations.ts";

/** Maximum number of takeover attempts when other processes take the record over concurrently. */
const TAKE_OVERS_MAX = 3;

/**
 * One item of a bulk register: its index in the caller's list, and the incarnation it takes over.
 */
interface Entry {
  readonly position: number;
  readonly item: RegisterItem;
  readonly expected: Incarnation;
}

/** An entry with its encoded record. */
interface EncodedEntry {
  readonly entry: Entry;
  readonly record: Uint8Array;
}

/** The calls RegisterAgent, RegisterGateway and RegisterMany. */
export class RegisterCalls {
  readonly #invoker: Invoker;
  readonly #ownership: OwnershipSequence;
  readonly #clock: MonotonicClock;
  readonly #timeoutMs: number;
  readonly #reply = OPERATIONS.registerAgent.reply.newView();
  readonly #manyReply = OPERATIONS.registerMany.reply.newView();

  /** @param timeoutMs default timeout of a call. */
  constructor(
    invoker: Invoker,
    ownership: OwnershipSequence,
    { clock, timeoutMs }: { clock: MonotonicClock; timeoutMs: number },
  ) {
    this.#invoker = invoker;
    this.#ownership = ownership;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** See `Client.registerAgent`, `Client.registerGateway`. */
  async one(item: RegisterItem<ServedKind>, options: RegisterOptions = {}): Promise<Registered> {
    const deadline = new Deadline(this.#clock, options, this.#timeoutMs);
    const ownership = options.asNewProcess === true ? this.#ownership.other() : this.#ownership;
    let left: CallOptions = options;
    let expected = options.expected ?? NO_POSITION;
    for (let takeOvers = 0;; takeOvers++) {
      try {
        const { register } = KIND_OPERATIONS[item.kind];
        const body = { record: this.#encode(item, ownership), expected };
        return await this.#invoker.invoke(register, body, this.#decode, left);
      } catch (error) {
        const held = heldBy(error);
        if (options.takeOver !== true || held === undefined || takeOvers === TAKE_OVERS_MAX) {
          throw error;
        }
        expected = held;
        left = deadline.options();
      }
    }
  }

  /** See `Client.registerMany`. */
  async many(
    items: readonly RegisterItem[],
    options: CallOptions & { readonly takeOver?: boolean } = {},
  ): Promise<RegisterOutcome[]> {
    const outcomes: RegisterOutcome[] = [];
    const deadline = new Deadline(this.#clock, options, this.#timeoutMs);
    let left: CallOptions = options;
    let entries = items.map((item, position): Entry => ({
      position,
      item,
      expected: item.expected ?? NO_POSITION,
    }));
    for (let takeOvers = 0; entries.length > 0; takeOvers++) {
      await this.#sendAll(entries, left, outcomes);
      if (options.takeOver !== true || takeOvers === TAKE_OVERS_MAX) break;
      entries = entries.flatMap((entry): Entry[] => {
        const held = heldBy(outcomes[entry.position]?.error);
        return held === undefined ? [] : [{ ...entry, expected: held }];
      });
      left = deadline.options();
    }
    return outcomes;
  }

  #encode(item: RegisterItem, ownership = this.#ownership): Uint8Array {
    // Programs without types may omit it.
    if (!isRecordKindName(item.kind)) {
      throw new RegistryError(
        "invalid_argument",
        `kind must be the name of a kind of record: found ${item.kind}`,
        { field: "kind" },
      );
    }
    return storedRecord(item, ownership.next());
  }

  /** Sends the entries to the nodes that lead them; fills `outcomes` by position. */
  async #sendAll(
    entries: readonly Entry[],
    options: CallOptions,
    outcomes: RegisterOutcome[],
  ): Promise<void> {
    const encoded: EncodedEntry[] = [];
    for (const entry of entries) {
      try {
        encoded.push({ entry, record: this.#encode(entry.item) });
      } catch (error) {
        outcomes[entry.position] = { error: toRegistryError(error) };
      }
    }
    const { cluster } = this.#invoker;
    const answers = cluster === undefined
      ? await this.#sendSome(encoded, options)
      : await this.#sendInParts(cluster, encoded, options);
    encoded.forEach(({ entry }, index) => {
      outcomes[entry.position] = answers[index]!;
    });
  }

  async #sendInParts(
    cluster: ClusterRouting,
    encoded: readonly EncodedEntry[],
    options: CallOptions,
  ): Promise<RegisterOutcome[]> {
    const { partitioner } = cluster;
    const partitions = encoded.map(({ entry, record }) =>
      partitionOfRecord(partitioner, kindNamed(entry.item.kind).number, record)
    );
    const outcomes = await askInParts<Registered>(cluster, {
      count: encoded.length,
      partitionOf: (position) => partitions[position]!,
      ask: async (positions, left, part) => {
        const some = positions.map((position) => encoded[position]!);
        const answers = await this.#sendSome(some, left, part);
        return answers.map(({ registered, error }) => registered ?? error);
      },
      options,
    });
    return outcomes.map((outcome) =>
      outcome instanceof RegistryError ? { error: outcome } : { registered: outcome }
    );
  }

  /** Sends entries in as few requests as their sizes allow; returns an outcome for each. */
  async #sendSome(
    encoded: readonly EncodedEntry[],
    options: CallOptions,
    part?: Part,
  ): Promise<RegisterOutcome[]> {
    const batches: EncodedEntry[][] = [];
    let batch: EncodedEntry[] = [];
    let bytes = 0;
    for (const one of encoded) {
      const full = batch.length === REGISTER_ITEMS_MAX ||
        bytes + one.record.length > CLIENT_REGISTER_BYTES_MAX;
      if (full || batch.length === 0) {
        batch = [];
        batches.push(batch);
        bytes = 0;
      }
      batch.push(one);
      bytes += one.record.length;
    }
    const answers = await Promise.all(batches.map((some) => this.#sendBatch(some, options, part)));
    return answers.flat();
  }

  async #sendBatch(
    batch: readonly EncodedEntry[],
    options: CallOptions,
    part: Part | undefined,
  ): Promise<RegisterOutcome[]> {
    const items = batch.map(({ entry, record }) => ({
      record,
      expected: entry.expected,
      kind: kindNamed(entry.item.kind).number,
    }));
    try {
      const answers = await this.#invoker.invoke(
        "registerMany",
        { items },
        this.#decodeMany,
        options,
        part,
      );
      return batch.map((_, index) => answers[index] ?? { error: unanswered(batch.length) });
    } catch (error) {
      const refusal = { error: toRegistryError(error) };
      return batch.map(() => refusal);
    }
  }

  readonly #decode = (response: ResponseView): Registered => {
    const reply = response.bodyInto(this.#reply);
    return registeredOf(reply, receiptsOf(response));
  };

  readonly #decodeMany = (response: ResponseView): RegisterOutcome[] => {
    const receipts = receiptsOf(response);
    const { items } = response.bodyInto(this.#manyReply);
    const outcomes: RegisterOutcome[] = [];
    for (let index = 0; index < items.count; index++) {
      const item = items.at(index);
      outcomes.push(
        item.code === 0 ? { registered: registeredOf(item, receipts) } : { error: refusalOf(item) },
      );
    }
    return outcomes;
  };
}

/** Returns the incarnation under which another process holds the record, if that is the error. */
function heldBy(error: unknown): Incarnation | undefined {
  if (!(error instanceof RegistryError) || error.code !== "incarnation_mismatch") return undefined;
  return error.fields.incarnation;
}

function unanswered(count: number): RegistryError {
  return new RegistryError("malformed", `Reply must answer all ${count} items: some are missing`);
}

/** The fields that a reply to one register and one outcome of many share. */
interface RegisteredView {
  readonly id: Uint8Array;
  readonly incarnationGeneration: number;
  readonly incarnationIndex: number;
  readonly revisionGeneration: number;
  readonly revisionIndex: number;
  readonly remainingMs: number;
  readonly renewAfterMs: number;
  readonly created: boolean;
}

function registeredOf(view: RegisteredView, receipts: readonly Receipt[]): Registered {
  return {
    id: formatUuid(view.id),
    incarnation: { generation: view.incarnationGeneration, index: view.incarnationIndex },
    revision: { generation: view.revisionGeneration, index: view.revisionIndex },
    remainingMs: view.remainingMs,
    renewAfterMs: view.renewAfterMs,
    created: view.created,
    receipts,
  };
}

function refusalOf(view: RegisterOutcomeView): RegistryError {
  const code = errorCodeFromWire(view.code);
  const incarnation = { generation: view.incarnationGeneration, index: view.incarnationIndex };
  return new RegistryError(
    code,
    view.message || `The registry answered ${code}`,
    {
      ...(incarnation.index > 0 ? { incarnation } : {}),
      ...(view.hasHome ? { homeRegion: view.home.name } : {}),
    },
  );
}
