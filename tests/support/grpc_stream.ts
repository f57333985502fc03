/** Streams of gRPC in memory: what a test sends, and what the face answers. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { CallReceiver, CallStream } from "../../src/grpc/call_stream.ts";
import type { GrpcPeer } from "../../src/grpc/callers.ts";
import { framed, MessageReader } from "../../src/grpc/messages.ts";

/** A local caller without TLS. */
export const LOCAL_GRPC_PEER: GrpcPeer = { address: "127.0.0.1", isEncrypted: false };

/** A stream whose other end is a test. */
export class FakeCallStream implements CallStream {
  readonly path: string;
  readonly peer: GrpcPeer;
  readonly #headers: Readonly<Record<string, string>>;
  #receiver: CallReceiver | undefined;
  readonly #reader = new MessageReader(Infinity);
  /** The messages that were sent back. */
  readonly sent: Uint8Array[] = [];
  trailers: Readonly<Record<string, string>> | undefined;
  /** How often the trailers were sent. */
  endCount = 0;
  /** Why the face reset the stream. */
  resetBy: "too slow" | "canceled" | undefined;
  isPaused = false;
  /** Whether more may be sent at once. */
  hasRoom = true;
  #drain: (() => void) | undefined;
  readonly #ended = Promise.withResolvers<void>();
  /** Those who wait for a number of answers. */
  readonly #awaited = new Map<number, PromiseWithResolvers<void>>();

  constructor(
    path: string,
    headers: Readonly<Record<string, string>> = {},
    peer: GrpcPeer = LOCAL_GRPC_PEER,
  ) {
    this.path = path;
    this.#headers = headers;
    this.peer = peer;
  }

  header(name: string): string | undefined {
    return this.#headers[name];
  }

  receive(receiver: CallReceiver): void {
    this.#receiver = receiver;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  send(bytes: Uint8Array): boolean {
    this.sent.push(...this.#reader.take(bytes));
    for (const [count, { resolve }] of this.#awaited) if (this.sent.length >= count) resolve();
    return this.hasRoom;
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.#drain = resolve);
  }

  end(trailers: Readonly<Record<string, string>>, last = new Uint8Array()): void {
    this.sent.push(...this.#reader.take(last));
    this.endCount++;
    this.trailers = trailers;
    this.#ended.resolve();
  }

  reset(isTooSlow: boolean): void {
    this.resetBy = isTooSlow ? "too slow" : "canceled";
    this.#ended.resolve();
    this.#receiver?.closed();
    this.#drain?.();
  }

  /** Sends bytes to the face. */
  push(bytes: Uint8Array): void {
    this.#receiver?.data(bytes);
  }

  /** Sends a message. */
  pushMessage<I extends DescMessage>(schema: I, message: MessageInitShape<I>): void {
    this.push(framed(toBinary(schema, create(schema, message))));
  }

  /** Ends the body. */
  finish(): void {
    this.#receiver?.end();
  }

  /** Ends the stream, as a caller that leaves does. */
  leave(): void {
    this.#receiver?.closed();
    this.#drain?.();
  }

  /** Resolves when the face has ended the stream. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Resolves when so many answers were sent, or when the stream has ended. */
  answered(count: number): Promise<void> {
    if (this.sent.length >= count) return Promise.resolve();
    const awaited = Promise.withResolvers<void>();
    this.#awaited.set(count, awaited);
    return Promise.race([awaited.promise, this.ended]);
  }

  /** Makes room. */
  takeAll(): void {
    this.#drain?.();
  }

  /** Returns the answers. */
  answers<O extends DescMessage>(schema: O): MessageShape<O>[] {
    return this.sent.map((bytes) => fromBinary(schema, bytes));
  }

  /** The number of the status; `undefined` while the call lasts. */
  get status(): number | undefined {
    const { "grpc-status": status } = this.trailers ?? {};
    return status === undefined ? undefined : Number(status);
  }

  get message(): string {
    return decodeURIComponent(this.trailers?.["grpc-message"] ?? "");
  }
}
