/**
 * Reads one certificate (RFC 5280 §4.1) from untrusted bytes into the facts that path validation
 * uses. Input that is not strict DER, not version 3, or does not have one of the two supported
 * kinds of key is refused here, by code. Whether the certificate is trusted is decided in
 * `path_validation.ts`.
 *
 * The library that writes certificates does not read untrusted ones: it silently accepts BER,
 * trailing parts and duplicate extensions (the tests show each), it cannot tell extensions named by
 * UUIDs apart, and it is about eighty times slower.
 */
import { bytesEqual, toHex } from "../../src/base/bytes.ts";
import { CERTIFICATE_BYTES_MAX } from "../../src/base/limits.ts";
import { type CertificateExtensions, readExtensions } from "./certificate_extensions.ts";
import type { CertificateRefusal } from "./certificate_refusal.ts";
import { contextConstructed, DER_TAG, DerError } from "./der.ts";
import {
  type OpenStructure,
  type PublicKey,
  readName,
  readPublicKey,
  readStructure,
  type SignedStructure,
} from "./signed_structure.ts";

/** A parsed certificate. Arrays are views of `der`, which must not be modified. */
export interface ParsedCertificate extends SignedStructure {
  readonly der: Uint8Array;
  /** Serial number in hexadecimal, without leading zeros. */
  readonly serialNumber: string;
  /** Names in DER, compared bytewise. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Unix ms; valid in `[notBeforeMs, notAfterMs]`. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: PublicKey;
  readonly extensions: CertificateExtensions;
}

/**
 * Parses a certificate. Any bytes give a certificate or a refusal, in time proportional to their
 * number.
 *
 * @param der kept by the result; must not be modified.
 */
export function readCertificate(der: Uint8Array): ParsedCertificate | CertificateRefusal {
  return readStructure(der, CERTIFICATE_BYTES_MAX, (signed) => readFields(der, signed));
}

function readFields(der: Uint8Array, signed: OpenStructure): ParsedCertificate {
  const { fields, algorithmBytes, signedBytes, signatureAlgorithm, signature } = signed;
  const version = fields.inside(contextConstructed(0));
  if (version.unsigned(2) !== 2) throw new DerError("the version must be 3");
  version.finish();
  const serial = fields.unsignedBytes();
  if (serial.length > 20 || (serial.length === 1 && serial[0] === 0)) {
    throw new DerError("the serial number must have 1 to 20 bytes and not be zero");
  }
  if (!bytesEqual(fields.whole(DER_TAG.sequence), algorithmBytes)) {
    throw new DerError("it names two different signature algorithms");
  }
  const issuer = readName(fields);
  const validity = fields.inside(DER_TAG.sequence);
  const notBeforeMs = validity.time();
  const notAfterMs = validity.time();
  validity.finish();
  if (notAfterMs < notBeforeMs) throw new DerError("its validity ends before it begins");
  const subject = readName(fields);
  const publicKey = readPublicKey(fields);
  const wrapper = fields.inside(contextConstructed(3));
  fields.finish();
  const extensions = readExtensions(wrapper.inside(DER_TAG.sequence));
  wrapper.finish();
  return {
    der,
    signedBytes,
    signatureAlgorithm,
    signature,
    serialNumber: toHex(serial),
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    extensions,
  };
}
