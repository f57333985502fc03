/**
 * A scripted registry for tests of the client, over the memory network and a time that tests move
 * by hand. It answers Hello automatically and passes every request to the test, which decides when
 * and how to reply.
 */
import { setImmediate } from "node:timers";
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import {
  type Goodbye,
  homeRegionCodec,
  type Receipt,
  requestCodec,
  responseCodec,
} from "../../../schemas/gen/wire.ts";
import type { StructCodec } from "../../../schemas/runtime/codec.ts";
import type { Input } from "../../../schemas/runtime/writer.ts";
import { type ErrorCode, errorCodeToWire, type ErrorFields } from "../../../src/base/errors.ts";
import { NO_POSITION, type Position } from "../../../src/base/position.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { World } from "../../../src/base/world.ts";
import type { RingMap } from "../../../src/ring/ring_map.ts";
import {
  type ControlMessage,
  isControlFrame,
  PROTOCOL_VERSION_MAX,
  readControl,
  writeControl,
} from "../../../src/wire/control.ts";
import { FrameAssembler, type FrameHandler } from "../../../src/wire/frame_assembler.ts";
import {
  type OperationName,
  operationOfId,
  type ReplyOf,
} from "../../../src/wire/operations/mod.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { MemoryNetwork } from "../../../transport/memory/network.ts";
import { Outbox } from "../../../transport/outbox.ts";
import type { Listener, Session, Stream } from "../../../transport/transport.ts";
import { connect } from "../../../src/client/client.ts";
import type { Client, ClientOptions, ConnectionEvent } from "../../../src/client/types.ts";
import { ManualTime } from "../../support/manual_time.ts";
import { AGENT, type AgentInput } from "../../../src/record/agent.ts";
import { GATEWAY, type GatewayInput } from "../../../src/record/gateway.ts";
import { toStored } from "../../../src/record/stored_form.ts";

export const CLUSTER_ID = new Uint8Array(16).fill(7);
export const AGENT_ID = "11111111-1111-4111-8111-111111111111";
export const GATEWAY_ID = "22222222-2222-4222-8222-222222222222";
export const HOST = "node";
export const PORT = 4100;
/** The operation by which clients probe a silent node. */
const PROBE = "whoAmI";

/** Returns the ring map of the fake. */
export function fakeRingMap(number = 1): RingMap {
  return {
    epoch: { generation: 1, number },
    partitionCount: 8,
    hashKey: new Uint8Array(16),
    nodes: [],
    placements: [{ leader: 1, replicas: [1] }],
  };
}

/** The receipt in the fake's replies, unless a test sets another. */
export const RECEIPT: Receipt = { appliedIndex: 9, term: 2, node: 1, partition: 5, ageBoundMs: 0 };

/** A request that arrived. */
export class FakeRequest {
  readonly id: number;
  readonly name: OperationName;
  readonly timeoutMs: number;
  readonly maxStalenessMs: number;
  // deno-lint-ignore no-explicit-any -- a test knows which operation it asked for.
  readonly body: any;
  /** The session on which it arrived. */
  readonly session: FakeSession;
  readonly atMs: number;

  readonly stream: Stream;
  /** Receives the reply. */
  readonly #replies: Outbox;

  constructor(
    session: FakeSession,
    stream: Stream,
    replies: Outbox,
    [view, bytes, start, end]: Parameters<FrameHandler>,
  ) {
    const request = requestCodec.newView().wrap(view, bytes, start + 8, end);
    this.stream = stream;
    this.#replies = replies;
    const operation = operationOfId(request.operation)!;
    this.session = session;
    this.id = request.id;
    this.name = operation.name as OperationName;
    this.timeoutMs = request.timeoutMs;
    this.maxStalenessMs = request.maxStalenessMs;
    this.body = request.bodyInto(operation.request.newView()).toPlain();
    this.atMs = session.registry.time.nowMs();
  }

  /** Replies with success. */
  reply<Name extends OperationName>(name: Name, body: Input<ReplyOf<Name>>): void {
    this.replyWith([this.session.registry.receipt], name, body);
  }

