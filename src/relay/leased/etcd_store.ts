/**
 * etcd by its JSON gateway (`/v3/…`), which every member serves; tested with etcd 3.4 and 3.6.
 *
 * Leases have whole seconds; etcd ends none before two, and prolongs all of them when it elects a leader.
 * Its keys: `crs/relay/<relay id>` and `crs/agent/<agent id>`.
 *
 * Source: etcd's `rpc.proto` (Txn, Range, LeaseGrant, LeaseKeepAlive); 64-bit numbers are texts and
 * members with a zero value are left out, as protobuf's JSON form has it.
 */
import { RegistryError } from "../../base/errors.ts";
import { RELAY_RETRY_MS } from "../../base/limits.ts";
import {
  excerptOf,
  integerOf,
  listOf,
  membersOf,
  objectOf,
  senseless,
  textOf,
} from "../foreign_answer.ts";
import type { BackendCall } from "../relay_backend.ts";
import type { HttpAddress } from "../relay_url.ts";
import { decodeText, encodeText } from "./base64_text.ts";
import { EtcdLogin } from "./etcd_login.ts";
import { type JsonAnswer, JsonHttp, type SendRequest } from "./json_http.ts";
import type {
  EntryCondition,
  EntryKey,
  EntryWrite,
  LeasedEntry,
  LeasedKind,
  LeaseStore,
  Reading,
} from "./lease_store.ts";

/** Codes of gRPC that etcd's errors have. */
const NOT_FOUND = 5;
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;
/** Its words about a token of a login that does not count any more; nothing was done. */
const TOKEN_ENDED = /invalid auth token|revision in auth store is old|auth token is expired/;
/** Its words about users and rights, which have several codes. */
const NO_ACCESS = /user name is empty|invalid auth token|permission denied|authentication failed/;

/** A store in etcd. */
export class EtcdStore implements LeaseStore {
  readonly name: string;
  readonly #http: JsonHttp;
  readonly #login: EtcdLogin | undefined;

  constructor(address: HttpAddress, send: SendRequest) {
    this.name = address.name;
    this.#http = new JsonHttp(address, send);
    const { username, password } = address;
    if (username !== undefined && password !== undefined) {
      this.#login = new EtcdLogin(this.#http, { username, password });
    }
  }

  async read(
    keys: readonly EntryKey[],
    call: BackendCall,
  ): Promise<Reading<readonly (LeasedEntry | undefined)[]>> {
    const ranges = keys.map((key) => ({ key: encodeKey(key) }));
    const { found, unixMs } = await this.#ranges(ranges, keys.map(({ kind }) => kind), call);
    return { entries: found.map(([entry]) => entry), unixMs };
  }

