/**
 * The client's decoders on hostile replies: for any bytes a call gets a value or a coded error, in
 * a number of steps bounded by the size of the frame.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as fc from "fast-check";
import { agentCodec, gatewayCodec } from "../../schemas/gen/record.ts";
import { responseCodec } from "../../schemas/gen/wire.ts";
import type { StructCodec } from "../../schemas/runtime/codec.ts";
import { FrameWriter } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { SeededEntropy } from "../../src/base/prng.ts";
import type { Decode } from "../../src/client/call.ts";
import { GetCalls } from "../../src/client/calls/get.ts";
import { ListCalls } from "../../src/client/calls/list.ts";
import { StatusCalls } from "../../src/client/calls/node.ts";
import { OwnCalls } from "../../src/client/calls/own.ts";
import { RegisterCalls } from "../../src/client/calls/register.ts";
import { ResolveCalls } from "../../src/client/calls/resolve.ts";
import type { CallOptions } from "../../src/client/call_options.ts";
import { Deadline } from "../../src/client/deadline.ts";
import type { Invoker } from "../../src/client/invoker.ts";
import { OwnershipSequence } from "../../src/client/ownership.ts";
import { type OperationName, OPERATIONS } from "../../src/wire/operations/mod.ts";
import { AGENT } from "../../src/record/agent.ts";
import { GATEWAY } from "../../src/record/gateway.ts";
import { toStored } from "../../src/record/stored_form.ts";
import { cases } from "../support/cases.ts";

const ID = "11111111-1111-4111-8111-111111111111";
const ID_BYTES = new Uint8Array(16).fill(0x11);
const PLACE = { generation: 1, index: 9 };
const STAMP = { process: 5, sequence: 1 };
const INPUT = { id: ID, region: "r1", domain: "a.example", labels: { tier: "gold" } };
const AGENT_BYTES = agentCodec.encode(toStored(AGENT, { ...INPUT, gatewayId: ID }, STAMP));
const GATEWAY_BYTES = gatewayCodec.encode(
  toStored(GATEWAY, { ...INPUT, address: "192.0.2.1", port: 4000 }, STAMP),
);

const REGISTERED = {
  id: ID_BYTES,
  incarnation: PLACE,
  revision: PLACE,
  remainingMs: 1,
  renewAfterMs: 1,
  created: true,
};
const RESOLVED = {
  agent: AGENT_BYTES,
  gateway: GATEWAY_BYTES,
  agentId: ID_BYTES,
  gatewayId: ID_BYTES,
  agentRemainingMs: 1,
  gatewayRemainingMs: 1,
  agentPart: 1,
  gatewayPart: 1,
  claim: PLACE,
};
const RECEIPTS = [{ appliedIndex: 1, term: 1, node: 1, partition: 1, ageBoundMs: 0 }];

/** Whole replies, as a registry would write them. */
const BODIES: Readonly<Partial<Record<OperationName, unknown>>> = {
  getAgent: { record: AGENT_BYTES, remainingMs: 5 },
  getGateway: { record: GATEWAY_BYTES, remainingMs: 5 },
  resolveAgent: RESOLVED,
  resolveAgents: { items: [{ reply: RESOLVED, code: 0, cacheMs: 0, receipts: RECEIPTS }] },
  listAgentsByRegion: { items: [{ record: AGENT_BYTES, remainingMs: 1 }], nextCursor: ID_BYTES },
  listGatewaysByRegion: {
    items: [{ record: GATEWAY_BYTES, remainingMs: 1 }],
    nextCursor: ID_BYTES,
  },
  registerAgent: REGISTERED,
  registerMany: { items: [{ ...REGISTERED, code: 0, message: "" }] },
  renew: { renewAfterMs: 1, renewed: 0, failures: [{ position: 0, code: 9, current: PLACE }] },
  report: { revision: PLACE },
  deregisterGateway: { removed: 1 },
  getRingMap: {
    epoch: { generation: 1, number: 1 },
    partitionCount: 8,
    hashKey: ID_BYTES,
    nodes: [],
    placements: [{ leader: 1, replicas: [1] }],
  },
};

