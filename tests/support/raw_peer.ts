/**
 * A peer that sends frames by hand: for data that no honest client sends, and for checking replies
 * as they cross the wire.
 */
import { type Hello, requestCodec, type Response, responseCodec } from "../../schemas/gen/wire.ts";
import { FrameWriter, type Input } from "../../schemas/runtime/writer.ts";
import { type ErrorCode, errorCodeFromWire, toRegistryError } from "../../src/base/errors.ts";
import { RESPONSE_FRAME_BYTES_MAX } from "../../src/base/limits.ts";
import {
  type ControlMessage,
  isControlFrame,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
  readControl,
  writeControl,
} from "../../src/wire/control.ts";
import { FrameAssembler } from "../../src/wire/frame_assembler.ts";
import {
  type OperationName,
  OPERATIONS,
  type ReplyOf,
  type RequestOf,
} from "../../src/wire/operations/mod.ts";
import type { Session, Stream } from "../../transport/transport.ts";
import { checkItemCodes } from "./listed_codes.ts";
import type { SteppedWorld } from "./stepped_world.ts";

/** A reply as received. */
export interface RawReply {
  readonly code: "ok" | ErrorCode;
  readonly response: Response;
  /** The body by its operation's schema; `undefined` for a refusal. */
  // deno-lint-ignore no-explicit-any -- a test knows the operation that it called.
  readonly body: any;
  readonly bytes: number;
}

/** Fields of a request besides its body. */
export interface RawOptions {
  readonly timeoutMs?: number;
  readonly maxStalenessMs?: number;
  readonly delegation?: number;
}

/** A Hello that is accepted. */
export const GOOD_HELLO: Hello = {
  versionMin: PROTOCOL_VERSION_MIN,
  versionMax: PROTOCOL_VERSION_MAX,
  features: 0,
  clusterId: new Uint8Array(16),
  region: "",
  agent: "raw",
};

/** Returns the frame of a request. */
export function requestFrame<Name extends OperationName>(
  id: number,
  name: Name,
  body: Input<RequestOf<Name>>,
  { timeoutMs = 0, maxStalenessMs = 0, delegation = 0 }: RawOptions = {},
): Uint8Array {
  const out = new FrameWriter({ bytesMax: 1 << 24 });
  const { id: operation, request } = OPERATIONS[name];
  const header = {
    id,
    timeoutMs,
    maxStalenessMs,
    operation,
    ringEpoch: { generation: 0, number: 0 },
    delegation,
  };
  // deno-lint-ignore no-explicit-any -- the codec of `name` takes the body of `name`.
  requestCodec.write(out, header, request as any, body as any);
  return out.written.slice();
}

/** Returns the frame of a control message. */
export function controlFrame(message: ControlMessage): Uint8Array {
  const out = new FrameWriter({ bytesMax: 1 << 20 });
  writeControl(out, message);
  return out.written.slice();
}

/** A raw peer's session: its first stream, and further request streams if a test opens them. */
export class RawPeer {
  readonly session: Session;
  readonly control: Stream;
  readonly world: SteppedWorld;
  requests: Stream | undefined;
  /** Received control messages, in order. */
  readonly heard: ControlMessage[] = [];
  /** Received replies that do not belong to a call of {@link ask}, in order. */
  readonly replies: RawReply[] = [];
  /** False: replies are left unread. */
  reads = true;
  readonly #names = new Map<number, OperationName>();
  readonly #waiting = new Map<number, (reply: RawReply) => void>();
  /** By request: takes all of its replies. */
  readonly #watching = new Map<number, (reply: RawReply) => void>();
  #nextId = 1;

  constructor(world: SteppedWorld, session: Session, control: Stream) {
    this.world = world;
    this.session = session;
    this.control = control;
    if (control.kind === "control") this.#listen().catch(ended);
  }

  /** The code of the received goodbye; `undefined` if there is none. */
  get goodbye(): "ok" | ErrorCode | undefined {
    for (const message of this.heard) {
      if (message.kind !== "goodbye") continue;
      return message.goodbye.code === 0 ? "ok" : errorCodeFromWire(message.goodbye.code);
    }
    return undefined;
  }

