/** A stream of `node:http2` as a call of the gRPC face uses it. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { CallReceiver, CallStream } from "../grpc/call_stream.ts";
import type { GrpcPeer } from "../grpc/callers.ts";

/** The headers of every answer. */
const ANSWER_HEADERS = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": "identity",
} as const;

/** A stream whose headers have arrived. */
export class Http2CallStream implements CallStream {
  readonly path: string;
  readonly peer: GrpcPeer;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  #trailers: Readonly<Record<string, string>> | undefined;
  readonly #gather: () => void;
  #isBodyComplete = false;

  /** @param gather called before parts of an answer are sent that should leave together. */
  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: GrpcPeer,
    gather: () => void,
  ) {
    this.#gather = gather;
    this.#stream = stream;
    this.#headers = headers;
    this.path = headers[":path"] ?? "";
    this.peer = peer;
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  receive(receiver: CallReceiver): void {
    const stream = this.#stream;
    stream.on("data", (chunk: Uint8Array) => receiver.data(chunk));
    stream.on("end", () => {
      this.#isBodyComplete = true;
      receiver.end();
    });
    stream.on("close", () => receiver.closed());
    // `close` follows.
    stream.on("error", () => {});
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  send(bytes: Uint8Array): boolean {
    const stream = this.#stream;
    if (stream.closed || stream.destroyed) return true;
    this.#sendHeaders();
    return stream.write(bytes);
  }

  drained(): Promise<void> {
    const stream = this.#stream;
    if (stream.closed || stream.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        stream.removeListener("drain", done);
        stream.removeListener("close", done);
        resolve();
      };
      stream.once("drain", done);
      stream.once("close", done);
    });
  }

  end(trailers: Readonly<Record<string, string>>, last?: Uint8Array): void {
    const stream = this.#stream;
    if (stream.closed || stream.destroyed) return;
    this.#gather();
    if (last !== undefined || stream.headersSent) {
      this.#trailers = trailers;
      this.#sendHeaders();
      stream.end(last);
      return;
    }
    stream.respond({ ...ANSWER_HEADERS, ...trailers }, { endStream: true });
    this.#stopBody();
  }

  #sendHeaders(): void {
    const stream = this.#stream;
    if (stream.headersSent) return;
    stream.on("wantTrailers", () => this.#sendTrailers());
    stream.respond(ANSWER_HEADERS, { waitForTrailers: true });
  }

  reset(isTooSlow: boolean): void {
    const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants;
    this.#stream.close(isTooSlow ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_CANCEL);
  }

  #sendTrailers(): void {
    this.#stream.sendTrailers(this.#trailers ?? {});
    this.#stopBody();
  }

  /** Tells a sender whose body is not complete that nobody needs the rest. */
  #stopBody(): void {
    if (!this.#isBodyComplete) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }
}
