/**
 * Creates a new trust domain, once, on a machine that may go offline afterwards: a root, a region's
 * authority (`authority_folder.ts`), and an administrator's key.
 */
import { existsSync, rmSync, statSync } from "node:fs";
import { toHex } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  BUNDLE_SIGNER_LIFE_MS,
  CERTIFICATE_BACKDATE_MS,
  INTERMEDIATE_LIFE_MS,
  ROOT_LIFE_MS,
} from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";
import { checkRegion } from "../../src/record/validation.ts";
import { createRootKeyText } from "../capabilities/root_key.ts";
import { CertificateAuthority, createRoot } from "./authority.ts";
import {
  AUTHORITY_FILE,
  BUNDLE_SIGNER_FILE,
  capabilityKeyFile,
  checkpointKeyFile,
  intermediateFile,
  openAuthorityFolder,
  ROOT_FILE,
  ROOT_KEY_FILE,
  tokenKeyFile,
} from "../files/authority_folder.ts";
import { encodeBase64url } from "../../src/base/base64url.ts";
import { createKey } from "../pki/certificate_key.ts";
import { keyedPem } from "./development_authority.ts";
import { IDENTITY_KEY_FILE, IDENTITY_SETTINGS_FILE } from "../files/identity_folder.ts";
import { intermediateValidity } from "./intermediate_schedule.ts";
import {
  ensurePrivateFolder,
  moveFile,
  PRIVATE_FILE_MODE,
  PUBLIC_FILE_MODE,
  replaceFile,
} from "../files/private_file.ts";
import { checkTrustDomain, formatSpiffeId } from "../pki/spiffe.ts";

/** Options of {@link initAuthority}. */
export interface InitOptions {
  /** Created if it does not exist; must not contain a trust domain yet. */
  readonly folder: string;
  readonly trustDomain: string;
  readonly region: string;
  readonly nowMs: number;
  readonly entropy: Entropy;
}

/** Created folders. */
export interface InitResult {
  readonly trustDomain: string;
  readonly region: string;
  /** Holds the root's key; to be kept offline. */
  readonly rootFolder: string;
  /** For the nodes of the region. */
  readonly authorityFolder: string;
  /** Holds the administrator's identity; to be kept offline. */
  readonly administratorFolder: string;
  readonly administrator: string;
}

/** The folders of a trust domain. */
const PARTS = ["root", "authority", "administrator"] as const;

/**
 * Creates everything or nothing: all options are checked first, the files are written to a draft
 * folder and opened as a node would open them, and only then moved to their place.
 *
 * @throws RegistryError `invalid_argument` for a name that no node accepts, or if the folder
 * already contains a trust domain; `storage_unavailable`.
 */
