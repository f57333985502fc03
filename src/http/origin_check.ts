/**
 * Protection from web pages in the browser of somebody who can reach the port. A page can send
 * requests to any address, and by DNS rebinding give its own name to this one; so requests that name
 * another host, or that a page of another origin makes, are refused. No CORS headers are sent.
 *
 * A literal address in `Host` is no danger, because only names can be rebound.
 */
import { isIP } from "node:net";
import { HttpError } from "./errors.ts";

/** The target and the source of a request, by its headers. */
export interface RequestOrigin {
  /** `http:` or `https:`, as the listener speaks it. */
  readonly scheme: string;
  readonly host: string | null;
  readonly origin: string | null;
  readonly fetchSite: string | null;
}

/** Values of `Sec-Fetch-Site` of requests that no page of another origin made. */
const OWN_SITES: readonly string[] = ["same-origin", "none"];

/**
 * Checks where a request comes from.
 *
 * @param names host names by which this face is reached, besides `localhost` and literal addresses.
 * @throws HttpError Forbidden.
 */
export function checkOrigin(
  { scheme, host, origin, fetchSite }: RequestOrigin,
  names: readonly string[],
): void {
  if (!isOwnHost(hostName(host), names)) {
    throw forbidden(
      "The Host header must name localhost, an address, or a configured name",
      "Use the address of the front, or start it with --http-name for the name in use.",
    );
  }
  if (origin !== null && origin.toLowerCase() !== `${scheme}//${host!.toLowerCase()}`) {
    throw forbidden(
      "Pages of another origin are not served",
      "Serve the page from the same origin, through a proxy that you control.",
    );
  }
  if (fetchSite !== null && !OWN_SITES.includes(fetchSite)) {
    throw forbidden(
      "Requests of pages of another site are not served",
      "Open the address directly, or use a program that is no browser.",
    );
  }
}

/** Returns the name in a `Host` header, lower case, without port and brackets. */
function hostName(header: string | null): string | undefined {
  const host = /^(\[[0-9a-f:.]*\]|[^:@/\\?#[\]]+)(:\d{1,5})?$/i.exec(header ?? "")?.[1];
  return host?.toLowerCase().replace(/^\[(.*)\]$/, "$1");
}

function isOwnHost(name: string | undefined, names: readonly string[]): boolean {
  if (name === undefined) return false;
  return name === "localhost" || isIP(name) !== 0 || names.includes(name);
}

function forbidden(message: string, hint: string): HttpError {
  return new HttpError("Forbidden", message, { hint });
}
