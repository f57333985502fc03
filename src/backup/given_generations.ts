/**
 * The generations as which a backup was restored. Two clusters of one generation would assign the same
 * incarnations, so each restore takes a higher one than the last, which the backup's folder records. The
 * cluster may have lost data or been recovered since the backup, each of which raises its generation by one
 * without the backup's knowledge: so restores take multiples of {@link RESTORE_GENERATIONS}.
 */
import fs from "node:fs";
import { PUBLIC_FILE_MODE, replaceFile } from "../../identity/files/private_file.ts";
import { readBoundedFile } from "../../identity/files/bounded_file.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { GENERATION_MAX, generationOfTerm } from "../base/ids.ts";
import type { BackupFolder } from "./backup_folder.ts";
import { corruptFile } from "./manifest.ts";

/** Above the number of losses and recoveries that a cluster has between two restores. */
const RESTORE_GENERATIONS = 8;

const GIVEN_FILE = "restored.json";
const GIVEN_BYTES_MAX = 1_024;

/**
 * Returns the generation of the next restore, which is recorded.
 *
 * @param wanted the operator's choice, needed where the folder cannot be written.
 * @throws RegistryError `invalid_argument` if `wanted` is not above all that are known; `corrupt`;
 * `storage_unavailable`.
 */
export function giveGeneration(backup: BackupFolder, wanted: number | undefined): number {
  const { generation: backedUp, groups } = backup.manifest;
  const path = `${backup.path}/${GIVEN_FILE}`;
  const last = groups.reduce(
    (max, { term }) => Math.max(max, generationOfTerm(term)),
    Math.max(backedUp, lastGiven(path)),
  );
  const next = (Math.floor(last / RESTORE_GENERATIONS) + 1) * RESTORE_GENERATIONS;
  const generation = wanted ?? next;
  if (generation <= last || generation > GENERATION_MAX) {
    throw new RegistryError(
      "invalid_argument",
      `Generation must be in [${
        last + 1
      }, ${GENERATION_MAX}], as ${last} was used: found ${generation}`,
      { field: "generation" },
    );
  }
  try {
    replaceFile(path, JSON.stringify({ generation }) + "\n", PUBLIC_FILE_MODE);
  } catch (error) {
    if (wanted !== undefined) return generation;
    throw new RegistryError(
      "storage_unavailable",
      `${
        toRegistryError(error).message
      }. The folder records as which generation it was restored, so that ` +
        "none is used twice: make it writable, or choose one that no restore of this backup had, with " +
        "--generation",
      { field: path },
      error,
    );
  }
  return generation;
}

function lastGiven(path: string): number {
  if (!fs.existsSync(path)) return 0;
  try {
    const { generation } = JSON.parse(readBoundedFile(path, GIVEN_BYTES_MAX)) as {
      readonly generation?: unknown;
    };
    if (Number.isSafeInteger(generation) && Number(generation) > 0) return Number(generation);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw corruptFile(path, "it must name a generation");
}
