/**
 * Why a certificate is not believed, by code: for tests, counters and logs. Whoever showed it gets
 * `unauthenticated` and the words.
 */
import { RegistryError } from "../../src/base/errors.ts";

/** The closed set of reasons. */
export type CertificateFault =
  /** Beyond a limit of size or number. */
  | "too_large"
  /** Not strict DER, or not a certificate of version 3. */
  | "malformed"
  /** A key or a signature of a kind that is not taken. */
  | "algorithm"
  /** A key under which one signature fits many messages. */
  | "weak_key"
  /** No certificate at all, or more than a path may have. */
  | "path_size"
  /** Not signed by what follows it, or by anything that is trusted. */
  | "unknown_issuer"
  /** The signature is not that of the issuer's key. */
  | "signature"
  | "not_yet_valid"
  | "expired"
  /** Lives longer than its kind may, or than its issuer. */
  | "lifetime"
  /** A certificate that signs another, but is no CA. */
  | "not_a_ca"
  /** A CA where a leaf must be. */
  | "leaf_is_ca"
  | "path_length"
  | "key_usage"
  | "extended_key_usage"
  | "critical_extension"
  | "name_constraints"
  /** Not exactly one SPIFFE id, or names that its kind does not have. */
  | "names"
  | "trust_domain"
  /** The issuer speaks for another region. */
  | "region";

/** A refusal. */
export interface CertificateRefusal {
  readonly fault: CertificateFault;
  /** What is wrong, for people; never more than a line. */
  readonly message: string;
}

/** Makes a refusal. */
export function refusal(fault: CertificateFault, message: string): CertificateRefusal {
  return { fault, message };
}

/** True for a refusal, false for what was read or found instead. */
export function isRefusal<T extends object>(
  result: T | CertificateRefusal,
): result is CertificateRefusal {
  return "fault" in result;
}

/** The refusal as it is told to whoever showed the certificate. */
export function refusedCertificate({ fault, message }: CertificateRefusal): RegistryError {
  return new RegistryError("unauthenticated", `Certificate is refused (${fault}): ${message}`, {
    field: "certificate",
  });
}
