/** The gRPC face over streams in memory: calls, their ends, and their bounds. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  AeroRegistry,
  GetAgentPlacementRequestSchema,
  GetAgentPlacementResponseSchema,
} from "../../../schemas/proto/gen/aeroarc/registry/v1/registry_pb.ts";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from "../../../schemas/proto/gen/grpc/health/v1/health_pb.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  GRPC_CALL_MS_MAX,
  GRPC_REQUEST_BYTES_MAX,
  GRPC_UNTAKEN_MS_MAX,
} from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import type { RegistryCalls } from "../../../src/client/types.ts";
import { GrpcApp, type GrpcAppOptions } from "../../../src/grpc/app.ts";
import { type CallContext, implement, type ServiceFunctions } from "../../../src/grpc/service.ts";
import { FakeCallStream } from "../../support/grpc_stream.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const PLACEMENT = "/aeroarc.registry.v1.AeroRegistry/GetAgentPlacement";
const WATCH = "/grpc.health.v1.Health/Watch";
const refuseCall = () => {
  throw new RegistryError("internal", "not of this test");
};
const REFUSING = Object.fromEntries(
  [...AeroRegistry.methods, ...Health.methods].map(({ localName }) => [localName, refuseCall]),
);

interface Bed {
  readonly world: SteppedWorld;
  readonly app: GrpcApp;
}

/** Opens a face whose methods are some functions; all others fail. */
function open(
  placement: ServiceFunctions<typeof AeroRegistry>["getAgentPlacement"],
  options: Partial<GrpcAppOptions> = {},
  watch?: ServiceFunctions<typeof Health>["watch"],
): Bed {
  const world = new SteppedWorld();
  const aero = { ...REFUSING, getAgentPlacement: placement } as unknown as ServiceFunctions<
    typeof AeroRegistry
  >;
  const health = {
    ...REFUSING,
    ...(watch === undefined ? {} : { watch }),
  } as unknown as ServiceFunctions<
    typeof Health
  >;
  const app = new GrpcApp({
    services: [implement(AeroRegistry, aero), implement(Health, health)],
    callers: { take: () => ({ client: {} as RegistryCalls, release() {} }) },
    world,
    logger: SILENT_LOGGER,
    ...options,
  });
  return { world, app };
}

const ECHO = ({ agentId }: { readonly agentId: string }) => ({ placement: { agentId } });

/** Makes a complete unary call. */
function call(
  app: GrpcApp,
  headers: Record<string, string> = {},
  path = PLACEMENT,
): FakeCallStream {
  const stream = new FakeCallStream(path, headers);
  app.serve(stream);
  stream.pushMessage(GetAgentPlacementRequestSchema, { agentId: "a" });
  stream.finish();
  return stream;
}

test("a unary call is answered with one message and OK", async () => {
  const { world, app } = open(ECHO);
  const stream = call(app);
  await world.settle();
  assert.is(stream.status, 0);
  const [answer] = stream.answers(GetAgentPlacementResponseSchema);
  assert.is(answer?.placement?.agentId, "a");
  assert.is(stream.sent.length, 1);
  const metrics = await app.metrics.render();
  assert.match(
    metrics,
    /grpc_server_handled_total\{grpc_service="aeroarc.registry.v1.AeroRegistry",grpc_method="GetAgentPlacement",grpc_code="OK"\} 1/,
  );
  assert.match(metrics, /grpc_calls_in_flight 0/);
});

test("a method that does not exist is UNIMPLEMENTED, and counted under one name", async () => {
  const { app } = open(ECHO);
  assert.is(call(app, {}, "/no.Such/Method").status, 12);
  assert.match(await app.metrics.render(), /grpc_service="unknown",grpc_method="unknown"/);
});

test("a compressed request is UNIMPLEMENTED", () => {
  assert.is(call(open(ECHO).app, { "grpc-encoding": "gzip" }).status, 12);
});

test("malformed requests are INVALID_ARGUMENT", () => {
  const { app } = open(ECHO);
  const faults: Record<string, (stream: FakeCallStream) => void> = {
    "has no message": (stream) => stream.finish(),
    "ends within a message": (stream) => {
      stream.push(Uint8Array.of(0, 0));
      stream.finish();
    },
    "must be a aeroarc": (stream) => {
      stream.push(Uint8Array.of(0, 0, 0, 0, 2, 0x0a, 0xff));
      stream.finish();
    },
    "has more than one message": (stream) => {
      stream.push(new Uint8Array(10));
    },
  };
  for (const [message, fault] of Object.entries(faults)) {
    const stream = new FakeCallStream(PLACEMENT);
    app.serve(stream);
    fault(stream);
    assert.equal([stream.status, stream.endCount], [3, 1], message);
    assert.ok(stream.message.includes(message), stream.message);
  }
  assert.is(call(app, { "grpc-timeout": "soon" }).status, 3);
});

