/**
 * The extensions of a certificate as the library takes them: what `certificate_extensions.ts` reads,
 * the other way. Its own classes make those that it has in the form wanted. Names it takes as text
 * and would make addresses anew of it, and name constraints and our own extension it does not know:
 * these are put together of its ASN.1 elements.
 */
import {
  type BaseBlock,
  Boolean as Asn1Boolean,
  Constructed,
  IA5String,
  Integer,
  OctetString,
  Primitive,
  Sequence,
} from "asn1js";
import { toHex } from "../../src/base/bytes.ts";
import { parseUuid } from "../../src/base/uuid.ts";
import type { CertificateExtensions } from "./certificate_extensions.ts";
import { OID } from "./certificate_profile.ts";
import { checkGrants, type RegistryIdentity } from "./identity_extension.ts";
import {
  type CertificateNames,
  GENERAL_NAME_TAG,
  type NameConstraints,
  type NameSubtree,
} from "./name_constraints.ts";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
} from "./x509_library.ts";

/** What the extensions of a certificate are to say. */
export type ExtensionContents = {
  readonly [
    Name in Exclude<
      keyof CertificateExtensions,
      "subjectKeyId" | "authorityKeyId" | "unknownCritical"
    >
  ]?: CertificateExtensions[Name] | undefined;
};

/** Whose key a certificate is for, and whose key signs it; `undefined`: it signs itself. */
export interface KeyIds {
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array | undefined;
}

/**
 * The extensions in the order in which they are written; what is left out of `contents` is not there.
 *
 * @throws RegistryError `invalid_argument` for grants that are none.
 */
export function extensionsOf(contents: ExtensionContents, keyIds: KeyIds): Extension[] {
  const { extendedKeyUsage, keyUsage, names, nameConstraints, registryIdentity } = contents;
  const { isCa = false, pathLength } = contents;
  const list: Extension[] = [new BasicConstraintsExtension(isCa, pathLength, true)];
  const add = (oid: string, critical: boolean, value: BaseBlock) =>
    list.push(new Extension(oid, critical, value.toBER()));
  if (keyUsage !== undefined) list.push(new KeyUsagesExtension(keyUsage, true));
  if (extendedKeyUsage !== undefined) {
    list.push(new ExtendedKeyUsageExtension([...extendedKeyUsage]));
  }
  if (names !== undefined) add(OID.subjectAltName, false, namesOf(names));
  if (nameConstraints !== undefined) add(OID.nameConstraints, true, subtreesOf(nameConstraints));
  if (registryIdentity !== undefined) {
    add(OID.registryIdentity, false, registryIdentityOf(registryIdentity));
  }
  list.push(new SubjectKeyIdentifierExtension(toHex(keyIds.subject)));
  if (keyIds.issuer !== undefined) {
    list.push(new AuthorityKeyIdentifierExtension(toHex(keyIds.issuer)));
  }
  return list;
}

function namesOf({ dns, ips, uris }: CertificateNames): Sequence {
  return new Sequence({
    value: [
      ...dns.map((name) => generalName("dns", name)),
      ...ips.map((address) => generalName("ip", address)),
      ...uris.map((uri) => generalName("uri", uri)),
    ],
  });
}

function subtreesOf({ permitted, excluded }: NameConstraints): Sequence {
  const list = (tagNumber: number, subtrees: readonly NameSubtree[]) =>
    subtrees.length === 0 ? [] : [
      new Constructed({
        idBlock: { tagClass: CONTEXT_CLASS, tagNumber },
        value: subtrees.map(({ form, base }) => new Sequence({ value: [generalName(form, base)] })),
      }),
    ];
  return new Sequence({ value: [...list(0, permitted), ...list(1, excluded)] });
}

/** What the library calls the class of context-specific tags. */
const CONTEXT_CLASS = 3;

function generalName(form: keyof typeof GENERAL_NAME_TAG, value: string | Uint8Array): Primitive {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return new Primitive({
    idBlock: { tagClass: CONTEXT_CLASS, tagNumber: GENERAL_NAME_TAG[form] & 0x1f },
    valueHex: new Uint8Array(bytes),
  });
}

/** RegistryIdentity, as `identity_extension.ts` gives it. */
function registryIdentityOf({ lineage, generation, grants }: RegistryIdentity): Sequence {
  const { domains, gateways, credentialHashes } = checkGrants(grants);
  return new Sequence({
    value: [
      new Integer({ value: lineage }),
      new Integer({ value: generation }),
      new Sequence({ value: domains.map((value) => new IA5String({ value })) }),
      new Sequence({
        value: gateways.map((id) => new OctetString({ valueHex: new Uint8Array(parseUuid(id)) })),
      }),
      ...(credentialHashes ? [new Asn1Boolean({ value: true })] : []),
    ],
  });
}
