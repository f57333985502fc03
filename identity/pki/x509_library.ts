/**
 * `@peculiar/x509`, which writes certificates and requests, with one thing mended. Whoever imports this
 * file loads the library, some 120 ms and 10 MB at first; those who read alone do without.
 *
 * The library writes everything twice: it reads its own bytes back and writes what it read. An arc of
 * 2^53 and more, as each UUID is one, it reads as `{hex}`, which it then cannot write: the arc would
 * be gone, in silence. So object identifiers are read by our reader, to all their digits.
 */
import "reflect-metadata";
import { AsnObjectIdentifierConverter } from "@peculiar/asn1-schema";
import { DerReader } from "./der.ts";

export {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsagesExtension,
  Name,
  Pkcs10CertificateRequestGenerator,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

AsnObjectIdentifierConverter.fromASN = ({ valueBeforeDecodeView }) =>
  new DerReader(valueBeforeDecodeView).oid();
