/** What every command is applied with: the state, and the entry with its header read. */
import type { CommandView } from "../../schemas/gen/command.ts";
import type { Leases } from "./leases.ts";
import type { PartitionState } from "./partition_state.ts";
import { type ApplyReply, refusal } from "./reply.ts";

/** One entry, with its header read. */
export interface ApplyContext {
  readonly state: PartitionState;
  readonly leases: Leases;
  readonly command: CommandView;
  readonly data: Uint8Array;
  readonly view: DataView;
  readonly index: number;
  readonly unixS: number;
  readonly writer: number;
}

/** The highest state of a record: 0 active, 1 draining. */
export const RECORD_STATE_MAX = 1;

/** The refusal of a field. */
export function invalid(field: string, message: string): ApplyReply {
  return refusal("invalid_argument", message, { field });
}
