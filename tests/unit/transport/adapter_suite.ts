/**
 * The contract of every transport, run over each adapter: kinds, bytes of all sizes, back-pressure,
 * all kinds of ends, limits. If a runtime cannot fulfil a point, the harness names it.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { STREAMS_PER_SESSION_MAX } from "../../../src/base/limits.ts";
import type {
  DialOptions,
  Listener,
  ListenerLimits,
  Session,
  Stream,
  StreamKind,
} from "../../../transport/transport.ts";
import { isPending, until, within } from "../../support/until.ts";

/** An adapter under test, with a fresh world for each test. */
export interface Harness {
  readonly listener: Listener;
  /** Dials the listener over the connection that can be severed. */
  dial(options?: Partial<DialOptions>): Promise<Session>;
  /** Stops passing bytes between the two sides. */
  sever(): void;
  /** Passes bytes again. */
  heal(): void;
  /**
   * Delays every byte between the sides by this time; only for transports whose close discards
   * bytes.
   */
  delay?(ms: number): void;
  close(): Promise<void>;
}

/** Options of a harness. */
export interface HarnessOptions {
  readonly limits?: ListenerLimits;
  readonly idleMs?: number;
}

/** An adapter with its name. */
export interface Adapter {
  readonly name: string;
  make(options?: HarnessOptions): Harness | Promise<Harness>;
  /** False if the other side does not see an abort of the dialing side (denoland/deno#36822). */
  readonly dialerAbortIsSeen: boolean;
  /** Whether its sessions are authenticated by the transport. */
  readonly authenticatesPeers?: boolean;
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof RegistryError) return error.code;
  throw error;
}

function failure(promise: Promise<unknown>): Promise<ErrorCode | "no error"> {
  return promise.then(() => "no error", codeOf);
}

async function readExactly(stream: Stream, length: number): Promise<Uint8Array> {
  const whole = new Uint8Array(length);
  let into = new Uint8Array(65_536);
  for (let filled = 0; filled < length;) {
    const part = await stream.read(into.subarray(0, Math.min(into.length, length - filled)));
    if (part === undefined) throw new Error(`The stream ended after ${filled} of ${length} bytes`);
    whole.set(part, filled);
    filled += part.length;
    into = new Uint8Array(part.buffer);
  }
  return whole;
}

function pattern(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = index * 31 + (index >> 8) + seed;
  return bytes;
}

interface Ends {
  readonly near: Session;
  readonly far: Session;
}

async function connect(harness: Harness): Promise<Ends> {
  const [near, far] = await within(
    "a session on both sides",
    Promise.all([harness.dial(), harness.listener.accept()]),
  );
  return { near, far: far! };
}

async function openStream({ near, far }: Ends, kind: StreamKind = "request") {
  const [nearStream, farStream] = await within(
    "a stream on both sides",
    Promise.all([near.open(kind), far.accept()]),
  );
  return { nearStream, farStream: farStream! };
}

/** An abandoned attempt succeeds late, and must not leave a session behind. */
async function lateSessionIsDropped(harness: Harness): Promise<void> {
  harness.heal();
  await until("the late session was dropped", () => {
    const { accepted, handshakeFailures, sessions } = harness.listener.stats;
    return accepted + handshakeFailures > 0 && sessions === 0;
  });
}

