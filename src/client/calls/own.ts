/** Calls of an owner on its registered records: renew, report, deregister. */
import type { ResponseView } from "../../../schemas/gen/wire.ts";
import { errorCodeFromWire, RegistryError } from "../../base/errors.ts";
import { RENEW_ITEMS_MAX } from "../../base/limits.ts";
import { parseUuid } from "../../base/uuid.ts";
import { kindNamed } from "../../record/kinds.ts";
import { type Ownership, RECORD_STATES } from "../../record/plain.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import { partitionOfId } from "../call_key.ts";
import type { ClusterRouting, Part } from "../cluster_routing.ts";
import type { Invoker } from "../invoker.ts";
import { askInParts } from "../parts.ts";
import { IdSlab } from "../id_slab.ts";
import type { OwnershipSequence } from "../ownership.ts";
import type { Capacity, Incarnation } from "../records.ts";
import type {
  CallOptions,
  Deregistered,
  DeregisterOptions,
  Renewed,
  RenewFailure,
  RenewItem,
  Reported,
  ReportOptions,
} from "../types.ts";
import { type GetCalls, receiptsOf } from "./get.ts";
import type { ServedKind } from "../served_kind.ts";
import { KIND_OPERATIONS } from "./kind_operations.ts";

/** The ownership of a caller that does not own the record. */
const NOBODY: Ownership = { process: 0, sequence: 0 };
const NOTHING_USED: Capacity = {
  cpu: 0,
  memoryMiB: 0,
  storageMiB: 0,
  bandwidthMbps: 0,
  connections: 0,
};

/** The calls Renew, Deregister and Report. */
export class OwnCalls {
  readonly #invoker: Invoker;
  readonly #ownership: OwnershipSequence;
  readonly #get: GetCalls;
  readonly #ids = new IdSlab();

  constructor(invoker: Invoker, ownership: OwnershipSequence, get: GetCalls) {
    this.#invoker = invoker;
    this.#ownership = ownership;
    this.#get = get;
  }

  /** See `Client.renew`. */
  async renew(items: readonly RenewItem[], options?: CallOptions): Promise<Renewed> {
    const { cluster } = this.#invoker;
    if (cluster !== undefined) return await this.#renewInParts(cluster, items, options);
    return await this.#renewAll(items, options);
  }

