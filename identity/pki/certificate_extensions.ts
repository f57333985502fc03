/**
 * Reads the extensions of a certificate (RFC 5280 §4.2): those that path validation uses, and the
 * object identifiers of unknown critical ones. The reader is strict, like all code here that reads
 * certificates.
 */
import { CERTIFICATE_EXTENSIONS_MAX, CERTIFICATE_NAMES_MAX } from "../../src/base/limits.ts";
import { OID } from "./certificate_profile.ts";
import { contextTag, DER_TAG, DerError, DerReader } from "./der.ts";
import { readRegistryIdentity, type RegistryIdentity } from "./identity_extension.ts";
import {
  type CertificateNames,
  GENERAL_NAME_TAG,
  type NameConstraints,
  readNameConstraints,
} from "./name_constraints.ts";

/** The known extensions of a certificate; absent ones are `undefined`. */
export interface CertificateExtensions {
  readonly isCa: boolean;
  /** Maximum number of CAs below this one; `undefined`: unlimited. */
  readonly pathLength: number | undefined;
  /** Bits of `KEY_USAGE`. */
  readonly keyUsage: number | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly names: CertificateNames;
  readonly nameConstraints: NameConstraints | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly registryIdentity: RegistryIdentity | undefined;
  /** Object identifiers of unknown critical extensions. */
  readonly unknownCritical: readonly string[];
}

type MutableExtensions = {
  -readonly [Key in keyof CertificateExtensions]: CertificateExtensions[Key];
};

/** Reads the list of extensions. @throws DerError */
export function readExtensions(list: DerReader): CertificateExtensions {
  const found: MutableExtensions = {
    isCa: false,
    pathLength: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    names: { dns: [], ips: [], uris: [] },
    nameConstraints: undefined,
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    registryIdentity: undefined,
    unknownCritical: [],
  };
  const seen = new Set<string>();
  while (!list.done) {
    if (seen.size === CERTIFICATE_EXTENSIONS_MAX) throw new DerError("it has too many extensions");
    const extension = list.inside(DER_TAG.sequence);
    const oid = extension.oid();
    if (seen.has(oid)) throw new DerError(`extension ${oid} occurs twice`);
    seen.add(oid);
    const critical = extension.nextTag === DER_TAG.boolean;
    if (critical && !extension.boolean()) throw new DerError("a default value is encoded");
    const value = extension.content(DER_TAG.octetString);
    extension.finish();
    readExtension(found, oid, critical, value);
  }
  return found;
}

function readExtension(
  found: MutableExtensions,
  oid: string,
  critical: boolean,
  value: Uint8Array,
): void {
  const reader = new DerReader(value);
  switch (oid) {
    case OID.basicConstraints:
      readBasicConstraints(found, reader.inside(DER_TAG.sequence));
      if (found.isCa && !critical) throw new DerError("basic constraints must be critical");
      break;
    case OID.keyUsage:
      found.keyUsage = reader.namedBits();
      break;
    case OID.extendedKeyUsage:
      found.extendedKeyUsage = readUsages(reader.inside(DER_TAG.sequence));
      break;
    case OID.subjectAltName:
      found.names = readNames(reader.inside(DER_TAG.sequence));
      break;
    case OID.nameConstraints:
      found.nameConstraints = readNameConstraints(reader.whole(DER_TAG.sequence));
      break;
    case OID.subjectKeyIdentifier:
      found.subjectKeyId = reader.content(DER_TAG.octetString);
      break;
    case OID.authorityKeyIdentifier: {
      const fields = reader.inside(DER_TAG.sequence);
      if (fields.nextTag === contextTag(0)) found.authorityKeyId = fields.content(contextTag(0));
      while (!fields.done) fields.any();
      break;
    }
    case OID.registryIdentity:
    case OID.formerRegistryIdentity:
      if (found.registryIdentity !== undefined) throw new DerError("it has two identities");
      found.registryIdentity = readRegistryIdentity(reader.whole(DER_TAG.sequence));
      break;
    default:
      // Unknown extensions are ignored unless they are critical.
      if (critical) found.unknownCritical = [...found.unknownCritical, oid];
      return;
  }
  reader.finish();
}

function readBasicConstraints(found: MutableExtensions, fields: DerReader): void {
  if (fields.nextTag === DER_TAG.boolean) {
    found.isCa = fields.boolean();
    if (!found.isCa) throw new DerError("a default value is encoded");
  }
  if (!fields.done) {
    if (!found.isCa) throw new DerError("only a CA may have a path length");
    found.pathLength = fields.unsigned(255);
  }
  fields.finish();
}

function readUsages(list: DerReader): string[] {
  const usages: string[] = [];
  do {
    if (usages.length === CERTIFICATE_NAMES_MAX) throw new DerError("it has too many usages");
    usages.push(list.oid());
  } while (!list.done);
  return usages;
}

const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function readNames(list: DerReader): CertificateNames {
  const dns: string[] = [], ips: Uint8Array[] = [], uris: string[] = [];
  do {
    if (dns.length + ips.length + uris.length === CERTIFICATE_NAMES_MAX) {
      throw new DerError("it has too many names");
    }
    switch (list.nextTag) {
      case GENERAL_NAME_TAG.dns: {
        const name = list.ascii(GENERAL_NAME_TAG.dns);
        // The registry issues no wildcard names, so no rule for matching them is needed.
        if (!HOST_NAME.test(name)) throw new DerError("a DNS name must be a host name");
        dns.push(name);
        break;
      }
      case GENERAL_NAME_TAG.uri:
        uris.push(list.ascii(GENERAL_NAME_TAG.uri));
        break;
      case GENERAL_NAME_TAG.ip: {
        const address = list.content(GENERAL_NAME_TAG.ip);
        if (address.length !== 4 && address.length !== 16) {
          throw new DerError("an IP name must have 4 or 16 bytes");
        }
        ips.push(address);
        break;
      }
      default:
        throw new DerError("it has a name of an unknown form");
    }
  } while (!list.done);
  return { dns, ips, uris };
}