  async list(
    kinds: readonly LeasedKind[],
    countMax: number,
    call: BackendCall,
  ): Promise<readonly (readonly LeasedEntry[])[]> {
    const ranges = kinds.map((kind) => ({
      key: encodeText(prefixOf(kind)),
      // The text after all that begin with the prefix: "0" follows "/".
      range_end: encodeText(prefixOf(kind).replace(/\/$/, "0")),
      limit: String(countMax),
    }));
    return (await this.#ranges(ranges, kinds, call)).found;
  }

  async commit(
    conditions: readonly EntryCondition[],
    { key, value, lease }: EntryWrite,
    call: BackendCall,
  ): Promise<boolean> {
    const answer = await this.#request("/v3/kv/txn", {
      compare: conditions.map(comparison),
      success: [{ request_put: { key: encodeKey(key), value: encodeText(value), lease } }],
    }, call);
    // The lease of the write ended meanwhile.
    if (answer === "not_found") return false;
    return objectOf(answer.text).succeeded === true;
  }

  async grant(ttlMs: number, call: BackendCall): Promise<string> {
    const TTL = String(Math.ceil(ttlMs / 1000));
    const answer = await this.#request("/v3/lease/grant", { TTL }, call);
    if (answer === "not_found") throw senseless("a lease");
    return positiveOf(objectOf(answer.text).ID);
  }

  async renew(lease: string, call: BackendCall): Promise<boolean> {
    const answer = await this.#request("/v3/lease/keepalive", { ID: lease }, call);
    if (answer === "not_found") return false;
    const { result, error } = objectOf(answer.text);
    if (error !== undefined) throw this.#failure(answer, membersOf(error));
    const { TTL } = membersOf(result);
    return TTL !== undefined && integerOf(TTL, "a lease's time") > 0;
  }

  async revoke(lease: string, call: BackendCall): Promise<void> {
    await this.#request("/v3/lease/revoke", { ID: lease }, call);
  }

  /** Reads ranges of keys in one transaction. */
  async #ranges(
    ranges: readonly object[],
    kinds: readonly LeasedKind[],
    call: BackendCall,
  ): Promise<{ found: readonly (readonly LeasedEntry[])[]; unixMs: number }> {
    const success = ranges.map((range) => ({ request_range: range }));
    const answer = await this.#request("/v3/kv/txn", { success }, call);
    if (answer === "not_found") throw senseless("entries");
    const responses = listOf(objectOf(answer.text).responses);
    if (responses.length !== ranges.length) throw senseless(`${ranges.length} ranges`);
    const found = responses.map((response, index) => {
      const { response_range } = membersOf(response);
      return listOf(membersOf(response_range).kvs).map((kv) => entryOf(kv, kinds[index]!));
    });
    return { found, unixMs: answer.unixMs };
  }

  /** Returns the answer of a request that succeeded, or that something it names is not there. */
  async #request(
    path: string,
    body: unknown,
    call: BackendCall,
  ): Promise<JsonAnswer | "not_found"> {
    const answer = await this.#post(path, body, call);
    if (answer.status === 200) return answer;
    const error = errorOf(answer);
    if (grpcCodeOf(error) === NOT_FOUND) return "not_found";
    throw this.#failure(answer, error);
  }

  /** Sends a request with the user's token, again with another one if that one has ended. */
  async #post(path: string, body: unknown, call: BackendCall): Promise<JsonAnswer> {
    const login = this.#login;
    if (login === undefined) return await this.#http.request("POST", path, body, call);
    const send = (authorization: string) =>
      this.#http.request("POST", path, body, call, { authorization });
    const token = await login.token(call);
    const answer = await send(token);
    if (answer.status === 200 || !TOKEN_ENDED.test(answer.text)) return answer;
    login.forget(token);
    return await send(await login.token(call));
  }

  #failure({ status }: JsonAnswer, error: Record<string, unknown>): RegistryError {
    const message = error.message ?? error.error;
    const words = `${status} ${typeof message === "string" ? excerptOf(message) : ""}`;
    if (NO_ACCESS.test(words)) {
      return new RegistryError("invalid_configuration", `${this.name} refuses access: ${words}`);
    }
    switch (grpcCodeOf(error)) {
      case RESOURCE_EXHAUSTED:
        if (words.includes("space exceeded")) {
          return new RegistryError(
            "storage_unavailable",
            `${this.name} accepts no writes: ${words}`,
          );
        }
        return new RegistryError("overloaded", `${this.name} has too much to do: ${words}`, {
          retryAfterMs: RELAY_RETRY_MS,
        });
      case UNAVAILABLE:
        return new RegistryError("connection_lost", `${this.name} is not ready: ${words}`);
      default:
        return new RegistryError("internal", `${this.name} failed: ${words}`);
    }
  }
}

/** Returns the error in an answer. That of a stream, which a renewal is, comes as a member of it. */
function errorOf({ text }: JsonAnswer): Record<string, unknown> {
  const answer = objectOf(text);
  return typeof answer.error === "object" ? membersOf(answer.error) : answer;
}

/** Returns the code of gRPC in an error; etcd 3.4 names it otherwise in those of streams. */
function grpcCodeOf({ code, grpc_code }: Record<string, unknown>): unknown {
  return code ?? grpc_code;
}

function prefixOf(kind: LeasedKind): string {
  return `crs/${kind}/`;
}

function encodeKey({ kind, id }: EntryKey): string {
  return encodeText(prefixOf(kind) + id);
}

function comparison(condition: EntryCondition): object {
  const key = encodeKey(condition.key);
  if ("is" in condition) {
    return { key, target: "CREATE", result: "EQUAL", create_revision: "0" };
  }
  return "lease" in condition
    ? { key, target: "LEASE", result: "EQUAL", lease: condition.lease }
    : { key, target: "MOD", result: "EQUAL", mod_revision: condition.revision };
}

function entryOf(kv: unknown, kind: LeasedKind): LeasedEntry {
  const { key, value, lease, mod_revision } = membersOf(kv);
  const text = decodeText(key);
  const prefix = prefixOf(kind);
  if (!text.startsWith(prefix)) throw senseless(`a key that begins with ${prefix}`);
  return {
    kind,
    id: text.slice(prefix.length),
    value: decodeText(value),
    lease: positiveOf(lease),
    revision: positiveOf(mod_revision),
  };
}

/** Returns a positive 64-bit number as the text that it is. */
function positiveOf(value: unknown): string {
  const text = textOf(value, "a number as text");
  if (!/^[1-9]\d{0,18}$/.test(text)) throw senseless("a positive number");
  return text;
}