test("a request that is too large ends by its length alone", () => {
  const { app } = open(ECHO);
  const stream = new FakeCallStream(PLACEMENT);
  app.serve(stream);
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setUint32(1, GRPC_REQUEST_BYTES_MAX + 1);
  stream.push(prefix);
  assert.is(stream.status, 8);
});

test("the deadline ends the call and its work", async () => {
  let context: CallContext | undefined;
  const { world, app } = open((_request, given) => {
    context = given;
    return new Promise(() => {});
  });
  const stream = call(app, { "grpc-timeout": "250m" });
  await world.settle();
  assert.is(context?.timeoutMs, 250);
  await world.pass(249);
  assert.equal([stream.status, context?.signal.aborted], [undefined, false]);
  await world.pass(1);
  assert.equal([stream.status, context?.signal.aborted], [4, true]);
});

test("a deadline beyond the limit of unary calls is that limit", async () => {
  let context: CallContext | undefined;
  const { world, app } = open((_request, given) => {
    context = given;
    return new Promise(() => {});
  });
  const stream = call(app, { "grpc-timeout": "99999999H" });
  await world.settle();
  assert.is(context?.timeoutMs, GRPC_CALL_MS_MAX);
  await world.pass(GRPC_CALL_MS_MAX);
  assert.is(stream.status, 4);
});

test("a deadline that has passed is refused without work", async () => {
  let isRun = false;
  const { world, app } = open(() => {
    isRun = true;
    return {};
  });
  const stream = new FakeCallStream(PLACEMENT, { "grpc-timeout": "0S" });
  app.serve(stream);
  await world.pass(1);
  stream.pushMessage(GetAgentPlacementRequestSchema, { agentId: "a" });
  stream.finish();
  await world.settle();
  assert.equal([stream.status, isRun], [4, false]);
});

test("a caller that leaves ends the work of its call", async () => {
  let signal: AbortSignal | undefined;
  let releases = 0;
  const { world, app } = open((_request, context) => {
    signal = context.signal;
    void context.client;
    return new Promise(() => {});
  }, { callers: { take: () => ({ client: {} as RegistryCalls, release: () => releases++ }) } });
  const stream = call(app);
  await world.settle();
  stream.leave();
  assert.is(signal?.aborted, true);
  assert.is((signal?.reason as RegistryError).code, "canceled");
  assert.is(releases, 1);
  assert.match(await app.metrics.render(), /grpc_code="CANCELLED"\} 1/);
});

test("calls above the limit are refused with a time to come back", async () => {
  let finish = () => {};
  const { world, app } = open(() => new Promise((resolve) => finish = () => resolve({})), {
    inFlightMax: 1,
  });
  const first = call(app);
  const second = call(app);
  assert.is(second.status, 8);
  assert.ok(second.trailers?.["grpc-status-details-bin"] !== undefined);
  finish();
  await world.settle();
  assert.is(first.status, 0);
  call(app);
  finish();
});

test("streams above their limit are refused, and leave room for unary calls", async () => {
  const { world, app } = open(ECHO, { inFlightMax: 2, streamsMax: 1 }, async function* () {
    yield { status: 1 };
    await new Promise(() => {});
  });
  const watch = () => {
    const stream = new FakeCallStream(WATCH);
    app.serve(stream);
    stream.pushMessage(HealthCheckRequestSchema, {});
    stream.finish();
    return stream;
  };
  const [first, second] = [watch(), watch()];
  const unary = call(app);
  await world.settle();
  assert.equal([first.status, second.status, unary.status], [undefined, 8, 0]);
  first.leave();
  const third = watch();
  await world.settle();
  assert.equal([third.status, third.sent.length], [undefined, 1]);
});

test("answers that are not taken are bounded, and one that was taken makes room", async () => {
  // An answer has ten bytes.
  const { world, app } = open(ECHO, { untakenBytesMax: 15 });
  const first = call(app);
  await world.settle();
  const second = call(app);
  await world.settle();
  assert.equal([first.status, second.status, second.sent.length], [0, 8, 0]);
  first.leave();
  const third = call(app);
  await world.settle();
  assert.is(third.status, 0);
});

test("an answer that is not taken by the deadline is given up, and makes room", async () => {
  const { world, app } = open(ECHO, { untakenBytesMax: 15 });
  const [patient, hasty] = [call(app), call(app, { "grpc-timeout": "1S" })];
  await world.settle();
  assert.equal([patient.status, hasty.status], [0, 8]);
  await world.pass(GRPC_CALL_MS_MAX - 1);
  assert.equal([patient.resetBy, hasty.resetBy], [undefined, undefined]);
  await world.pass(1);
  assert.is(patient.resetBy, "too slow");
  const third = call(app, { "grpc-timeout": "1S" });
  await world.settle();
  third.leave();
  await world.pass(1_000);
  assert.equal([third.status, third.resetBy], [0, undefined], "it was taken");
});

