/**
 * The login of a user of etcd, by name and password. The token that it gives is for a few minutes, or until
 * users or their rights change; then its owner logs in again.
 *
 * Source: etcd's `rpc.proto` (Authenticate).
 */
import { RegistryError } from "../../base/errors.ts";
import { excerptOf, objectOf, senseless, textOf } from "../foreign_answer.ts";
import type { BackendCall } from "../relay_backend.ts";
import type { JsonHttp } from "./json_http.ts";

/** Name and password. */
export interface EtcdUser {
  readonly username: string;
  readonly password: string;
}

/** A login, which all calls share. */
export class EtcdLogin {
  readonly #http: JsonHttp;
  readonly #user: EtcdUser;
  #token: string | undefined;
  #pending: Promise<string> | undefined;

  constructor(http: JsonHttp, user: EtcdUser) {
    this.#http = http;
    this.#user = user;
  }

  /**
   * Returns the token, after a login if there is none. One call logs in, others wait for it; if it fails,
   * the next one tries. Rejects as {@link JsonHttp.request}, and by `invalid_configuration` if etcd knows
   * no such user with this password.
   */
  async token(call: BackendCall): Promise<string> {
    while (this.#token === undefined) {
      if (this.#pending === undefined) return await this.#begin(call);
      await ended(this.#pending, call.signal);
    }
    return this.#token;
  }

  /** Forgets a token that was refused, unless another one has taken its place. */
  forget(token: string): void {
    if (this.#token === token) this.#token = undefined;
  }

  async #begin(call: BackendCall): Promise<string> {
    this.#pending = this.#authenticate(call);
    try {
      return this.#token = await this.#pending;
    } finally {
      this.#pending = undefined;
    }
  }

  async #authenticate(call: BackendCall): Promise<string> {
    const { username: name, password } = this.#user;
    const path = "/v3/auth/authenticate";
    const { status, text } = await this.#http.request("POST", path, { name, password }, call);
    const { token, error } = objectOf(text);
    if (status === 200) return textOf(token, "a token");
    if (typeof error !== "string") throw senseless("a token");
    const words = `${status} ${excerptOf(error)}`;
    if (status >= 500) {
      throw new RegistryError("connection_lost", `${this.#http.name} is not ready: ${words}`);
    }
    const message = `${this.#http.name} refuses the user of its URL: ${words}`;
    throw new RegistryError("invalid_configuration", message);
  }
}

/** Waits until a promise is settled. Rejects with the signal's reason once it is aborted. */
async function ended(pending: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    // The call that logs in reports its failure; here only its end counts.
    await Promise.race([pending.catch(() => {}), aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
