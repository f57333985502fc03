/**
 * A stand-in for Consul, which Debian does not have: it speaks the part of the documented HTTP API that
 * the registry uses (/v1/txn and /v1/session), by a clock that the test moves and that each request moves
 * by a millisecond. It is stricter than Consul: what the documentation does not name is refused.
 *
 * As Consul does, it ends a session when twice its TTL has passed without a renewal.
 */
import { decodeBase64 } from "../../src/base/base64.ts";
import type { SteppedWorld } from "./stepped_world.ts";

interface Session {
  readonly ttlMs: number;
  readonly lockDelayMs: number;
  endsAtMs: number;
}

interface Entry {
  value: string;
  session: string;
  modifyIndex: number;
  readonly createIndex: number;
}

interface Operation {
  readonly Verb: string;
  readonly Key: string;
  readonly Value?: string;
  readonly Session?: string;
  readonly Index?: number;
}

const OPERATIONS_MAX = 64;
const TTL_FACTOR = 2;
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  "get-tree": [],
  "check-not-exists": [],
  "check-session": ["Session"],
  "check-index": ["Index"],
  lock: ["Value", "Session"],
};

/** A Consul with one server. */
export class FakeConsul {
  readonly #clock: SteppedWorld;
  readonly #sessions = new Map<string, Session>();
  #entries = new Map<string, Entry>();
  /** Until when a key must not be locked, because a session that held it ended. */
  readonly #lockableAtMs = new Map<string, number>();
  #index = 10;
  /** While it is set, every request is answered with this. */
  outage: { readonly status: number; readonly text: string } | undefined;

  /** The token that requests must have, if any. */
  token: string | undefined;

  constructor(clock: SteppedWorld) {
    this.#clock = clock;
  }

  get sessionCount(): number {
    this.#expire();
    return this.#sessions.size;
  }

  get keys(): string[] {
    this.#expire();
    return [...this.#entries.keys()];
  }

  /** Ends all sessions, as an operator may. */
  endSessions(): void {
    for (const id of this.#sessions.keys()) this.#end(id);
  }

  /** Writes a key that no session holds. */
  set(key: string, value: string): void {
    const modifyIndex = ++this.#index;
    this.#entries.set(key, {
      value: btoa(value),
      session: "",
      modifyIndex,
      createIndex: modifyIndex,
    });
  }

  /** Answers a request. */
  async answer(request: Request): Promise<Response> {
    const text = await request.text();
    this.#clock.stop(1);
    if (this.outage !== undefined) return this.#response(this.outage.status, this.outage.text);
    if ((request.headers.get("x-consul-token") ?? undefined) !== this.token) {
      return this.#response(403, "Permission denied: token with AccessorID is not authorized");
    }
    this.#expire();
    const { pathname } = new URL(request.url);
    if (request.method !== "PUT") return this.#response(405, "method not allowed");
    if (pathname === "/v1/txn") return this.#transaction(JSON.parse(text));
    if (pathname === "/v1/session/create") return this.#create(JSON.parse(text));
    const [, verb, id] = pathname.match(/^\/v1\/session\/(renew|destroy)\/([0-9a-f-]{36})$/) ?? [];
    if (verb === undefined || id === undefined) return this.#response(404, "no such path");
    return verb === "renew" ? this.#renew(id) : this.#destroy(id);
  }