  /** Replies with success and these receipts. */
  replyWith<Name extends OperationName>(
    receipts: readonly Receipt[],
    name: Name,
    body: Input<ReplyOf<Name>>,
  ): void {
    const response = { ...this.#envelope(), receipts };
    // The codec in the table matches the operation, which the union of all codecs does not express.
    const codec = OPERATIONS[name].reply as StructCodec<unknown>;
    responseCodec.write(this.#replies.writer, response, codec, body);
    this.#replies.flush();
  }

  /** Replies with a refusal. */
  refuse(code: ErrorCode, fields: ErrorFields = {}, message = `It is ${code}`): void {
    const { homeRegion } = fields;
    const response = {
      ...this.#envelope(),
      code: errorCodeToWire(code),
      message,
      field: fields.field ?? "",
      retryAfterMs: fields.retryAfterMs ?? 0,
      cacheMs: fields.cacheMs ?? 0,
      leaderHint: fields.leaderHint ?? 0,
      leaderTerm: fields.leaderTerm ?? 0,
      current: fields.incarnation ?? NO_POSITION,
    };
    const { writer } = this.#replies;
    if (homeRegion === undefined) responseCodec.write(writer, response);
    else responseCodec.write(writer, response, homeRegionCodec, { name: homeRegion });
    this.#replies.flush();
  }

  /** Replies to a get with an agent. */
  replyAgent(input: Partial<AgentInput> = {}, process = 5): void {
    this.reply("getAgent", { record: storedAgentBytes(input, process), remainingMs: 20_000 });
  }

  /** Replies to a register. */
  replyRegistered(
    options: { index?: number; ttlMs?: number; renewAfterMs?: number; created?: boolean } = {},
  ): void {
    const { index = 40, ttlMs = 30_000, renewAfterMs = 10_000, created = true } = options;
    const record = registeredRecord(this);
    this.reply("registerGateway", {
      id: record.id,
      incarnation: { generation: 1, index },
      revision: { generation: 1, index },
      remainingMs: ttlMs,
      renewAfterMs,
      created,
    });
  }

  /** Replies to a renewal of all items except the failures. */
  replyRenewed(
    failures: { position: number; code: ErrorCode; index?: number }[] = [],
    renewAfterMs = 10_000,
  ): void {
    this.reply("renew", {
      renewAfterMs,
      renewed: this.body.items.length - failures.length,
      failures: failures.map(({ position, code, index = 0 }) => ({
        position,
        code: errorCodeToWire(code),
        current: { generation: index === 0 ? 0 : 1, index },
      })),
    });
  }

  #envelope() {
    return {
      id: this.id,
      retryAfterMs: 0,
      cacheMs: 0,
      leaderHint: 0,
      leaderTerm: 0,
      current: NO_POSITION,
      code: 0,
      message: "",
      field: "",
      receipts: [] as Receipt[],
    };
  }
}

/** Returns the decoded record of a register request. */
export function registeredRecord(request: FakeRequest) {
  const codec = request.name === "registerAgent" ? agentCodec : gatewayCodec;
  return codec.decode(request.body.record);
}

/** Returns the stored form of an agent. */
export function storedAgentBytes(
  input: Partial<AgentInput> = {},
  process = 5,
  claim: Position = NO_POSITION,
): Uint8Array {
  const agent = toStored(AGENT, { id: AGENT_ID, region: "global", ...input }, {
    process,
    sequence: 1,
  });
  return agentCodec.encode({ ...agent, claim, incarnation: { generation: 1, index: 40 } });
}

/** Returns the stored form of a gateway. */
export function storedGatewayBytes(input: Partial<GatewayInput> = {}, process = 5): Uint8Array {
  const gateway = toStored(GATEWAY, {
    id: GATEWAY_ID,
    region: "global",
    address: "192.0.2.7",
    port: 4000,
    ...input,
  }, { process, sequence: 1 });
  return gatewayCodec.encode({ ...gateway, incarnation: { generation: 1, index: 41 } });
}

/** One session of the fake. */
export class FakeSession {
  readonly registry: FakeRegistry;
  readonly session: Session;
  control: Outbox | undefined;
  readonly heard: ControlMessage[] = [];

