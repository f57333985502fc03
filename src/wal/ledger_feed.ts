/** Applies scanned records to the ledger: the only place in recovery that interprets each op. */
import {
  WalForgetView,
  WalHardStateView,
  WalImageMarkView,
  WalSegmentHeaderView,
} from "../../schemas/gen/wal.ts";
import { EntryRecord } from "./entry_record.ts";
import type { Ledger } from "./ledger.ts";
import { OP } from "./record.ts";
import type { ScannedRecord } from "./scanner.ts";

/** Feeds one ledger. */
export class LedgerFeed {
  /** The last record taken, if it had entries. */
  readonly entries = new EntryRecord();
  readonly #ledger: Ledger;
  readonly #hardState = new WalHardStateView();
  readonly #imageMark = new WalImageMarkView();
  readonly #forget = new WalForgetView();
  readonly #header = new WalSegmentHeaderView();
  #segmentNumber = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Number of the last segment that started; 0 for none. */
  get segmentNumber(): number {
    return this.#segmentNumber;
  }

  /**
   * Applies a validated record. Returns true for a relocation; `entries` is then positioned on it.
   */
  take({ bytes, view, start, end, op, sequence, segment, size }: ScannedRecord): boolean {
    const ledger = this.#ledger;
    if (this.entries.wrap(op, view, bytes, { start, end })) {
      const { groupId, firstIndex, count, origin, relocated } = this.entries;
      if (relocated) {
        ledger.relocate(groupId, firstIndex, count, { origin, segment, bytes: size });
      } else {
        ledger.append(groupId, firstIndex, count, { sequence, segment, bytes: size });
      }
      return relocated;
    }
    if (op === OP.hardState) {
      const state = this.#hardState.wrap(view, bytes, start, end);
      ledger.hardState(state.groupId, state);
    } else if (op === OP.imageMark || op === OP.imageInstall) {
      const { groupId, image } = this.#imageMark.wrap(view, bytes, start, end).toPlain();
      if (image !== undefined) ledger.imageMark(groupId, image, op === OP.imageInstall);
    } else if (op === OP.forget) {
      ledger.forget(this.#forget.wrap(view, bytes, start, end).groupId);
    } else if (op === OP.segmentHeader) {
      const header = this.#header.wrap(view, bytes, start, end).toPlain();
      this.#segmentNumber = header.segment;
      ledger.segmentHeader(header.imageNumberMax, header.groups);
    }
    return false;
  }
}