  /** Renews items by the nodes that lead them; the failure of a node is told for its items. */
  async #renewInParts(
    cluster: ClusterRouting,
    items: readonly RenewItem[],
    options: CallOptions = {},
  ): Promise<Renewed> {
    const { partitioner } = cluster;
    const partitions = items.map(({ kind, id }) =>
      partitionOfId(partitioner, kindNamed(kind).number, parseUuid(id), 0)
    );
    const outcomes = await askInParts<number>(cluster, {
      count: items.length,
      partitionOf: (position) => partitions[position]!,
      ask: async (positions, left, part) => {
        const some = positions.map((position) => items[position]!);
        const { renewAfterMs, failures } = await this.#renewAll(some, left, part);
        const answers: (number | RegistryError)[] = some.map(() => renewAfterMs);
        for (const { position, error } of failures) answers[position] = error;
        return answers;
      },
      options,
    });
    const failures = outcomes.flatMap((outcome, position): RenewFailure[] =>
      outcome instanceof RegistryError ? [{ position, error: outcome }] : []
    );
    const renewAfterMs = outcomes.reduce<number>(
      (min, outcome) => outcome instanceof RegistryError ? min : Math.min(min, outcome),
      Infinity,
    );
    return { renewed: items.length - failures.length, renewAfterMs, failures };
  }

  /** Renews items in as few requests as the limit allows. */
  async #renewAll(
    items: readonly RenewItem[],
    options?: CallOptions,
    part?: Part,
  ): Promise<Renewed> {
    const requests: Promise<Renewed>[] = [];
    for (let start = 0; start < items.length; start += RENEW_ITEMS_MAX) {
      const some = items.slice(start, start + RENEW_ITEMS_MAX);
      requests.push(this.#renewBatch(some, start, options, part));
    }
    const answers = await Promise.all(requests);
    return {
      renewed: answers.reduce((sum, { renewed }) => sum + renewed, 0),
      renewAfterMs: answers.reduce((min, answer) => Math.min(min, answer.renewAfterMs), Infinity),
      failures: answers.flatMap(({ failures }) => failures),
    };
  }

  async #renewBatch(
    items: readonly RenewItem[],
    start: number,
    options: CallOptions | undefined,
    part: Part | undefined,
  ): Promise<Renewed> {
    const body = {
      items: items.map(({ kind, id, incarnation }) => ({
        id: this.#ids.keep(id),
        incarnation,
        kind: kindNamed(kind).number,
      })),
    };
    return await this.#invoker.invoke(
      "renew",
      body,
      (response) => decodeRenewed(response, start, items.length),
      options,
      part,
    );
  }

  /** See `Client.deregisterAgent`, `Client.deregisterGateway`. */
  async deregister(
    kind: ServedKind,
    id: string,
    options: DeregisterOptions = {},
  ): Promise<Deregistered> {
    const held = await this.#held(kind, id, options);
    const incarnation = options.incarnation ?? held.incarnation;
    return await this.deregisterHeld(kind, id, incarnation, held.own, options);
  }

  /** Deregisters a record of known incarnation; `own` tells whether this client registered it. */
  deregisterHeld(
    kind: ServedKind,
    id: string,
    incarnation: Incarnation,
    own: boolean,
    options: CallOptions & { readonly withAgents?: boolean } = {},
  ): Promise<Deregistered> {
    const ownership = own ? this.#ownership.next() : NOBODY;
    return this.#invoker.invoke(
      KIND_OPERATIONS[kind].deregister,
      { id: parseUuid(id), incarnation, ...ownership, withAgents: options.withAgents ?? false },
      (response) => ({
        removed: response.bodyInto(OPERATIONS.deregisterAgent.reply.newView()).removed,
        receipts: receiptsOf(response),
      }),
      options,
    );
  }

  /** See `Client.reportAgent`, `Client.reportGateway`. */
  async report(kind: ServedKind, id: string, options: ReportOptions): Promise<Reported> {
    const { incarnation, own } = options.incarnation === undefined
      ? await this.#held(kind, id, options)
      : { incarnation: options.incarnation, own: false };
    return await this.reportHeld(kind, id, incarnation, own, options);
  }

  /** Reports on a record of known incarnation; `own` tells whether this client registered it. */
  async reportHeld(
    kind: ServedKind,
    id: string,
    incarnation: Incarnation,
    own: boolean,
    options: Omit<ReportOptions, "incarnation">,
  ): Promise<Reported> {
    const body = {
      id: parseUuid(id),
      incarnation,
      ...(own ? this.#ownership.next() : NOBODY),
      used: options.used ?? NOTHING_USED,
      state: RECORD_STATES.indexOf(options.draining === true ? "draining" : "active"),
      setUsed: options.used !== undefined,
      setState: options.draining !== undefined,
      kind: kindNamed(kind).number,
    };
    return await this.#invoker.invoke("report", body, (response) => {
      const reply = response.bodyInto(OPERATIONS.report.reply.newView());
      return {
        revision: { generation: reply.revisionGeneration, index: reply.revisionIndex },
        receipts: receiptsOf(response),
      };
    }, options);
  }

  /** Returns the record's incarnation and whether this client holds it. */
  async #held(
    kind: ServedKind,
    id: string,
    { timeoutMs, signal }: CallOptions,
  ): Promise<{ incarnation: Incarnation; own: boolean }> {
    // Always linearizable, whatever staleness the caller allows: a fencing token must be the
    // newest.
    const options = {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
    };
    const { incarnation, process } = await this.#get.holder(kind, id, options);
    return { incarnation, own: process === this.#ownership.process };
  }
}

function decodeRenewed(response: ResponseView, start: number, count: number): Renewed {
  const reply = response.bodyInto(OPERATIONS.renew.reply.newView());
  const failures: RenewFailure[] = [];
  const found = reply.failures;
  for (let index = 0; index < found.count; index++) {
    const failure = found.at(index);
    if (failure.position >= count) {
      throw new RegistryError(
        "malformed",
        `Position of a failure must be below ${count}: current value is ${failure.position}`,
      );
    }
    const code = errorCodeFromWire(failure.code);
    const incarnation = { generation: failure.currentGeneration, index: failure.currentIndex };
    failures.push({
      position: start + failure.position,
      error: new RegistryError(
        code,
        `The record was not renewed: ${code}`,
        {
          ...(incarnation.index > 0 ? { incarnation } : {}),
          ...(failure.hasHome ? { homeRegion: failure.home.name } : {}),
        },
      ),
    });
  }
  return { renewed: reply.renewed, renewAfterMs: reply.renewAfterMs, failures };
}
