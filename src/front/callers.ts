/**
 * The callers of a front: one delegated client for each, kept while it is in use and for a while after,
 * so that a caller who sends many requests has its evidence checked once. The nodes decide what each of
 * them may do.
 *
 * Callers are told apart by their certificate and the token beside it, or by their capability; those
 * with neither by their addresses, so that each address has a rate of its own.
 */
import { FRONT_CALLER_IDLE_MS, FRONT_CALLERS_MAX } from "../base/limits.ts";
import { toHex } from "../base/bytes.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { CallerEvidence, Client, DelegatedClient } from "../client/types.ts";
import type { HttpCaller, HttpCallers, TakenClient } from "../http/callers.ts";
import { HttpError, noRoom } from "../http/errors.ts";
import { isCapabilityText } from "../../identity/capabilities/capability.ts";
import type { GuardedRequest } from "../../identity/capabilities/guarded.ts";
import { capabilityRefused } from "../../identity/capabilities/verify.ts";
import { sha256 } from "../../identity/pki/sha256.ts";

/** Options of {@link FrontCallers}. */
export interface FrontCallersOptions {
  /** The client of the front itself. */
  readonly client: Pick<Client, "delegate" | "delegateCapability">;
  readonly clock: MonotonicClock;
  /** Default: {@link FRONT_CALLERS_MAX}. */
  readonly callersMax?: number;
}

/** The client that acts for a caller. */
interface Acting {
  /** Returns it for a request. @throws RegistryError `permission_denied` if the request is not permitted. */
  clientFor(request: GuardedRequest): DelegatedClient;
  close(): void;
}

/** One caller. */
interface Entry {
  readonly acting: Acting;
  /** Requests and streams that use it. */
  users: number;
  /** When it was last used, monotonic ms. */
  usedMs: number;
}

/** The callers of a front. */
export class FrontCallers implements HttpCallers {
  readonly #options: FrontCallersOptions;
  /** In the order in which they were last taken. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: FrontCallersOptions) {
    this.#options = options;
  }

  /** The number of callers that are known. */
  get count(): number {
    return this.#entries.size;
  }

  take(caller: HttpCaller): TakenClient {
    const { clock } = this.#options;
    const { peer: { address }, method, path } = caller;
    const nowMs = clock.nowMs();
    const { key, presented } = presentedBy(caller);
    const known = this.#entries.get(key);
    if (known === undefined) this.#makeRoom(nowMs);
    const entry = known ?? { acting: this.#act(presented), users: 0, usedMs: nowMs };
    const client = entry.acting.clientFor({ method, path, address });
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    let isTaken = true;
    return {
      client,
      release: () => {
        if (isTaken) entry.users--;
        isTaken = false;
        entry.usedMs = clock.nowMs();
      },
    };
  }

  /** Ends all delegations. */
  close(): void {
    for (const { acting } of this.#entries.values()) acting.close();
    this.#entries.clear();
  }

  #act(presented: Presented): Acting {
    const { client } = this.#options;
    if ("evidence" in presented) {
      const delegated = client.delegate(presented.evidence);
      return { clientFor: () => delegated, close: () => delegated.close() };
    }
    const guarded = client.delegateCapability(presented.capability, presented.address);
    return {
      clientFor: (request) => {
        const opened = guarded.open(request);
        if ("fault" in opened) throw capabilityRefused(opened.fault);
        return opened.value;
      },
      close: () => guarded.handOver().value.close(),
    };
  }

  /** Closes callers that were idle for long, and at the limit the first one that is not in use. */
  #makeRoom(nowMs: number): void {
    const { callersMax = FRONT_CALLERS_MAX } = this.#options;
    for (const [key, { acting, users, usedMs }] of this.#entries) {
      const isFull = this.#entries.size >= callersMax;
      if (!isFull && usedMs > nowMs - FRONT_CALLER_IDLE_MS) break;
      if (users > 0) continue;
      acting.close();
      this.#entries.delete(key);
    }
    if (this.#entries.size >= callersMax) throw noRoom("Too many callers are served at once");
  }
}

/** The evidence or capability that a caller presents. */
type Presented =
  | { readonly evidence: CallerEvidence }
  | { readonly capability: string; readonly address: string };

/** Returns what a caller presents, and the key that tells it from others. */
function presentedBy(
  { peer: { certificate, address }, authorization }: HttpCaller,
): { readonly key: string; readonly presented: Presented } {
  const bearer = authorization === null ? undefined : bearerOf(authorization);
  // A capability counts by itself, with a certificate or without.
  if (bearer !== undefined && isCapabilityText(bearer)) {
    return { key: hashOf(bearer), presented: { capability: bearer, address } };
  }
  if (certificate === undefined) {
    if (bearer === undefined) {
      return { key: `none ${address}`, presented: { evidence: { kind: "none", address } } };
    }
    throw unauthorized(
      "The bearer token must be a capability, or come with the certificate to which it is bound",
      "Send a capability, or present that certificate over TLS.",
    );
  }
  const leaf = toHex(sha256(certificate));
  const evidence = { kind: "certificate", chain: [certificate], address } as const;
  return bearer === undefined
    ? { key: leaf, presented: { evidence } }
    : { key: `${leaf} ${hashOf(bearer)}`, presented: { evidence: { ...evidence, token: bearer } } };
}

/** Returns the hash of a bearer token, as keys must not hold secrets. */
function hashOf(bearer: string): string {
  return toHex(sha256(new TextEncoder().encode(bearer)));
}

/** Returns the token of the header `Authorization`. @throws HttpError `Unauthorized`. */
function bearerOf(authorization: string): string {
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization) ?? [];
  if (token !== undefined) return token;
  throw unauthorized(
    "Authorization must be Bearer and a token",
    "Send Authorization: Bearer <token>, or none.",
  );
}

function unauthorized(message: string, hint: string): HttpError {
  const headers = { "www-authenticate": 'Bearer realm="registry"' };
  return new HttpError("Unauthorized", message, { hint, headers });
}
