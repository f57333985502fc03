/**
 * The log mark: how much of a log is known to be durable. Comparing the two detects whatever the
 * log lost, be it by a truncated or removed segment or as a whole. There are two:
 *
 * - the *mark beside the log*, in a folder of its own, is synced and follows after a pause
 *   (`log_mark_keeper.ts`);
 * - the *tail mark*, in the log's folder, is written after the sync of each batch and before its
 *   acknowledgement (`batch_committer.ts`), and never synced. It survives the process, so after kill
 *   -9 it covers everything that was acknowledged; a power cut may leave an earlier one.
 *
 * A mark never claims more than what was synced when it was written, so an intact log always
 * reaches it, whatever became of page caches, mounts, copies or the machine. It says nothing about
 * records written later.
 *
 * Its file holds two slots at page boundaries, written alternately, each within one sector: if a
 * crash tears the write of one slot, the other is still valid. A slot is one line of JSON followed
 * by its CRC.
 */
import { bytesEqual, fromHex, isZero, toHex } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { crc32 } from "./crc32.ts";
import type { ScanVerdict } from "./scanner.ts";
import { pageAlign } from "./segment.ts";

/** The name of the file of the mark beside the log. */
export const MARK_FILE = "mark";
/** The name of the file of the tail mark. */
export const TAIL_FILE = "tail";
/** Size of a slot in bytes: one sector. */
export const MARK_SLOT_BYTES = 512;
/** The offset of each slot in bytes. */
export const MARK_SLOT_OFFSETS = [0, 4096] as const;
/** Size of the file in bytes. */
export const MARK_FILE_BYTES = MARK_SLOT_OFFSETS[1] + MARK_SLOT_BYTES;

const NEWLINE = 0x0a;
const LOG_ID_BYTES = 16;
const GENERATION_MAX = 0xffff_ffff;

/** The recorded state of a log. */
export interface LogMark {
  readonly logId: Uint8Array;
  /** Sequence number of the last record known to be durable. */
  readonly sequence: number;
  /** Position in the log at which that record's batch ends. */
  readonly position: number;
  /** The generation under which incarnations are assigned. */
  readonly generation: number;
  /** Whether it was written after the last record, when the log was closed. */
  readonly closed: boolean;
}

/** Encodes slots, one per batch of a log: without allocations but those of short strings. */
export class MarkEncoder {
  readonly #slot = new Uint8Array(MARK_SLOT_BYTES);
  readonly #view = new DataView(this.#slot.buffer);
  #logId: Uint8Array | undefined;
  #logIdHex = "";

