/**
 * The callers of a front: one delegated client for each, kept while it is in use and for a while after,
 * so that a caller who sends many requests has its evidence checked once. The nodes decide what each of
 * them may do.
 *
 * A caller is told by its certificate and what it presents beside it; those without either by their
 * addresses, so that each address has a rate of its own.
 */
import { FRONT_CALLER_IDLE_MS, FRONT_CALLERS_MAX } from "../base/limits.ts";
import { toHex } from "../base/bytes.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { CallerEvidence, Client, DelegatedClient } from "../client/types.ts";
import type { HttpCaller, HttpCallers, TakenClient } from "../http/callers.ts";
import { HttpError, noRoom } from "../http/errors.ts";
import { sha256 } from "../../identity/pki/sha256.ts";

/** Options of {@link FrontCallers}. */
export interface FrontCallersOptions {
  /** The client of the front itself. */
  readonly client: Pick<Client, "delegate">;
  readonly clock: MonotonicClock;
  /** Default: {@link FRONT_CALLERS_MAX}. */
  readonly callersMax?: number;
}

/** One caller. */
interface Entry {
  readonly client: DelegatedClient;
  /** Requests and streams that use it. */
  users: number;
  /** When it was last used, monotonic ms. */
  usedMs: number;
}

/** The callers of a front. */
export class FrontCallers implements HttpCallers {
  readonly #options: FrontCallersOptions;
  /** The one that was used last is the last one. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: FrontCallersOptions) {
    this.#options = options;
  }

  /** The number of callers that are known. */
  get count(): number {
    return this.#entries.size;
  }

  take(caller: HttpCaller): TakenClient {
    const { client, clock } = this.#options;
    const nowMs = clock.nowMs();
    const { key, evidence } = evidenceOf(caller);
    const known = this.#entries.get(key);
    if (known === undefined) this.#makeRoom(nowMs);
    const entry: Entry = known ?? { client: client.delegate(evidence), users: 0, usedMs: nowMs };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    let isTaken = true;
    return {
      client: entry.client,
      release: () => {
        if (isTaken) entry.users--;
        isTaken = false;
        entry.usedMs = clock.nowMs();
      },
    };
  }

  /** Ends all delegations. */
  close(): void {
    for (const { client } of this.#entries.values()) client.close();
    this.#entries.clear();
  }

  /** Closes callers that were idle for long, and at the limit the one that was idle for longest. */
  #makeRoom(nowMs: number): void {
    const { callersMax = FRONT_CALLERS_MAX } = this.#options;
    for (const [key, { client, users, usedMs }] of this.#entries) {
      const isFull = this.#entries.size >= callersMax;
      if (!isFull && usedMs > nowMs - FRONT_CALLER_IDLE_MS) break;
      if (users > 0) continue;
      client.close();
      this.#entries.delete(key);
    }
    if (this.#entries.size >= callersMax) throw noRoom("Too many callers are served at once");
  }
}

/** Returns what a caller presents, and by what it is told from others. */
function evidenceOf(
  { peer: { certificate, address }, authorization }: HttpCaller,
): { readonly key: string; readonly evidence: CallerEvidence } {
  const token = authorization === null ? undefined : bearerOf(authorization);
  if (certificate === undefined) {
    if (token === undefined) return { key: `none ${address}`, evidence: { kind: "none", address } };
    throw new HttpError("Unauthorized", "The bearer token is bound to a certificate", {
      hint: "Present the client certificate to which it is bound, over TLS.",
      headers: CHALLENGE,
    });
  }
  const chain = [certificate];
  const leaf = toHex(sha256(certificate));
  return token === undefined
    ? { key: leaf, evidence: { kind: "certificate", chain, address } }
    : { key: `${leaf} ${token}`, evidence: { kind: "certificate", chain, token, address } };
}

/** Returns the token of the header `Authorization`. @throws HttpError `Unauthorized`. */
function bearerOf(authorization: string): string {
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  throw new HttpError("Unauthorized", "Authorization must be Bearer and a token", {
    hint: "Send Authorization: Bearer <token>, or none.",
    headers: CHALLENGE,
  });
}

const CHALLENGE = { "www-authenticate": "Bearer" };
