/**
 * Adds new keys to a region's authority folder (`authority_folder.ts`). The nodes find them within
 * a minute, publish them before use, and withdraw the old ones when nothing that they signed is
 * valid any more. Certificates that the root signs are created where the root's key is; the folder
 * must then reach all nodes of the region before the new key comes into use. The root keys of
 * capabilities are secrets on both sides, so they are not published: a new one signs as soon as a
 * node has it, nodes without it ask that node, and an old one verifies until its file is removed.
 * A key of checkpoints signs once the signers of the governed plane have listed it.
 */
import { existsSync, readdirSync } from "node:fs";
import { RegistryError } from "../../src/base/errors.ts";
import { BUNDLE_SIGNER_LIFE_MS, CERTIFICATE_BACKDATE_MS } from "../../src/base/limits.ts";
import type { Entropy } from "../../src/base/world.ts";
import { createRootKeyText } from "../capabilities/root_key.ts";
import { CertificateAuthority } from "./authority.ts";
import {
  BUNDLE_SIGNER_FILE,
  capabilityKeyFile,
  checkpointKeyFile,
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

/** Parts of an authority folder that can be rotated. */
export const ROTATED_PARTS = [
  "token-key",
  "capability-key",
  "intermediate",
  "bundle-signer",
  "checkpoint-key",
] as const;

/** A part of {@link ROTATED_PARTS}. */
export type RotatedPart = (typeof ROTATED_PARTS)[number];

/** Options of {@link rotateAuthority}. */
export interface RotateOptions {
  readonly part: RotatedPart;
  readonly authorityFolder: string;
  /** Folder of the root's key; keys without a certificate need none. */
  readonly rootFolder?: string;
  readonly nowMs: number;
  readonly entropy: Entropy;
}

/**
 * Creates a new key for one part.
 *
 * @returns the path of the file written.
 * @throws RegistryError `invalid_configuration` if a folder cannot be used, `invalid_argument` if
 * the root's folder is needed and not named.
 */
export async function rotateAuthority(options: RotateOptions): Promise<string> {
  const { part, authorityFolder, nowMs, entropy } = options;
  const { trustDomain, region } = await openAuthorityFolder(authorityFolder);
  switch (part) {
    case "token-key": {
      const { keyPem } = await createKey("Ed25519", entropy);
      return write(options, free(authorityFolder, tokenKeyFile), keyPem);
    }
    case "checkpoint-key": {
      const { keyPem } = await createKey("Ed25519", entropy);
      return write(options, following(authorityFolder, checkpointKeyFile), keyPem);
    }
    case "capability-key": {
      const file = following(authorityFolder, capabilityKeyFile);
      return write(options, file, createRootKeyText(entropy));
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
      "The root must sign this part: name the folder of its key (--root)",
      {
        field: "root",
      },
    );
  }
  const path = `${rootFolder}/${ROOT_KEY_FILE}`;
  const text = readKeyFile(path);
  if (text === undefined) {
    throw new RegistryError(
      "invalid_argument",
      `The root's key must be in ${path}: the file is missing`,
      {
        field: "root",
      },
    );
  }
  return await CertificateAuthority.open(pairOf(text));
}

function write({ authorityFolder }: RotateOptions, file: string, text: string): string {
  const path = `${authorityFolder}/${file}`;
  replaceFile(path, text, PRIVATE_FILE_MODE);
  return path;
}

/** Returns the name after the last one in use: the newest signs, and older ones may be removed. */
function following(folder: string, fileOf: (number: number) => string): string {
  const [before, after] = fileOf(0).split("0") as [string, string];
  const numbers = readdirSync(folder)
    .filter((name) => name.startsWith(before) && name.endsWith(after))
    .map((name) => Number(name.slice(before.length, name.length - after.length)))
    .filter(Number.isInteger);
  return fileOf(Math.max(0, ...numbers) + 1);
}

/** Returns the first unused name of a numbered kind of file. */
function free(folder: string, fileOf: (number: number) => string): string {
  let number = 1;
  while (existsSync(`${folder}/${fileOf(number)}`)) number++;
  return fileOf(number);
}
