/**
 * Name constraints (RFC 5280 §4.2.1.10): which names a CA may speak for. Host names, IP addresses and
 * the hosts of URIs are understood; a constraint of any other form is refused whole, for a rule that
 * is not understood cannot be kept.
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

/** One subtree. An IP subtree is address and mask, 8 or 32 bytes. */
export type NameSubtree =
  | { readonly form: "dns" | "uri"; readonly base: string }
  | { readonly form: "ip"; readonly base: Uint8Array };

/** What a CA may speak for: nothing excluded, and of each form with permitted subtrees one of them. */
export interface NameConstraints {
  readonly permitted: readonly NameSubtree[];
  readonly excluded: readonly NameSubtree[];
}

/** The tags of the general names that are understood (RFC 5280 §4.2.1.6). */
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
    // Minimum is zero and so left out; a maximum is never there.
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
      if (base.length !== 8 && base.length !== 32) throw new DerError("an IP subtree is cut");
      return { form: "ip", base: base.slice() };
    }
    default:
      throw new DerError("a name constraint of this form is not understood");
  }
}

/** The first name that the constraints forbid, as text; `undefined` where they allow all. */
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

/** A URI without a host name is forbidden where URIs are constrained at all (RFC 5280 §4.2.1.10). */
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

/** `example.com` covers itself and all below it; `.example.com` only what is below; "" everything. */
function coversDns(base: string, name: string): boolean {
  if (base === "" || name === base) return true;
  return name.endsWith(base.startsWith(".") ? base : `.${base}`);
}

/** `example.com` covers that host alone; `.example.com` the hosts below it. */
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
