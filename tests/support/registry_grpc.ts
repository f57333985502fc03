/** The service `crs.v1.Registry` over streams in memory, in front of a real registry in the same process. */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import * as assert from "uvu/assert";
import { Registry } from "../../schemas/proto/gen/crs/v1/registry_pb.ts";
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import type { World } from "../../src/base/world.ts";
import type { CallerClient } from "../../src/faces/caller_client.ts";
import { GovernedSource } from "../../src/faces/governed_source.ts";
import { GrpcApp } from "../../src/grpc/app.ts";
import { registryService } from "../../src/grpc/registry/registry_service.ts";
import { FakeCallStream } from "./grpc_stream.ts";
import { RegistryHarness } from "./registry_harness.ts";
import type { SteppedWorld } from "./stepped_world.ts";

/** A method of the service. */
interface Method<I extends DescMessage, O extends DescMessage> {
  readonly name: string;
  readonly input: I;
  readonly output: O;
}

/** A face with the service. */
export class RegistryGrpc {
  readonly app: GrpcApp;
  readonly #world: World & Pick<SteppedWorld, "wait">;

  constructor(client: CallerClient, world: World & Pick<SteppedWorld, "wait">) {
    this.#world = world;
    const governed = new GovernedSource(client, world);
    this.app = new GrpcApp({
      services: [registryService({ region: () => Promise.resolve("global"), governed })],
      callers: { take: () => ({ client, release() {} }) },
      world,
      logger: SILENT_LOGGER,
    });
  }

  /** Begins a call whose request is complete. */
  begin<I extends DescMessage, O extends DescMessage>(
    { name, input }: Method<I, O>,
    request: MessageInitShape<I>,
    headers: Readonly<Record<string, string>> = {},
  ): FakeCallStream {
    const stream = new FakeCallStream(`/${Registry.typeName}/${name}`, headers);
    this.app.serve(stream);
    stream.pushMessage(input, request);
    stream.finish();
    return stream;
  }

  /** Returns the answer to a call that must succeed. */
  async ask<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const answers = await this.all(method, request);
    assert.is(answers.length, 1);
    return answers[0]!;
  }

  /** Returns all answers of a call that must succeed. */
  async all<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>[]> {
    const stream = this.begin(method, request);
    await this.#world.wait(stream.ended);
    assert.is(stream.status, 0, `${method.name}: ${stream.message}`);
    return stream.answers(method.output);
  }

  /** Returns the status and the text of a call that must be refused. */
  async refused<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
  ): Promise<string> {
    const stream = this.begin(method, request);
    await this.#world.wait(stream.ended);
    assert.is.not(stream.status, 0, `${method.name} was not refused`);
    return `${stream.status} ${stream.message}`;
  }

  /** Returns the next answers of a stream that was begun, once there are so many in all. */
  async answers<O extends DescMessage>(
    stream: FakeCallStream,
    output: O,
    count: number,
  ): Promise<MessageShape<O>[]> {
    await this.#world.wait(stream.answered(count));
    assert.ok(stream.sent.length >= count, `it ended: ${stream.status} ${stream.message}`);
    return stream.answers(output);
  }
}

/** A face over a registry in the same process. */
export interface OpenRegistryGrpc {
  readonly face: RegistryGrpc;
  readonly harness: RegistryHarness;
}

/** Opens a face over a registry in the same process. */
export async function openRegistryGrpc(): Promise<OpenRegistryGrpc> {
  const harness = await RegistryHarness.open();
  return { harness, face: new RegistryGrpc(await harness.client(), harness.world) };
}
