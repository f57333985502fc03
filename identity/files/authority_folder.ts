/**
 * The folder of a region's authority, created by `crs identity init` and given to the region's
 * nodes:
 *
 * | file                   | contents                                                         |
 * | ---------------------- | ---------------------------------------------------------------- |
 * | `authority.json`       | trust domain, region, the public keys of the administrators      |
 * | `root.pem`             | the roots' certificates, without their keys                      |
 * | `intermediate-*.pem`   | a key and its certificate, two that overlap (mode 0600)          |
 * | `bundle-signer.pem`    | key and certificate of the trust bundle signer (mode 0600)       |
 * | `token-key-*.pem`      | keys that sign tokens, used in the order of their numbers (0600) |
 * | `capability-key-*.key` | root keys of capabilities, of which the newest signs (0600)      |
 * | `checkpoint-key-*.pem` | keys that sign checkpoints of the governed plane (mode 0600)     |
 *
 * Key files that others can read are refused. Group 0 and the schedules decide which key signs
 * when.
 */
import { readdirSync } from "node:fs";
import { bytesEqual } from "../../src/base/bytes.ts";
import { CAPABILITY_KEYS_MAX } from "../../src/base/limits.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { checkRegion } from "../../src/record/validation.ts";
import type { IdentityLeaf, PemPair } from "../enrolment/authority.ts";
import { CertificateAuthority } from "../enrolment/authority.ts";
import { type RootKey, rootKeyOfText } from "../capabilities/root_key.ts";
import { decodeBase64url } from "../../src/base/base64url.ts";
import { SEED_BYTES, type SigningKey, signingKeyOfSeed } from "../pki/ed25519.ts";
import { decodePem } from "../pki/pem.ts";
import { readFile, readKeyFile } from "./private_file.ts";
import { checkTrustDomain, parseSpiffeId } from "../pki/spiffe.ts";
import { keyIdOf } from "../tokens/token_keys.ts";
import { TrustStore } from "../trust/trust_store.ts";
import { isRefusal } from "../pki/certificate_refusal.ts";

/** Files of the folder. */
export const AUTHORITY_FILE = "authority.json";
export const ROOT_FILE = "root.pem";
/** In the root's own folder: its key and certificate. */
export const ROOT_KEY_FILE = "root-key.pem";
export const BUNDLE_SIGNER_FILE = "bundle-signer.pem";
/** Names of the numbered files, from 1. */
export const intermediateFile = (number: number): string => `intermediate-${number}.pem`;
export const tokenKeyFile = (number: number): string => `token-key-${number}.pem`;
export const capabilityKeyFile = (number: number): string => `capability-key-${number}.key`;
export const checkpointKeyFile = (number: number): string => `checkpoint-key-${number}.pem`;

