/** Requests to other nodes: one stream a node, opened again after it ended, and bounded in time and number. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  requestCodec,
  responseCodec,
  systemReadPointReplyCodec,
} from "../../../schemas/gen/wire.ts";
import { FrameWriter } from "../../../schemas/runtime.ts";
import { errorCodeToWire, RegistryError } from "../../../src/base/errors.ts";
import { NODE_REQUESTS_IN_FLIGHT_MAX, REQUEST_FRAME_BYTES_MAX } from "../../../src/base/limits.ts";
import { NodeRequests } from "../../../src/node/node_requests.ts";
import { FrameAssembler } from "../../../src/wire/frame_assembler.ts";
import { MemoryNetwork } from "../../../transport/memory/network.ts";
import type { Session, Stream } from "../../../transport/transport.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** Reaction of the asked node to a request: the index that it answers, a refusal, or silence. */
type Answer = number | RegistryError | "silence";

/** Two nodes: this one asks, and the other answers as a test says. */
class Harness {
  readonly world = new SteppedWorld(1);
  readonly requests: NodeRequests;
  /** Streams that were opened to the other node. */
  readonly opened: Stream[] = [];
  answer: (id: number) => Answer = () => 7;
  #session: Session | undefined;

  constructor() {
    const { monotonic, scheduler, entropy } = this.world;
    const network = new MemoryNetwork({ monotonic, scheduler, entropy }, { delayMsMin: 1 });
    const listener = network.listen({ host: "other", port: 1 });
    void this.#serve(() => listener.accept());
    const dialer = network.dialer("self");
    this.requests = new NodeRequests({
      world: this.world,
      open: async () => {
        this.#session ??= await dialer.dial({ host: "other", port: 1 }, {
          trust: { kind: "ca", pem: [] },
        });
        const stream = await this.#session.open("request");
        this.opened.push(stream);
        return stream;
      },
    });
  }

  /** The outcome of a request: the index of its reply, or the code of its failure. */
  async ask(timeoutMs = 1_000): Promise<number | string> {
    const asked = this.requests.call(2, "systemReadPoint", {}, timeoutMs);
    return await this.world.wait(
      asked.then(({ appliedIndex }) => appliedIndex, (error: RegistryError) => error.code),
      60_000,
    );
  }

  async #serve(accept: () => Promise<Session | undefined>): Promise<void> {
    const session = await accept();
    for (;;) {
      const stream = await session?.accept();
      if (stream === undefined) return;
      this.#replies(stream).catch(() => {});
    }
  }

  async #replies(stream: Stream): Promise<void> {
    const limits = { frameBytesMax: REQUEST_FRAME_BYTES_MAX, segmentsMax: 1 };
    const assembler = new FrameAssembler(limits);
    for (;;) {
      const chunk = await stream.read(new Uint8Array(64 * 1024));
      if (chunk === undefined) return;
      assembler.push(chunk, (view, bytes, start, end) => {
        const { id } = requestCodec.newView().wrap(view, bytes, start + 8, end);
        const answer = this.answer(id);
        if (answer === "silence") return;
        const out = new FrameWriter({ bytesMax: 4_096 });
        const code = typeof answer === "number" ? 0 : errorCodeToWire(answer.code);
        const header = { ...EMPTY_RESPONSE, id, code };
        if (typeof answer !== "number") responseCodec.write(out, header);
        else {
          responseCodec.write(out, header, systemReadPointReplyCodec, { appliedIndex: answer });
        }
        stream.write(out.written.slice()).catch(() => {});
      });
    }
  }
}

const EMPTY_RESPONSE = {
  ...{ retryAfterMs: 0, cacheMs: 0, leaderHint: 0, leaderTerm: 0 },
  current: { generation: 0, index: 0 },
  ...{ message: "", field: "", receipts: [] },
};

test("NodeRequests sends all requests to a node on one stream, and matches replies by id", async () => {
  const harness = new Harness();
  harness.answer = (id) => 100 + id;
  const replies = await Promise.all([1, 2, 3].map(() => harness.ask()));
  assert.is(new Set(replies).size, 3);
  assert.is(harness.opened.length, 1);
});

test("NodeRequests tells a refusal by its code, and that the time is up", async () => {
  const harness = new Harness();
  harness.answer = () => new RegistryError("not_leader", "another one leads");
  assert.is(await harness.ask(), "not_leader");
  harness.answer = () => "silence";
  const startMs = harness.world.nowMs();
  assert.is(await harness.ask(2_000), "deadline_exceeded");
  assert.ok(harness.world.nowMs() - startMs < 3_000);
  harness.answer = () => 9;
  assert.is(await harness.ask(), 9, "the stream goes on");
  assert.is(harness.opened.length, 1);
});

test("NodeRequests loses what was in flight when the stream ends, and opens another one", async () => {
  const harness = new Harness();
  harness.answer = () => "silence";
  const lost = harness.ask(10_000);
  await harness.world.pass(50);
  harness.opened[0]!.abort();
  assert.is(await lost, "connection_lost");
  harness.answer = () => 5;
  assert.is(await harness.ask(), 5);
  assert.is(harness.opened.length, 2);
});

test("NodeRequests refuses more than may be in flight, without sending them", async () => {
  const harness = new Harness();
  harness.answer = () => "silence";
  const many = Array.from({ length: NODE_REQUESTS_IN_FLIGHT_MAX + 1 }, () => harness.ask(2_000));
  const codes = await Promise.all(many);
  assert.is(codes.filter((code) => code === "overloaded").length, 1);
  assert.is(codes.filter((code) => code === "deadline_exceeded").length, many.length - 1);
});

test.run();
