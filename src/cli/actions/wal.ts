/** Inspects the log on disk: prints the records of one file, or verifies a whole folder. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { logFolderOf, markFolderOf } from "../../node/data_folder.ts";
import { SETTINGS } from "../../node/settings.ts";
import {
  folderReader,
  type InspectedRecord,
  inspectRecords,
  verifyFolder,
  type VerifyReport,
} from "../../storage/wal_inspect.ts";
import { MARK_FILE } from "../../wal/log_mark.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import { withProgress } from "../progress.ts";
import { type CommonOptions, type Reply, showReply } from "../shell.ts";
import type { Terminal } from "../terminal.ts";

/** Implements `crs wal dump`. */
export async function dump(
  file: string,
  flags: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  const bytes = readable(file, () => {
    if (statSync(file).isFile()) return readFileSync(file);
    throw usageFailure(
      `Cannot read ${file} as it is not a regular file`,
      "Pass a segment or an image of a log folder.",
      file,
    );
  });
  if (flags.json !== true) {
    // A segment has up to a million records, so each line is printed as its record is read.
    for (const record of inspectRecords(bytes)) terminal.out(recordLine(record));
    return EXIT_CODES.success;
  }
  const reply = { json: { file, records: [...inspectRecords(bytes)] }, text: () => "" };
  return await showReply(reply, flags, terminal);
}

/** Implements `crs wal verify`. */
export async function verify(
  folder: string | undefined,
  flags: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  const { log: path, mark } = placesOf(
    folder ?? (terminal.environment["CRS_DATA"] || SETTINGS.data.default),
  );
  const report = await withProgress(
    terminal,
    `Checking ${path}`,
    () => Promise.resolve(readable(path, () => verifyPlaces(path, mark))),
  );
  return await showReply(verifyReply(path, report), flags, terminal);
}

/** Formats a record as one line: `52  entries  1,312 B  sequence=7 group=3 …`. */
function recordLine(record: InspectedRecord): string {
  const { offset, size, op, crcOk, entries, ...rest } = record;
  let line = `${String(offset).padStart(10)}  ${op.padEnd(14)} ${String(size).padStart(8)} B`;
  if (!crcOk) return `${line}  wrong checksum\n`;
  for (const [name, value] of Object.entries(rest)) line += `  ${name}=${value}`;
  if (entries !== undefined) {
    const shown = entries.map(({ index, term, bytes }) => `${index}@${term}:${bytes}B`);
    line += `  entries=${shown.join(",")}`;
  }
  return `${line}\n`;
}

function verifyReply(path: string, report: VerifyReport): Reply {
  return {
    json: { folder: path, ...report },
    exitCode: report.ok ? EXIT_CODES.success : EXIT_CODES.internal,
    text: async () => {
      const { facts } = await import("../table.ts");
      const records = Object.entries(report.records).map(([op, count]) => `${count} ${op}`);
      const verdict = report.ok ? "The log is intact" : "The log is damaged";
      return `${verdict}: ${path}\n` + facts([
        ["end", stateText(report)],
        ["segments", report.segments],
        ["images", report.images],
        ["records", records.length === 0 ? "none" : records.join(", ")],
        ["groups", report.groups],
        ["live entries", report.liveEntries],
      ]) +
        report.problems.map(({ file, offset, what }) =>
          `  ${path}/${file} at offset ${offset}: ${what}\n`
        ).join("");
    },
  };
}

function stateText({ state, end, watermark }: VerifyReport): string {
  switch (state) {
    case "clean":
      return `complete, at position ${end}`;
    case "cut":
      return `at position ${end}; the rest was never acknowledged and is truncated at the next start ` +
        `(synced up to ${watermark})`;
    case "damaged":
      return `damaged after position ${end}, although everything up to ${watermark} was synced`;
    case "empty":
      return "nothing was ever written";
  }
}

/** Verifies the log against its mark. If only the mark exists, the whole log is missing. */
function verifyPlaces(log: string, mark: string): VerifyReport {
  if (!existsSync(mark)) return verifyFolder(folderReader(log));
  const reader = existsSync(log) ? folderReader(log) : { ...folderReader(log), names: () => [] };
  return verifyFolder(reader, readFileSync(mark));
}

/** Returns the paths of the log and its mark, given a data folder or a log folder. */
function placesOf(folder: string): { readonly log: string; readonly mark: string } {
  const isData = [logFolderOf(folder), markFolderOf(folder)].some(isFolder);
  const data = isData ? folder : dirname(resolve(folder));
  const isLog = resolve(folder) === resolve(logFolderOf(data));
  return {
    log: isData ? logFolderOf(folder) : folder,
    // The mark of a log that was copied elsewhere stayed in its original place.
    mark: isData || isLog ? `${markFolderOf(data)}/${MARK_FILE}` : "",
  };
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** Returns the result of `read`; a path that cannot be read is reported as the caller's mistake. */
function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = typeof error === "object" && error !== null && "code" in error ? error.code : "";
    if (code === "ENOENT") {
      throw new CliFailure("not_found", `Cannot read ${path}: there is no such file or folder`, {
        advice: "Pass a file or folder of a log, such as data/log.",
        cause: error,
      });
    }
    if (typeof code !== "string" || !/^E[A-Z]+$/.test(code)) throw error;
    const reason = error instanceof Error ? error.message : code;
    throw usageFailure(`Cannot read ${path}: ${reason}`, "Pass a file that you may read.", path);
  }
}
