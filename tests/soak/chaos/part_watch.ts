/**
 * A watch of one part of a history, and the check of what it told: each acknowledged write of an agent,
 * once, in the order of each partition; and in the end a view that shows what a list shows.
 */
import type { CachedView, Client, Watch, WatchEvent } from "../../../src/client/mod.ts";
import { Finding } from "../../sim/history.ts";
import { callName, type SdkAnswer } from "../../sim/placed/sdk_history.ts";
import { until } from "../../support/until.ts";

/** The time in which a watch must tell everything while the cluster is whole, ms. */
const TOLD_MS_MAX = 15_000;
/** The time in which it must begin, ms. */
const BEGUN_MS_MAX = 30_000;

/** A watch that is read until it is closed. */
export class PartWatch {
  events = 0;
  /** Times that the changes of a partition were lost, and its state was read again. */
  resets = 0;
  readonly #client: Client;
  readonly #watch: Watch;
  readonly #reading: Promise<void>;
  /** Numbers of the writes that it told. */
  readonly #told = new Set<number>();
  /** By partition: the place of the last change, as `index`, and the records told at it. */
  readonly #places = new Map<number, { readonly index: number; readonly told: Set<string> }>();
  #failure: unknown;

  private constructor(client: Client, watch: Watch) {
    this.#client = client;
    this.#watch = watch;
    this.#reading = this.#read();
  }

  /** Watches the agents of a region. The watch owns the client. */
  static async begin(client: Client, region: string): Promise<PartWatch> {
    const filter = { kind: "agent", region } as const;
    const watch = client.watch(filter, { timeoutMs: BEGUN_MS_MAX, progressMs: 200 });
    const begun = new PartWatch(client, watch);
    await watch.begun;
    return begun;
  }

  /** Ends the watch. */
  close(): void {
    this.#watch.close();
    void this.#client.close();
  }

  /**
   * Checks what the watch told, now that all writes have ended, and ends it.
   *
   * @param openView returns a view of the same records.
   * @throws Finding
   */
  async check(
    answers: readonly SdkAnswer[],
    openView: () => Promise<CachedView<"agent">>,
  ): Promise<void> {
    const list = answers.findLast(({ kind, end }) => kind === "list" && end === "ok")!;
    const listed = new Map(list.records.map(({ key, value }) => [key, value]));
    const view = await openView();
    const differs = () =>
      [...listed].find(([key, value]) => {
        const shown = view.get(key)?.record.labels["v"];
        return value !== (shown === undefined ? undefined : Number(shown));
      });
    try {
      await until("the view", () => differs() === undefined, TOLD_MS_MAX).catch(() => {
        throw new Finding("views", `A view lacks ${JSON.stringify(differs())}, which a list shows`);
      });
    } finally {
      view.close();
    }
    const writes = answers.filter(({ kind, end }) =>
      end === "ok" && (kind === "put" || kind === "take_over")
    );
    const untold = () => writes.find(({ value }) => !this.#told.has(value));
    // What was lost comes back as state only, so that a write may be passed over.
    const isTold = () => this.resets > 0 || untold() === undefined || this.#failure !== undefined;
    await until("all events", isTold, TOLD_MS_MAX).catch(() => {
      throw new Finding("watches", `A watch never told of ${callName(untold()!)}`);
    });
    this.close();
    await this.#reading;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #read(): Promise<void> {
    try {
      for await (const event of this.#watch) this.#take(event);
    } catch (error) {
      this.#failure = error;
    }
  }

  #take(event: WatchEvent): void {
    const { partition, index } = event.receipt;
    if (event.type === "reset") {
      this.resets++;
      this.#places.delete(partition);
    }
    if (!("record" in event)) return;
    this.events++;
    const { kind, record, isState, type } = event;
    if (type === "put" || type === "superseded") this.#told.add(Number(record.labels["v"]));
    if (isState) return;
    const name = `${type} of ${kind} ${record.id}`;
    const before = this.#places.get(partition);
    if (before === undefined || before.index < index) {
      this.#places.set(partition, { index, told: new Set([name]) });
      return;
    }
    const where = `${name} at index ${index} of partition ${partition}`;
    if (before.index > index) {
      throw new Finding("watches", `A watch tells ${where} after index ${before.index}`);
    }
    if (before.told.has(name)) throw new Finding("watches", `A watch tells ${where} twice`);
    before.told.add(name);
  }
}