/** An administrator whose key is in the folder. */
export interface Administrator {
  /** SPIFFE id of a controller. */
  readonly subject: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** A private key that signs tokens. */
export interface HeldTokenKey {
  readonly keyId: string;
  readonly key: SigningKey;
}

/** Keys and certificates of a region's node. */
export interface RegionAuthority {
  readonly trustDomain: string;
  readonly region: string;
  readonly administrators: readonly Administrator[];
  /** DER. */
  readonly roots: readonly Uint8Array[];
  readonly intermediates: readonly CertificateAuthority[];
  readonly bundleSigner: PemPair;
  readonly tokenKeys: readonly HeldTokenKey[];
  /** The newest last; none in a folder of an earlier version. */
  readonly checkpointKeys: readonly SigningKey[];
  /** Root keys of capabilities, the newest last; none in a folder of an earlier version. */
  readonly capabilityKeys: readonly RootKey[];
}

/**
 * Reads the folder and checks that its parts belong together.
 *
 * @throws RegistryError `invalid_configuration` if a file is missing, unsound or accessible to
 * others; the message names the file.
 */
export async function openAuthorityFolder(folder: string): Promise<RegionAuthority> {
  const settings = readSettings(folder);
  const roots = ders(readNamed(folder, ROOT_FILE));
  const trust = await TrustStore.open({ trustDomain: settings.trustDomain, roots });
  if (isRefusal(trust)) throw unusable(folder, ROOT_FILE, trust.message);
  const intermediates: CertificateAuthority[] = [];
  for (const file of numbered(folder, "intermediate")) {
    const authority = await opened(folder, file, CertificateAuthority.open);
    if (trust.issuerOf(authority.certificate) === undefined) {
      throw unusable(folder, file, `it is not signed by a root of ${ROOT_FILE}`);
    }
    intermediates.push(authority);
  }
  if (intermediates.length === 0) {
    throw unusable(folder, intermediateFile(1), "it is missing");
  }
  const tokenKeys = (await readKeys(folder, "token-key")).map((key) => ({
    keyId: keyIdOf(key.verifying.bytes),
    key,
  }));
  const bundleSigner = pairOf(readSecret(folder, BUNDLE_SIGNER_FILE));
  const checkpointKeys = await readCheckpointKeys(folder);
  const capabilityKeys = readCapabilityKeys(folder);
  const keys = { tokenKeys, checkpointKeys, capabilityKeys };
  return { ...settings, roots, intermediates, bundleSigner, ...keys };
}

/**
 * Reads the keys of a folder that sign checkpoints of the governed plane, the newest last.
 *
 * @throws RegistryError `invalid_configuration` if a file holds no Ed25519 key.
 */
export async function readCheckpointKeys(folder: string): Promise<readonly SigningKey[]> {
  return await readKeys(folder, "checkpoint-key");
}

async function readKeys(folder: string, kind: string): Promise<SigningKey[]> {
  const keys: SigningKey[] = [];
  for (const file of numbered(folder, kind)) {
    const key = await keyOfPem(readSecret(folder, file));
    if (key === undefined) throw unusable(folder, file, "it holds no Ed25519 key");
    keys.push(key);
  }
  return keys;
}

/** Creates a decided leaf with the intermediate that it names. @returns the chain, leaf first. */
export async function issueByKeyId(
  { intermediates }: Pick<RegionAuthority, "intermediates">,
  leaf: IdentityLeaf & { readonly issuerKeyId: Uint8Array },
): Promise<readonly Uint8Array[]> {
  const issuer = intermediates.find(({ certificate }) =>
    bytesEqual(keyIdentifierOf(certificate), leaf.issuerKeyId)
  );
  if (issuer === undefined) {
    throw new RegistryError(
      "invalid_configuration",
      "This node does not hold the intermediate that signs this certificate",
      { field: "authority" },
    );
  }
  return [await issuer.issueIdentity(leaf), issuer.certificate.der];
}

/** Returns the key identifier of a CA that the registry issued, 20 bytes. */
export function keyIdentifierOf(certificate: CertificateAuthority["certificate"]): Uint8Array {
  const { subjectKeyId } = certificate.extensions;
  if (subjectKeyId === undefined) {
    throw new RegistryError("corrupt", "A CA must have a key identifier: it has none");
  }
  return subjectKeyId;
}

/** Returns the Ed25519 key of a PEM text (PKCS #8), or `undefined` if it holds none. */
export async function keyOfPem(text: string): Promise<SigningKey | undefined> {
  const [der] = decodePem("PRIVATE KEY", text);
  // RFC 8410 §7 without attributes: 16 bytes, then the seed.
  if (der === undefined || der.length !== 16 + SEED_BYTES) return undefined;
  try {
    return await signingKeyOfSeed(der.subarray(16));
  } finally {
    der.fill(0);
  }
}

/** Returns the pair of a text that holds both key and certificate. */
export function pairOf(text: string): PemPair {
  return { keyPem: text, certificatePem: text };
}

function readSettings(
  folder: string,
): Pick<RegionAuthority, "trustDomain" | "region" | "administrators"> {
  const text = readNamed(folder, AUTHORITY_FILE);
  try {
    const value = JSON.parse(text) as {
      trustDomain: string;
      region: string;
      administrators: { subject: string; publicKey: string }[];
    };
    const trustDomain = checkTrustDomain(value.trustDomain);
    const administrators = value.administrators.map(({ subject, publicKey }) => {
      const key = decodeBase64url(publicKey);
      if (parseSpiffeId(subject).role !== "controller" || key?.length !== 32) {
        throw new Error(`${subject} must be a controller with an Ed25519 key`);
      }
      return { subject, publicKey: key };
    });
    return { trustDomain, region: checkRegion(value.region), administrators };
  } catch (error) {
    throw unusable(folder, AUTHORITY_FILE, error instanceof Error ? error.message : String(error));
  }
}

function readCapabilityKeys(folder: string): RootKey[] {
  const files = numbered(folder, "capability-key", "key");
  if (files.length > CAPABILITY_KEYS_MAX) {
    throw unusable(
      folder,
      files[0]!,
      `there are more than ${CAPABILITY_KEYS_MAX} such keys: remove those whose capabilities have ended`,
    );
  }
  return files.map((file) => {
    const key = rootKeyOfText(readSecret(folder, file));
    if (key === undefined) throw unusable(folder, file, "it holds no root key of capabilities");
    return key;
  });
}

/** Returns the files `<kind>-<n>.<extension>`, ordered by number. */
function numbered(folder: string, kind: string, extension = "pem"): string[] {
  const pattern = new RegExp(`^${kind}-(\\d{1,6})\\.${extension}$`);
  const numberOf = (file: string) => Number(pattern.exec(file)![1]);
  return readdirSync(folder).filter((file) => pattern.test(file))
    .sort((left, right) => numberOf(left) - numberOf(right));
}

async function opened<T>(
  folder: string,
  file: string,
  open: (pair: PemPair) => Promise<T>,
): Promise<T> {
  try {
    return await open(pairOf(readSecret(folder, file)));
  } catch (error) {
    if (error instanceof RegistryError && error.code === "corrupt") {
      throw unusable(folder, file, error.message);
    }
    throw error;
  }
}

function readSecret(folder: string, file: string): string {
  const text = readKeyFile(`${folder}/${file}`);
  if (text === undefined) throw unusable(folder, file, "it is missing");
  return text;
}

function readNamed(folder: string, file: string): string {
  const text = readFile(`${folder}/${file}`);
  if (text === undefined) throw unusable(folder, file, "it is missing");
  return text;
}

function ders(pem: string): Uint8Array[] {
  return decodePem("CERTIFICATE", pem).flatMap((der) => der === undefined ? [] : [der]);
}

function unusable(folder: string, file: string, reason: string): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    `Cannot use ${folder}/${file}: ${reason}; crs identity init makes such a folder`,
    { field: "authority" },
  );
}
