/**
 * One request of somebody who has no identity yet, or whose certificate has ended: a session of its own
 * for it, without a proof. The server must be pinned: what is sent is worth a certificate to whoever
 * reads it first. By TLS, which a certificate is needed for, only the next one can be asked for, and that
 * is worth something to nobody else: there a CA will do.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { World } from "../base/world.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import type { EnrolOrder, IssuedIdentity, RenewalOrder } from "./identity_types.ts";
import { whyRefused } from "./session_proof.ts";
import { askOnce } from "./single_request.ts";

/** Whoever shows a join token proves nothing else. */
const UNPROVEN = { timeMs: 0, proof: new Uint8Array(0) };

/** What a stranger may ask, by operation; the answer is a certificate. */
export interface StrangersOrders {
  readonly enrol: EnrolOrder;
  readonly renewIdentity: RenewalOrder;
}

/** Where to ask. */
export interface StrangerOptions {
  readonly endpoint: Endpoint;
  readonly dialer: Dialer;
  /** Pins; a CA alone is refused, unless the dialer's transport is TLS. */
  readonly trust: Trust;
  readonly world: World;
  /** From dialing to the answer, ms. */
  readonly timeoutMs: number;
  /** Until there is a session, ms. Default: `timeoutMs`. */
  readonly dialMs?: number;
}

/**
 * Asks, and ends the session.
 *
 * @throws RegistryError the server's refusal; `invalid_argument` where the server is not pinned;
 * `connection_lost` and `deadline_exceeded`, the outcome not known: ask again with the same request.
 */
export async function askAsStranger<Name extends keyof StrangersOrders>(
  name: Name,
  order: StrangersOrders[Name],
  { endpoint, dialer, trust, world, timeoutMs, dialMs = timeoutMs }: StrangerOptions,
): Promise<IssuedIdentity> {
  if (trust.kind !== "pins" && !(dialer.transport === "tls" && name === "renewIdentity")) {
    throw new RegistryError(
      "invalid_argument",
      "A certificate is asked for from a pinned server only: name its pin",
      { field: "pin" },
    );
  }
  const session = await dialer.dial(endpoint, { trust, timeoutMs: dialMs });
  let isLate = false;
  const timer = world.scheduler.after(timeoutMs, () => {
    isLate = true;
    session.abort("The server did not answer in time");
  });
  try {
    const stream = await session.open("request");
    // deno-lint-ignore no-explicit-any -- the order of `name` is the request of `name`.
    const reply = await askOnce(name, { ...UNPROVEN, ...order } as any, { stream, timeoutMs });
    await session.goodbye(undefined, "", { lingerMs: 0 });
    return reply;
  } catch (error) {
    if (isLate) {
      throw new RegistryError(
        "deadline_exceeded",
        `Server must answer within ${timeoutMs} ms: it did not`,
        {},
        error,
      );
    }
    const refusal = await whyRefused(session, toRegistryError(error), world);
    session.abort("The request failed");
    throw lostOr(refusal);
  } finally {
    timer.cancel();
  }
}

/** A server that ends the session without a reason is, to who waits for its answer, lost. */
function lostOr(error: RegistryError): RegistryError {
  if (error.code !== "canceled") return error;
  return new RegistryError("connection_lost", "The server ended the session", {}, error);
}