/** Registers the suite for one adapter. */
export function adapterSuite(adapter: Adapter): void {
  const check = (
    criterion: string,
    run: (harness: Harness) => Promise<void>,
    options?: HarnessOptions,
  ) =>
    test(`${adapter.name}: ${criterion}`, async () => {
      const harness = await adapter.make(options);
      try {
        await run(harness);
      } finally {
        await harness.close();
      }
    });

  check(
    "a dial is an accepted session with a transport, an address and an end",
    async (harness) => {
      const { near, far } = await connect(harness);
      assert.is(near.transport, adapter.name);
      assert.is(far.transport, adapter.name);
      const isAuthenticated = adapter.authenticatesPeers ?? false;
      assert.equal([near, far].map((end) => end.authenticatesPeers), [
        isAuthenticated,
        isAuthenticated,
      ]);
      assert.match(near.remoteAddress, /:\d+$/);
      assert.match(far.remoteAddress, /:\d+$/);
      assert.ok(await isPending(near.closed));
      assert.is(harness.listener.stats.sessions, 1);
      assert.is(harness.listener.stats.accepted, 1);
    },
  );

  check("open tells the kind to the other side, in both directions", async (harness) => {
    const ends = await connect(harness);
    for (const kind of ["control", "request"] as const) {
      const { nearStream, farStream } = await openStream(ends, kind);
      assert.is(nearStream.kind, kind);
      assert.is(farStream.kind, kind);
    }
    for (const kind of ["peer", "bulk"] as const) {
      const { nearStream, farStream } = await openStream({ near: ends.far, far: ends.near }, kind);
      assert.is(nearStream.kind, kind);
      assert.is(farStream.kind, kind);
    }
    assert.is(harness.listener.stats.streams, 4);
  });

  check("write and read carry bytes of every size unchanged, both ways", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    for (const length of [1, 2, 23, 24, 25, 27, 1_000, 65_535, 65_536, 1_048_576]) {
      const bytes = pattern(length, length);
      const [, arrived] = await within(
        `${length} bytes there`,
        Promise.all([nearStream.write(bytes), readExactly(farStream, length)]),
      );
      const [, returned] = await within(
        `${length} bytes back`,
        Promise.all([farStream.write(arrived), readExactly(nearStream, length)]),
      );
      assert.equal(returned, bytes);
    }
  });

  check(
    "read takes the buffer and gives it back whole, filled from its offset",
    async (harness) => {
      const { nearStream, farStream } = await openStream(await connect(harness));
      await nearStream.write(new Uint8Array([7, 8, 9]));
      const into = new Uint8Array(new ArrayBuffer(64), 10, 20);
      const part = await within("three bytes", farStream.read(into));
      assert.is(into.buffer.byteLength, 0, "the buffer passed in is detached");
      assert.equal(part, new Uint8Array([7, 8, 9]));
      assert.is(part!.byteOffset, 10);
      assert.is(part!.buffer.byteLength, 64);
    },
  );

  check("read takes a buffer that was given away already for a bug", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    const into = new Uint8Array(8);
    const reading = farStream.read(into);
    assert.throws(() => nearStream.read(into), /not detached/);
    await nearStream.write(new Uint8Array([5]));
    assert.equal(await reading, new Uint8Array([5]));
  });

  check("read fills no more than the room it was given", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    await nearStream.write(pattern(10, 1));
    const first = await farStream.read(new Uint8Array(4));
    assert.equal(first, pattern(10, 1).subarray(0, 4));
    assert.equal(await readExactly(farStream, 6), pattern(10, 1).subarray(4));
  });

  check("write lets the bytes go once it settles: a later change is not sent", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    const bytes = new Uint8Array(50_000);
    const arriving = readExactly(farStream, 20 * bytes.length);
    for (let round = 0; round < 20; round++) {
      bytes.fill(round);
      await nearStream.write(bytes);
    }
    const whole = await within("all rounds", arriving);
    for (let round = 0; round < 20; round++) {
      const part = whole.subarray(round * bytes.length, (round + 1) * bytes.length);
      assert.ok(part.every((byte) => byte === round), `round ${round}`);
    }
  });

  check("a stream that rested reads, writes and aborts as before", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    for (const round of [1, 2, 3]) {
      nearStream.rest?.();
      nearStream.rest?.();
      await nearStream.write(pattern(100, round));
      assert.equal(await readExactly(farStream, 100), pattern(100, round));
      farStream.rest?.();
      await farStream.write(pattern(50, round));
      assert.equal(await readExactly(nearStream, 50), pattern(50, round));
    }
    nearStream.rest?.();
    const waiting = nearStream.read(new Uint8Array(1));
    nearStream.abort();
    assert.is(await waiting, undefined);
  });

  check("overlapping writes keep their order", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    const writes = [];
    for (let index = 0; index < 200; index++) writes.push(nearStream.write(pattern(7, index)));
    const whole = await within("all writes", readExactly(farStream, 1_400));
    await Promise.all(writes);
    for (let index = 0; index < 200; index++) {
      assert.equal(whole.subarray(index * 7, index * 7 + 7), pattern(7, index));
    }
  });

  check("streams of one session carry their own bytes, however many there are", async (harness) => {
    const ends = await connect(harness);
    const streams = [];
    for (let index = 0; index < STREAMS_PER_SESSION_MAX; index++) {
      streams.push(await openStream(ends));
    }
    await within(
      "all streams",
      Promise.all(streams.map(async ({ nearStream, farStream }, index) => {
        const bytes = pattern(30_000, index);
        const [, arrived] = await Promise.all([
          nearStream.write(bytes),
          readExactly(farStream, bytes.length),
        ]);
        assert.equal(arrived, bytes);
      })),
    );
  });

  check("write waits while the peer does not read, and goes on when it does", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    const chunk = new Uint8Array(1_048_576);
    let taken = 0;
    let waiting: Promise<void> | undefined;
    while (waiting === undefined && taken < 32) {
      const write = nearStream.write(chunk);
      if (await isPending(write, 40)) waiting = write;
      else taken++;
    }
    assert.ok(waiting !== undefined, "32 MB were taken with nobody reading");
    const arriving = readExactly(farStream, (taken + 1) * chunk.length);
    await within("the write that waited", waiting!);
    await within("all bytes", arriving);
  });

  check("abort by the accepting side ends the other's reads and writes", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    const reading = nearStream.read(new Uint8Array(8));
    farStream.abort();
    assert.is(await within("the read's end", reading), undefined);
    assert.is(
      await failure(within("a write", nearStream.write(new Uint8Array(8)))),
      "connection_lost",
    );
  });

  if (adapter.dialerAbortIsSeen) {
    check("abort by the dialing side ends the other's reads and writes", async (harness) => {
      const { nearStream, farStream } = await openStream(await connect(harness));
      const reading = farStream.read(new Uint8Array(8));
      nearStream.abort();
      assert.is(await within("the read's end", reading), undefined);
      assert.is(
        await failure(within("a write", farStream.write(new Uint8Array(8)))),
        "connection_lost",
      );
      await until("no stream is counted", () => harness.listener.stats.streams === 0);
    });
  }

  check("abort ends one's own waiting read, and may be called again", async (harness) => {
    const { nearStream, farStream } = await openStream(await connect(harness));
    for (const stream of [nearStream, farStream]) {
      const reading = stream.read(new Uint8Array(8));
      stream.abort();
      stream.abort();
      assert.is(await within("the read's end", reading), undefined);
      assert.is(await failure(stream.write(new Uint8Array(1))), "connection_lost");
    }
    assert.is(harness.listener.stats.streams, 0);
  });

  check(
    "open is refused beyond the session's limit, and there is room after an abort",
    async (harness) => {
      const { far } = await connect(harness);
      const streams = [await far.open("bulk"), await far.open("bulk")];
      assert.is(far.limits.streamsMax, 2);
      assert.is(await failure(far.open("bulk")), "overloaded");
      streams[0]!.abort();
      await far.open("bulk");
      assert.is(harness.listener.stats.streams, 2);
    },
    { limits: { streamsPerSessionMax: 2 } },
  );

  check("a peer's streams beyond the limit are refused, and the session lives", async (harness) => {
    const { near, far } = await connect(harness);
    const held = await openStream({ near: far, far: near });
    await openStream({ near, far });
    const third = await near.open("request");
    const reading = third.read(new Uint8Array(1));
    void far.accept();
    assert.is(await within("the refusal", reading), undefined);
    assert.is(harness.listener.stats.streamsRefused, 1);
    await held.nearStream.write(new Uint8Array([1]));
    assert.equal(await readExactly(held.farStream, 1), new Uint8Array([1]));
  }, { limits: { streamsPerSessionMax: 2 } });

  check("goodbye tells code and message, and ends everything that waits", async (harness) => {
    const ends = await connect(harness);
    const { nearStream, farStream } = await openStream(ends);
    const accepting = ends.far.accept();
    const reads = [nearStream.read(new Uint8Array(8)), farStream.read(new Uint8Array(8))];
    const codes = reads.map(failure);
    await within(
      "the goodbye",
      ends.near.goodbye("shutting_down", "the night falls", { lingerMs: 0 }),
    );
    assert.equal(await within("the far end", ends.far.closed), {
      by: "peer",
      code: "shutting_down",
      message: "the night falls",
    });
    assert.is((await ends.near.closed).by, "local");
    assert.equal(await within("the reads", Promise.all(codes)), [
      "connection_lost",
      "connection_lost",
    ]);
    assert.is(await within("the accept", accepting), undefined);
    assert.is(await failure(ends.far.open("request")), "connection_lost");
    assert.is(await failure(ends.near.open("request")), "connection_lost");
    assert.is(await ends.near.accept(), undefined);
    assert.is(await failure(farStream.write(new Uint8Array(1))), "connection_lost");
    assert.is(await failure(nearStream.read(new Uint8Array(1))), "connection_lost");
    await until("nothing is counted", () => {
      const { sessions, streams } = harness.listener.stats;
      return sessions === 0 && streams === 0;
    });
  });

  check("goodbye without a code ends well, once, however often it is said", async (harness) => {
    const { near, far } = await connect(harness);
    await Promise.all([
      near.goodbye(undefined, "", { lingerMs: 0 }),
      near.goodbye("internal", "too late"),
    ]);
    near.abort("too late as well");
    await near.goodbye("internal", "much too late");
    assert.equal(await near.closed, { by: "local", code: undefined, message: "" });
    assert.equal(await within("the far end", far.closed), {
      by: "peer",
      code: undefined,
      message: "",
    });
  });

  // Several round trips pass before a new connection may have as much in flight.
  check("goodbye lets the last write arrive, over a long path too", async (harness) => {
    const ends = await connect(harness);
    const { nearStream, farStream } = await openStream(ends, "control");
    harness.delay?.(30);
    const arriving = readExactly(farStream, 100_000);
    void nearStream.write(pattern(100_000, 3));
    const leaving = ends.near.goodbye(undefined, "");
    assert.equal(await within("the last bytes", arriving), pattern(100_000, 3));
    await ends.far.goodbye(undefined, "", { lingerMs: 0 });
    await within("the goodbye, without its whole linger", leaving);
  });

  check("abort ends the session at once, for both sides", async (harness) => {
    const { near, far } = await connect(harness);
    far.abort("no more");
    far.abort("idempotent");
    assert.equal(await far.closed, { by: "local", code: "canceled", message: "no more" });
    const end = await within("the near end", near.closed);
    assert.is(end.by, "peer");
    assert.is(end.code, "canceled");
  });

  check("a very long message is cut, not refused", async (harness) => {
    const { near, far } = await connect(harness);
    await near.goodbye("internal", "ä".repeat(10_000), { lingerMs: 0 });
    const end = await within("the far end", far.closed);
    assert.is(end.code, "internal");
    if (adapter.name !== "memory") assert.is(end.message, "ä".repeat(128));
  });

  check(
    "a peer that vanishes is noticed by both sides, and ends all that waits",
    async (harness) => {
      const ends = await connect(harness);
      const { nearStream, farStream } = await openStream(ends);
      const codes = [nearStream.read(new Uint8Array(8)), farStream.read(new Uint8Array(8))]
        .map(failure);
      const accepting = ends.far.accept();
      harness.sever();
      assert.is((await within("the far end", ends.far.closed)).by, "lost");
      assert.is((await within("the near end", ends.near.closed)).by, "lost");
      assert.equal(await Promise.all(codes), ["connection_lost", "connection_lost"]);
      assert.is(await accepting, undefined);
      assert.is(harness.listener.stats.sessions, 0);
      assert.is(harness.listener.stats.streams, 0);
    },
    { idleMs: 700 },
  );

  check(
    "a session beyond the listener's limit is refused, and there is room after an end",
    async (harness) => {
      const first = await connect(harness);
      await connect(harness);
      assert.is(await failure(harness.dial()), "overloaded");
      assert.is(harness.listener.stats.refused, 1);
      await first.near.goodbye(undefined, "", { lingerMs: 0 });
      await until("the end is counted", () => harness.listener.stats.sessions === 1);
      await connect(harness);
    },
    { limits: { sessionsMax: 2 } },
  );

  check("sessions that nobody accepts are refused beyond the backlog", async (harness) => {
    const first = await harness.dial();
    // Over WebTransport the refusal may come before the dial is done.
    const second = harness.dial().then(async (session) => (await session.closed).code, codeOf);
    const code = await within("the end of the second", second);
    assert.ok(code === "overloaded" || code === "connection_lost", code);
    assert.is(harness.listener.stats.refused, 1);
    const far = await harness.listener.accept();
    assert.ok(await isPending(first.closed));
    await far!.goodbye(undefined, "", { lingerMs: 0 });
  }, { limits: { sessionsBacklogMax: 1 } });

  check("dial ends by its deadline when nobody answers", async (harness) => {
    harness.sever();
    assert.is(await failure(harness.dial({ timeoutMs: 50 })), "deadline_exceeded");
    await lateSessionIsDropped(harness);
  });

  check("dial is given up by its signal, before and while it runs", async (harness) => {
    assert.is(await failure(harness.dial({ signal: AbortSignal.abort() })), "canceled");
    const controller = new AbortController();
    harness.sever();
    const dialing = failure(harness.dial({ signal: controller.signal }));
    assert.ok(await isPending(dialing, 3));
    controller.abort();
    assert.is(await within("the end of the dial", dialing), "canceled");
    await lateSessionIsDropped(harness);
  });

  check(
    "close of the listener ends its sessions and its accept, and refuses new ones",
    async (harness) => {
      const { near } = await connect(harness);
      const accepting = harness.listener.accept();
      await within("the close", harness.listener.close());
      await harness.listener.close();
      const end = await within("the near end", near.closed);
      assert.is(end.by, "peer");
      assert.is(end.code, "shutting_down");
      assert.is(await accepting, undefined);
      assert.is(await harness.listener.accept(), undefined);
      assert.is.not(await failure(harness.dial({ timeoutMs: 300 })), "no error");
    },
  );
}
