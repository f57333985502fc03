/**
 * Readers of both event streams over HTTP while the nodes of a cluster of three and two fronts are killed
 * in turn: `deno task soak http_events [seconds] [readers]`, by default 600 s and 20 readers of each
 * stream. All readers begin before the first write.
 *
 * Events are at least once: an event told again is counted. Holds if every reader was told every version
 * of the governed plane, and every acknowledged registration, without a reset.
 */
import { QuicDialer } from "../../transport/quic_dialer.ts";
import { descriptorOf, govern } from "../../bench/governed_fleet.ts";
import { freePorts } from "../../bench/cluster/ports.ts";
import { type Client, connect } from "../../src/client/mod.ts";
import { findTarget } from "../../src/cli/target.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { type CrsProcess, documentIn } from "../support/crs_process.ts";
import { EventFollower } from "../support/event_followers.ts";
import type { ReadEvent } from "../support/event_reader.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";
import type { SoakResult } from "./soak.ts";

const FRONTS = 2;
const BETWEEN_KILLS_MS = 8_000;
const DESCRIPTOR_PAUSE_MS = 250;
const AGENT_PAUSE_MS = 50;
const SETTLE_MS_MAX = 60_000;

/** A reader, and how often it was told each event, by the event's name. */
interface Reader {
  readonly follower: EventFollower;
  readonly told: Map<string, number>;
}

/** The streams: their paths, and the name of an event. */
const STREAMS = {
  governed: {
    path: "/v1/registry/events?after=0",
    nameOf: (data: { version: number }) => String(data.version),
  },
  live: {
    path: "/v1/watch?kind=agent",
    nameOf: (data: { agent?: { id: string } }) => data.agent?.id,
  },
} as const;

class Run {
  readonly #cluster: ThreeNodes;
  readonly #ports = Array.from({ length: FRONTS }, () => freePorts(1));
  readonly #fronts: CrsProcess[] = [];
  readonly #readers: Record<keyof typeof STREAMS, Reader[]> = { governed: [], live: [] };
  readonly #acknowledged: Record<keyof typeof STREAMS, string[]> = { governed: [], live: [] };
  #failedWrites = 0;
  #resets = 0;
  #isEnded = false;

  constructor(cluster: ThreeNodes) {
    this.#cluster = cluster;
  }

