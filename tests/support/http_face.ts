/** The HTTP face in memory: requests are given to its handler directly, without a socket. */
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import type { World } from "../../src/base/world.ts";
import { HttpApp, type HttpAppOptions } from "../../src/http/app.ts";
import type { CallerClient } from "../../src/faces/caller_client.ts";
import { type GovernedReader, GovernedSource } from "../../src/faces/governed_source.ts";
import type { HttpPeer } from "../../src/http/callers.ts";
import type { FaceClient } from "../../src/faces/node_condition.ts";
import { RegistryHarness } from "./registry_harness.ts";
import { SteppedWorld } from "./stepped_world.ts";

/** A local caller over plain HTTP. */
export const LOCAL_PEER: HttpPeer = { address: "127.0.0.1", scheme: "http:" };

/** A request as a test writes it. */
export interface FaceRequest {
  /** Sent as JSON, unless it is text or bytes. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly peer?: HttpPeer;
}

/** An answer. */
export interface FaceAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The document; undefined if it is none. */
  // deno-lint-ignore no-explicit-any -- tests read documents of all shapes.
  readonly json: any;
}

/** An app and the world that it runs in. */
export class HttpFace {
  readonly app: HttpApp;
  readonly #wait: <T>(promise: Promise<T>) => Promise<T>;

  constructor(
    options:
      & Omit<HttpAppOptions, "world" | "logger" | "callers" | "client" | "governed">
      & Partial<HttpAppOptions>
      & {
        /** Acts for all callers, unless there are others. */
        readonly client: FaceClient & CallerClient;
        /** Reads the governed plane. Default: the client. */
        readonly governedReader?: GovernedReader;
      },
    world: World & Partial<Pick<SteppedWorld, "wait">> = new SteppedWorld(),
  ) {
    const { client, callers = { take: () => ({ client, release() {} }) } } = options;
    const { governedReader = client } = options;
    const more = { callers, governed: new GovernedSource(governedReader, world) };
    this.app = new HttpApp({ logger: SILENT_LOGGER, world, ...options, ...more });
    this.#wait = world.wait === undefined
      ? (promise) => promise
      : (promise) => world.wait!(promise);
  }

  /** Returns the response to a request, without reading it. */
  open(method: string, path: string, request: FaceRequest = {}): Promise<Response> {
    const { body, headers = {}, signal, peer = LOCAL_PEER } = request;
    const isRaw = typeof body === "string" || body instanceof Uint8Array ||
      body instanceof ReadableStream;
    const sent = body === undefined ? undefined : isRaw ? body : JSON.stringify(body);
    return this.#wait(this.app.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers: {
          host: "localhost:9402",
          ...(body === undefined || isRaw ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(sent === undefined ? {} : { body: sent as BodyInit }),
        ...(signal === undefined ? {} : { signal }),
      }),
      peer,
    ));
  }

  /** Returns the whole answer to a request. */
  async ask(method: string, path: string, request: FaceRequest = {}): Promise<FaceAnswer> {
    const response = await this.open(method, path, request);
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    const json = isJson && text !== "" ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, json };
  }
}

/** A face before a real registry in the same process. */
export interface RegistryFace {
  readonly harness: RegistryHarness;
  readonly face: HttpFace;
}

/** Opens a registry with a client and a face. */
export async function openRegistryFace(
  options: Omit<Partial<HttpAppOptions>, "client"> = {},
): Promise<RegistryFace> {
  // Signatures are verified by threads of the runtime, for which time must wait.
  const harness = await RegistryHarness.open();
  const client = await harness.client();
  return { harness, face: new HttpFace({ ...options, client }, harness.world) };
}
