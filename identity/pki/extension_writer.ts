/**
 * Converts certificate contents to the extension objects of the library; the inverse of
 * `certificate_extensions.ts`. The library's own classes are used where they produce the wanted
 * form. Names, name constraints and the registry's extension are built from its ASN.1 elements: the
 * library takes names as text only and would reformat addresses, and it does not know the other
 * two.
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
import type { ReadLimit } from "../../src/base/peer.ts";
import { checkGrants, READS_TAG, type RegistryIdentity } from "./identity_extension.ts";
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

/** Contents of a certificate's extensions. */
export type ExtensionContents = {
  readonly [
    Name in Exclude<
      keyof CertificateExtensions,
      "subjectKeyId" | "authorityKeyId" | "unknownCritical"
    >
  ]?: CertificateExtensions[Name] | undefined;
};

/** Key identifiers of the subject and of the issuer; issuer `undefined`: self-signed. */
export interface KeyIds {
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array | undefined;
}

/**
 * Returns the extensions in the order in which they are written; those absent from `contents` are
 * omitted.
 *
 * @throws RegistryError `invalid_argument` for invalid grants.
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

/** The library's number of the context-specific tag class. */
const CONTEXT_CLASS = 3;

function generalName(form: keyof typeof GENERAL_NAME_TAG, value: string | Uint8Array): Primitive {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return new Primitive({
    idBlock: { tagClass: CONTEXT_CLASS, tagNumber: GENERAL_NAME_TAG[form] & 0x1f },
    valueHex: new Uint8Array(bytes),
  });
}

/** Returns the RegistryIdentity structure defined in `identity_extension.ts`. */
function registryIdentityOf({ lineage, generation, grants }: RegistryIdentity): Sequence {
  const { domains, gateways, credentialHashes, reads } = checkGrants(grants);
  return new Sequence({
    value: [
      new Integer({ value: lineage }),
      new Integer({ value: generation }),
      namesIn(domains),
      new Sequence({
        value: gateways.map((id) => new OctetString({ valueHex: new Uint8Array(parseUuid(id)) })),
      }),
      ...(credentialHashes ? [new Asn1Boolean({ value: true })] : []),
      ...(reads === undefined ? [] : [
        new Constructed({
          idBlock: { tagClass: CONTEXT_CLASS, tagNumber: READS_TAG & 0x1f },
          value: reads.map(readLimitOf),
        }),
      ]),
    ],
  });
}

function readLimitOf({ regions, labels, domains }: ReadLimit): Sequence {
  return new Sequence({
    value: [
      namesIn(regions),
      new Sequence({
        value: labels.map(({ key, value }) => {
          const valueHex = new TextEncoder().encode(value);
          return new Sequence({
            value: [new IA5String({ value: key }), new OctetString({ valueHex })],
          });
        }),
      }),
      namesIn(domains),
    ],
  });
}

function namesIn(names: readonly string[]): Sequence {
  return new Sequence({ value: names.map((value) => new IA5String({ value })) });
}
