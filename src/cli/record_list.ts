/**
 * Lists of records as replies. A table shows the columns that fit the terminal; `--wide` shows all
 * of them, uncut. A list that `--limit` cut says how to continue it.
 */
import { fromHex, toHex } from "../base/bytes.ts";
import type { ListedAgent, ListedGateway, Receipt } from "../client/mod.ts";
import { formatDuration } from "./duration.ts";
import { usageFailure } from "./failure.ts";
import { addressText, capacityText, incarnationText } from "./record_view.ts";
import type { Reply } from "./shell.ts";
import type { Cell } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** Items of one or several pages of a list. */
export interface Listed<T> {
  readonly items: readonly T[];
  /** Where the list goes on; `undefined`: this is all of it. */
  readonly nextCursor: Uint8Array | undefined;
  readonly receipts: readonly Receipt[];
}

/** How a list is shown. */
export interface ListView {
  readonly region: string;
  /** All columns, uncut. */
  readonly wide: boolean;
  readonly terminal: Pick<Terminal, "isOutTty" | "columns">;
}

/** A column of a list. */
interface Column<T> {
  readonly head: string;
  readonly cell: (item: T) => Cell;
  /** Shown on terminals of at least this many columns; Infinity: by `--wide` alone. */
  readonly from: number;
  /** May be cut to fit. */
  readonly shrinks?: boolean;
}

/** The width that is gone by where output is no terminal: nothing is cut then. */
const COLUMNS_PIPED = 120;
/** From this width on there is room for an address beside id and domain. */
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

/** Some gateways of a region. */
export function gatewaysReply(listed: Listed<ListedGateway>, view: ListView): Reply {
  const gateways = listed.items.map(({ gateway, remainingMs }) => ({ gateway, remainingMs }));
  return listReply({ gateways }, listed, GATEWAY_COLUMNS, view);
}

/** Some agents of a region. */
export function agentsReply(listed: Listed<ListedAgent>, view: ListView): Reply {
  const agents = listed.items.map(({ agent, remainingMs }) => ({ agent, remainingMs }));
  return listReply({ agents }, listed, AGENT_COLUMNS, view);
}

/**
 * Returns the cursor of `--cursor`.
 *
 * @throws CliFailure `invalid_argument` for what no list has printed.
 */
export function parseCursor(text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const bytes = fromHex(text);
  if (bytes !== undefined && bytes.length > 0) return bytes;
  throw usageFailure(
    `--cursor must be what a list printed: found ${JSON.stringify(text.slice(0, 64))}`,
    "Copy it from the list that is to be continued, or leave it out to begin anew.",
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
      note: `These are ${items.length}; more ${noun} follow. Continue by the same command with ` +
        `--cursor ${cursor}\n`,
    }),
  };
}