  constructor(registry: FakeRegistry, session: Session) {
    this.registry = registry;
    this.session = session;
  }

  /** Sends a message on the control stream. */
  say(message: ControlMessage): void {
    writeControl(this.control!.writer, message);
    this.control!.flush();
  }

  /** Sends a goodbye; the session stays open until one side ends it. */
  goodbye(code: ErrorCode, fields: Partial<Goodbye> = {}): void {
    const goodbye = { code: errorCodeToWire(code), message: "", retryAfterMs: 0, ...fields };
    this.say({ kind: "goodbye", goodbye });
  }

  /** Ends the session as a lost network would. */
  drop(): void {
    this.session.abort("The test cut it");
  }

  async serve(): Promise<void> {
    for (;;) {
      const stream = await this.session.accept();
      if (stream === undefined) return;
      const outbox = new Outbox(stream, { bytesMax: 4 * 1024 * 1024, onFailure: () => {} });
      if (stream.kind === "control") this.control = outbox;
      this.#follow(stream, (view, bytes, start, end) => {
        if (isControlFrame(view, start)) this.#hear(view, bytes, start, end);
        else this.registry.take(new FakeRequest(this, stream, outbox, [view, bytes, start, end]));
      });
    }
  }

  #hear(view: DataView, bytes: Uint8Array, start: number, end: number): void {
    const message = readControl(view, bytes, start, end)!;
    this.heard.push(message);
    if (message.kind === "goodbye") void this.session.goodbye(undefined, "");
    if (message.kind !== "hello") return;
    const refusal = this.registry.refuseHello;
    if (refusal !== undefined) return this.goodbye(refusal, this.registry.refuseHelloFields);
    if (this.registry.silentHello) return;
    this.say({
      kind: "hello_reply",
      reply: {
        version: PROTOCOL_VERSION_MAX,
        features: 0,
        clusterId: this.registry.clusterId,
        nodeId: this.registry.nodeId,
        region: "global",
        frameBytesMax: 256 * 1024,
        requestsInFlightMax: this.registry.requestsInFlightMax,
        ringMap: this.registry.ringMap(),
      },
    });
  }

  #follow(
    stream: Stream,
    onFrame: (view: DataView, bytes: Uint8Array, start: number, end: number) => void,
  ): void {
    const assembler = new FrameAssembler({ frameBytesMax: 1024 * 1024, segmentsMax: 1 });
    const read = async () => {
      for (;;) {
        const chunk = await stream.read(new Uint8Array(64 * 1024));
        if (chunk === undefined) return;
        assembler.push(chunk, onFrame);
      }
    };
    // The end of a session is no failure of the fake; a frame that does not parse fails the test.
    read().catch((error) => {
      if (error.code !== "connection_lost") throw error;
    });
  }
}

/** The fake, its network and its time. */
export class FakeRegistry {
  readonly time: ManualTime;
  readonly entropy = new SeededEntropy(1);
  readonly world: World;
  readonly network: MemoryNetwork;
  readonly host: string;
  nodeId = 1;
  /** The receipt in its replies. */
  receipt = RECEIPT;
  clusterId: Uint8Array = CLUSTER_ID;
  ringMap: () => RingMap = () => fakeRingMap();
  readonly sessions: FakeSession[] = [];
  /** Requests that no test has taken yet, oldest first; probes are answered and not listed. */
  readonly requests: FakeRequest[] = [];
  /** Replies immediately instead of listing the request; returns true if it did. */
  answer: (request: FakeRequest) => boolean = () => false;
  /** False: the fake is as silent as a stopped process, also towards probes. */
  alive = true;
  requestsInFlightMax = 4_096;
  streamsPerSessionMax: number | undefined;
  refuseHello: ErrorCode | undefined;
  refuseHelloFields: Partial<Goodbye> = {};
  silentHello = false;
  #listener: Listener | undefined;

