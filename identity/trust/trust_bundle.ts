/**
 * The trust bundle: what a client or node must know to believe the others, in one signed file that it
 * can be given by anybody. Roots, the intermediates that count, and the TLS pins of the servers.
 *
 * Canonical JSON (RFC 8785) of ASCII text and whole numbers, so that one content has one text. It is
 * signed by a key whose certificate a root itself signed (`certificate_profile.ts`, bundleSigner). Its
 * sequence never goes back: an older bundle would bring back what was withdrawn. Who has no bundle yet
 * is held to its end of validity alone.
 *
 * Clock assumption: the clocks of who signs and who checks differ by at most IDENTITY_BACKDATE_MS, as
 * certificates assume too.
 *
 * A bundle may name new roots, so that roots can be rotated: for as long as its certificate lives, the
 * signer is believed as the root is.
 */
import canonicalize from "canonicalize";
import { defined } from "../../src/base/assert.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { IDENTITY_BACKDATE_MS, TRUST_BUNDLE_BYTES_MAX } from "../../src/base/limits.ts";
import type { PemPair } from "../enrolment/authority.ts";
import { decodeBase64url, encodeBase64url } from "../tokens/base64url.ts";
import { openKey, signWith } from "../pki/certificate_key.ts";
import { readCertificate } from "../pki/certificate_reader.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import { isSignedBy } from "../pki/certificate_signature.ts";
import { validatePath } from "../pki/path_validation.ts";
import { decodePem } from "../pki/pem.ts";
import { bundleFromJson, bundleToJson, type TrustBundle } from "./trust_bundle_content.ts";
import { TrustStore } from "./trust_store.ts";

/** Keeps a signature over a bundle from being one over anything else. */
const CONTEXT = new TextEncoder().encode(" ".repeat(64) + "registry trust-bundle/1\0");

/** Why a bundle is not taken. */
export type BundleFault =
  | "too_large"
  | "malformed"
  | "trust_domain"
  /** Not signed by a key that a known root certified for bundles. */
  | "signer"
  | "signature"
  /** Its CAs cannot be read, or are not signed by its roots. */
  | "authorities"
  | "not_yet_valid"
  | "expired"
  /** Older than the one that is known, or of its age and different. */
  | "rolled_back";

/** A refusal. */
export interface BundleRefusal {
  readonly fault: BundleFault;
  readonly message: string;
}

/** A bundle that is believed. */
export interface OpenBundle {
  readonly bundle: TrustBundle;
  /** Its CAs, closed: what the bundle does not name is not believed. */
  readonly trust: TrustStore;
  /** The text that it came as, to be kept. */
  readonly text: string;
}

/** How a bundle is checked. */
export interface OpenBundleOptions {
  readonly text: string;
  readonly trustDomain: string;
  /** The roots known so far, DER: of the bundle before, or given by hand. */
  readonly roots: readonly Uint8Array[];
  /** The newest bundle that was believed before. */
  readonly known?: OpenBundle | undefined;
  readonly nowMs: number;
  /**
   * True where the bundle is only read to be followed by a newly signed one: it may have ended, and its
   * signer's certificate may have ended since it was issued. All other checks stay. Nobody is believed
   * by a bundle that was opened so. Default false.
   */
  readonly toSupersede?: boolean;
}

/**
 * Makes a bundle's text.
 *
 * @param signer a pair of `CertificateAuthority.createBundleSigner`.
 * @throws RegistryError `corrupt` where the pair cannot be used, `malformed` where the bundle says what
 * none can.
 */
export async function createTrustBundle(bundle: TrustBundle, signer: PemPair): Promise<string> {
  const [der] = decodePem("CERTIFICATE", signer.certificatePem);
  const certificate = der && readCertificate(der);
  if (certificate === undefined || isRefusal(certificate)) {
    throw new RegistryError("corrupt", "Cannot use a bundle signer: its certificate is damaged");
  }
  const key = await openKey(signer.keyPem, certificate.publicKey);
  // What nobody could read is not signed.
  bundleFromJson(bundleToJson(bundle));
  return envelope(bundle, await signWith(key, signedBytes(bundle)), certificate.der);
}

/** Checks a bundle's text; any text gives a bundle or a refusal. @throws RegistryError never */
export async function openTrustBundle(
  options: OpenBundleOptions,
): Promise<OpenBundle | BundleRefusal> {
  const { text, nowMs, known, toSupersede = false } = options;
  const parts = readEnvelope(text);
  if (isBundleRefusal(parts)) return parts;
  const { bundle } = parts;
  if (bundle.trustDomain !== options.trustDomain) {
    return refused("trust_domain", `it is of ${bundle.trustDomain}`);
  }
  const forged = await signatureFault(parts, options);
  if (forged !== undefined) return forged;
  if (nowMs + IDENTITY_BACKDATE_MS < bundle.issuedAtMs) {
    return refused("not_yet_valid", `it was issued later than now, at ${iso(bundle.issuedAtMs)}`);
  }
  if (nowMs >= bundle.expiresAtMs && !toSupersede) {
    return refused("expired", `it ended at ${iso(bundle.expiresAtMs)}`);
  }
  if (known !== undefined && known.text !== text && bundle.sequence <= known.bundle.sequence) {
    const needed = `more than ${known.bundle.sequence} is needed`;
    return refused("rolled_back", `its sequence is ${bundle.sequence}: ${needed}`);
  }
  const trust = await TrustStore.open(bundle);
  return isRefusal(trust) ? refused("authorities", trust.message) : { bundle, trust, text };
}

/** True for a refusal. */
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

/** The parts of a text that is exactly the canonical text of its parts. */
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
    // Whatever was read twice, passed over or written otherwise makes the texts differ.
    if (signature !== undefined && signer !== undefined) {
      if (envelope(bundle, signature, signer) === text) return { bundle, signature, signer };
    }
  } catch (error) {
    // Text that is no JSON, JSON that is null, or a member that a bundle cannot have.
    return refused("malformed", error instanceof Error ? error.message.slice(0, 200) : "no JSON");
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
  // No intermediates: a signer's certificate is signed by a root itself.
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
    : refused("signature", "its signature is not its signer's");
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
