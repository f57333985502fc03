/** Callers of a real cluster that must see no failed call, whatever happens to its nodes. */
import * as assert from "uvu/assert";
import { toRegistryError } from "../../src/base/errors.ts";
import { formatUuid } from "../../src/base/uuid.ts";
import { connectCaller } from "../../src/client/client.ts";
import type { OperationCaller } from "../../src/client/invoker.ts";
import type { Client } from "../../src/client/mod.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { parsePin } from "../../identity/pki/certificate.ts";
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { idOf } from "./store.ts";
import type { ClusterNode } from "./three_nodes.ts";

/** The deadline of a call, ms. */
const CALL_MS = 3_000;
const AGENTS = 200;
/** Callers that call one after the other, each. */
const CALLERS = 8;

const id = (number: number) => formatUuid(idOf(number));
const agent = (number: number) => ({
  id: id(number),
  region: "global",
  domain: `a${number}.example`,
  ttlMs: 600_000,
});

/** Reads and writes without pause, and notes each call that fails. */
export class Callers {
  readonly failed: string[] = [];
  calls = 0;
  #isOver = false;
  readonly #client: Client;
  readonly #running: Promise<void>[];

  private constructor(client: Client) {
    this.#client = client;
    this.#running = Array.from({ length: CALLERS }, (_, caller) => this.#call(caller));
  }

  /** Registers the agents, as many at once as there are callers, and begins to call. */
  static async start(client: Client): Promise<Callers> {
    let next = 0;
    await Promise.all(Array.from({ length: CALLERS }, async () => {
      while (next < AGENTS) await client.registerAgent(agent(next++));
    }));
    return new Callers(client);
  }

  /** Ends, and fails if a call failed, few were made, or an agent is lost. */
  async endWithoutFailure(): Promise<void> {
    await this.endWithoutLoss();
    assert.equal(this.failed, [], `of ${this.calls} calls`);
  }

  /** Ends, and fails if few calls were made, or an agent is lost; calls may have failed. */
  async endWithoutLoss(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
    assert.ok(this.calls > 100, `only ${this.calls} calls`);
    for (let number = 0; number < AGENTS; number++) {
      assert.is((await this.#client.resolveAgent(`a${number}.example`)).agent.id, id(number));
    }
  }

  async #call(caller: number): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      const number = (caller * 53 + round * 7) % AGENTS;
      try {
        if (round % 4 === 0) await this.#client.registerAgent(agent(number));
        else if (round % 4 === 1) await this.#client.getAgent(id(number), { maxStalenessMs: 100 });
        else await this.#client.resolveAgent(`a${number}.example`);
      } catch (error) {
        const { code, message } = toRegistryError(error);
        this.failed.push(`call ${this.calls}: ${code}: ${message}`);
      }
      this.calls++;
      // A pause of a turn, so that the nodes have time for other work on a busy machine.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** Calls `use` with a client of the nodes, whose calls have a deadline: three seconds, unless said. */
export async function withClient(
  nodes: readonly ClusterNode[],
  use: (client: Client & OperationCaller) => Promise<void>,
  timeoutMs = CALL_MS,
): Promise<void> {
  const world = processWorld();
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const client = await connectCaller({
    endpoints: nodes.flatMap(({ addresses }) => addresses),
    dialer,
    trust: { kind: "pins", sha256: nodes.map(({ pin }) => parsePin(pin)) },
    world,
    options: { timeoutMs },
  });
  try {
    await use(client);
  } finally {
    await client.close();
    await dialer.close();
  }
}
