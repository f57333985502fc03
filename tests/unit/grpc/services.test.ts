/** Health, reflection and the relay registry over streams in memory. */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { AeroRegistry } from "../../../schemas/proto/gen/aeroarc/registry/v1/registry_pb.ts";
import { Health } from "../../../schemas/proto/gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../../../schemas/proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { GRPC_HEALTH_LOOK_MS, RELAY_TTL_MS_DEFAULT } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import type { RegistryCalls } from "../../../src/client/types.ts";
import { GrpcApp } from "../../../src/grpc/app.ts";
import type { GrpcService } from "../../../src/grpc/service.ts";
import { aeroRegistryService } from "../../../src/grpc/services/aero_registry.ts";
import { healthService } from "../../../src/grpc/services/health.ts";
import { reflectionServices } from "../../../src/grpc/services/reflection.ts";
import { ERROR_DETAILS } from "../../../src/grpc/status.ts";
import { openRelayRegistry } from "../../../src/relay/open_relay_registry.ts";
import { FakeCallStream } from "../../support/grpc_stream.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

/** A face with its services in one world. */
class Bed {
  readonly world: SteppedWorld;
  isServing = true;
  readonly #app: GrpcApp;

  static async open(allowsOlderRelays = false): Promise<Bed> {
    const world = new SteppedWorld();
    const relays = await openRelayRegistry("memory:", { world });
    return new Bed(world, aeroRegistryService({ relaysOf: () => relays, allowsOlderRelays }));
  }

  private constructor(world: SteppedWorld, aero: GrpcService) {
    this.world = world;
    const names = [aero.descriptor.typeName];
    const { scheduler } = world;
    const health = healthService({ names, isServing: () => this.isServing, scheduler });
    const services = [aero, health];
    const descriptors = services.map(({ descriptor }) => descriptor);
    this.#app = new GrpcApp({
      services: [...services, ...reflectionServices(descriptors, [ERROR_DETAILS])],
      callers: { take: () => ({ client: {} as RegistryCalls, release() {} }) },
      world,
      logger: SILENT_LOGGER,
    });
  }

  /** Opens a call. */
  begin(path: string): FakeCallStream {
    const stream = new FakeCallStream(path);
    this.#app.serve(stream);
    return stream;
  }

  /** Makes a call of a method and returns its answers, or its status and text. */
  async ask<I extends DescMessage, O extends DescMessage>(
    method: {
      readonly parent: { readonly typeName: string };
      readonly name: string;
      readonly input: I;
      readonly output: O;
    },
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O> | string> {
    const stream = this.begin(`/${method.parent.typeName}/${method.name}`);
    stream.pushMessage(method.input, request);
    stream.finish();
    await this.world.settle();
    return stream.status === 0
      ? stream.answers(method.output)[0]!
      : `${stream.status} ${stream.message}`;
  }
}

const AERO = AeroRegistry.method;
const relay = (relayId: string) => ({ relay: { relayId, address: "10.0.0.5", grpcPort: 50052 } });
const agent = (agentId: string, relayId: string) => ({ agent: { agentId }, relayId });

async function heldBy(bed: Bed, agentId: string): Promise<string | undefined> {
  const answer = await bed.ask(AERO.getAgentPlacement, { agentId });
  return typeof answer === "string" ? answer : answer.placement?.relayId;
}

test("AeroRegistry refuses missing fields in the words that its clients know", async () => {
  const bed = await Bed.open();
  const refusals = [
    [await bed.ask(AERO.registerRelay, {}), "3 Relay is required"],
    [await bed.ask(AERO.registerRelay, relay("")), "3 RelayId is required"],
    [await bed.ask(AERO.registerRelay, { relay: { relayId: "r" } }), "3 Address is required"],
    [await bed.ask(AERO.heartbeatRelay, {}), "3 RelayId is required"],
    [await bed.ask(AERO.registerAgent, {}), "3 RelayId is required"],
    [await bed.ask(AERO.registerAgent, { relayId: "r" }), "3 Agent is required"],
    [await bed.ask(AERO.registerAgent, agent("", "r")), "3 AgentId is required"],
    [await bed.ask(AERO.heartbeatAgent, { relayId: "r" }), "3 AgentId is required"],
    [await bed.ask(AERO.getAgentPlacement, {}), "3 AgentId is required"],
    [await bed.ask(AERO.heartbeatRelay, { relayId: "r" }), "5 relay not registered: not found"],
    [await bed.ask(AERO.registerAgent, agent("a", "r")), "5 relay not registered: not found"],
    [
      await bed.ask(AERO.heartbeatAgent, { agentId: "a", relayId: "r" }),
      "5 agent not registered: not found",
    ],
    [await bed.ask(AERO.getAgentPlacement, { agentId: "a" }), "5 agent not registered: not found"],
  ];
  for (const [found, wanted] of refusals) assert.is(found, wanted);
});