export async function initAuthority(options: InitOptions): Promise<InitResult> {
  const { entropy } = options;
  const folder = options.folder.replace(/(?<=.)\/+$/, "");
  const trustDomain = checkTrustDomain(options.trustDomain);
  const region = checkRegion(options.region);
  const exists = checkPlace(folder);
  const suffix = new Uint8Array(4);
  entropy.fill(suffix);
  const draft = exists ? `${folder}/.draft-${toHex(suffix)}` : `${folder}.draft-${toHex(suffix)}`;
  try {
    const administrator = await write(draft, { ...options, trustDomain, region });
    await openAuthorityFolder(`${draft}/authority`);
    if (exists) moveParts(draft, folder);
    else moveFile(draft, folder);
    const [rootFolder, authorityFolder, administratorFolder] = PARTS
      .map((part) => `${folder}/${part}`) as [string, string, string];
    return { trustDomain, region, rootFolder, authorityFolder, administratorFolder, administrator };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Reports whether the folder exists. @throws RegistryError if it cannot be used. */
function checkPlace(folder: string): boolean {
  if (folder === "") throw unusable("out must name a folder: it is empty");
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (!found.isDirectory()) throw unusable(`${folder} must be a folder: it is a file`);
  const taken = PARTS.find((part) => existsSync(`${folder}/${part}`));
  if (taken === undefined) return true;
  throw unusable(
    `${folder} must not hold a trust domain yet: found ${taken}. Name another folder, or move ` +
      `this one away`,
  );
}

/** Moves the parts into an existing folder: all of them, or none. */
function moveParts(draft: string, folder: string): void {
  const moved: string[] = [];
  try {
    for (const part of PARTS) {
      moveFile(`${draft}/${part}`, `${folder}/${part}`);
      moved.push(part);
    }
  } catch (error) {
    for (const part of moved) rmSync(`${folder}/${part}`, { recursive: true, force: true });
    throw error;
  }
}

/** Writes all files of a trust domain. @returns the administrator's SPIFFE id. */
async function write(draft: string, options: InitOptions): Promise<string> {
  const { trustDomain, nowMs, entropy } = options;
  const [rootFolder, authorityFolder, administratorFolder] = PARTS
    .map((part) => `${draft}/${part}`) as [string, string, string];
  for (const path of [draft, rootFolder, authorityFolder, administratorFolder]) {
    ensurePrivateFolder(path);
  }
  const notBeforeMs = nowMs - CERTIFICATE_BACKDATE_MS;
  const root = await createRoot({
    name: `${trustDomain} root`,
    notBeforeMs,
    notAfterMs: notBeforeMs + ROOT_LIFE_MS,
    entropy,
  });
  secret(`${rootFolder}/${ROOT_KEY_FILE}`, keyedPem(root));
  open(`${authorityFolder}/${ROOT_FILE}`, root.certificatePem);
  open(`${administratorFolder}/${ROOT_FILE}`, root.certificatePem);
  await writeSigners(authorityFolder, await CertificateAuthority.open(root), options);
  return await writeAdministrator({ authorityFolder, administratorFolder }, options);
}

/** Writes the signing keys of a node of the region. */
async function writeSigners(
  folder: string,
  authority: CertificateAuthority,
  { trustDomain, region, nowMs, entropy }: InitOptions,
): Promise<void> {
  // The second intermediate becomes valid at half of the first one's life; until then it is only
  // published.
  for (const [index, startMs] of [nowMs, nowMs + INTERMEDIATE_LIFE_MS / 2].entries()) {
    const intermediate = await authority.createIntermediate({
      ...intermediateValidity(startMs),
      scope: { trustDomain, region },
      entropy,
    });
    secret(`${folder}/${intermediateFile(index + 1)}`, keyedPem(intermediate));
  }
  const notBeforeMs = nowMs - CERTIFICATE_BACKDATE_MS;
  const signer = await authority.createBundleSigner({
    notBeforeMs,
    notAfterMs: notBeforeMs + BUNDLE_SIGNER_LIFE_MS,
    entropy,
  });
  secret(`${folder}/${BUNDLE_SIGNER_FILE}`, keyedPem(signer));
  const tokenKey = await createKey("Ed25519", entropy);
  secret(`${folder}/${tokenKeyFile(1)}`, tokenKey.keyPem);
  const checkpointKey = await createKey("Ed25519", entropy);
  secret(`${folder}/${checkpointKeyFile(1)}`, checkpointKey.keyPem);
  secret(`${folder}/${capabilityKeyFile(1)}`, createRootKeyText(entropy));
}

/**
 * Writes the administrator's identity and adds its key to the authority. @returns its SPIFFE id.
 */
async function writeAdministrator(
  { authorityFolder, administratorFolder }: Pick<
    InitResult,
    "authorityFolder" | "administratorFolder"
  >,
  { trustDomain, region, entropy }: InitOptions,
): Promise<string> {
  const own = await createKey("Ed25519", entropy);
  const subjectId = new Uint8Array(16);
  entropy.fill(subjectId);
  subjectId[6] = (subjectId[6]! & 0x0f) | 0x40;
  subjectId[8] = (subjectId[8]! & 0x3f) | 0x80;
  const subject = formatSpiffeId({ trustDomain, region, role: "controller", subjectId });
  secret(`${administratorFolder}/${IDENTITY_KEY_FILE}`, own.keyPem);
  open(`${administratorFolder}/${IDENTITY_SETTINGS_FILE}`, json({ subject }));
  const publicKey = encodeBase64url(own.key.publicKey.bytes);
  const administrators = [{ subject, publicKey }];
  open(`${authorityFolder}/${AUTHORITY_FILE}`, json({ trustDomain, region, administrators }));
  return subject;
}

function secret(path: string, text: string): void {
  replaceFile(path, text, PRIVATE_FILE_MODE);
}

function open(path: string, text: string): void {
  replaceFile(path, text, PUBLIC_FILE_MODE);
}

function unusable(message: string): RegistryError {
  return new RegistryError("invalid_argument", message, { field: "out" });
}

function json(value: unknown): string {
  return JSON.stringify(value, undefined, 2) + "\n";
}