  /**
   * Encodes a slot. `count` grows by one with each mark written, and selects the slot. The returned
   * bytes are valid until the next call.
   */
  encode(mark: LogMark, count: number): Uint8Array {
    const { logId, sequence, position, generation, closed } = mark;
    if (logId !== this.#logId) {
      this.#logId = logId;
      this.#logIdHex = toHex(logId);
    }
    // As JSON.stringify would write it, in a tenth of the time.
    const body = `{"count":${count},"logId":"${this.#logIdHex}","sequence":${sequence},` +
      `"position":${position},"generation":${generation},"closed":${closed}}`;
    const slot = this.#slot;
    const end = writeAscii(slot, body, 0);
    const checksum = hexOf(crc32(slot, this.#view, 0, end));
    slot.fill(NEWLINE, writeAscii(slot, ` ${checksum}`, end));
    return slot;
  }
}

/** The newest mark of a file, and its count. */
export interface FoundMark {
  readonly mark: LogMark;
  readonly count: number;
}

/** Decodes a mark file. Returns its newest mark, `damaged`, or `none` if it was never written. */
export function decodeMarks(bytes: Uint8Array): FoundMark | "damaged" | "none" {
  if (isZero(bytes, 0, bytes.length)) return "none";
  const found = MARK_SLOT_OFFSETS
    .map((at) => decodeSlot(bytes.subarray(at, at + MARK_SLOT_BYTES)))
    .filter((slot) => slot !== undefined);
  if (found.length === 0) return "damaged";
  return found.reduce((left, right) => left.count > right.count ? left : right);
}

const NOTHING_FOUND = { logId: undefined, sequence: 0, end: 0 };

/**
 * Describes what a recovered log is missing according to its mark. Returns `undefined` if nothing
 * is missing.
 *
 * @param verdict the result of the scan; by default that no log was found.
 */
export function missingOf(
  mark: LogMark,
  verdict: Pick<ScanVerdict, "logId" | "sequence" | "end"> = NOTHING_FOUND,
): string | undefined {
  const { logId, sequence, end } = verdict;
  if (sequence > 0 && (logId === undefined || !bytesEqual(logId, mark.logId))) {
    return `it is log ${toHex(logId ?? new Uint8Array())}, but the mark belongs to log ` +
      toHex(mark.logId);
  }
  if (sequence >= mark.sequence) return undefined;
  const records = mark.sequence - sequence;
  const bytes = mark.position - Math.min(end, mark.position);
  const known = mark.closed ? "when the node was stopped it ended" : "its synced part ended";
  return `the log ends at position ${end} with record ${sequence}, but ${known} at position ` +
    `${mark.position} with record ${mark.sequence}: ${records} records in ${bytes} bytes are missing`;
}

/** Describes what a recovered log is missing according to any of its marks; see {@link missingOf}. */
export function missingOfAny(
  marks: readonly LogMark[],
  verdict?: Parameters<typeof missingOf>[1],
): string | undefined {
  const byClaim = marks.toSorted((left, right) => right.sequence - left.sequence);
  for (const mark of byClaim) {
    const missing = missingOf(mark, verdict);
    if (missing !== undefined) return missing;
  }
  return undefined;
}

/** Creates the error for a log that lost records covered by its mark. */
export function lostError(
  { file, offset, what }: { readonly file: string; readonly offset: number; readonly what: string },
): RegistryError {
  return new RegistryError(
    "corrupt",
    `Cannot open the log as ${file} is damaged at offset ${offset}: ${what}. Restore the data ` +
      "folder from a copy, or the file from an intact disk, or start with --accept-data-loss, " +
      "which continues without the missing records, under a new generation",
    { field: file },
  );
}

function decodeSlot(slot: Uint8Array): FoundMark | undefined {
  const [line = ""] = new TextDecoder().decode(slot).split("\n", 1);
  const space = line.lastIndexOf(" ");
  const body = line.slice(0, Math.max(0, space));
  if (body === "" || line.slice(space + 1) !== checksum(body)) return undefined;
  let read: unknown;
  try {
    read = JSON.parse(body);
  } catch {
    // Not JSON although the CRC is right: not a mark written by this project.
    return undefined;
  }
  return typeof read === "object" && read !== null ? checkedMark({ ...read }) : undefined;
}

function checkedMark(read: Readonly<Record<string, unknown>>): FoundMark | undefined {
  const logId = typeof read["logId"] === "string" ? fromHex(read["logId"]) : undefined;
  const [count, sequence, position, generation] = ["count", "sequence", "position", "generation"]
    .map((name) => wholeNumber(read[name]));
  const closed = read["closed"];
  if (logId?.length !== LOG_ID_BYTES || typeof closed !== "boolean") return undefined;
  if (count === undefined || sequence === undefined || position === undefined) return undefined;
  if (generation === undefined || generation < 1 || generation > GENERATION_MAX) return undefined;
  if (pageAlign(position) !== position) return undefined;
  return { mark: { logId, sequence, position, generation, closed }, count };
}

function wholeNumber(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : undefined;
}

function checksum(body: string): string {
  const bytes = new TextEncoder().encode(body);
  return hexOf(crc32(bytes, new DataView(bytes.buffer), 0, bytes.length));
}

function hexOf(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}

/** Writes ASCII text at `at` and returns its end. */
function writeAscii(target: Uint8Array, text: string, at: number): number {
  for (let index = 0; index < text.length; index++) target[at + index] = text.charCodeAt(index);
  return at + text.length;
}
