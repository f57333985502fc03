/**
 * Lists of records as replies. A table shows the columns that fit the terminal; `--wide` shows all
 * columns uncut. A list cut by `--limit` shows how to continue it.
 */
import { fromHex, toHex } from "../base/bytes.ts";
import type { Leased } from "../answers/record_calls.ts";
import { incarnationText, type Listed, recordsJson } from "../answers/record_json.ts";
import { ageBoundMsOf, type Receipt } from "../client/mod.ts";
import { type AnyKindRow, kindNamed, type RecordKindName } from "../record/kinds.ts";
import { formatDuration } from "./duration.ts";
import { usageFailure } from "./failure.ts";
import { addressText, shownField, stateText } from "./record_view.ts";
import type { Reply } from "./shell.ts";
import type { Cell } from "./table.ts";

/** Display options of a list. */
export interface ListView {
  readonly region: string;
  /** Whether all columns are shown, uncut. */
  readonly wide: boolean;
}

/** A column of a list. */
interface Column {
  readonly head: string;
  readonly cell: (item: Leased) => Cell;
  /** Minimum terminal width at which the column is shown; Infinity for `--wide` only. */
  readonly from: number;
  /** Whether the column may be cut to fit. */
  readonly shrinks?: boolean;
}

/** The width assumed if the output is not a terminal; nothing is cut then. */
const COLUMNS_PIPED = 120;
/** Minimum width with room for an address beside id and domain. */
const COLUMNS_ADDRESS = 100;

/**
 * Returns the columns of a kind; those of its own fields are shown by `--wide` only.
 *
 * @param isAged whether followers answered, who know of a lease only how long it lasts at most.
 */
function columnsOf({ ownFields }: AnyKindRow, isAged: boolean): readonly Column[] {
  const own = ownFields.flatMap((field): Column[] => {
    const head = field.view?.column;
    if (head === undefined) return [];
    return [{ head, from: Infinity, cell: ({ record }) => shownField(field, record) }];
  });
  const most = isAged ? "<= " : "";
  return [
    { head: "ID", from: 0, cell: ({ record }) => record.id },
    { head: "DOMAIN", from: 0, shrinks: true, cell: ({ record }) => record.domain },
    {
      head: "ADDRESS",
      from: COLUMNS_ADDRESS,
      shrinks: true,
      cell: ({ record }) => addressText(record),
    },
    { head: "STATE", from: 0, cell: ({ record }) => stateText(record) },
    { head: "LEASE", from: 0, cell: (item) => leaseCell(item, most) },
    ...own,
    {
      head: "INCARNATION",
      from: Infinity,
      cell: ({ record }) => incarnationText(record.incarnation),
    },
  ];
}

/** Returns the remaining lease; of a record of another region, which alone knows it, its home. */
function leaseCell({ remainingMs, source }: Leased, most: string): string {
  if (source === undefined) return most + formatDuration(remainingMs);
  return source.suspended ? `at ${source.home}, suspended` : `at ${source.home}`;
}

/** Returns a reply with some records of a kind in a region. */
export function recordsReply(
  kind: RecordKindName,
  listed: Listed<Leased>,
  { region, wide }: ListView,
): Reply {
  const { items, nextCursor, receipts } = listed;
  const row: AnyKindRow = kindNamed(kind);
  const cursor = nextCursor === undefined ? null : toHex(nextCursor);
  return {
    json: recordsJson(kind, region, listed),
    text: async (columns) => {
      if (items.length === 0) return `No ${row.plural} are registered in region ${region}.\n`;
      const { table } = await import("./table.ts");
      const width = columns === Infinity ? COLUMNS_PIPED : columns;
      const shown = columnsOf(row, ageBoundMsOf(receipts) > 0)
        .filter(({ from }) => wide || width >= from);
      return table(
        shown.map(({ head }) => head),
        items.map((item) => shown.map(({ cell }) => cell(item))),
        {
          columns: wide ? Infinity : columns,
          shrinks: shown.flatMap(({ shrinks }, index) => shrinks === true ? [index] : []),
        },
      );
    },
    ...noteOf(cursor, receipts, { count: items.length, plural: row.plural }),
  };
}

/** Returns the remark on a list: how old it may be, and how to continue it. */
function noteOf(
  cursor: string | null,
  receipts: readonly Receipt[],
  { count, plural }: { readonly count: number; readonly plural: string },
): Pick<Reply, "note"> {
  const ageMs = ageBoundMsOf(receipts);
  const age = ageMs === 0 ? "" : `The list is at most ${ageMs} ms old.\n`;
  const more = cursor === null
    ? ""
    : `Showing ${count}; more ${plural} follow. To continue, repeat the command with ` +
      `--cursor ${cursor}\n`;
  return age + more === "" ? {} : { note: age + more };
}

/**
 * Parses the value of `--cursor`.
 *
 * @throws CliFailure `invalid_argument` if it is not a cursor that a list printed.
 */
export function parseCursor(text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const bytes = fromHex(text);
  if (bytes !== undefined && bytes.length > 0) return bytes;
  throw usageFailure(
    `--cursor must be a cursor printed by a list: found ${JSON.stringify(text.slice(0, 64))}`,
    "Copy it from the list to continue, or omit it to start from the beginning.",
    "cursor",
  );
}