  #create(body: Record<string, unknown>): Response {
    const { Name, TTL, Behavior, LockDelay, Checks, NodeChecks, ...others } = body;
    const seconds = Number(/^(\d+)s$/.exec(String(TTL))?.[1]);
    const lockDelayMs = Number(/^(\d+)ms$/.exec(String(LockDelay))?.[1]);
    if (
      typeof Name !== "string" || Behavior !== "delete" || Object.keys(others).length > 0 ||
      !(lockDelayMs > 0) || String(Checks) !== "" || String(NodeChecks) !== ""
    ) return this.#response(400, "Request decode failed");
    if (!(seconds >= 10 && seconds <= 86_400)) return this.#response(500, "Invalid Session TTL");
    const id = `00000000-0000-4000-8000-${String(++this.#index).padStart(12, "0")}`;
    const ttlMs = seconds * 1000;
    this.#sessions.set(id, { ttlMs, lockDelayMs, endsAtMs: this.#endOf(ttlMs) });
    return this.#response(200, JSON.stringify({ ID: id }));
  }

  #renew(id: string): Response {
    const session = this.#sessions.get(id);
    if (session === undefined) return this.#response(404, `Session id '${id}' not found`);
    session.endsAtMs = this.#endOf(session.ttlMs);
    return this.#response(200, JSON.stringify([{ ID: id, TTL: `${session.ttlMs / 1000}s` }]));
  }

  #destroy(id: string): Response {
    this.#end(id);
    return this.#response(200, "true");
  }

  #transaction(body: readonly { readonly KV: Operation }[]): Response {
    if (body.length > OPERATIONS_MAX) return this.#response(413, "too many operations");
    const before = new Map([...this.#entries].map(([key, entry]) => [key, { ...entry }]));
    const results: object[] = [];
    const errors: object[] = [];
    this.#index++;
    for (const [OpIndex, { KV }] of body.entries()) {
      const fields = FIELDS[KV.Verb];
      const given = Object.keys(KV).filter((name) => name !== "Verb" && name !== "Key").sort();
      if (fields === undefined || given.join() !== fields.toSorted().join()) {
        return this.#response(400, `Failed to parse body: ${JSON.stringify(KV)}`);
      }
      const outcome = this.#apply(KV);
      if (typeof outcome === "string") errors.push({ OpIndex, What: outcome });
      else results.push(...outcome);
    }
    if (errors.length === 0) {
      return this.#response(200, JSON.stringify({ Results: results, Errors: null }));
    }
    this.#entries = before;
    return this.#response(409, JSON.stringify({ Results: null, Errors: errors }));
  }

  /** Returns the results of an operation, or why it fails. */
  #apply({ Verb, Key, Value = "", Session = "", Index }: Operation): object[] | string {
    const entry = this.#entries.get(Key);
    switch (Verb) {
      case "get-tree":
        return [...this.#entries.keys()].filter((key) => key.startsWith(Key)).sort()
          .map((key) => resultOf(key, this.#entries.get(key)!, true));
      case "check-not-exists":
        return entry === undefined ? [] : `key "${Key}" exists`;
      case "check-session":
        if (entry === undefined) return `failed to check session, key "${Key}" doesn't exist`;
        return entry.session === Session
          ? [resultOf(Key, entry, false)]
          : `failed session check for key "${Key}"`;
      case "check-index":
        if (entry === undefined) return `failed to check index, key "${Key}" doesn't exist`;
        return entry.modifyIndex === Index
          ? [resultOf(Key, entry, false)]
          : `current modify index for key "${Key}" is ${entry.modifyIndex}`;
      default:
        return this.#lock(Key, Value, Session);
    }
  }

  #lock(key: string, value: string, session: string): object[] | string {
    const entry = this.#entries.get(key);
    if (!this.#sessions.has(session)) return `invalid session "${session}"`;
    if (decodeBase64(value) === undefined) return "the value is not base64";
    if (entry !== undefined && entry.session !== "" && entry.session !== session) {
      return `failed to lock key "${key}", lock is already held`;
    }
    if ((this.#lockableAtMs.get(key) ?? 0) > this.#clock.nowMs()) {
      return `failed to lock key "${key}", rejecting lock due to lock-delay`;
    }
    const createIndex = entry?.createIndex ?? this.#index;
    const written = { value, session, modifyIndex: this.#index, createIndex };
    this.#entries.set(key, written);
    return [resultOf(key, written, false)];
  }

  #endOf(ttlMs: number): number {
    return this.#clock.nowMs() + ttlMs * TTL_FACTOR;
  }

  #expire(): void {
    for (const [id, { endsAtMs }] of this.#sessions) {
      if (this.#clock.nowMs() >= endsAtMs) this.#end(id);
    }
  }

  #end(id: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    for (const [key, entry] of this.#entries) {
      if (entry.session !== id) continue;
      this.#entries.delete(key);
      this.#lockableAtMs.set(key, this.#clock.nowMs() + session.lockDelayMs);
    }
  }

  #response(status: number, text: string): Response {
    const date = new Date(this.#clock.unixMs()).toUTCString();
    return new Response(text, { status, headers: { date } });
  }
}

function resultOf(Key: string, entry: Entry, withValue: boolean): object {
  return {
    KV: {
      LockIndex: 1,
      Key,
      Flags: 0,
      Value: withValue ? entry.value : null,
      ...entry.session === "" ? {} : { Session: entry.session },
      CreateIndex: entry.createIndex,
      ModifyIndex: entry.modifyIndex,
    },
  };
}
