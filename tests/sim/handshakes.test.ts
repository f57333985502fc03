/**
 * Handshakes in a simulated world: production's machine and its runner, over links that are slow,
 * split, change or drop bytes, between machines whose clocks drift and that are paused or die.
 * Everything is derived from one seed, and the same seed twice gives the same run. Signatures are
 * computed synchronously, so that the run is deterministic.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  HalfOpenHandshakes,
  type HandshakeResult,
  type HandshakeStream,
  runHandshake,
} from "../../identity/registry_auth/mod.ts";
import { AUTH_STAGE_MS_MAX, CLOCK_DRIFT_PPM } from "../../src/base/limits.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import { toRegistryError } from "../../src/base/errors.ts";
import {
  clientEnd,
  type End,
  filled,
  type Member,
  Realm,
  serverEnd,
} from "../support/auth_realm.ts";
import { Machine, type Process } from "./machine.ts";
import { SimWorld } from "./world.ts";

const SEEDS = 150;
const CONNECTIONS = 24;
const CLIENTS = 6;
/**
 * Connections begin within this time, ms; afterwards each has four stages, and paused machines
 * resume.
 */
const DIALS_MS = 4_000;
const STANDSTILL_MS_MAX = 5_000;
const REST_MS = DIALS_MS + 2 * STANDSTILL_MS_MAX + 8 * AUTH_STAGE_MS_MAX;

/** The end of one side of a connection. */
type Ending = HandshakeResult | { readonly code: string };

interface Connection {
  readonly client: Member;
  /** Whether bytes to that side were changed in transit. */
  readonly changed: { client: boolean; server: boolean };
  endings: { client?: Ending; server?: Ending };
  isBroken: boolean;
}

/** The faults on the links of a seed. */
interface Links {
  readonly delayMs: number;
  readonly pieces: boolean;
  /** Probability that a piece is changed, and that the connection breaks off at it. */
  readonly changes: number;
  readonly breaks: number;
}

/** One side of a connection's first stream. */
class SimStream implements HandshakeStream {
  readonly #arrived: (Uint8Array | undefined)[] = [];
  #waiting: (() => void) | undefined;
  /** Passes a piece to the other side. */
  pass: (bytes: Uint8Array) => void = () => {};

  async read(into: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
    if (this.#arrived.length === 0) await new Promise<void>((resolve) => this.#waiting = resolve);
    const chunk = this.#arrived.shift();
    if (chunk === undefined) return undefined;
    const taken = chunk.subarray(0, into.length);
    if (taken.length < chunk.length) this.#arrived.unshift(chunk.subarray(taken.length));
    into.set(taken);
    return into.subarray(0, taken.length);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.pass(bytes.slice());
    return Promise.resolve();
  }

  arrive(chunk: Uint8Array | undefined): void {
    this.#arrived.push(chunk);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}

/** A seed's world: a server, clients, and the connections between them. */
class HandshakeRun {
  readonly #world = new SimWorld();
  readonly #entropy: SeededEntropy;
  readonly #links: Links;
  readonly #realm = new Realm();
  readonly #server: Member;
  readonly #clients: readonly Member[];
  readonly #machines: readonly Machine[];
  readonly connections: Connection[] = [];
  readonly halfOpen = new HalfOpenHandshakes();
  readonly isPeaceful: boolean;

  constructor(seed: number) {
    const entropy = this.#entropy = new SeededEntropy(seed ^ 0x5aad);
    const unit = () => entropy.unit();
    this.isPeaceful = unit() < 0.25;
    this.#world.isThorough = true;
    this.#links = {
      delayMs: 0.2 * 1_000 ** unit(),
      pieces: unit() < 0.7,
      changes: this.isPeaceful || unit() < 0.5 ? 0 : 0.02,
      breaks: this.isPeaceful || unit() < 0.5 ? 0 : 0.02,
    };
    this.#server = this.#realm.enrol("node", 1);
    this.#clients = Array.from(
      { length: CLIENTS },
      (_, at) => this.#realm.enrol("gateway", 10 + at),
    );
    this.#realm.banned.add(this.#clients[0]!.identity.subject);
    this.#machines = Array.from({ length: CLIENTS + 1 }, (_, at) => {
      const rate = 1 + (2 * unit() - 1) * CLOCK_DRIFT_PPM / 1_000_000;
      const machine = new Machine(this.#world, {
        id: at + 1,
        clock: { rate, wallRate: rate, wallOffsetMs: 0 },
        seed: entropy.uint32(),
        onKilled: () => {},
      });
      machine.start();
      // Each of its turns may settle a promise.
      machine.openPromises = 1;
      return machine;
    });
  }

  /** Runs until all connections must have ended; returns one line per connection. */
  async run(): Promise<string[]> {
    for (let number = 0; number < CONNECTIONS; number++) {
      this.#world.at(
        DIALS_MS * this.#entropy.unit(),
        () => this.#connect(number % CLIENTS, number),
      );
    }
    if (!this.isPeaceful) { for (const machine of this.#machines) this.#disturb(machine); }
    await this.#world.run(REST_MS);
    return this.connections.map(({ client, endings }) =>
      `${client.identity.subject} ${wordOf(endings.client)} ${wordOf(endings.server)}`
    );
  }

  #disturb(machine: Machine): void {
    const unit = this.#entropy.unit();
    const atMs = DIALS_MS * this.#entropy.unit();
    if (unit < 0.2) {
      this.#world.at(atMs, () => unit < 0.1 ? machine.pause() : machine.suspend());
      this.#world.at(atMs + STANDSTILL_MS_MAX * this.#entropy.unit(), () => machine.resume());
    } else if (unit < 0.3) this.#world.at(atMs, () => machine.kill());
  }

  #connect(at: number, number: number): void {
    const client = this.#clients[at]!;
    const [serverMachine, clientMachine] = [this.#machines[0]!, this.#machines[at + 1]!];
    const processes = { client: clientMachine.process, server: serverMachine.process };
    if (processes.client === undefined || processes.server === undefined) return;
    const connection: Connection = {
      client,
      changed: { client: false, server: false },
      endings: {},
      isBroken: false,
    };
    this.connections.push(connection);
    const streams = { client: new SimStream(), server: new SimStream() };
    this.#link(connection, "server", streams, processes.server);
    this.#link(connection, "client", streams, processes.client);
    const nonces = { client: filled(number + 1), server: filled(number + 101) };
    processes.client.enter(() => {
      const nowMs = processes.client!.nowMs();
      const end = clientEnd(this.#realm, client, this.#server, { nonce: nonces.client }, nowMs);
      this.#shake("client", end, streams.client, processes.client!, connection);
    });
    processes.server.enter(() => {
      const nowMs = processes.server!.nowMs();
      const end = serverEnd(this.#realm, this.#server, { nonce: nonces.server }, nowMs);
      this.#shake("server", end, streams.server, processes.server!, connection);
    });
  }

  /** Delivers the data for side `to` in order, but late, in pieces, possibly changed, or never. */
  #link(
    connection: Connection,
    to: "client" | "server",
    streams: Readonly<Record<"client" | "server", SimStream>>,
    process: Process,
  ): void {
    const { breaks, changes, delayMs, pieces } = this.#links;
    const unit = () => this.#entropy.unit();
    let arrivesMs = 0;
    const deliver = (piece: Uint8Array | undefined) => {
      arrivesMs = Math.max(arrivesMs, this.#world.nowMs + delayMs * (0.5 + unit()));
      this.#world.at(arrivesMs, () => process.enter(() => streams[to].arrive(piece)));
    };
    streams[to === "client" ? "server" : "client"].pass = (bytes) => {
      for (let start = 0; start < bytes.length && !connection.isBroken;) {
        const size = pieces ? 1 + Math.floor(unit() * 400) : bytes.length;
        const piece = bytes.slice(start, start + size);
        start += size;
        if (unit() < breaks) {
          connection.isBroken = true;
          deliver(undefined);
          return;
        }
        if (unit() < changes) {
          piece[Math.floor(unit() * piece.length)]! ^= 1 << Math.floor(unit() * 8);
          connection.changed[to] = true;
        }
        deliver(piece);
      }
    };
  }

  #shake(
    side: "client" | "server",
    end: End,
    stream: SimStream,
    process: Process,
    connection: Connection,
  ): void {
    const services = end.realm.services(end.member);
    const run = (signal?: AbortSignal) => {
      const { scheduler, monotonic } = process;
      const options = { stream, services, scheduler, monotonic };
      return runHandshake(end.handshake, signal === undefined ? options : { ...options, signal });
    };
    const running = side === "server" ? this.halfOpen.run(run) : run();
    running.then(
      (result) => connection.endings[side] = result,
      (error: unknown) => connection.endings[side] = { code: toRegistryError(error).code },
    );
  }

  /** Reports whether the program of that side was killed, so that its result is unknown. */
  isDead(connection: Connection, side: "client" | "server"): boolean {
    const at = side === "server" ? 0 : this.#clients.indexOf(connection.client) + 1;
    return this.#machines[at]!.state === "down";
  }

  isBanned({ client }: Connection): boolean {
    return this.#realm.banned.has(client.identity.subject);
  }

  get server(): Member {
    return this.#server;
  }
}

