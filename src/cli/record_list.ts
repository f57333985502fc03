/**
 * Lists of records as replies. A table shows the columns that fit the terminal; `--wide` shows all
 * columns uncut. A list cut by `--limit` shows how to continue it.
 */
import { fromHex, toHex } from "../base/bytes.ts";
import type { ListedAgent, ListedGateway, Receipt } from "../client/mod.ts";
import { formatDuration } from "./duration.ts";
import { usageFailure } from "./failure.ts";
import { addressText, capacityText, incarnationText } from "./record_view.ts";
import type { Reply } from "./shell.ts";
import type { Cell } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** Items of one or more pages of a list. */
export interface Listed<T> {
  readonly items: readonly T[];
  /** Cursor of the next page; `undefined` if the list is complete. */
  readonly nextCursor: Uint8Array | undefined;
  readonly receipts: readonly Receipt[];
}

/** Display options of a list. */
export interface ListView {
  readonly region: string;
  /** Whether all columns are shown, uncut. */
  readonly wide: boolean;
  readonly terminal: Pick<Terminal, "isOutTty" | "columns">;
}

/** A column of a list. */
interface Column<T> {
  readonly head: string;
  readonly cell: (item: T) => Cell;
  /** Minimum terminal width at which the column is shown; Infinity for `--wide` only. */
  readonly from: number;
  /** Whether the column may be cut to fit. */
  readonly shrinks?: boolean;
}

/** The width assumed if the output is not a terminal; nothing is cut then. */
const COLUMNS_PIPED = 120;
/** Minimum width with room for an address beside id and domain. */
const COLUMNS_ADDRESS = 100;

const GATEWAY_COLUMNS: readonly Column<ListedGateway>[] = [
  { head: "ID", from: 0, cell: ({ gateway }) => gateway.id },
  { head: "DOMAIN", from: 0, shrinks: true, cell: ({ gateway }) => gateway.domain },
  {
    head: "ADDRESS",
    from: COLUMNS_ADDRESS,
    shrinks: true,
    cell: ({ gateway }) => addressText(gateway),
  },
  { head: "STATE", from: 0, cell: ({ gateway }) => gateway.state },
  { head: "LEASE", from: 0, cell: ({ remainingMs }) => formatDuration(remainingMs) },
  { head: "CAPACITY", from: Infinity, cell: ({ gateway }) => capacityText(gateway.capacity) },
  { head: "USED", from: Infinity, cell: ({ gateway }) => capacityText(gateway.used) },
  {
    head: "INCARNATION",
    from: Infinity,
    cell: ({ gateway }) => incarnationText(gateway.incarnation),
  },
];

const AGENT_COLUMNS: readonly Column<ListedAgent>[] = [
  { head: "ID", from: 0, cell: ({ agent }) => agent.id },
  { head: "DOMAIN", from: 0, shrinks: true, cell: ({ agent }) => agent.domain },
  {
    head: "ADDRESS",
    from: COLUMNS_ADDRESS,
    shrinks: true,
    cell: ({ agent }) => addressText(agent),
  },
  { head: "STATE", from: 0, cell: ({ agent }) => agent.state },
  { head: "LEASE", from: 0, cell: ({ remainingMs }) => formatDuration(remainingMs) },
  { head: "GATEWAY", from: Infinity, cell: ({ agent }) => agent.gatewayId },
  { head: "INCARNATION", from: Infinity, cell: ({ agent }) => incarnationText(agent.incarnation) },
];

/** Returns a reply with some gateways of a region. */
export function gatewaysReply(listed: Listed<ListedGateway>, view: ListView): Reply {
  const gateways = listed.items.map(({ gateway, remainingMs }) => ({ gateway, remainingMs }));
  return listReply({ gateways }, listed, GATEWAY_COLUMNS, view);
}

/** Returns a reply with some agents of a region. */
export function agentsReply(listed: Listed<ListedAgent>, view: ListView): Reply {
  const agents = listed.items.map(({ agent, remainingMs }) => ({ agent, remainingMs }));
  return listReply({ agents }, listed, AGENT_COLUMNS, view);
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

function listReply<T>(
  records: Readonly<Record<string, unknown>>,
  { items, nextCursor, receipts }: Listed<T>,
  columns: readonly Column<T>[],
  { region, wide, terminal }: ListView,
): Reply {
  const cursor = nextCursor === undefined ? null : toHex(nextCursor);
  const [noun] = Object.keys(records);
  return {
    json: { region, ...records, nextCursor: cursor, receipts },
    text: async () => {
      if (items.length === 0) return `No ${noun} are registered in region ${region}.\n`;
      const { table } = await import("./table.ts");
      const width = terminal.isOutTty ? terminal.columns : COLUMNS_PIPED;
      const shown = columns.filter(({ from }) => wide || width >= from);
      return table(
        shown.map(({ head }) => head),
        items.map((item) => shown.map(({ cell }) => cell(item))),
        {
          columns: wide || !terminal.isOutTty ? Infinity : width,
          shrinks: shown.flatMap(({ shrinks }, index) => shrinks === true ? [index] : []),
        },
      );
    },
    ...(cursor === null ? {} : {
      note: `Showing ${items.length}; more ${noun} follow. To continue, repeat the command with ` +
        `--cursor ${cursor}\n`,
    }),
  };
}
