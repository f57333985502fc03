/** Looks at the log on disk: the records of one file, or a check of a whole folder. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { logFolderOf, markFolderOf } from "../../node/data_folder.ts";
import { SETTINGS } from "../../node/settings.ts";
import {
  folderReader,
  inspectRecords,
  type RecordInfo,
  verifyFolder,
  type VerifyReport,
} from "../../storage/wal_inspect.ts";
import { MARK_FILE } from "../../wal/log_mark.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import { withProgress } from "../progress.ts";
import { type CommonOptions, type Reply, showReply } from "../shell.ts";
import type { Terminal } from "../terminal.ts";

/** `crs wal dump`. */
export async function dump(
  file: string,
  flags: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  const bytes = readable(file, () => {
    if (statSync(file).isFile()) return readFileSync(file);
    throw usageFailure(
      `Cannot read ${file} as it is no regular file`,
      "Name a segment or an image of a log folder.",
      file,
    );
  });
  if (flags.json !== true) {
    // A segment has up to a million records: a line each, as they are found.
    for (const record of inspectRecords(bytes)) terminal.out(recordLine(record));
    return EXIT_CODES.success;
  }
  const reply = { json: { file, records: [...inspectRecords(bytes)] }, text: () => "" };
  return await showReply(reply, flags, terminal);
}

/** `crs wal verify`. */
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

/** `52  entries  1,312 B  sequence=7 group=3 …`: a record in one line. */
function recordLine(record: RecordInfo): string {
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
      const verdict = report.ok ? "The log is sound" : "The log is damaged";
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
      return `whole, at position ${end}`;
    case "cut":
      return `at position ${end}; what follows was never acknowledged, and a start cuts it off ` +
        `(synced up to ${watermark})`;
    case "damaged":
      return `damaged after position ${end}, below ${watermark}, which was known to be synced`;
    case "empty":
      return "nothing was ever written";
  }
}

/** Checks the log against its mark. Where only the mark is left, all of the log is missing. */
function verifyPlaces(log: string, mark: string): VerifyReport {
  if (!existsSync(mark)) return verifyFolder(folderReader(log));
  const reader = existsSync(log) ? folderReader(log) : { ...folderReader(log), names: () => [] };
  return verifyFolder(reader, readFileSync(mark));
}

/** Where the log and its mark are, of a data folder or of a log's own folder. */
function placesOf(folder: string): { readonly log: string; readonly mark: string } {
  const isData = [logFolderOf(folder), markFolderOf(folder)].some(isFolder);
  const data = isData ? folder : dirname(resolve(folder));
  const isLog = resolve(folder) === resolve(logFolderOf(data));
  return {
    log: isData ? logFolderOf(folder) : folder,
    // The mark of a log that was copied elsewhere stayed where it was.
    mark: isData || isLog ? `${markFolderOf(data)}/${MARK_FILE}` : "",
  };
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** What `read` gives; a path that cannot be read is the caller's mistake. */
function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = typeof error === "object" && error !== null && "code" in error ? error.code : "";
    if (code === "ENOENT") {
      throw new CliFailure("not_found", `Cannot read ${path}: there is no such file or folder`, {
        advice: "Name a file or folder of a log, such as data/log.",
        cause: error,
      });
    }
    if (typeof code !== "string" || !/^E[A-Z]+$/.test(code)) throw error;
    const reason = error instanceof Error ? error.message : code;
    throw usageFailure(`Cannot read ${path}: ${reason}`, "Name a file that you may read.", path);
  }
}