function wordOf(ending: Ending | undefined): string {
  if (ending === undefined) return "open";
  return "code" in ending ? ending.code : `with ${ending.peer.subject}`;
}

function isDone(ending: Ending | undefined): ending is HandshakeResult {
  return ending !== undefined && "peer" in ending;
}

test("handshakes: whoever is accepted is who both ends think, over bytes that nobody changed", async () => {
  const seen = { done: 0, refused: 0, lost: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new HandshakeRun(seed);
    const lines = await run.run();
    const where = `Seed ${seed}:\n${lines.join("\n")}`;
    for (const connection of run.connections) {
      const { changed, client, endings } = connection;
      if (isDone(endings.client)) {
        seen.done++;
        assert.is(endings.client.peer.subject, run.server.identity.subject, where);
        // The server told it so, having accepted it before.
        assert.ok(run.isDead(connection, "server") || isDone(endings.server), where);
        assert.not.ok(changed.client || changed.server, where);
        assert.not.ok(run.isBanned(connection), where);
      } else if (endings.client !== undefined) {
        seen[endings.client.code === "connection_lost" ? "lost" : "refused"]++;
      }
      if (isDone(endings.server)) {
        assert.is(endings.server.peer.subject, client.identity.subject, where);
        assert.not.ok(changed.server, where);
        assert.not.ok(run.isBanned(connection), where);
      }
      for (const side of ["client", "server"] as const) {
        assert.ok(endings[side] !== undefined || run.isDead(connection, side), `Open. ${where}`);
      }
      if (run.isPeaceful && !run.isBanned(connection)) {
        assert.ok(isDone(endings.client) && isDone(endings.server), `Peaceful. ${where}`);
      }
    }
    assert.ok(run.halfOpen.count === 0 || lines.some((line) => line.endsWith("open")), where);
  }
  assert.ok(seen.done > 1_000 && seen.refused > 250 && seen.lost > 25, JSON.stringify(seen));
});

test("handshakes: the same seed twice is the same run", async () => {
  for (const seed of [2, 3, 5]) {
    const [first, second] = [new HandshakeRun(seed), new HandshakeRun(seed)];
    assert.equal(await first.run(), await second.run());
    assert.ok(first.connections.length > 0);
  }
});

test.run();
