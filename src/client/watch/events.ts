/** Events as values that their readers may keep. */
import { RegistryError } from "../../base/errors.ts";
import { NO_POSITION, type Position } from "../../base/position.ts";
import type { OwnedView } from "../../record/kind_row.ts";
import { RECORD_KINDS } from "../../record/kinds.ts";
import type { RecordInfo } from "../../record/plain.ts";
import type { WatchEvent, WatchReceipt } from "../watch_types.ts";
import type { ByteRange, WatchChange } from "./change.ts";

/** Returns the token of what an event is followed by. */
export type TokenOf<Positions> = (positions: Positions) => string;

/** An event; its token is made when it is asked for. */
class KeptEvent<Positions> {
  readonly type: WatchEvent["type"];
  readonly receipt: WatchReceipt;
  readonly #positions: Positions;
  readonly #tokenOf: TokenOf<Positions>;

  constructor(
    change: WatchChange,
    positions: Positions,
    tokenOf: TokenOf<Positions>,
    { generation, index }: Position = change,
  ) {
    const { node, partition, ageBoundMs } = change;
    this.type = change.type;
    this.receipt = { node, partition, generation, index, ageBoundMs };
    this.#positions = positions;
    this.#tokenOf = tokenOf;
  }

  get token(): string {
    return this.#tokenOf(this.#positions);
  }
}

/** The end of a partition's state. */
class KeptCompletion<Positions> extends KeptEvent<Positions> {
  readonly isWhole: boolean;

  constructor(change: WatchChange, positions: Positions, tokenOf: TokenOf<Positions>) {
    super(change, positions, tokenOf);
    this.isWhole = change.isWhole;
  }
}

/** An event of a record. */
class KeptRecordEvent<Positions> extends KeptEvent<Positions> {
  readonly kind: string;
  readonly record: RecordInfo;
  readonly before: RecordInfo | undefined;
  readonly isState: boolean;
  readonly hasLeft: boolean;
  readonly remainingMs: number;
  declare readonly home?: string;

  constructor(
    change: WatchChange,
    positions: Positions,
    tokenOf: TokenOf<Positions>,
    decoder: RecordDecoder,
  ) {
    const record = decoder.decode(change, change.record);
    super(change, positions, tokenOf, positionOf(change, record));
    this.kind = RECORD_KINDS.row(change.kind).name;
    this.record = record;
    const { start, end } = change.before;
    this.before = start === end ? undefined : decoder.decode(change, change.before);
    this.isState = change.isState;
    this.hasLeft = change.hasLeft;
    this.remainingMs = change.remainingMs;
    if (change.home !== "") this.home = change.home;
  }
}

/** Returns the position of an event: of a record of the state that of its last change. */
function positionOf(change: WatchChange, { revision }: RecordInfo): Position {
  if (!change.isState) return change;
  return change.home === "" ? revision : NO_POSITION;
}

/** Decodes records in place, with reused views. */
export class RecordDecoder {
  /** By the number of the kind. */
  readonly #views = new Map<number, OwnedView>(
    RECORD_KINDS.rows.map(({ number, codec }) => [number, codec.newView()]),
  );

  /** Returns a view of a record, which is valid until the next one. */
  view({ kind, view, bytes }: WatchChange, { start, end }: ByteRange): OwnedView {
    const found = this.#views.get(kind);
    if (found === undefined) {
      throw new RegistryError("malformed", `Event has a record of an unknown kind: found ${kind}`);
    }
    return found.wrap(view, bytes, start, end);
  }

  /** Returns a record as a value. */
  decode(change: WatchChange, range: ByteRange): RecordInfo {
    return RECORD_KINDS.row(change.kind).decode(this.view(change, range));
  }
}

/**
 * Returns an event as a value.
 *
 * @throws RegistryError `malformed` if it holds no record of its kind.
 */
export function eventOf<Positions>(
  change: WatchChange,
  positions: Positions,
  tokenOf: TokenOf<Positions>,
  decoder: RecordDecoder,
): WatchEvent {
  const { type } = change;
  const event = type === "complete"
    ? new KeptCompletion(change, positions, tokenOf)
    : type === "progress" || type === "reset"
    ? new KeptEvent(change, positions, tokenOf)
    : new KeptRecordEvent(change, positions, tokenOf, decoder);
  return event as unknown as WatchEvent;
}