  /** @param beside another node whose time and network this one shares. */
  constructor(beside?: FakeRegistry, host = HOST) {
    this.time = beside?.time ?? new ManualTime(1_700_000_000_000);
    this.host = host;
    this.world = beside?.world ?? {
      monotonic: this.time,
      wall: this.time,
      scheduler: this.time,
      entropy: this.entropy,
    };
    this.network = beside?.network ?? new MemoryNetwork(this.world);
    this.listen();
  }

  listen(): void {
    const listener = this.network.listen({ host: this.host, port: PORT });
    this.#listener = listener;
    const accept = async () => {
      for (;;) {
        const session = await listener.accept();
        if (session === undefined) return;
        const fake = new FakeSession(this, session);
        this.sessions.push(fake);
        fake.serve().catch((error) => {
          if (error.code !== "connection_lost") throw error;
        });
      }
    };
    void accept();
  }

  /** Stops listening and ends all sessions. */
  async stop(): Promise<void> {
    const closed = this.#listener!.close();
    await this.pass(100);
    await closed;
  }

  take(request: FakeRequest): void {
    if (!this.alive) return;
    if (request.name === PROBE) return request.refuse("internal");
    if (!this.answer(request)) this.requests.push(request);
  }

  /** Returns a connected client. */
  async connect(
    options: ClientOptions = {},
    onConnection: (event: ConnectionEvent) => void = () => {},
  ): Promise<Client> {
    return await this.wait(connect({
      endpoints: [{ host: HOST, port: PORT }],
      dialer: this.network.dialer("client", {
        ...(this.streamsPerSessionMax && { streamsPerSessionMax: this.streamsPerSessionMax }),
      }),
      trust: { kind: "pins", sha256: [] },
      world: this.world,
      options: { onConnection, ...options },
    }));
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet++) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      await new Promise((resolve) => setImmediate(resolve));
      if (this.time.nextDelayMs !== undefined && this.time.nextDelayMs <= 0) {
        this.time.advance(0);
        quiet = -1;
      }
    }
  }

  /** Advances time by `ms`, with everything that happens during that time. */
  async pass(ms: number): Promise<void> {
    await this.settle();
    const endMs = this.time.nowMs() + ms;
    for (;;) {
      const next = this.time.nextDelayMs;
      const leftMs = endMs - this.time.nowMs();
      if (next === undefined || next > leftMs) break;
      this.time.advance(next);
      await this.settle();
    }
    this.time.advance(endMs - this.time.nowMs());
    await this.settle();
  }

  /** Returns the value of `promise`, advancing time as needed, by up to two minutes. */
  async wait<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => void (settled = true);
    promise.then(mark, mark);
    await this.settle();
    for (let ms = 0; !settled && ms < 120_000; ms += 100) await this.pass(100);
    if (!settled) throw new Error("The promise did not settle within two minutes");
    return await promise;
  }

  /** Returns the next request, which must be `name`. */
  async next(name?: OperationName): Promise<FakeRequest> {
    await this.settle();
    const request = this.requests.shift();
    if (request === undefined) throw new Error(`No request arrived: ${name ?? "any"} was expected`);
    if (name !== undefined && request.name !== name) {
      throw new Error(`The next request must be ${name}: it is ${request.name}`);
    }
    return request;
  }
}

/** Returns the error with which `promise` rejects. */
export async function rejection(
  registry: FakeRegistry,
  promise: Promise<unknown>,
): Promise<{ code: ErrorCode; message: string; fields: ErrorFields; cause: unknown }> {
  try {
    await registry.wait(promise);
  } catch (error) {
    const { code, message, fields, cause } = error as {
      code: ErrorCode;
      message: string;
      fields: ErrorFields;
      cause: unknown;
    };
    return { code, message, fields, cause };
  }
  throw new Error("The call must be refused: it was answered");
}
