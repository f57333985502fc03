/**
 * Our verdicts on the frozen chains of `certificates.json`, and the output that we write from its
 * facts, as text, to compare Deno and Node. Run as a program it prints them.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { CertificateAuthority } from "../../identity/enrolment/authority.ts";
import { decodeBase64url, encodeBase64url } from "../../src/base/base64url.ts";
import type { LeafProfileName } from "../../identity/pki/certificate_profile.ts";
import { isRefusal } from "../../identity/pki/certificate_refusal.ts";
import {
  checkCertificateRequest,
  createCertificateRequest,
} from "../../identity/pki/certificate_request.ts";
import { signingKeyOfSeed } from "../../identity/pki/ed25519.ts";
import type { RegistryIdentity } from "../../identity/pki/identity_extension.ts";
import { validateIdentity, validatePath } from "../../identity/pki/path_validation.ts";
import { encodePem } from "../../identity/pki/pem.ts";
import { isBundleRefusal, openTrustBundle } from "../../identity/trust/trust_bundle.ts";
import { TrustStore } from "../../identity/trust/trust_store.ts";

/** A chain and its expected result: a fault, or "" if it is trusted. */
export interface ChainCase {
  readonly name: string;
  readonly verdict: string;
  readonly profile: LeafProfileName;
  /** True: the peer's intermediates are accepted; false: only those of the bundle. */
  readonly open: boolean;
  readonly nowMs: number;
  readonly graceMs: number;
  /** Base64url. */
  readonly chain: readonly string[];
}

/** The frozen file. Bytes are base64url. */
export interface CertificateVectors {
  readonly trustDomain: string;
  readonly root: string;
  readonly intermediate: string;
  readonly intermediateKeyPem: string;
  readonly leaf: {
    readonly serialNumber: string;
    readonly subject: string;
    readonly publicKey: string;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    readonly registryIdentity: RegistryIdentity;
    readonly der: string;
    /** The same leaf as former versions wrote it. */
    readonly formerDer: string;
  };
  readonly request: { readonly seed: string; readonly der: string };
  readonly bundle: { readonly nowMs: number; readonly text: string };
  readonly cases: readonly ChainCase[];
}

/** Reads the vectors in a folder. */
export function readVectors(folder: string): CertificateVectors {
  return JSON.parse(readFileSync(`${folder}/certificates.json`, "utf8")) as CertificateVectors;
}

/** Returns the verdict on each chain, in order. */
export async function chainVerdicts(vectors: CertificateVectors): Promise<string[]> {
  const { trustDomain } = vectors;
  const roots = [bytes(vectors.root)];
  const intermediates = [bytes(vectors.intermediate)];
  const closed = await TrustStore.open({ trustDomain, roots, intermediates });
  const open = await TrustStore.open({ trustDomain, roots });
  if (isRefusal(closed) || isRefusal(open)) throw new Error("The frozen CAs are refused");
  const verdicts: string[] = [];
  for (const one of vectors.cases) {
    const options = { ...one, chain: one.chain.map(bytes), trust: one.open ? open : closed };
    const result = await (one.profile === "identity" ? validateIdentity : validatePath)(options);
    verdicts.push(isRefusal(result) ? result.fault : "");
  }
  return verdicts;
}

/** Returns the leaf and the request that are made from the frozen facts, base64url. */
export async function written(
  vectors: CertificateVectors,
): Promise<{ readonly leaf: string; readonly request: string }> {
  const { leaf, request } = vectors;
  const authority = await CertificateAuthority.open({
    certificatePem: encodePem("CERTIFICATE", bytes(vectors.intermediate)),
    keyPem: vectors.intermediateKeyPem,
  });
  const der = await authority.issueIdentity({
    ...leaf,
    serialNumber: bytes(leaf.serialNumber),
    publicKey: bytes(leaf.publicKey),
  });
  const key = await signingKeyOfSeed(bytes(request.seed));
  return {
    leaf: encodeBase64url(der),
    request: encodeBase64url(await createCertificateRequest(key)),
  };
}

/** Returns all verdicts as text. */
export async function report(vectors: CertificateVectors): Promise<string> {
  const verdicts = await chainVerdicts(vectors);
  const { leaf, request } = await written(vectors);
  const asked = await checkCertificateRequest(bytes(vectors.request.der));
  const { trustDomain, bundle: { text, nowMs } } = vectors;
  const bundle = await openTrustBundle({ text, trustDomain, roots: [bytes(vectors.root)], nowMs });
  return [
    ...vectors.cases.map(({ name }, index) => `${name}: ${verdicts[index]}`),
    `leaf ${leaf}`,
    `request ${request}: ${isRefusal(asked) ? asked.fault : encodeBase64url(asked.publicKey)}`,
    `bundle: ${isBundleRefusal(bundle) ? bundle.fault : bundle.bundle.sequence}`,
    "",
  ].join("\n");
}

function bytes(text: string): Uint8Array {
  const decoded = decodeBase64url(text);
  if (decoded === undefined) throw new Error(`Not base64url: ${text.slice(0, 40)}`);
  return decoded;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(await report(readVectors(process.env["CERTIFICATE_VECTORS"] ?? "")));
}