function segmentOf(name: OperationName): Uint8Array {
  const out = new FrameWriter({ bytesMax: 64 * 1024 });
  const envelope = {
    id: 1,
    retryAfterMs: 0,
    cacheMs: 0,
    leaderHint: 0,
    leaderTerm: 0,
    current: PLACE,
    code: 0,
    message: "",
    field: "",
    receipts: RECEIPTS,
  };
  const codec = OPERATIONS[name].reply as StructCodec<unknown>;
  responseCodec.append(out, envelope, codec, BODIES[name] as never);
  return out.written.slice();
}

/** Answers every call with the stored segment. */
class OneReply implements Invoker {
  segment: Uint8Array = new Uint8Array(8);
  deadline(options: CallOptions): Deadline {
    return new Deadline({ nowMs: () => 0 }, options, 1_000);
  }
  invoke<T>(_name: OperationName, _body: unknown, decode: Decode<T>): Promise<T> {
    const { segment } = this;
    const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
    return new Promise((resolve) => {
      const response = responseCodec.newView().wrap(view, segment, 0, segment.length);
      resolve(decode(response, view, segment));
    });
  }
}

const invoker = new OneReply();
const ownership = new OwnershipSequence(new SeededEntropy(1));
const get = new GetCalls(invoker);
const list = new ListCalls(invoker);
const own = new OwnCalls(invoker, ownership, get);
const resolve = new ResolveCalls(invoker, get);
const register = new RegisterCalls(invoker, ownership, {
  clock: { nowMs: () => 0 },
  timeoutMs: 1_000,
});
const item = { kind: "agent", id: ID, incarnation: PLACE } as const;
const CALLS: readonly [OperationName, () => Promise<unknown>][] = [
  ["getAgent", () => get.agent(ID)],
  ["getAgent", async () => (await get.agentStored(ID)).decode()],
  ["getGateway", () => get.gateway(ID)],
  ["resolveAgent", () => resolve.agent("a.example")],
  ["resolveAgents", () => resolve.agents(["a.example"])],
  ["listAgentsByRegion", () => list.agents("r1")],
  ["listGatewaysByRegion", () => list.gateways("r1")],
  ["registerAgent", () => register.one({ kind: "agent", agent: INPUT })],
  ["registerMany", () => register.many([{ kind: "agent", agent: INPUT }])],
  ["renew", () => own.renew([item])],
  ["report", () => own.report("agent", ID, { incarnation: PLACE, draining: true })],
  ["deregisterGateway", () => own.deregisterHeld("gateway", ID, PLACE, true)],
  ["getRingMap", () => new StatusCalls(invoker).ringMap()],
];

/** Reports whether a call returned a value; a coded error is accepted, any other fails the test. */
async function settles(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    assert.ok(["malformed", "not_found"].includes(error.code), `${error.code}: ${error.message}`);
    return false;
  }
}

test("every call reads the reply that a registry would write", async () => {
  for (const [name, call] of CALLS) {
    invoker.segment = segmentOf(name);
    assert.ok(await settles(call), name);
  }
});

test("every call settles with a value or a coded error on a mutated reply", async () => {
  for (const [name, call] of CALLS) {
    const good = segmentOf(name);
    const mutation = fc.record({
      at: fc.nat(good.length - 1),
      byte: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 6 }), async (mutations) => {
        invoker.segment = good.slice();
        for (const { at, byte } of mutations) invoker.segment[at] = byte;
        await settles(call);
      }),
      { numRuns: cases(400), seed: 7 },
    );
  }
});

test("every call settles with a value or a coded error on any words", async () => {
  const words = fc.array(fc.oneof(fc.constant(0), fc.nat(16), fc.integer()), {
    minLength: 2,
    maxLength: 64,
  });
  for (const [, call] of CALLS) {
    await fc.assert(
      fc.asyncProperty(words, async (values) => {
        const bytes = new Uint8Array((values.length & ~1) * 4);
        const view = new DataView(bytes.buffer);
        for (let index = 0; index < (values.length & ~1); index++) {
          view.setInt32(index * 4, values[index]!, true);
        }
        invoker.segment = bytes;
        await settles(call);
      }),
      { numRuns: cases(300), seed: 8 },
    );
  }
});

test.run();
