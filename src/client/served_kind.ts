/** The kinds of record with operations of their own (calls/kind_operations.ts). */
import type { RecordKindName } from "../record/kinds.ts";

/** The name of a kind whose records can be read, listed, kept and deregistered. */
export type ServedKind = Extract<RecordKindName, "agent" | "gateway">;