  /** Sends requests on a separate stream from now on, and reads its replies. */
  async openRequests(): Promise<void> {
    this.useRequests(await this.session.open("request"));
  }

  /** Uses a stream that is already open as the request stream. */
  useRequests(stream: Stream): void {
    this.requests = stream;
    this.#readReplies(stream).catch(ended);
  }

  /** Sends a request and waits for its reply. */
  async ask<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    options: RawOptions = {},
  ): Promise<RawReply> {
    return await this.world.wait(this.send(name, body, options));
  }

  /** Like {@link ask}, but returns the body of a success. */
  async must<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    options: RawOptions = {},
  ): Promise<ReplyOf<Name>> {
    const reply = await this.ask(name, body, options);
    if (reply.code === "ok") return reply.body;
    throw new Error(`${name} was refused: ${reply.code}, ${reply.response.message}`);
  }

  /** Sends a request; resolves with its reply. */
  send<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    options: RawOptions = {},
  ): Promise<RawReply> {
    const id = this.#nextId++;
    const answer = this.expect(id, name);
    this.write(requestFrame(id, name, body, options));
    return answer;
  }

  /** Sends a request with many replies, which `take` receives; returns its id. */
  watch<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    take: (reply: RawReply) => void,
    options: RawOptions = {},
  ): number {
    const id = this.#nextId++;
    this.#names.set(id, name);
    this.#watching.set(id, take);
    this.write(requestFrame(id, name, body, options));
    return id;
  }

  /** Resolves with the reply to request `id`, decoded as one of `name`. */
  expect(id: number, name: OperationName): Promise<RawReply> {
    this.#names.set(id, name);
    return new Promise((resolve) => void this.#waiting.set(id, resolve));
  }

  /** Writes bytes to the request stream unchanged. */
  write(bytes: Uint8Array): void {
    (this.requests ?? this.control).write(bytes).catch(ended);
  }

  /** Resumes reading. */
  resume(): void {
    this.reads = true;
    this.#listen().catch(ended);
  }

  async #listen(): Promise<void> {
    const assembler = new FrameAssembler({ frameBytesMax: 1 << 20, segmentsMax: 1 });
    while (this.reads) {
      const chunk = await this.control.read(new Uint8Array(64 * 1024));
      if (chunk === undefined) return;
      assembler.push(chunk, (view, bytes, start, end) => {
        if (!isControlFrame(view, start)) return this.#arrived(view, bytes, start, end);
        const message = readControl(view, bytes, start, end);
        if (message !== undefined) this.heard.push(message);
      });
    }
  }

  async #readReplies(stream: Stream): Promise<void> {
    const assembler = new FrameAssembler({
      frameBytesMax: RESPONSE_FRAME_BYTES_MAX,
      segmentsMax: 1,
    });
    while (this.reads) {
      const chunk = await stream.read(new Uint8Array(64 * 1024));
      if (chunk === undefined) return;
      assembler.push(chunk, (view, bytes, start, end) => this.#arrived(view, bytes, start, end));
    }
  }

  #arrived(view: DataView, bytes: Uint8Array, start: number, end: number): void {
    const response = responseCodec.newView().wrap(view, bytes, start + 8, end);
    const code = response.code === 0 ? "ok" : errorCodeFromWire(response.code);
    const name = this.#names.get(response.id);
    const body = code !== "ok" || name === undefined
      ? undefined
      : response.bodyInto(OPERATIONS[name].reply.newView()).toPlain();
    if (name !== undefined && body !== undefined) checkItemCodes(name, body);
    const reply = { code, response: response.toPlain(), body, bytes: end - start } as const;
    const watching = this.#watching.get(response.id);
    if (watching !== undefined) return watching(reply);
    const resolve = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (resolve === undefined) this.replies.push(reply);
    else resolve(reply);
  }
}

/**
 * Ignores the end of a stream or session, which ends a loop; any other error is a defect of the
 * test.
 */
function ended(error: unknown): void {
  if (toRegistryError(error).code !== "connection_lost") throw error;
}
