/**
 * The trust bundle: one signed file with everything that a client or node must know to verify the
 * others: roots, valid intermediates, and the TLS pins of the servers. It may be received from
 * anybody.
 *
 * It is canonical JSON (RFC 8785) of ASCII text and whole numbers, so that one content has one
 * text. Its signing key has a certificate signed directly by a root (`certificate_profile.ts`,
 * bundleSigner). Its sequence never decreases: an older bundle would restore trust in withdrawn
 * certificates. For receivers without an earlier bundle the expiry is the only protection against
 * old ones.
 *
 * Clock assumption: the clocks of signer and receiver differ by at most IDENTITY_BACKDATE_MS, as
 * for certificates.
 *
 * A bundle may name new roots, so that roots can be rotated: while its certificate is valid, the
 * signer is trusted like the root.
 */
import canonicalize from "canonicalize";
import { defined } from "../../src/base/assert.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { IDENTITY_BACKDATE_MS, TRUST_BUNDLE_BYTES_MAX } from "../../src/base/limits.ts";
import type { PemPair } from "../enrolment/authority.ts";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import { openKey, signWith } from "../pki/certificate_key.ts";
import { readCertificate } from "../pki/certificate_reader.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import { isSignedBy } from "../pki/certificate_signature.ts";
import { validatePath } from "../pki/path_validation.ts";
import { decodePem } from "../pki/pem.ts";
import { bundleFromJson, bundleToJson, type TrustBundle } from "./trust_bundle_content.ts";
import { TrustStore } from "./trust_store.ts";

/** Signature context, which prevents the signature from being valid for anything else. */
const CONTEXT = new TextEncoder().encode(" ".repeat(64) + "registry trust-bundle/1\0");

/** Reasons why a bundle is refused. */
export type BundleFault =
  | "too_large"
  | "malformed"
  | "trust_domain"
  /** The signing key has no bundle signer certificate from a known root. */
  | "signer"
  | "signature"
  /** Its CAs cannot be read, or are not signed by its roots. */
  | "authorities"
  | "not_yet_valid"
  | "expired"
  /** Older than the known bundle, or a different bundle with the same sequence. */
  | "rolled_back";

/** A refused bundle. */
export interface BundleRefusal {
  readonly fault: BundleFault;
  readonly message: string;
}

/** A verified bundle. */
export interface OpenBundle {
  readonly bundle: TrustBundle;
  /** Its CAs, as a closed store: intermediates not in the bundle are not trusted. */
  readonly trust: TrustStore;
  /** The original text, for storage. */
  readonly text: string;
}

/** Options of {@link openTrustBundle}. */
export interface OpenBundleOptions {
  readonly text: string;
  readonly trustDomain: string;
  /** The roots known so far, DER: from the previous bundle, or configured. */
  readonly roots: readonly Uint8Array[];
  /** The newest bundle that was verified before. */
  readonly known?: OpenBundle | undefined;
  readonly nowMs: number;
  /**
   * True if the bundle is only read to be replaced by a newly signed one: it and its signer's
   * certificate may have expired since it was issued. All other checks remain. A bundle opened in
   * this way must not be used for verification. Default false.
   */
  readonly toSupersede?: boolean;
}

/**
 * Creates the signed text of a bundle.
 *
 * @param signer a pair of `CertificateAuthority.createBundleSigner`.
 * @throws RegistryError `corrupt` if the pair cannot be used, `malformed` if the bundle has invalid
 * contents.
 */
export async function createTrustBundle(bundle: TrustBundle, signer: PemPair): Promise<string> {
  const [der] = decodePem("CERTIFICATE", signer.certificatePem);
  const certificate = der && readCertificate(der);
  if (certificate === undefined || isRefusal(certificate)) {
    throw new RegistryError("corrupt", "Cannot use a bundle signer: its certificate is damaged");
  }
  const key = await openKey(signer.keyPem, certificate.publicKey);
  // A bundle that no receiver could parse is not signed.
  bundleFromJson(bundleToJson(bundle));
  return envelope(bundle, await signWith(key, signedBytes(bundle)), certificate.der);
}

