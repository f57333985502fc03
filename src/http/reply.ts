/**
 * Requests and answers as the face reads and writes them: the few parts of `Request` and `Response`
 * that it uses, so that a listener does not have to build the rest.
 */

/** A request. A `Request` is one. */
export interface HttpRequest {
  readonly method: string;
  /** Absolute; its host is not looked at. */
  readonly url: string;
  readonly headers: { get(name: string): string | null };
  readonly body: ReadableStream<Uint8Array> | null;
  /** Ends when the caller is gone. */
  readonly signal: AbortSignal;
}

/** The head of a request: enough for an answer that is in memory. */
export type HttpRequestHead = Pick<HttpRequest, "method" | "url" | "headers">;

/** An answer. */
export interface HttpReply {
  readonly status: number;
  /** By lower-case names; with the length of the body if that is known. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | StreamBody | undefined;
}

/** A body that is sent piece by piece, by whoever makes it. */
export interface StreamBody {
  /** Starts sending, once. */
  start(sink: StreamSink): void;
  /** The sink has room again, after it was full. */
  drained(): void;
  /** The reader is gone, or the sink was ended. Idempotent. */
  close(): void;
}

/** Where a body is sent. */
export interface StreamSink {
  /** Sends a piece. Returns false if it is full then: nothing more is to be sent until it has drained. */
  write(piece: Uint8Array): boolean;
  /** Nothing follows. */
  end(): void;
}

/** An answer that is no stream. */
export interface WholeReply extends HttpReply {
  readonly body: string | Uint8Array | undefined;
}

/** Returns an answer as a `Response`. */
export function responseOf({ status, headers, body }: HttpReply): Response {
  const sent = typeof body === "object" && "start" in body ? readableOf(body) : body;
  return new Response((sent ?? null) as BodyInit | null, { status, headers });
}

function readableOf(body: StreamBody): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start: (controller) =>
      body.start({
        write: (piece) => {
          controller.enqueue(piece);
          return (controller.desiredSize ?? 0) > 0;
        },
        end: () => controller.close(),
      }),
    pull: () => body.drained(),
    cancel: () => body.close(),
  });
}

/** Returns the path of a request as it was received, without the query. */
export function pathOf(request: Pick<HttpRequest, "url">): string {
  const target = targetOf(request);
  const end = target.indexOf("?");
  return end === -1 ? target : target.slice(0, end);
}

/** Returns the path of a request and its query, as they were received. */
export function targetOf({ url }: Pick<HttpRequest, "url">): string {
  return url.slice(url.indexOf("/", url.indexOf("//") + 2));
}

/** Returns the query of a request; `undefined` if it has none. */
export function queryOf({ url }: Pick<HttpRequest, "url">): URLSearchParams | undefined {
  const start = url.indexOf("?");
  return start === -1 ? undefined : new URLSearchParams(url.slice(start));
}
