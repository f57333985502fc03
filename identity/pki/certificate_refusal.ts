/**
 * Reasons why a certificate is not trusted, by code: for tests, counters and logs. The peer that
 * presented it receives `unauthenticated` and the message.
 */
import { RegistryError } from "../../src/base/errors.ts";

/** The closed set of certificate faults. */
export type CertificateFault =
  /** A size or number exceeds its limit. */
  | "too_large"
  /** Not strict DER, or not an X.509 version 3 certificate. */
  | "malformed"
  /** A key or signature of an unsupported algorithm. */
  | "algorithm"
  /** A key under which one signature is valid for many messages. */
  | "weak_key"
  /** No certificate, or more than a path may have. */
  | "path_size"
  /** Issued neither by the certificate that follows it nor by a trusted CA. */
  | "unknown_issuer"
  /** The signature was not made by the issuer's key. */
  | "signature"
  | "not_yet_valid"
  | "expired"
  /** Valid for longer than its profile allows, or beyond its issuer's expiry. */
  | "lifetime"
  /** A certificate that signs another one but is not a CA. */
  | "not_a_ca"
  /** A CA in the place of the leaf. */
  | "leaf_is_ca"
  | "path_length"
  | "key_usage"
  | "extended_key_usage"
  | "critical_extension"
  | "name_constraints"
  /** Not exactly one SPIFFE id, or names that the profile does not allow. */
  | "names"
  | "trust_domain"
  /** The issuer belongs to another region. */
  | "region";

/** A refused certificate. */
export interface CertificateRefusal {
  readonly fault: CertificateFault;
  /** Description for people; at most one line. */
  readonly message: string;
}

/** Creates a refusal. */
export function refusal(fault: CertificateFault, message: string): CertificateRefusal {
  return { fault, message };
}

/** Reports whether a result is a refusal. */
export function isRefusal<T extends object>(
  result: T | CertificateRefusal,
): result is CertificateRefusal {
  return "fault" in result;
}

/** Converts a refusal to the error for the peer that presented the certificate. */
export function refusedCertificate({ fault, message }: CertificateRefusal): RegistryError {
  return new RegistryError("unauthenticated", `Certificate is refused (${fault}): ${message}`, {
    field: "certificate",
  });
}