test("AeroRegistry places agents, moves them, and hides those of a relay that ended", async () => {
  const bed = await Bed.open();
  for (const id of ["r2", "r1"]) {
    assert.not.type(await bed.ask(AERO.registerRelay, relay(id)), "string");
  }
  await bed.ask(AERO.registerAgent, agent("a", "r1"));
  assert.is(await heldBy(bed, "a"), "r1");
  await bed.ask(AERO.registerAgent, agent("a", "r2"));
  assert.is(await heldBy(bed, "a"), "r2");
  const late = await bed.ask(AERO.heartbeatAgent, { agentId: "a", relayId: "r1" });
  assert.is(late, "5 agent not registered: not found", "The old relay moves nothing");

  const relays = await bed.ask(AERO.listRelays, {});
  assert.ok(typeof relays !== "string");
  assert.equal(relays.relays.map(({ relayId }) => relayId), ["r1", "r2"]);
  assert.is(relays.relays[0]?.lastHeartbeatUnixMs, BigInt(bed.world.unixMs()));

  await bed.world.pass(RELAY_TTL_MS_DEFAULT - 1);
  await bed.ask(AERO.heartbeatRelay, { relayId: "r1", timestampUnixMs: 5n });
  await bed.ask(AERO.heartbeatAgent, { agentId: "a", relayId: "r2" });
  await bed.world.pass(1);
  assert.is(await heldBy(bed, "a"), "5 agent not registered: not found");
  const agents = await bed.ask(AERO.listAgents, {});
  assert.ok(typeof agents !== "string");
  assert.equal(agents.agents, []);
  await bed.ask(AERO.registerRelay, relay("r2"));
  assert.is(await heldBy(bed, "a"), "5 agent not registered: not found", "another incarnation");
});

test("heartbeats without a relay need the setting for older relays", async () => {
  const strict = await Bed.open();
  assert.match(
    String(await strict.ask(AERO.heartbeatAgent, { agentId: "a" })),
    /^3 .*--older-relays/,
  );
  const bed = await Bed.open(true);
  await bed.ask(AERO.registerRelay, relay("r1"));
  await bed.ask(AERO.registerAgent, agent("a", "r1"));
  assert.not.type(await bed.ask(AERO.heartbeatAgent, { agentId: "a" }), "string");
});

test("calls on conformance are not implemented", async () => {
  const bed = await Bed.open();
  assert.match(String(await bed.ask(AERO.publishConformanceSummary, {})), /^12 /);
  assert.match(String(await bed.ask(AERO.getConformanceSummary, {})), /^12 /);
  assert.match(String(await bed.ask(AERO.batchGetConformanceSummaries, {})), /^12 /);
});

test("health knows the server and each service, and no others", async () => {
  const bed = await Bed.open();
  for (const service of ["", "aeroarc.registry.v1.AeroRegistry"]) {
    const answer = await bed.ask(Health.method.check, { service });
    assert.ok(typeof answer !== "string");
    assert.is(answer.status, 1);
  }
  assert.match(String(await bed.ask(Health.method.check, { service: "x" })), /^5 /);
  bed.isServing = false;
  const list = await bed.ask(Health.method.list, {});
  assert.ok(typeof list !== "string");
  assert.equal(Object.values(list.statuses).map(({ status }) => status), [2, 2]);
});

test("a watch of the health tells changes, and ends with its caller", async () => {
  const bed = await Bed.open();
  const { watch } = Health.method;
  const stream = bed.begin("/grpc.health.v1.Health/Watch");
  stream.pushMessage(watch.input, { service: "" });
  stream.finish();
  await bed.world.pass(3 * GRPC_HEALTH_LOOK_MS);
  bed.isServing = false;
  await bed.world.pass(GRPC_HEALTH_LOOK_MS);
  assert.equal(stream.answers(watch.output).map(({ status }) => status), [1, 2]);
  stream.leave();
  const { timersRun } = bed.world;
  await bed.world.pass(10 * GRPC_HEALTH_LOOK_MS);
  assert.is(bed.world.timersRun, timersRun);
  const unknown = bed.begin("/grpc.health.v1.Health/Watch");
  unknown.pushMessage(watch.input, { service: "x" });
  unknown.finish();
  await bed.world.settle();
  assert.equal(unknown.answers(watch.output).map(({ status }) => status), [3]);
  unknown.leave();
});

for (const version of ["v1", "v1alpha"]) {
  test(`reflection ${version} lists services and describes files and symbols`, async () => {
    const bed = await Bed.open();
    const stream = bed.begin(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);
    const questions: MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"][] = [
      { case: "listServices", value: "*" },
      { case: "fileContainingSymbol", value: "aeroarc.registry.v1.AeroRegistry.RegisterRelay" },
      { case: "fileContainingSymbol", value: "google.rpc.ErrorInfo" },
      { case: "fileByFilename", value: "grpc/health/v1/health.proto" },
      { case: "fileByFilename", value: "no.proto" },
      { case: "allExtensionNumbersOfType", value: "aeroarc.registry.v1.Relay" },
      undefined,
    ];
    for (const messageRequest of questions) {
      stream.pushMessage(
        ServerReflectionRequestSchema,
        messageRequest === undefined ? {} : { messageRequest },
      );
      await bed.world.settle();
    }
    stream.finish();
    await bed.world.settle();
    assert.is(stream.status, 0);
    const found = stream.answers(ServerReflectionResponseSchema)
      .map(({ messageResponse: { case: kind, value } }) => {
        if (kind === "listServicesResponse") return value.service.map(({ name }) => name);
        if (kind === "errorResponse") return value.errorCode;
        if (kind === "allExtensionNumbersResponse") return value.baseTypeName;
        if (kind !== "fileDescriptorResponse") return kind;
        return value.fileDescriptorProto.map((bytes) =>
          fromBinary(FileDescriptorProtoSchema, bytes).name
        );
      });
    assert.equal(found, [
      [
        "aeroarc.registry.v1.AeroRegistry",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
      ],
      ["aeroarc/registry/v1/registry.proto", "aeroarc/conformance/v1/conformance.proto"],
      ["google/rpc/error_details.proto", "google/protobuf/duration.proto"],
      ["grpc/health/v1/health.proto"],
      5,
      "aeroarc.registry.v1.Relay",
      3,
    ]);
  });
}

test.run();
