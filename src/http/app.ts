/**
 * The HTTP face of the registry: a `fetch` handler over the SDK's client. It holds no state that
 * another front does not have; each request is admitted, checked against its description
 * (route.ts), handled, and answered with its correlation id.
 *
 * Heads and connections are bounded by the listener (src/front).
 */
import { Hono } from "hono";
import { defined } from "../base/assert.ts";
import { HTTP_ANSWER_MS_MAX, HTTP_IN_FLIGHT_MAX, HTTP_STREAMS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import { RegistryError } from "../base/errors.ts";
import type { World } from "../base/world.ts";
import { SharedTimers } from "../client/shared_timers.ts";
import type { HttpCallers, HttpPeer, TakenClient } from "./callers.ts";
import { commonHeaders, replyOf } from "./answer_reply.ts";
import { CORRELATION_HEADER, RequestIds } from "./correlation.ts";
import {
  errorEnvelope,
  headTooLarge,
  type HttpError,
  noRoom,
  noRoute,
  otherMethod,
  toHttpError,
} from "./errors.ts";
import { EventStream } from "./event_stream.ts";
import type { GovernedSource } from "../faces/governed_source.ts";
import { Heartbeats } from "./heartbeats.ts";
import { HttpMetrics } from "./metrics.ts";
import { type FaceClient, NodeCondition } from "../faces/node_condition.ts";
import { checkOrigin } from "./origin_check.ts";
import { QuickRoutes } from "./quick_routes.ts";
import {
  type HttpReply,
  type HttpRequest,
  type HttpRequestHead,
  pathOf,
  queryOf,
  responseOf,
  targetOf,
  type WholeReply,
} from "./reply.ts";
import { readJsonBody } from "./request_body.ts";
import { Seeders } from "./seeders.ts";
import {
  type AnswerFacts,
  checkedBody,
  checkedParameters,
  type HttpRoute,
  type RouteAnswer,
  type RouteMethod,
} from "./route.ts";
import { JSON_TYPE, jsonText } from "./json_text.ts";
import { banRoutes } from "./routes/bans.ts";
import { documentRoutes } from "./routes/documents.ts";
import { governedRoutes } from "./routes/governed.ts";
import { healthRoutes } from "./routes/health.ts";
import { identityRoutes } from "./routes/identity.ts";
import { mapsRoutes } from "./routes/maps.ts";
import { nodeRoutes } from "./routes/node.ts";
import { recordRoutes } from "./routes/records.ts";
import { trustRoutes } from "./routes/trust.ts";
import { watchRoute } from "./routes/watch.ts";

/** Options of {@link HttpApp}. */
export interface HttpAppOptions {
  /** The client of this face itself, which asks for the node's condition. */
  readonly client: FaceClient;
  /** Gives each caller the client that acts for it. */
  readonly callers: HttpCallers;
  /** The governed plane. */
  readonly governed: GovernedSource;
  readonly world: World;
  readonly logger: Logger;
  /** Lower-case host names by which the face is reached, besides `localhost` and addresses. */
  readonly hostNames?: readonly string[];
  /** Returns metrics of other faces in the Prometheus text format, which are shown with its own. */
  readonly moreMetrics?: () => Promise<string>;
  /** Limits; see src/base/limits/http.ts for their defaults. */
  readonly readCache?: number;
  readonly inFlightMax?: number;
  readonly streamsMax?: number;
  readonly answerMsMax?: number;
}

/** A request on its way through the app. */
interface Call {
  readonly peer: HttpPeer;
  readonly requestId: string;
  readonly startedMs: number;
  /** The path of its route; a word if it has none. */
  route: string;
  isRefused: boolean;
  readonly method: string;
  /** Whether it waits for news, which is no latency. */
  isWait: boolean;
  /** Logged with the route and the status. */
  facts: AnswerFacts;
}

/** A request on its way through the router. */
interface RoutedCall extends Call {
  readonly request: HttpRequest;
  /** Set by the route. */
  reply: HttpReply | undefined;
}

type Environment = { readonly Bindings: RoutedCall };

/** The route of requests that have none. */
const NO_ROUTE = "none";
/** The same result of every route for the router, which ignores it: the answer is in the call. */
const REPLIED = new Response(null);

/** The face. */
export class HttpApp {
  readonly #options: HttpAppOptions;
  readonly #hono: Hono<Environment>;
  readonly #metrics: HttpMetrics;
  readonly #hostNames: readonly string[];
  readonly #ids: RequestIds;
  readonly #deadlines: SharedTimers;
  readonly #answerMsMax: number;
  readonly #quick: QuickRoutes;
  readonly #heartbeats: Heartbeats;
  #inFlight = 0;
  #streams = 0;
  /** All routes, in the order of the documents. */
  readonly routes: readonly HttpRoute[];

  constructor(options: HttpAppOptions) {
    this.#options = options;
    this.#hostNames = (options.hostNames ?? []).map((name) => name.toLowerCase());
    const { world, answerMsMax = HTTP_ANSWER_MS_MAX } = options;
    this.#ids = new RequestIds(world.entropy);
    this.#answerMsMax = answerMsMax;
    this.#heartbeats = new Heartbeats(world.scheduler);
    this.#deadlines = new SharedTimers(world);
    this.#metrics = new HttpMetrics([
      ["requests_in_flight", "Requests being answered.", () => this.#inFlight],
      ["event_streams", "Open event streams.", () => this.#streams],
    ], options.moreMetrics);
    const node = new NodeCondition(options.client, options.world.monotonic);
    const routes = [
      ...recordRoutes("gateway", node),
      ...recordRoutes("agent", node),
      ...nodeRoutes(node),
      watchRoute(),
      ...governedRoutes(options.governed, this.#metrics, options.readCache),
      ...identityRoutes(),
      ...banRoutes(options.world.wall),
      ...trustRoutes(),
      ...mapsRoutes(new Seeders(options.client, world.monotonic), node),
      ...healthRoutes("", node, this.#metrics),
      ...healthRoutes("/v1/registry", node, this.#metrics),
    ];
    this.routes = [...routes, ...documentRoutes(routes)];
    this.#hono = this.#router();
    this.#quick = new QuickRoutes(this.routes);
  }

  /** Ends what the app does by itself; requests in progress keep their deadlines. */
  close(): void {
    this.#deadlines.close();
  }

  /** Answers a request. Never rejects. */
  async fetch(request: Request, peer: HttpPeer): Promise<Response> {
    return responseOf(await this.answer(request, peer));
  }

  /** Answers a request as {@link fetch} does. */
  async answer(request: HttpRequest, peer: HttpPeer): Promise<HttpReply> {
    const call: RoutedCall = { ...this.#begin(request, peer), request, reply: undefined };
    try {
      this.#checkOrigin(request, peer);
      // The router reads method and URL only.
      await this.#hono.fetch(request as Request, call);
    } catch (error) {
      call.reply = this.#refusal(call, error);
    }
    const reply = defined(call.reply, "Every route replies");
    this.#finish(call, reply.status);
    return reply;
  }

  /**
   * Answers a request from memory, as {@link answer} would. Returns undefined if {@link answer} must be
   * asked, which also makes all refusals. Never throws.
   */
  quick(request: HttpRequestHead, peer: HttpPeer): WholeReply | undefined {
    const { method, headers } = request;
    if (method !== "GET" && method !== "HEAD") return undefined;
    const { callers, inFlightMax = HTTP_IN_FLIGHT_MAX } = this.#options;
    if (this.#inFlight >= inFlightMax) return undefined;
    try {
      const target = targetOf(request);
      const found = this.#quick.find(target);
      if (found === undefined) return undefined;
      const call = this.#begin(request, peer);
      this.#checkOrigin(request, peer);
      const authorization = headers.get("authorization");
      const taken = callers.take({ peer, authorization, method, path: target });
      taken.release();
      const context = { client: taken.client, header: (name: string) => headers.get(name) };
      const answer = found.route.atOnce!(found.path, context);
      if (answer === undefined) return undefined;
      call.route = found.route.path;
      call.facts = answer.facts ?? {};
      const reply = replyOf(found.route, answer, call);
      this.#finish(call, reply.status);
      return reply;
    } catch {
      // The request is refused; the ordinary path finds the same and answers it.
      return undefined;
    }
  }

  /** Returns the answer to a request whose head is too large to be read. */
  refuseHead(peer: HttpPeer): WholeReply {
    const call = this.#begin(UNREAD_HEAD, peer);
    const reply = this.#refusal(call, headTooLarge());
    this.#finish(call, reply.status);
    return reply;
  }

  #begin({ method, headers }: Pick<HttpRequestHead, "method" | "headers">, peer: HttpPeer): Call {
    return {
      peer,
      requestId: this.#ids.of(headers.get(CORRELATION_HEADER)),
      startedMs: this.#options.world.monotonic.nowMs(),
      route: NO_ROUTE,
      isRefused: false,
      method,
      isWait: false,
      facts: {},
    };
  }

  /** @throws HttpError Forbidden. */
  #checkOrigin({ headers }: HttpRequestHead, { scheme }: HttpPeer): void {
    checkOrigin({
      scheme,
      host: headers.get("host"),
      origin: headers.get("origin"),
      fetchSite: headers.get("sec-fetch-site"),
    }, this.#hostNames);
  }

  #router(): Hono<Environment> {
    const hono = new Hono<Environment>();
    const methods = new Map<string, RouteMethod[]>();
    for (const route of this.routes) {
      // A tile's name has slashes.
      const path = route.path.replace("{tile}", ":tile{.+}").replace(/\{(\w+)\}/g, ":$1");
      hono.on(route.method, path, async ({ req, env }) => {
        env.reply = await this.#serve(route, req.param(), env);
        return REPLIED;
      });
      methods.set(path, [...methods.get(path) ?? [], route.method]);
    }
    const refuse = (call: RoutedCall, error: unknown) => {
      call.reply = this.#refusal(call, error);
      return REPLIED;
    };
    for (const [path, allowed] of methods) {
      hono.all(path, ({ env }) => refuse(env, otherMethod(allowed)));
    }
    hono.notFound(({ env }) => refuse(env, noRoute()));
    hono.onError((error, { env }) => refuse(env, error));
    return hono;
  }

  async #serve(
    route: HttpRoute,
    path: Readonly<Record<string, string>>,
    call: RoutedCall,
  ): Promise<HttpReply> {
    const { request } = call;
    call.route = route.path;
    const { inFlightMax = HTTP_IN_FLIGHT_MAX, streamsMax = HTTP_STREAMS_MAX } = this.#options;
    if (this.#inFlight >= inFlightMax) throw noRoom("Too many requests are in flight");
    if (route.isStream && this.#streams >= streamsMax) throw noRoom("Too many streams are open");
    this.#inFlight++;
    try {
      const parameters = checkedParameters(route, path, queryOf(request));
      call.isWait = (parameters.query as { readonly wait?: unknown }).wait !== undefined;
      const body = route.method === "GET"
        ? undefined
        : checkedBody(route, await readJsonBody(request, this.#options.world.scheduler));
      return await this.#answered(route, { ...parameters, body }, call);
    } finally {
      this.#inFlight--;
    }
  }

  /** Handles a request with the client of its caller, which a stream keeps until its end. */
  async #answered(
    route: HttpRoute,
    input: Parameters<HttpRoute["handle"]>[0],
    call: RoutedCall,
  ): Promise<HttpReply> {
    const { request } = call;
    let taken: TakenClient | undefined;
    const take = () =>
      taken ??= this.#options.callers.take({
        peer: call.peer,
        authorization: request.headers.get("authorization"),
        method: request.method,
        path: pathOf(request),
      });
    let isStream = false;
    try {
      const answer = await this.#handled(route, input, call, take);
      call.facts = answer.facts ?? {};
      isStream = answer.body instanceof EventStream && call.method !== "HEAD";
      return this.#reply(route, answer, call, () => taken?.release());
    } finally {
      if (!isStream) taken?.release();
    }
  }

  /** Runs the handler until it is done, its time is over, or the caller is gone. */
  async #handled(
    route: HttpRoute,
    input: Parameters<HttpRoute["handle"]>[0],
    call: RoutedCall,
    take: () => TakenClient,
  ): Promise<RouteAnswer> {
    const { request } = call;
    // A handler that listens to the signal only now would not hear that it has ended.
    if (request.signal.aborted) throw new RegistryError("canceled", "The caller has left");
    const ending = new AbortController();
    const leave = () => ending.abort();
    let isLate = false;
    const deadline = this.#deadlines.after(this.#answerMsMax, () => {
      isLate = true;
      leave();
    });
    request.signal.addEventListener("abort", leave);
    try {
      return await route.handle(input, {
        // Routes that act for nobody do not read it.
        get client() {
          return take().client;
        },
        signal: ending.signal,
        header: (name) => request.headers.get(name),
        baseUrl: `${call.peer.scheme}//${request.headers.get("host")}`,
        requestId: call.requestId,
      });
    } catch (error) {
      if (!isLate) throw error;
      throw new RegistryError(
        "deadline_exceeded",
        `The answer must be known within ${this.#answerMsMax} ms: it was not`,
        {},
        error,
      );
    } finally {
      deadline.cancel();
      request.signal.removeEventListener("abort", leave);
    }
  }

  /** @param onEnd called when a stream has ended. */
  #reply(
    route: HttpRoute,
    answer: RouteAnswer,
    call: Call,
    onEnd: () => void,
  ): HttpReply {
    const { body } = answer;
    if (!(body instanceof EventStream)) return replyOf(route, answer, call);
    const reply = replyOf(route, { ...answer, body: undefined }, call);
    const headers = { ...reply.headers, "content-type": "text/event-stream; charset=utf-8" };
    if (call.method === "HEAD") {
      body.discard();
      return { ...reply, headers };
    }
    this.#streams++;
    const stream = body.open({
      heartbeats: this.#heartbeats,
      errorEvent: (error) => ({ event: "error", data: this.#envelope(call, toHttpError(error)) }),
      ended: () => {
        this.#streams--;
        onEnd();
      },
      lagged: () => this.#metrics.lagged(route.path),
    });
    return { ...reply, headers, body: stream };
  }

  #refusal(call: Call, thrown: unknown): WholeReply {
    const error = toHttpError(thrown);
    this.#metrics.rejected(error);
    call.isRefused = true;
    const document = jsonText(this.#envelope(call, error));
    return {
      status: error.status,
      headers: { ...commonHeaders(call), "content-type": JSON_TYPE, ...error.headers },
      body: call.method === "HEAD" ? undefined : document,
    };
  }

  /** Returns the envelope of an error; logs a bug, whose message the caller is not shown. */
  #envelope(call: Call, error: HttpError) {
    const { world, logger } = this.#options;
    if (error.reason === "internal") {
      const facts = { ...factsOf(call), error: error.cause ?? error };
      logger.error("A request failed by a fault of the front", facts);
    }
    return errorEnvelope(error, { requestId: call.requestId, nowMs: world.wall.unixMs() });
  }

  #finish(call: Call, status: number): void {
    const { logger, world } = this.#options;
    const { route, method, isWait } = call;
    const seconds = (world.monotonic.nowMs() - call.startedMs) / 1_000;
    // A method that no route has could be any word.
    const known = METHODS.includes(method) ? method : "other";
    this.#metrics.finished({ route, method: known, status, seconds, isWait });
    const facts = { ...factsOf(call), method: known, status, ...call.facts };
    if (status >= 500 && call.isRefused) logger.warn("A request was not served", facts);
    else if (method === "GET" || method === "HEAD") logger.debug("A request was answered", facts);
    else logger.info("A request was answered", facts);
  }
}

const UNREAD_HEAD = { method: "unread", headers: { get: () => null } };
const METHODS: readonly string[] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

function factsOf({ requestId, peer, route }: Call) {
  return { request_id: requestId, peer_addr: peer.address, route };
}