  async run(seconds: number, readers: number): Promise<SoakResult> {
    for (let front = 0; front < FRONTS; front++) await this.#startFront(front);
    const world = processWorld();
    const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
    const { endpoints, trust } = findTarget({ data: this.#cluster.folder }, {});
    const client = await connect({ endpoints, trust, dialer, world });
    const kills = { nodes: 0, fronts: 0 };
    try {
      await govern(client);
      this.#follow(readers);
      const all = [...this.#readers.governed, ...this.#readers.live];
      await until("an id at every reader", () => {
        return all.every(({ follower }) => follower.lastId !== undefined);
      }, SETTLE_MS_MAX);
      const writers = [this.#publish(client), this.#register(client)];
      const endMs = performance.now() + seconds * 1_000;
      for (let turn = 0; performance.now() < endMs; turn++) {
        await this.#pause();
        await this.#killFront(turn % FRONTS);
        kills.fronts++;
        await this.#pause();
        const number = turn % 3 + 1;
        await this.#cluster.kill(number);
        kills.nodes++;
        await this.#pause();
        await this.#cluster.restart(number);
        await this.#cluster.whole();
      }
      this.#isEnded = true;
      await Promise.all(writers);
      const lost = await this.#lost();
      const opened = all.reduce((sum, { follower }) => sum + follower.opened, 0);
      const { governed, live } = this.#acknowledged;
      const figures = {
        seconds,
        readersOfEach: readers,
        nodeKills: kills.nodes,
        frontKills: kills.fronts,
        published: governed.length,
        registered: live.length,
        failedWrites: this.#failedWrites,
        events: all.reduce((sum, { told }) => sum + told.size, 0),
        toldAgain: this.#toldAgain(all),
        streamsOpened: opened,
        resets: this.#resets,
        lost: lost.length,
        firstLost: lost.slice(0, 5),
      };
      return { figures, holds: lost.length === 0 && this.#resets === 0 };
    } finally {
      this.#isEnded = true;
      await Promise.all(
        Object.values(this.#readers).flat().map(({ follower }) => follower.end()),
      );
      await client.close();
      await dialer.close();
    }
  }

  async #startFront(front: number): Promise<void> {
    const address = `127.0.0.1:${this.#ports[front]}`;
    const process = this.#cluster.process([
      ...["front", "--http", address, "--data", this.#cluster.folder, "--json"],
    ]);
    this.#fronts[front] = process;
    await process.printed("a document", documentIn);
  }

  async #killFront(front: number): Promise<void> {
    this.#fronts[front]!.kill("SIGKILL");
    await this.#fronts[front]!.ended();
    await this.#startFront(front);
  }

  #follow(count: number): void {
    const urls = this.#ports.map((port) => `http://127.0.0.1:${port}`);
    for (const [name, { path, nameOf }] of Object.entries(STREAMS)) {
      for (let reader = 0; reader < count; reader++) {
        const told = new Map<string, number>();
        const follower = new EventFollower(urls, path, reader, (event) => {
          const named = this.#nameOf(event, nameOf as (data: object) => string | undefined);
          if (named !== undefined) told.set(named, (told.get(named) ?? 0) + 1);
        });
        this.#readers[name as keyof typeof STREAMS].push({ follower, told });
      }
    }
  }

  #nameOf(
    { event, data }: ReadEvent,
    nameOf: (data: object) => string | undefined,
  ): string | undefined {
    if (event === "reset") this.#resets++;
    return event === "registry.update" || event === "put" ? nameOf(JSON.parse(data!)) : undefined;
  }

  async #publish(client: Client): Promise<void> {
    // The genesis is version 1.
    this.#acknowledged.governed.push("1");
    for (let number = 0; !this.#isEnded; number++) {
      const { payload, signatures } = await descriptorOf(number);
      await this.#write(async () => {
        const { proposal } = await client.governed.propose(payload, signatures);
        const { version } = await client.governed.apply(proposal);
        this.#acknowledged.governed.push(String(version));
      }, DESCRIPTOR_PAUSE_MS);
    }
  }

  async #register(client: Client): Promise<void> {
    for (let number = 0; !this.#isEnded; number++) {
      await this.#write(async () => {
        const { id } = await client.registerAgent({
          ...{ region: "east", domain: `e${number}.example`, address: "192.0.2.1" },
          ttlMs: 3_600_000,
        });
        this.#acknowledged.live.push(id);
      }, AGENT_PAUSE_MS);
    }
  }

  /** Writes once, and counts a failure: whether that write took effect is not known. */
  async #write(write: () => Promise<void>, pauseMs: number): Promise<void> {
    await write().catch(() => this.#failedWrites++);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }

  /** Waits until every reader has every event; returns those still missing at the deadline. */
  async #lost(): Promise<string[]> {
    let lost: string[] = [];
    await until("every event at every reader", () => {
      lost = (Object.keys(STREAMS) as (keyof typeof STREAMS)[]).flatMap((stream) =>
        this.#readers[stream].flatMap(({ told }, reader) =>
          this.#acknowledged[stream].filter((name) => !told.has(name))
            .map((name) => `${stream} reader ${reader}: ${name}`)
        )
      );
      return lost.length === 0;
    }, SETTLE_MS_MAX).catch(() => {
      // The deadline has passed: `lost` has what is missing.
    });
    return lost;
  }

  #toldAgain(readers: readonly Reader[]): number {
    return readers.flatMap(({ told }) => [...told.values()])
      .reduce((sum, times) => sum + times - 1, 0);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, BETWEEN_KILLS_MS));
  }
}

/** Runs the kills. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const seconds = Number(args[0] ?? 600);
  const readers = Number(args[1] ?? 20);
  let result: SoakResult | undefined;
  await ThreeNodes.run(async (cluster) => {
    await cluster.start();
    await cluster.spread();
    result = await new Run(cluster).run(seconds, readers);
  });
  return result!;
}
