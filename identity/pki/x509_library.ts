/**
 * `@peculiar/x509`, which writes certificates and requests, with one fix. Importing this file loads
 * the library, which takes about 120 ms and 10 MB at first, so code that only reads certificates
 * does not import it.
 *
 * The library parses its own output and encodes the result again. It reads an arc of 2^53 or more,
 * such as every UUID, as `{hex}`, which it cannot encode, and so drops the arc silently. Here
 * object identifiers are parsed by {@link DerReader}, which keeps all digits.
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
