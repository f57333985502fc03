/**
 * Makes all that a new trust domain needs, once, on a machine that may go offline after: a root, a
 * region's authority (`authority_folder.ts`), and an administrator's key.
 */
import { existsSync } from "node:fs";
import { RegistryError } from "../src/base/errors.ts";
import {
  BUNDLE_SIGNER_LIFE_MS,
  CERTIFICATE_BACKDATE_MS,
  INTERMEDIATE_LIFE_MS,
  ROOT_LIFE_MS,
} from "../src/base/limits.ts";
import type { Entropy } from "../src/base/world.ts";
import { CertificateAuthority, createRoot } from "./authority.ts";
import {
  AUTHORITY_FILE,
  BUNDLE_SIGNER_FILE,
  intermediateFile,
  ROOT_FILE,
  ROOT_KEY_FILE,
  tokenKeyFile,
} from "./authority_folder.ts";
import { encodeBase64url } from "./base64url.ts";
import { createKey } from "./certificate_key.ts";
import { keyedPem } from "./development_authority.ts";
import { IDENTITY_KEY_FILE, IDENTITY_SETTINGS_FILE } from "./identity_folder.ts";
import { intermediateValidity } from "./intermediate_schedule.ts";
import {
  ensurePrivateFolder,
  PRIVATE_FILE_MODE,
  PUBLIC_FILE_MODE,
  replaceFile,
} from "./private_file.ts";
import { checkTrustDomain, formatSpiffeId } from "./spiffe.ts";

/** What is to be made. */
export interface InitOptions {
  /** Made; must not hold a trust domain yet. */
  readonly folder: string;
  readonly trustDomain: string;
  readonly region: string;
  readonly nowMs: number;
  readonly entropy: Entropy;
}

/** Where everything is. */
export interface InitResult {
  readonly trustDomain: string;
  readonly region: string;
  /** The root's key: goes offline. */
  readonly rootFolder: string;
  /** For the nodes of the region. */
  readonly authorityFolder: string;
  /** The administrator's identity: goes offline too. */
  readonly administratorFolder: string;
  readonly administrator: string;
}

/** Makes everything. @throws RegistryError `invalid_argument` where there is something already. */
export async function initAuthority(options: InitOptions): Promise<InitResult> {
  const { folder, region, nowMs, entropy } = options;
  const trustDomain = checkTrustDomain(options.trustDomain);
  const rootFolder = `${folder}/root`;
  const authorityFolder = `${folder}/authority`;
  const administratorFolder = `${folder}/administrator`;
  if (existsSync(rootFolder) || existsSync(authorityFolder)) {
    throw new RegistryError(
      "invalid_argument",
      `${folder} must not hold a trust domain yet: name another folder, or move this one away`,
      { field: "out" },
    );
  }
  for (const path of [folder, rootFolder, authorityFolder, administratorFolder]) {
    ensurePrivateFolder(path);
  }
  const notBeforeMs = nowMs - CERTIFICATE_BACKDATE_MS;
  const root = await createRoot({
    name: `${trustDomain} root`,
    notBeforeMs,
    notAfterMs: notBeforeMs + ROOT_LIFE_MS,
    entropy,
  });
  const secret = (path: string, text: string) => replaceFile(path, text, PRIVATE_FILE_MODE);
  const open = (path: string, text: string) => replaceFile(path, text, PUBLIC_FILE_MODE);
  secret(`${rootFolder}/${ROOT_KEY_FILE}`, keyedPem(root));
  open(`${authorityFolder}/${ROOT_FILE}`, root.certificatePem);
  open(`${administratorFolder}/${ROOT_FILE}`, root.certificatePem);

  const authority = await CertificateAuthority.open(root);
  // The second one's time begins at half of the first one's: until then it is only published.
  for (const [index, startMs] of [nowMs, nowMs + INTERMEDIATE_LIFE_MS / 2].entries()) {
    const intermediate = await authority.createIntermediate({
      ...intermediateValidity(startMs),
      scope: { trustDomain, region },
      entropy,
    });
    secret(`${authorityFolder}/${intermediateFile(index + 1)}`, keyedPem(intermediate));
  }
  const signer = await authority.createBundleSigner({
    notBeforeMs,
    notAfterMs: notBeforeMs + BUNDLE_SIGNER_LIFE_MS,
    entropy,
  });
  secret(`${authorityFolder}/${BUNDLE_SIGNER_FILE}`, keyedPem(signer));
  const tokenKey = await createKey("Ed25519", entropy);
  secret(`${authorityFolder}/${tokenKeyFile(1)}`, tokenKey.keyPem);

  const own = await createKey("Ed25519", entropy);
  const subjectId = new Uint8Array(16);
  entropy.fill(subjectId);
  subjectId[6] = (subjectId[6]! & 0x0f) | 0x40;
  subjectId[8] = (subjectId[8]! & 0x3f) | 0x80;
  const administrator = formatSpiffeId({ trustDomain, region, role: "controller", subjectId });
  secret(`${administratorFolder}/${IDENTITY_KEY_FILE}`, own.keyPem);
  open(`${administratorFolder}/${IDENTITY_SETTINGS_FILE}`, json({ subject: administrator }));
  open(
    `${authorityFolder}/${AUTHORITY_FILE}`,
    json({
      trustDomain,
      region,
      administrators: [{
        subject: administrator,
        publicKey: encodeBase64url(own.key.publicKey.bytes),
      }],
    }),
  );
  return { trustDomain, region, rootFolder, authorityFolder, administratorFolder, administrator };
}

function json(value: unknown): string {
  return JSON.stringify(value, undefined, 2) + "\n";
}
