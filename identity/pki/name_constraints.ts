/**
 * Name constraints (RFC 5280 §4.2.1.10): the names for which a CA may issue certificates. Host
 * names, IP addresses and hosts of URIs are supported. A constraint of any other form is refused,
 * because a rule that is not understood cannot be enforced.
 */
import { CERTIFICATE_NAMES_MAX } from "../../src/base/limits.ts";
import { contextConstructed, contextTag, DER_TAG, DerError, DerReader } from "./der.ts";

/** The names of a certificate (its subjectAltName). */
export interface CertificateNames {
  readonly dns: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ips: readonly Uint8Array[];
  readonly uris: readonly string[];
}

/** A subtree of names. An IP subtree is an address and a mask, 8 or 32 bytes. */
export type NameSubtree =
  | { readonly form: "dns" | "uri"; readonly base: string }
  | { readonly form: "ip"; readonly base: Uint8Array };

/**
 * Name constraints of a CA: no name may be in an excluded subtree, and a name of a form that has
 * permitted subtrees must be in one of them.
 */
export interface NameConstraints {
  readonly permitted: readonly NameSubtree[];
  readonly excluded: readonly NameSubtree[];
}

/** Tags of the supported general names (RFC 5280 §4.2.1.6). */
export const GENERAL_NAME_TAG = {
  dns: contextTag(2),
  uri: contextTag(6),
  ip: contextTag(7),
} as const;

/** Reads the extension's value. @throws DerError */
export function readNameConstraints(bytes: Uint8Array): NameConstraints {
  const outer = new DerReader(bytes);
  const fields = outer.inside(DER_TAG.sequence);
  outer.finish();
  const permitted = readSubtrees(fields, contextConstructed(0));
  const excluded = readSubtrees(fields, contextConstructed(1));
  fields.finish();
  const count = permitted.length + excluded.length;
  if (count === 0 || count > CERTIFICATE_NAMES_MAX) {
    throw new DerError(`name constraints must have 1 to ${CERTIFICATE_NAMES_MAX} subtrees`);
  }
  return { permitted, excluded };
}

function readSubtrees(fields: DerReader, tag: number): NameSubtree[] {
  if (fields.nextTag !== tag) return [];
  const list = fields.inside(tag);
  if (list.done) throw new DerError("a list of subtrees is empty");
  const subtrees: NameSubtree[] = [];
  while (!list.done) {
    const subtree = list.inside(DER_TAG.sequence);
    subtrees.push(readBase(subtree));
    // The minimum is zero and therefore omitted; a maximum never occurs.
    subtree.finish();
  }
  return subtrees;
}

function readBase(subtree: DerReader): NameSubtree {
  switch (subtree.nextTag) {
    case GENERAL_NAME_TAG.dns:
      return { form: "dns", base: subtree.ascii(GENERAL_NAME_TAG.dns).toLowerCase() };
    case GENERAL_NAME_TAG.uri:
      return { form: "uri", base: subtree.ascii(GENERAL_NAME_TAG.uri).toLowerCase() };
    case GENERAL_NAME_TAG.ip: {
      const base = subtree.content(GENERAL_NAME_TAG.ip);
      if (base.length !== 8 && base.length !== 32) {
        throw new DerError("an IP subtree must have 8 or 32 bytes");
      }
      return { form: "ip", base: base.slice() };
    }
    default:
      throw new DerError("a name constraint has an unknown form");
  }
}

/**
 * Returns the first name that the constraints forbid, as text, or `undefined` if they allow all
 * names.
 */
export function forbiddenName(
  names: CertificateNames,
  constraints: NameConstraints,
): string | undefined {
  const dns = names.dns.find((name) =>
    isForbidden("dns", constraints, (base) => typeof base === "string" && coversDns(base, name))
  );
  if (dns !== undefined) return dns;
  const ip = names.ips.find((address) =>
    isForbidden("ip", constraints, (base) => typeof base !== "string" && coversIp(base, address))
  );
  if (ip !== undefined) return ip.join(".");
  return names.uris.find((uri) => isForbiddenUri(uri, constraints));
}

/**
 * Reports whether a URI is forbidden. A URI without a host name is forbidden if any constraint
 * concerns URIs (RFC 5280 §4.2.1.10).
 */
function isForbiddenUri(uri: string, constraints: NameConstraints): boolean {
  const host = /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9.-]+)(\/|$)/.exec(uri)?.[1];
  if (host === undefined) {
    return [...constraints.permitted, ...constraints.excluded].some(({ form }) => form === "uri");
  }
  return isForbidden(
    "uri",
    constraints,
    (base) => typeof base === "string" && coversHost(base, host),
  );
}

function isForbidden(
  form: NameSubtree["form"],
  { permitted, excluded }: NameConstraints,
  covers: (base: string | Uint8Array) => boolean,
): boolean {
  const ofForm = (subtree: NameSubtree) => subtree.form === form;
  if (excluded.some((subtree) => ofForm(subtree) && covers(subtree.base))) return true;
  return permitted.some(ofForm) &&
    !permitted.some((subtree) => ofForm(subtree) && covers(subtree.base));
}

/**
 * Reports whether a subtree contains a host name: `example.com` contains itself and all names below
 * it, `.example.com` only the names below it, "" every name.
 */
function coversDns(base: string, name: string): boolean {
  if (base === "" || name === base) return true;
  return name.endsWith(base.startsWith(".") ? base : `.${base}`);
}

/**
 * Reports whether a subtree contains the host of a URI: `example.com` contains only that host,
 * `.example.com` the hosts below it.
 */
function coversHost(base: string, host: string): boolean {
  return base.startsWith(".") ? host.endsWith(base) : host === base;
}

function coversIp(base: Uint8Array, address: Uint8Array): boolean {
  const { length } = address;
  if (base.length !== 2 * length) return false;
  return address.every((byte, index) =>
    (byte & base[length + index]!) === (base[index]! & base[length + index]!)
  );
}
