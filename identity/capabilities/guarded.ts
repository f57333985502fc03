/**
 * The caveats that a verifier cannot check, because it does not see the HTTP request: path, method
 * and address. What a capability gives is wrapped until they are checked against the request, so
 * that whoever serves it cannot forget them.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { type Caveat, decodeCaveats, encodeCaveat, type ListCaveat } from "./caveat.ts";
import { contains, parseNetwork } from "./network.ts";
import { isWithin } from "./request_path.ts";

/** The facts of an HTTP request that caveats name. */
export interface GuardedRequest {
  readonly method: string;
  /** As it was received, without the query. */
  readonly path: string;
  /** Address of the caller: an IP address without a port. */
  readonly address: string;
}

/** Reasons why a request is outside of a capability. */
export type RequestFault = "wrong_method" | "wrong_path" | "wrong_address";

/** A caveat about the request. */
type RequestCaveat = ListCaveat<"path" | "method" | "address">;

/** The caveats about the request, all of which must hold. */
export class RequestCaveats {
  readonly #caveats: readonly RequestCaveat[];

  /** Takes those of a capability's caveats that are about the request. */
  constructor(caveats: readonly Caveat[]) {
    this.#caveats = caveats.filter(isAboutRequest);
  }

  /** Decodes what {@link encode} returned. @throws RegistryError `malformed`. */
  static decode(bytes: Uint8Array): RequestCaveats {
    const found = decodeCaveats(bytes);
    if (typeof found !== "string" && found.every(({ caveat }) => isAboutRequest(caveat))) {
      return new RequestCaveats(found.map(({ caveat }) => caveat));
    }
    throw new RegistryError("malformed", "Caveats of a request must be valid: they are not");
  }

  /** Encodes the caveats, for the face that checks them. */
  encode(): Uint8Array {
    return concatBytes(this.#caveats.map(encodeCaveat));
  }

  /** Returns the reason why a request is not permitted, or `undefined`. */
  faultOf(request: GuardedRequest): RequestFault | undefined {
    for (const { kind, any } of this.#caveats) {
      if (!any.some((permitted) => holds(kind, permitted, request))) return FAULTS[kind];
    }
    return undefined;
  }
}

const FAULTS: Readonly<Record<RequestCaveat["kind"], RequestFault>> = {
  path: "wrong_path",
  method: "wrong_method",
  address: "wrong_address",
};

function isAboutRequest(caveat: Caveat): caveat is RequestCaveat {
  return caveat.kind in FAULTS;
}

function holds(kind: RequestCaveat["kind"], permitted: string, request: GuardedRequest): boolean {
  switch (kind) {
    case "method":
      return request.method === permitted;
    case "path":
      return isWithin(request.path, permitted);
    case "address":
      return contains(parseNetwork(permitted), request.address);
  }
}

/** A value that only a request within the caveats may use. */
export class Guarded<T> {
  readonly #value: T;
  readonly #caveats: RequestCaveats;

  constructor(value: T, caveats: RequestCaveats) {
    this.#value = value;
    this.#caveats = caveats;
  }

  /** Returns the value for a request, or the reason why the request is not permitted. */
  open(request: GuardedRequest): { readonly value: T } | { readonly fault: RequestFault } {
    const fault = this.#caveats.faultOf(request);
    return fault === undefined ? { value: this.#value } : { fault };
  }

  /**
   * Returns the value and the unchecked caveats, for a node that hands them to the face which sees
   * the request. That face must decode them and guard with them what it gets.
   */
  handOver(): { readonly value: T; readonly unchecked: Uint8Array } {
    return { value: this.#value, unchecked: this.#caveats.encode() };
  }
}
