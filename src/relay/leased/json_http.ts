/**
 * Requests to a server that answers in JSON. Answers are bounded, and come with the server's time; error
 * statuses, and whether a request may be repeated, are the caller's business.
 */
import { concatBytes } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  RELAY_ANSWER_BYTES_MAX,
  RELAY_CALLS_MAX,
  RELAY_HTTP_REQUESTS_MAX,
} from "../../base/limits.ts";
import { excerptOf, senseless } from "../foreign_answer.ts";
import type { BackendCall } from "../relay_backend.ts";
import type { HttpAddress } from "../relay_url.ts";
import { RequestTurns } from "./request_turns.ts";

/** Sends a request: `fetch`, or a server in the same process. */
export type SendRequest = (request: Request) => Promise<Response>;

/** An answer. */
export interface JsonAnswer {
  readonly status: number;
  readonly text: string;
  /** The server's time, whole seconds in ms. */
  readonly unixMs: number;
}

/** A client of one server. */
export class JsonHttp {
  readonly name: string;
  readonly #origin: string;
  readonly #send: SendRequest;
  readonly #turns = new RequestTurns({
    runningMax: RELAY_HTTP_REQUESTS_MAX,
    // A call has two at most.
    waitingMax: 2 * RELAY_CALLS_MAX,
  });

  constructor({ name, origin }: HttpAddress, send: SendRequest) {
    this.name = name;
    this.#origin = origin;
    this.#send = send;
  }

  /** Sends a request. Rejects with the signal's reason, `connection_lost` or `internal`. */
  async request(
    method: "POST" | "PUT",
    path: string,
    body: unknown,
    { signal }: BackendCall,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<JsonAnswer> {
    try {
      return await this.#turns.run(signal, async () => {
        const request = new Request(this.#origin + path, {
          method,
          headers: { "content-type": "application/json", ...headers },
          body: body === undefined ? null : JSON.stringify(body),
          // A redirect could lead anywhere.
          redirect: "manual",
          signal,
        });
        return await answerOf(await this.#send(request));
      });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RegistryError) throw error;
      throw new RegistryError(
        "connection_lost",
        `${this.name} cannot be reached: ${wordsOf(error)}`,
      );
    }
  }
}

async function answerOf(response: Response): Promise<JsonAnswer> {
  const bytes = await boundedBody(response);
  const unixMs = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(unixMs)) throw senseless("dated");
  return { status: response.status, text: new TextDecoder().decode(bytes), unixMs };
}

async function boundedBody({ body }: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early cancels the body.
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > RELAY_ANSWER_BYTES_MAX) {
      throw senseless(`at most ${RELAY_ANSWER_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  return concatBytes(chunks);
}

/** Returns what an error of `fetch` says; the reason is often its cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return excerptOf(String(error));
  return excerptOf(error.cause instanceof Error ? error.cause.message : error.message);
}
