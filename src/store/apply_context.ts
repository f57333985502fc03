/** The context in which commands are applied: the state, and the entry with its header decoded. */
import type { CommandView } from "../../schemas/gen/command.ts";
import { RECORD_SCOPES, RECORD_STATES } from "../record/plain.ts";
import type { Leases } from "./leases.ts";
import type { PartitionState } from "./partition_state.ts";
import { type ApplyReply, refusal } from "./reply.ts";

/** An entry with its header decoded. */
export interface ApplyContext {
  readonly state: PartitionState;
  readonly leases: Leases;
  readonly command: CommandView;
  readonly data: Uint8Array;
  readonly view: DataView;
  readonly index: number;
  readonly unixS: number;
  readonly writer: number;
  /** The highest apply version that this program knows. */
  readonly applyVersionMax: number;
}

/** Highest state of a record. */
export const RECORD_STATE_MAX = RECORD_STATES.length - 1;

/** Highest scope of a record. */
export const RECORD_SCOPE_MAX = RECORD_SCOPES.length - 1;

/** Returns the refusal of an invalid field. */
export function invalid(field: string, message: string): ApplyReply {
  return refusal("invalid_argument", message, { field });
}
