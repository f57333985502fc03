/** A session over a fake connection: when it takes streams of its peer, and how it ends. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PREFACE_SOON_MS } from "../../../src/base/limits.ts";
import type { BytePair } from "../../../transport/carrier_stream.ts";
import {
  type Carrier,
  type CarrierOwner,
  CarrierSession,
  type CarrierSessionOwner,
} from "../../../transport/carrier_session.ts";
import { newListenerStats } from "../../../transport/admission.ts";
import { prefaceOf } from "../../../transport/preface.ts";
import { ManualTime } from "../../support/manual_time.ts";

const NO_HEADER = new Uint8Array(0);

/** A connection whose peer opens streams when the test says so. */
class FakeCarrier implements Carrier {
  readonly header = NO_HEADER;
  /** How often another pair was asked for. */
  asked = 0;
  owner: CarrierOwner | undefined;
  readonly #pairs: ReadableStream<BytePair>;
  #arrive: ((pair: BytePair) => void) | undefined;

  constructor() {
    this.#pairs = new ReadableStream({
      pull: (controller) => {
        this.asked++;
        return new Promise((resolve) => {
          this.#arrive = (pair) => {
            controller.enqueue(pair);
            resolve();
          };
        });
      },
    }, { highWaterMark: 0 });
  }

  open(): Promise<BytePair> {
    return Promise.reject(new Error("No stream is opened here"));
  }

  incoming(): ReadableStream<BytePair> {
    return this.#pairs;
  }

  watch(owner: CarrierOwner): void {
    this.owner = owner;
  }

  close(): void {}

  /** Opens a stream of the peer, of whose preface `bytes` arrive. */
  arrive(bytes: number): void {
    const readable = new ReadableStream<Uint8Array<ArrayBuffer>>({
      type: "bytes",
      start: (controller) => {
        if (bytes > 0) controller.enqueue(prefaceOf("request", NO_HEADER).slice(0, bytes));
      },
    });
    this.#arrive!({ readable, writable: new WritableStream() });
  }
}

function connected() {
  const time = new ManualTime(0);
  const carrier = new FakeCarrier();
  const ended: CarrierSession[] = [];
  const owner: CarrierSessionOwner = {
    limits: { streamsMax: 4 },
    prefaceMsMax: undefined,
    scheduler: time,
    onError: (_, error) => {
      throw error;
    },
    stats: newListenerStats(),
    sessionEnded: (session) => void ended.push(session),
  };
  const session = new CarrierSession(carrier, owner, {
    id: 1,
    transport: "quic",
    remoteAddress: "127.0.0.1:1",
  });
  return { time, carrier, session, ended };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
}

test("a session takes no stream of its peer while none is awaited", async () => {
  const { carrier, session } = connected();
  await settled();
  assert.is(carrier.asked, 0);
  const first = session.accept();
  await settled();
  carrier.arrive(24);
  assert.is((await first)?.kind, "request");
  await settled();
  assert.is(carrier.asked, 1, "nobody waits for a second one");
  const second = session.accept();
  await settled();
  assert.is(carrier.asked, 2);
  carrier.arrive(24);
  assert.ok(await second);
});

test("an incomplete preface holds up the streams behind it for a moment only", async () => {
  const { time, carrier, session } = connected();
  const accepted = session.accept();
  await settled();
  carrier.arrive(23);
  await settled();
  assert.is(carrier.asked, 1);
  time.advance(PREFACE_SOON_MS);
  await settled();
  assert.is(carrier.asked, 2);
  carrier.arrive(24);
  assert.ok(await accepted);
});

test("the end is told to its owner and to everybody who asks, before or after", async () => {
  const { carrier, session, ended } = connected();
  const before = session.closed;
  const accepted = session.accept();
  carrier.owner!.connectionClosed({ closeCode: 0, reason: "bye" });
  assert.equal(ended, [session]);
  assert.is(await accepted, undefined);
  assert.equal(await before, { by: "peer", code: undefined, message: "bye" });
  assert.is(session.closed, before);
  assert.is(await session.accept(), undefined);
  const lost = connected();
  lost.carrier.owner!.connectionLost(new Error("timed out"));
  assert.equal(await lost.session.closed, {
    by: "lost",
    code: "connection_lost",
    message: "timed out",
  });
});

test.run();
