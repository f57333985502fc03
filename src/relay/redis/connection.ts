/**
 * One connection to Redis that reconnects by itself and runs scripts.
 *
 * A script is sent only while the connection is open and its call is in progress: nothing is queued for
 * later or sent again, because a placement that arrives after its call ended could undo a newer one. A
 * call without a connection waits for the outcome of the current attempt to connect.
 */
import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { RegistryError } from "../../base/errors.ts";
import {
  RELAY_ANSWER_BYTES_MAX,
  RELAY_CONNECT_MS,
  RELAY_RECONNECT_MS_BASE,
  RELAY_RECONNECT_MS_CAP,
  RELAY_SILENCE_MS,
} from "../../base/limits.ts";
import type { Entropy } from "../../base/world.ts";
import type { BackendCall } from "../relay_backend.ts";
import type { RedisAddress } from "../relay_url.ts";
import { redisRefusal } from "./refusals.ts";

/** A connection to Redis. */
export class RedisConnection {
  readonly #redis: Redis;
  readonly #name: string;
  readonly #hashes = new Map<string, string>();
  /** Resolves when the connection is open, rejects when an attempt failed. */
  #attempt = pendingAttempt();
  /** The error that the connection reported before it closed. */
  #failure: unknown;
  /** Bytes received since an answer was complete. */
  #receivedBytes = 0;

  constructor({ name, host, port, username, password, isTls }: RedisAddress, entropy: Entropy) {
    this.#name = name;
    this.#redis = new Redis({
      host,
      port,
      ...username === undefined ? {} : { username },
      ...password === undefined ? {} : { password },
      ...isTls ? { tls: {} } : {},
      protocol: 2,
      disableClientInfo: true,
      // The check would wait until Redis has loaded its data; calls fail with `overloaded` instead.
      enableReadyCheck: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      // Calls in flight fail with their connection, not when the next one is open.
      maxRetriesPerRequest: 0,
      connectTimeout: RELAY_CONNECT_MS,
      socketTimeout: RELAY_SILENCE_MS,
      retryStrategy: (attempt) =>
        Math.min(RELAY_RECONNECT_MS_BASE * 2 ** (attempt - 1), RELAY_RECONNECT_MS_CAP) *
        (0.5 + entropy.unit() / 2),
    });
    this.#redis.on("error", (error) => this.#failure = error);
    this.#redis.on("connect", () => this.#boundAnswers());
    this.#redis.on("ready", () => {
      this.#failure = undefined;
      this.#attempt.resolve();
    });
    this.#redis.on("close", () => this.#endAttempt(this.#refusal(this.#failure)));
    // The library gives up when it cannot even begin to connect.
    this.#redis.on("end", () => this.#endAttempt(this.#refusal(this.#failure)));
  }

  /** Runs a script with one key; its reply is not validated. Rejects with coded errors only. */
  async run(
    script: string,
    key: string,
    values: readonly (string | number)[],
    { signal }: BackendCall,
  ): Promise<unknown> {
    await this.#opened(signal);
    try {
      return await this.#evaluate(script, key, values, signal);
    } catch (error) {
      throw this.#refusal(error);
    } finally {
      this.#receivedBytes = 0;
    }
  }

  close(): void {
    this.#redis.disconnect();
    this.#endAttempt(
      new RegistryError("shutting_down", `The connection to ${this.#name} is closed`),
    );
  }

  /** Sends a script's hash, and its text if Redis does not know it. */
  async #evaluate(
    script: string,
    key: string,
    values: readonly (string | number)[],
    signal: AbortSignal,
  ): Promise<unknown> {
    let hash = this.#hashes.get(script);
    if (hash === undefined) {
      hash = createHash("sha1").update(script).digest("hex");
      this.#hashes.set(script, hash);
    }
    try {
      return await this.#redis.evalsha(hash, 1, key, ...values);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      signal.throwIfAborted();
      return await this.#redis.eval(script, 1, key, ...values);
    }
  }

  /** Waits for the outcome of the attempt to connect, or for the end of a call. */
  #opened(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.#attempt.promise.then(() => signal.aborted ? reject(signal.reason) : resolve(), reject);
    });
  }

  /** Ends the attempt for all that wait for it; others wait for the next one. */
  #endAttempt(reason: RegistryError): void {
    this.#attempt.reject(reason);
    this.#attempt = pendingAttempt();
  }

  /** Closes the connection when an answer exceeds its bound. */
  #boundAnswers(): void {
    this.#receivedBytes = 0;
    const { stream } = this.#redis;
    stream.on("data", ({ length }: Uint8Array) => {
      this.#receivedBytes += length;
      if (this.#receivedBytes <= RELAY_ANSWER_BYTES_MAX) return;
      stream.destroy(new Error(`An answer exceeds ${RELAY_ANSWER_BYTES_MAX} bytes`));
    });
  }

  #refusal(error: unknown): RegistryError {
    // The library's own words for a closed connection hide why it closed.
    const reason = error instanceof Error && error.name !== "ReplyError" ? this.#failure : error;
    return redisRefusal(this.#name, reason ?? error ?? new Error("the connection was closed"));
  }
}

/** Returns an attempt whose failure is no unhandled rejection if nobody waits for it. */
function pendingAttempt(): PromiseWithResolvers<void> {
  const attempt = Promise.withResolvers<void>();
  attempt.promise.catch(() => {});
  return attempt;
}
