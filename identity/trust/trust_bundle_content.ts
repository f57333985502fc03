/**
 * Contents of a trust bundle and their JSON form: ASCII text, whole numbers, bytes as base64url.
 */
import { RegistryError } from "../../src/base/errors.ts";
import {
  CERTIFICATE_BYTES_MAX,
  TRUST_AUTHORITIES_MAX,
  TRUST_SERVER_ADDRESSES_MAX,
  TRUST_SERVERS_MAX,
} from "../../src/base/limits.ts";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { checkTrustDomain, parseSpiffeId } from "../pki/spiffe.ts";

/** Size in bytes of a pin: the SHA-256 of a certificate in DER. */
const PIN_BYTES = 32;
const VERSION = 1;
/** Maximum length of a text in a bundle: a certificate in base64url. */
const TEXT_LENGTH_MAX = 2 * CERTIFICATE_BYTES_MAX;

/** A server's identity and pins, known before the first connection. */
export interface TrustedServer {
  /** The SPIFFE id of the node. */
  readonly subject: string;
  /** `host:port` as clients dial them. */
  readonly authorities: readonly string[];
  /** Pins of the current and of the next TLS certificate. */
  readonly currentPin: Uint8Array;
  readonly nextPin: Uint8Array;
}

/** Contents of a bundle. Certificates are in DER. */
export interface TrustBundle {
  readonly trustDomain: string;
  /** Increases with each bundle of the trust domain. */
  readonly sequence: number;
  /** Validity, Unix ms. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly roots: readonly Uint8Array[];
  readonly intermediates: readonly Uint8Array[];
  readonly servers: readonly TrustedServer[];
}

/** Converts a bundle to its JSON value. */
export function bundleToJson(bundle: TrustBundle): Readonly<Record<string, unknown>> {
  return {
    version: VERSION,
    trustDomain: bundle.trustDomain,
    sequence: bundle.sequence,
    issuedAtMs: bundle.issuedAtMs,
    expiresAtMs: bundle.expiresAtMs,
    roots: bundle.roots.map(encodeBase64url),
    intermediates: bundle.intermediates.map(encodeBase64url),
    servers: bundle.servers.map((server) => ({
      subject: server.subject,
      authorities: server.authorities,
      currentPin: encodeBase64url(server.currentPin),
      nextPin: encodeBase64url(server.nextPin),
    })),
  };
}

/**
 * Parses a JSON value and validates each member; unknown members are ignored.
 *
 * @throws RegistryError `malformed`.
 */
export function bundleFromJson(value: unknown): TrustBundle {
  const content = object(value);
  if (content["version"] !== VERSION) throw malformed(`version ${VERSION}`);
  return {
    trustDomain: checkTrustDomain(text(content["trustDomain"])),
    sequence: count(content["sequence"]),
    issuedAtMs: count(content["issuedAtMs"]),
    expiresAtMs: count(content["expiresAtMs"]),
    roots: list(content["roots"], TRUST_AUTHORITIES_MAX).map(bytes),
    intermediates: list(content["intermediates"], TRUST_AUTHORITIES_MAX).map(bytes),
    servers: list(content["servers"], TRUST_SERVERS_MAX).map(readServer),
  };
}

function readServer(value: unknown): TrustedServer {
  const server = object(value);
  const subject = text(server["subject"]);
  if (parseSpiffeId(subject).role !== "node") throw malformed("a node as a server's subject");
  return {
    subject,
    authorities: list(server["authorities"], TRUST_SERVER_ADDRESSES_MAX).map(text),
    currentPin: pin(server["currentPin"]),
    nextPin: pin(server["nextPin"]),
  };
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw malformed("an object");
  return value as Readonly<Record<string, unknown>>;
}

/** Returns visible ASCII text that needs no escapes in JSON. */
function text(value: unknown): string {
  if (
    typeof value !== "string" || value.length > TEXT_LENGTH_MAX ||
    !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value)
  ) {
    throw malformed("a text of plain ASCII");
  }
  return value;
}

function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw malformed("a whole number");
  }
  return value;
}

function list(value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) throw malformed(`a list of at most ${max}`);
  return value;
}

function bytes(value: unknown): Uint8Array {
  const found = decodeBase64url(text(value));
  if (found === undefined) throw malformed("bytes in base64url");
  return found;
}

function pin(value: unknown): Uint8Array {
  const found = bytes(value);
  if (found.length !== PIN_BYTES) throw malformed("a pin of 32 bytes");
  return found;
}

function malformed(wanted: string): RegistryError {
  return new RegistryError("malformed", `A trust bundle has an invalid member: needed ${wanted}`);
}