/** Verifies a bundle's text. Any text gives a bundle or a refusal. @throws RegistryError never */
export async function openTrustBundle(
  options: OpenBundleOptions,
): Promise<OpenBundle | BundleRefusal> {
  const { text, nowMs, known, toSupersede = false } = options;
  const parts = readEnvelope(text);
  if (isBundleRefusal(parts)) return parts;
  const { bundle } = parts;
  if (bundle.trustDomain !== options.trustDomain) {
    return refused("trust_domain", `it is of ${bundle.trustDomain}: needed ${options.trustDomain}`);
  }
  const forged = await signatureFault(parts, options);
  if (forged !== undefined) return forged;
  if (nowMs + IDENTITY_BACKDATE_MS < bundle.issuedAtMs) {
    return refused("not_yet_valid", `it was issued in the future, at ${iso(bundle.issuedAtMs)}`);
  }
  if (nowMs >= bundle.expiresAtMs && !toSupersede) {
    return refused("expired", `it expired at ${iso(bundle.expiresAtMs)}`);
  }
  if (known !== undefined && known.text !== text && bundle.sequence <= known.bundle.sequence) {
    const needed = `more than ${known.bundle.sequence} is needed`;
    return refused("rolled_back", `its sequence is ${bundle.sequence}: ${needed}`);
  }
  const trust = await TrustStore.open(bundle);
  return isRefusal(trust) ? refused("authorities", trust.message) : { bundle, trust, text };
}

/** Reports whether a result is a refusal. */
export function isBundleRefusal<T extends object>(
  result: T | BundleRefusal,
): result is BundleRefusal {
  return "fault" in result;
}

interface Envelope {
  readonly bundle: TrustBundle;
  readonly signature: Uint8Array;
  readonly signer: Uint8Array;
}

/** Parses a text that must be the canonical text of its parts. */
function readEnvelope(text: string): Envelope | BundleRefusal {
  if (text.length > TRUST_BUNDLE_BYTES_MAX) {
    const wanted = `at most ${TRUST_BUNDLE_BYTES_MAX}`;
    return refused("too_large", `it has ${text.length} characters: ${wanted}`);
  }
  try {
    const value = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const bundle = bundleFromJson(value["bundle"]);
    const signature = decodeBase64url(String(value["signature"]));
    const signer = decodeBase64url(String(value["signer"]));
    // Duplicate or unknown members and other spellings make the texts differ.
    if (signature !== undefined && signer !== undefined) {
      if (envelope(bundle, signature, signer) === text) return { bundle, signature, signer };
    }
  } catch (error) {
    // The text is not JSON, the JSON is null, or a member is invalid.
    return refused(
      "malformed",
      error instanceof Error ? error.message.slice(0, 200) : "it is not JSON",
    );
  }
  return refused("malformed", "it is not the canonical text of a signed bundle");
}

function envelope(bundle: TrustBundle, signature: Uint8Array, signer: Uint8Array): string {
  return canonical({
    bundle: bundleToJson(bundle),
    signature: encodeBase64url(signature),
    signer: encodeBase64url(signer),
  });
}

async function signatureFault(
  { bundle, signature, signer }: Envelope,
  { trustDomain, roots, nowMs, toSupersede = false }: OpenBundleOptions,
): Promise<BundleRefusal | undefined> {
  // No intermediates: a root signs a signer's certificate directly.
  const trust = await TrustStore.open({ trustDomain, roots, intermediates: [] });
  if (isRefusal(trust)) return refused("signer", trust.message);
  const leaf = await validatePath({
    chain: [signer],
    trust,
    nowMs: toSupersede ? bundle.issuedAtMs : nowMs,
    profile: "bundleSigner",
  });
  if (isRefusal(leaf)) return refused("signer", leaf.message);
  const signed = {
    signedBytes: signedBytes(bundle),
    signatureAlgorithm: "Ed25519",
    signature,
  } as const;
  return await isSignedBy(signed, leaf.certificate.publicKey)
    ? undefined
    : refused("signature", "it is not signed by its signer's key");
}

function signedBytes(bundle: TrustBundle): Uint8Array {
  return concatBytes([CONTEXT, new TextEncoder().encode(canonical(bundleToJson(bundle)))]);
}

function canonical(value: unknown): string {
  return defined(canonicalize(value), "A bundle has a canonical form");
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

function refused(fault: BundleFault, message: string): BundleRefusal {
  return { fault, message };
}
