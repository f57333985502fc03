/**
 * Sends one request of an unauthenticated client, which has no identity yet or whose certificate
 * has expired, over a session of its own without authentication. The server must be pinned, because
 * whoever reads the request first can obtain the certificate with it. TLS requires a certificate,
 * so over TLS only the next certificate can be requested. That request is useless to anybody else,
 * so a CA suffices there.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import type { World } from "../base/world.ts";
import type { Dialer, Endpoint, Trust } from "../../transport/transport.ts";
import type {
  EnrolledNode,
  EnrolNodeOrder,
  EnrolOrder,
  IssuedIdentity,
  RenewalOrder,
} from "./identity_types.ts";
import { whyRefused } from "./session_proof.ts";
import { askOnce } from "./single_request.ts";

/** The proof fields of a client with a join token, which proves nothing else. */
const UNPROVEN = { timeMs: 0, proof: new Uint8Array(0) };

/**
 * The requests open to unauthenticated clients, by operation; each is answered with a certificate.
 */
export interface UnauthenticatedOrders {
  readonly enrol: EnrolOrder;
  readonly renewIdentity: RenewalOrder;
  /** Of a node, which gets its number in the cluster too. */
  readonly enrolNode: EnrolNodeOrder;
}

/** The replies to {@link UnauthenticatedOrders}. */
export interface UnauthenticatedReplies {
  readonly enrol: IssuedIdentity;
  readonly renewIdentity: IssuedIdentity;
  readonly enrolNode: EnrolledNode;
}

/** The server to ask. */
export interface UnauthenticatedOptions {
  readonly endpoint: Endpoint;
  readonly dialer: Dialer;
  /** Pins; a CA alone is refused, unless the dialer's transport is TLS. */
  readonly trust: Trust;
  readonly world: World;
  /** Time limit from dialing to the reply, ms. */
  readonly timeoutMs: number;
  /** Time limit for establishing the session, ms. Default: `timeoutMs`. */
  readonly dialMs?: number;
}

/**
 * Sends the request, waits for the reply and ends the session.
 *
 * @throws RegistryError the server's refusal; `invalid_argument` if the server is not pinned;
 * `connection_lost` and `deadline_exceeded` if the outcome is unknown: retry with the same request.
 */
export async function askUnauthenticated<Name extends keyof UnauthenticatedOrders>(
  name: Name,
  order: UnauthenticatedOrders[Name],
  { endpoint, dialer, trust, world, timeoutMs, dialMs = timeoutMs }: UnauthenticatedOptions,
): Promise<UnauthenticatedReplies[Name]> {
  if (trust.kind !== "pins" && !(dialer.authenticatesPeers && name === "renewIdentity")) {
    throw new RegistryError(
      "invalid_argument",
      "A certificate can be requested from a pinned server only: pass the server's pin",
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
    return reply as unknown as UnauthenticatedReplies[Name];
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

/** Maps an end of the session without a reason to `connection_lost`, since the reply is missing. */
function lostOr(error: RegistryError): RegistryError {
  if (error.code !== "canceled") return error;
  return new RegistryError("connection_lost", "The server ended the session", {}, error);
}
