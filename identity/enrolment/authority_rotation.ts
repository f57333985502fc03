/**
 * New keys for a region's authority folder (`authority_folder.ts`), beside those that are there: the
 * nodes find them within a minute, publish them before they use them, and withdraw the old ones when
 * nothing that they signed counts any more. What a root signs is made where the root's key is; then
 * the folder goes to all nodes of the region before the new key's time has come.
 */
import { existsSync } from "node:fs";
import { RegistryError } from "../../src/base/errors.ts";
import { BUNDLE_SIGNER_LIFE_MS, CERTIFICATE_BACKDATE_MS } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";
import { CertificateAuthority } from "./authority.ts";
import {
  BUNDLE_SIGNER_FILE,
  intermediateFile,
  openAuthorityFolder,
  pairOf,
  ROOT_KEY_FILE,
  tokenKeyFile,
} from "../files/authority_folder.ts";
import { createKey } from "../pki/certificate_key.ts";
import { keyedPem } from "./development_authority.ts";
import { intermediateValidity } from "./intermediate_schedule.ts";
import { PRIVATE_FILE_MODE, readKeyFile, replaceFile } from "../files/private_file.ts";

/** What can be made anew. */
export const ROTATED_PARTS = ["token-key", "intermediate", "bundle-signer"] as const;

/** One of {@link ROTATED_PARTS}. */
export type RotatedPart = (typeof ROTATED_PARTS)[number];

/** What is to be made, and of what. */
export interface RotateOptions {
  readonly part: RotatedPart;
  readonly authorityFolder: string;
  /** The root's key; token keys need none. */
  readonly rootFolder?: string;
  readonly nowMs: number;
  readonly entropy: Entropy;
}

/**
 * Makes one part anew.
 *
 * @returns the file that was written.
 * @throws RegistryError `invalid_configuration` where a folder cannot be used, `invalid_argument` where
 * the root's is needed and not named.
 */
export async function rotateAuthority(options: RotateOptions): Promise<string> {
  const { part, authorityFolder, nowMs, entropy } = options;
  const { trustDomain, region } = await openAuthorityFolder(authorityFolder);
  switch (part) {
    case "token-key": {
      const { keyPem } = await createKey("Ed25519", entropy);
      return write(options, free(authorityFolder, tokenKeyFile), keyPem);
    }
    case "intermediate": {
      const pair = await (await openRoot(options)).createIntermediate({
        ...intermediateValidity(nowMs),
        scope: { trustDomain, region },
        entropy,
      });
      return write(options, free(authorityFolder, intermediateFile), keyedPem(pair));
    }
    case "bundle-signer": {
      const notBeforeMs = nowMs - CERTIFICATE_BACKDATE_MS;
      const pair = await (await openRoot(options)).createBundleSigner({
        notBeforeMs,
        notAfterMs: notBeforeMs + BUNDLE_SIGNER_LIFE_MS,
        entropy,
      });
      return write(options, BUNDLE_SIGNER_FILE, keyedPem(pair));
    }
  }
}

async function openRoot({ rootFolder }: RotateOptions): Promise<CertificateAuthority> {
  if (rootFolder === undefined) {
    throw new RegistryError(
      "invalid_argument",
      "The root must sign this: name the folder of its key (--root)",
      {
        field: "root",
      },
    );
  }
  const path = `${rootFolder}/${ROOT_KEY_FILE}`;
  const text = readKeyFile(path);
  if (text === undefined) {
    throw new RegistryError("invalid_argument", `There is no root's key: ${path} is missing`, {
      field: "root",
    });
  }
  return await CertificateAuthority.open(pairOf(text));
}

function write({ authorityFolder }: RotateOptions, file: string, text: string): string {
  const path = `${authorityFolder}/${file}`;
  replaceFile(path, text, PRIVATE_FILE_MODE);
  return path;
}

/** The first name of a numbered kind that is not taken. */
function free(folder: string, fileOf: (number: number) => string): string {
  let number = 1;
  while (existsSync(`${folder}/${fileOf(number)}`)) number++;
  return fileOf(number);
}