test("the end of a stream of answers that is not taken in time is given up", async () => {
  const { world, app } = open(ECHO, {}, async function* () {
    yield { status: 1 };
  });
  const watch = () => {
    const stream = new FakeCallStream(WATCH);
    app.serve(stream);
    stream.pushMessage(HealthCheckRequestSchema, {});
    stream.finish();
    return stream;
  };
  const [left, taken] = [watch(), watch()];
  await world.settle();
  assert.equal([left.status, taken.status], [0, 0]);
  taken.leave();
  await world.pass(GRPC_UNTAKEN_MS_MAX - 1);
  assert.is(left.resetBy, undefined);
  await world.pass(1);
  assert.equal([left.resetBy, taken.resetBy], ["too slow", undefined]);
});

test("requests that never arrive keep nobody out: the oldest is given up", async () => {
  const { world, app } = open(ECHO, { incompleteMax: 2 });
  const [first, second, third] = [0, 1, 2].map(() => new FakeCallStream(PLACEMENT));
  for (const stream of [first, second, third]) app.serve(stream!);
  assert.equal([first!.status, second!.status, third!.status], [8, undefined, undefined]);
  const whole = call(app);
  await world.settle();
  assert.equal([whole.status, second!.status], [0, 8]);
  third!.pushMessage(GetAgentPlacementRequestSchema, { agentId: "a" });
  third!.finish();
  await world.settle();
  assert.is(third!.status, 0);
});

test("errors of the registry keep code, text and details", async () => {
  const { world, app } = open(() => {
    throw new RegistryError("not_found", "agent not registered: not found");
  });
  const stream = call(app);
  await world.settle();
  assert.equal([stream.status, stream.message], [5, "agent not registered: not found"]);
});

test("a stream of answers is sent as its reader takes it, and ends with it", async () => {
  let isOver = false;
  const { world, app } = open(ECHO, {}, async function* () {
    try {
      for (let count = 0; count < 10; count++) yield { status: 1 };
    } finally {
      isOver = true;
    }
  });
  const stream = new FakeCallStream(WATCH);
  stream.hasRoom = false;
  app.serve(stream);
  stream.pushMessage(HealthCheckRequestSchema, {});
  stream.finish();
  await world.settle();
  assert.is(stream.sent.length, 1, "The reader has not taken the first");
  stream.takeAll();
  await world.settle();
  assert.is(stream.answers(HealthCheckResponseSchema).length, 2);
  stream.leave();
  await world.settle();
  assert.equal([isOver, stream.sent.length], [true, 2]);
});

/** Opens a stream of one large answer after the other, whose reader takes none. */
async function untaken(headers: Record<string, string>, options: Partial<GrpcAppOptions> = {}) {
  const bed = open(ECHO, options, async function* () {
    for (;;) yield { status: 1 };
  });
  const stream = new FakeCallStream(WATCH, headers);
  stream.hasRoom = false;
  bed.app.serve(stream);
  stream.pushMessage(HealthCheckRequestSchema, {});
  stream.finish();
  await bed.world.settle();
  return { ...bed, stream };
}

test("a reader that takes nothing in time loses its stream, and is told to slow down", async () => {
  const { world, app, stream } = await untaken({});
  await world.pass(GRPC_UNTAKEN_MS_MAX - 1);
  assert.is(stream.resetBy, undefined);
  await world.pass(1);
  assert.equal([stream.resetBy, stream.endCount, stream.sent.length], ["too slow", 0, 1]);
  assert.match(
    await app.metrics.render(),
    /grpc_method="Watch",grpc_code="RESOURCE_EXHAUSTED"\} 1/,
  );
  assert.match(await app.metrics.render(), /grpc_calls_in_flight 0/);
});

test("a deadline resets a stream whose trailers would wait behind untaken answers", async () => {
  const { world, stream } = await untaken({ "grpc-timeout": "1S" });
  await world.pass(1_000);
  assert.equal([stream.resetBy, stream.endCount], ["canceled", 0]);
});

test("untaken answers of streams count against the memory for answers, until they are taken", async () => {
  const { world, app, stream } = await untaken({}, { untakenBytesMax: 10 });
  // A message of 2 bytes has a prefix of 5.
  const another = new FakeCallStream(WATCH);
  another.hasRoom = false;
  app.serve(another);
  another.pushMessage(HealthCheckRequestSchema, {});
  another.finish();
  await world.settle();
  assert.equal([another.status, another.sent.length], [8, 0]);
  stream.leave();
  await world.settle();
  assert.is(call(app).status, undefined, "being answered");
  await world.settle();
});

test.run();
