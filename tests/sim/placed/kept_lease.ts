/** The short lease that a client keeps on an agent of its own, and what the SDK promises of it. */
import type { Client, Lease } from "../../../src/client/mod.ts";

const REGION = "eu";

/** The promise of a lease at some time: its record lives until then, unless it is released. */
export interface LeasePromise {
  /** UUID of the record. */
  readonly key: string;
  readonly client: number;
  /** By the clock of the history, ms. */
  readonly untilMs: number;
}

/** Options of a {@link KeptLease}. */
export interface KeptLeaseOptions {
  /** UUID of the agent. */
  readonly id: string;
  /** The number of the client. */
  readonly number: number;
  readonly ttlMs: number;
  /** The domain of the agent; default: none. */
  readonly domain?: string;
  /** Waits before the record is registered anew; default: it is at once. */
  readonly pause?: () => Promise<void>;
  readonly world: { readonly nowMs: number };
  readonly promised: (promise: LeasePromise) => void;
}

/** Keeps an agent alive with the SDK, registering it again with each new client. */
export class KeptLease {
  readonly #options: KeptLeaseOptions;
  #client: Client | undefined;
  #lease: Lease | undefined;

  constructor(options: KeptLeaseOptions) {
    this.#options = options;
  }

  /** Whether the record is registered and its lease renewed. */
  get isActive(): boolean {
    return this.#lease?.state === "active";
  }

  /** Registers the record with a new client; repeats that until it succeeds. */
  begin(client: Client): void {
    this.#client = client;
    this.#lease = undefined;
    void this.#keep(client);
  }

  async #keep(client: Client): Promise<void> {
    const { domain = "", id, pause, ttlMs } = this.#options;
    const agent = { id, region: REGION, ttlMs, ...(domain === "" ? {} : { domain }) };
    while (this.#client === client) {
      try {
        const lease = await client.keepAgent(agent, {
          onEvent: ({ kind }, one) => {
            if (kind === "renewed" || kind === "recovered") this.#note(one);
          },
        });
        this.#lease = lease;
        this.#note(lease);
        const { reason } = await lease.ended;
        if (reason === "released") return;
      } catch {
        // Whatever it was, the next attempt comes, as in any program.
        if (client.status.state === "closed") return;
      }
      await pause?.();
    }
  }

  #note({ remainingMs }: Lease): void {
    const { id, number, promised, world } = this.#options;
    if (remainingMs > 0) promised({ key: id, client: number, untilMs: world.nowMs + remainingMs });
  }
}
