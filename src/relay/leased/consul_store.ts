/**
 * Consul by its HTTP API: leases are sessions with a TTL that delete the keys they lock.
 *
 * Consul ends no session before 10 s, and may end one as late as twice its TTL: an entry that is no longer
 * renewed may be listed for that long. What is renewed in time never ends early.
 *
 * Its keys: `crs/relay/<id>.` and `crs/agent/<id>.`, with ids in base64url, so no key is the beginning of
 * another one.
 *
 * Source: https://developer.hashicorp.com/consul/api-docs/txn and /session.
 */
import { RegistryError } from "../../base/errors.ts";
import { decodeBase64url, encodeBase64url } from "../../base/base64url.ts";
import { CONSUL_TTL_MS_MIN, RELAY_RETRY_MS } from "../../base/limits.ts";
import { excerptOf, listOf, membersOf, objectOf, senseless, textOf } from "../foreign_answer.ts";
import type { BackendCall } from "../relay_backend.ts";
import { checkShortestTtl, type RelayTimes } from "../relay_times.ts";
import type { HttpAddress } from "../relay_url.ts";
import { decodeText, encodeText, textOfBytes } from "./base64_text.ts";
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

const utf8 = new TextEncoder();

/** A store in Consul. */
export class ConsulStore implements LeaseStore {
  readonly name: string;
  readonly #http: JsonHttp;
  readonly #headers: Readonly<Record<string, string>>;

  /** Throws `invalid_configuration` for a ttl that Consul cannot keep. */
  constructor(address: HttpAddress, send: SendRequest, times: RelayTimes) {
    this.name = address.name;
    this.#http = new JsonHttp(address, send);
    const { password } = address;
    this.#headers = password === undefined ? {} : { "x-consul-token": password };
    checkShortestTtl(times, CONSUL_TTL_MS_MIN, "Consul");
  }

  async read(
    keys: readonly EntryKey[],
    call: BackendCall,
  ): Promise<Reading<readonly (LeasedEntry | undefined)[]>> {
    const { entries, unixMs } = await this.#trees(keys.map(encodeKey), call);
    return {
      entries: keys.map((key) =>
        entries.find(({ kind, id }) => kind === key.kind && id === key.id)
      ),
      unixMs,
    };
  }

  async list(
    kinds: readonly LeasedKind[],
    countMax: number,
    call: BackendCall,
  ): Promise<readonly (readonly LeasedEntry[])[]> {
    const { entries } = await this.#trees(kinds.map(prefixOf), call);
    return kinds.map((kind) => entries.filter((entry) => entry.kind === kind).slice(0, countMax));
  }

  async commit(
    conditions: readonly EntryCondition[],
    { key, value, lease }: EntryWrite,
    call: BackendCall,
  ): Promise<boolean> {
    // A session that holds a key may lock it again, which writes the value.
    const lock = { Verb: "lock", Key: encodeKey(key), Value: encodeText(value), Session: lease };
    const operations = [...conditions.map(check), lock].map((KV) => ({ KV }));
    const answer = await this.#put("/v1/txn", operations, call);
    // A condition does not hold, or the session ended.
    if (answer.status === 409) return false;
    this.#assertSuccess(answer);
    return true;
  }

  async grant(ttlMs: number, call: BackendCall): Promise<string> {
    const answer = await this.#put("/v1/session/create", {
      Name: "crs",
      TTL: `${Math.ceil(ttlMs / 1000)}s`,
      Behavior: "delete",
      // Without it nobody could register an ended relay again for 15 s.
      LockDelay: "1ms",
      // The entry belongs to its relay or agent, not to the node of the agent of Consul that is asked.
      Checks: [],
      NodeChecks: [],
    }, call);
    this.#assertSuccess(answer);
    return sessionOf(objectOf(answer.text).ID);
  }

  async renew(lease: string, call: BackendCall): Promise<boolean> {
    const answer = await this.#put(`/v1/session/renew/${lease}`, undefined, call);
    if (answer.status === 404) return false;
    this.#assertSuccess(answer);
    return true;
  }

  async revoke(lease: string, call: BackendCall): Promise<void> {
    const path = `/v1/session/destroy/${lease}`;
    this.#assertSuccess(await this.#put(path, undefined, call));
  }

  /** Reads all entries whose keys begin with one of some texts, at one moment. */
  async #trees(
    prefixes: readonly string[],
    call: BackendCall,
  ): Promise<Reading<readonly LeasedEntry[]>> {
    // A "get" would fail for a key that is not there.
    const operations = prefixes.map((Key) => ({ KV: { Verb: "get-tree", Key } }));
    const answer = await this.#put("/v1/txn?consistent", operations, call);
    this.#assertSuccess(answer);
    const entries = listOf(objectOf(answer.text).Results).map((result) =>
      entryOf(membersOf(result).KV)
    );
    return { entries: entries.filter((entry) => entry !== undefined), unixMs: answer.unixMs };
  }

  #put(path: string, body: unknown, call: BackendCall): Promise<JsonAnswer> {
    return this.#http.request("PUT", path, body, call, this.#headers);
  }

  #assertSuccess({ status, text }: JsonAnswer): void {
    if (status === 200) return;
    const words = `${status} ${excerptOf(text)}`;
    if (status === 429) {
      throw new RegistryError("overloaded", `${this.name} has too much to do: ${words}`, {
        retryAfterMs: RELAY_RETRY_MS,
      });
    }
    if (status === 401 || status === 403) {
      throw new RegistryError("invalid_configuration", `${this.name} refuses access: ${words}`);
    }
    // It answers 500 while it has no leader.
    if (status >= 500) {
      throw new RegistryError("connection_lost", `${this.name} is not ready: ${words}`);
    }
    throw new RegistryError("internal", `${this.name} failed: ${words}`);
  }
}

function prefixOf(kind: LeasedKind): string {
  return `crs/${kind}/`;
}

function encodeKey({ kind, id }: EntryKey): string {
  return `${prefixOf(kind)}${encodeBase64url(utf8.encode(id))}.`;
}

function check(condition: EntryCondition): object {
  const Key = encodeKey(condition.key);
  if ("is" in condition) return { Verb: "check-not-exists", Key };
  return "lease" in condition
    ? { Verb: "check-session", Key, Session: condition.lease }
    : { Verb: "check-index", Key, Index: Number(condition.revision) };
}

/** Returns an entry; `undefined` for one that no session holds, which is not there for us. */
function entryOf(kv: unknown): LeasedEntry | undefined {
  const { Key, Value, Session, ModifyIndex } = membersOf(kv);
  const match = textOf(Key, "a key").match(/^crs\/(relay|agent)\/([^.]*)\.$/);
  if (match === null) throw senseless("a key of the registry");
  if (Session === undefined || Session === "") return undefined;
  if (!Number.isSafeInteger(ModifyIndex)) throw senseless("an index");
  return {
    kind: match[1] as LeasedKind,
    id: textOfBytes(decodeBase64url(match[2]!)),
    value: decodeText(Value),
    lease: sessionOf(Session),
    revision: String(ModifyIndex),
  };
}

/** Returns a session's id, which is safe in a path. */
function sessionOf(value: unknown): string {
  const text = textOf(value, "a session's id");
  if (!/^[0-9a-f-]{36}$/.test(text)) throw senseless("a UUID");
  return text;
}
