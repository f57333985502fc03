/**
 * The trust bundle as group 0 stores it: its text, and when each intermediate was first published,
 * because an intermediate signs nothing before everybody had time to learn of it
 * (`intermediate_schedule.ts`). Each node creates the next bundle from the current one and from its
 * own folder.
 */
import { bytesEqual, toHex } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  IDENTITY_BACKDATE_MS,
  INTERMEDIATE_LEAD_MS,
  TRUST_BUNDLE_LIFE_MS,
} from "../../src/base/limits.ts";
import type { CertificateAuthority } from "../enrolment/authority.ts";
import { keyIdentifierOf, type RegionAuthority } from "../files/authority_folder.ts";
import { type ParsedCertificate, readCertificate } from "../pki/certificate_reader.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";
import { type Intermediate, intermediateSteps } from "../enrolment/intermediate_schedule.ts";
import { formatRegionScope } from "../pki/spiffe.ts";
import { decodePem } from "../pki/pem.ts";
import { createTrustBundle } from "./trust_bundle.ts";
import { bundleFromJson, type TrustBundle, type TrustedServer } from "./trust_bundle_content.ts";

/** State in group 0. */
export interface BundlePublication {
  readonly text: string;
  readonly bundle: TrustBundle;
  /**
   * Unix ms of the first bundle that contained an intermediate, by key identifier in hexadecimal.
   */
  readonly publishedAtMs: Readonly<Record<string, number>>;
}

/** An intermediate with its key. */
export type HeldIntermediate = Intermediate & { readonly authority: CertificateAuthority };

/** Encodes a publication for group 0. */
export function publicationToBytes({ text, publishedAtMs }: BundlePublication): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ text, publishedAtMs }));
}

/** Decodes a publication of group 0. @throws RegistryError `corrupt`. */
export function publicationFromBytes(bytes: Uint8Array): BundlePublication {
  try {
    const { text, publishedAtMs } = JSON.parse(new TextDecoder().decode(bytes)) as {
      text: string;
      publishedAtMs: Record<string, number>;
    };
    const { bundle } = JSON.parse(text) as { bundle: unknown };
    return { text, bundle: bundleFromJson(bundle), publishedAtMs };
  } catch (error) {
    throw new RegistryError("corrupt", "The trust bundle of group 0 cannot be read", {}, error);
  }
}

/** Returns the region's intermediates that a node holds, with their publication times. */
export function heldIntermediates(
  { intermediates, region }: RegionAuthority,
  known: BundlePublication | undefined,
  nowMs: number,
): HeldIntermediate[] {
  const published = intermediates.map((authority) =>
    known?.publishedAtMs[toHex(keyIdentifierOf(authority.certificate))]
  );
  // If no bundle contains one that is still valid, no other intermediate can serve anybody
  // meanwhile.
  const isFirst = intermediates.every(({ certificate }, index) =>
    published[index] === undefined || certificate.notAfterMs <= nowMs
  );
  return intermediates.map((authority, index) => {
    const { notBeforeMs, notAfterMs } = authority.certificate;
    // The first intermediates need no lead: they sign from the start of their validity.
    const firstMs = Math.min(notBeforeMs, nowMs) - INTERMEDIATE_LEAD_MS;
    const atMs = published[index] ?? (isFirst ? firstMs : nowMs);
    const keyId = keyIdentifierOf(authority.certificate);
    return { authority, keyId, region, notBeforeMs, notAfterMs, publishedAtMs: atMs };
  });
}

/**
 * Returns the next bundle, or `undefined` if the current one is complete and young enough.
 *
 * @param servers the region's nodes; those of other regions stay as published.
 */
export async function nextPublication(
  { authority, known, servers, nowMs }: {
    readonly authority: RegionAuthority;
    readonly known: BundlePublication | undefined;
    readonly servers: readonly TrustedServer[];
    readonly nowMs: number;
  },
): Promise<BundlePublication | undefined> {
  const held = heldIntermediates(authority, known, nowMs);
  const { named } = intermediateSteps(held, nowMs);
  const own = named.map((intermediate) => held.find(({ keyId }) => keyId === intermediate.keyId)!);
  const others = (known?.bundle.intermediates ?? []).filter((der) =>
    isOfOtherRegion(der, authority) && !hasEnded(der, nowMs)
  );
  const regional = formatRegionScope(authority) + "/";
  const isOtherServer = ({ subject }: TrustedServer) => !subject.startsWith(regional);
  const content = {
    trustDomain: authority.trustDomain,
    roots: union(known?.bundle.roots ?? [], authority.roots),
    intermediates: [...others, ...own.map((one) => one.authority.certificate.der)],
    servers: [...(known?.bundle.servers ?? []).filter(isOtherServer), ...servers],
  };
  const { bundle } = known ?? {};
  const isYoung = bundle !== undefined && bundle.issuedAtMs <= nowMs + IDENTITY_BACKDATE_MS &&
    nowMs < bundle.issuedAtMs + (bundle.expiresAtMs - bundle.issuedAtMs) / 2;
  if (isYoung && sameContent(bundle, content)) return undefined;
  const next: TrustBundle = {
    ...content,
    sequence: (bundle?.sequence ?? 0) + 1,
    issuedAtMs: Math.floor(nowMs),
    expiresAtMs: Math.min(
      Math.floor(nowMs) + TRUST_BUNDLE_LIFE_MS,
      bundleSignerCertificate(authority).notAfterMs,
    ),
  };
  const publishedAtMs = {
    ...known?.publishedAtMs,
    ...Object.fromEntries(own.map((one) => [toHex(one.keyId), one.publishedAtMs!])),
  };
  const text = await createTrustBundle(next, authority.bundleSigner);
  return { text, bundle: next, publishedAtMs };
}

function sameContent(bundle: TrustBundle, content: Partial<TrustBundle>): boolean {
  const plain = ({ roots, intermediates, servers }: Partial<TrustBundle>) =>
    JSON.stringify([
      roots!.map(toHex).sort(),
      intermediates!.map(toHex).sort(),
      servers!.map(({ subject, authorities, currentPin, nextPin }) =>
        JSON.stringify([subject, authorities, toHex(currentPin), toHex(nextPin)])
      ).sort(),
    ]);
  return plain(bundle) === plain(content);
}

function union(left: readonly Uint8Array[], right: readonly Uint8Array[]): Uint8Array[] {
  return [...left, ...right.filter((one) => !left.some((other) => bytesEqual(one, other)))];
}

function isOfOtherRegion(der: Uint8Array, { region }: RegionAuthority): boolean {
  const certificate = readCertificate(der);
  if (isRefusal(certificate)) return false;
  return !certificate.extensions.names?.uris.some((uri) => uri.endsWith(`/region/${region}`));
}

function hasEnded(der: Uint8Array, nowMs: number): boolean {
  const certificate = readCertificate(der);
  return isRefusal(certificate) || certificate.notAfterMs < nowMs;
}

/** Returns the bundle signer's certificate; no bundle is valid for longer than it. */
export function bundleSignerCertificate(
  { bundleSigner }: Pick<RegionAuthority, "bundleSigner">,
): ParsedCertificate {
  const [der] = decodePem("CERTIFICATE", bundleSigner.certificatePem);
  const certificate = der && readCertificate(der);
  if (certificate === undefined || isRefusal(certificate)) {
    throw new RegistryError("corrupt", "The certificate of the bundle signer cannot be read");
  }
  return certificate;
}
