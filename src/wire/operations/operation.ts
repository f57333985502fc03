/**
 * The description of an operation: what dispatch, access control, the metrics, the SDK and the
 * generated pages need to know about it. A subject's file (records.ts, node.ts, identities.ts)
 * describes each operation once; src/serving/handlers registers its handler once.
 */
import type { StructCodec } from "../../../schemas/runtime/codec.ts";
import type { StructView } from "../../../schemas/runtime/view.ts";
import type { ByteSource } from "../../../schemas/runtime/writer.ts";
import type { ErrorCode } from "../../base/errors.ts";
import type { AccessRule, KeyFacts } from "../../record/access.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../record/key.ts";
import { anyKind, RECORD_KINDS, type RecordKind, recordKind } from "../../record/kinds.ts";

/** The records that a request concerns. */
export interface ConcernedRecords<View> {
  /** The kinds of record that it may concern. */
  readonly kinds: readonly RecordKind[];
  /**
   * Extracts the key of the one record that a request names; access to it is then decided before
   * the handler runs. Absent if the request names several records, carries them, or names none.
   *
   * @throws RegistryError `invalid_argument` if the request names no such record.
   */
  readonly keyOf?: (body: View) => KeyFacts;
  /**
   * Extracts the parts of the foreign key by which a request names one record (KindRow.foreignKey). Its
   * handler decides access, as the owner stands in the record.
   */
  readonly foreignKeyOf?: (body: View) => readonly string[];
  /** Extracts the domain by which a request names one record. */
  readonly domainOf?: (body: View) => string;
  /** Whether a read may name several records, access to each of which its handler decides. */
  readonly several?: boolean;
  /** Whether the request carries the records, so that access depends on their content. */
  readonly carried?: boolean;
  /** Extracts the stored form of the one record that a request carries. */
  readonly recordOf?: (body: View) => ByteSource;
}

/** An operation without its name, as a subject's file writes it. */
export interface OperationRow<Q, QV extends StructView<Q>, R, RV extends StructView<R>> {
  /** The id on the wire. Ids never change, and a new operation takes the next one. */
  readonly id: number;
  readonly kind: "read" | "write";
  /**
   * Whether sending it twice has the same effect as sending it once, so that a client may repeat it
   * when a reply is lost. Registers are repeatable: they carry their process and sequence.
   */
  readonly repeatable: boolean;
  readonly access: AccessRule;
  readonly request: StructCodec<Q, QV>;
  readonly reply: StructCodec<R, RV>;
  /** Cost in tokens of the caller's rate limit, in addition to one token per item it names. */
  readonly cost: number;
  /**
   * Codes with which a reply, or an item of it, may refuse, in addition to {@link COMMON_CODES}.
   */
  readonly codes: readonly ErrorCode[];
  /** Absent if the operation concerns no records. */
  readonly records?: ConcernedRecords<QV> | undefined;
  /** The group, other than the partitions, whose leader serves it. Absent: any node serves it. */
  readonly group?: "system" | "governed" | undefined;
  /**
   * Whether its handler compares the id with the caller's capability (`demandId`), because only it
   * knows the id. Default: false.
   */
  readonly checksIds?: boolean | undefined;
}

/** The description of one operation. */
export interface Operation<
  // deno-lint-ignore no-explicit-any -- readers of the whole table accept codecs of all types.
  Q = any,
  // deno-lint-ignore no-explicit-any -- as above.
  QV extends StructView<Q> = any,
  // deno-lint-ignore no-explicit-any -- as above.
  R = any,
  // deno-lint-ignore no-explicit-any -- as above.
  RV extends StructView<R> = any,
> extends OperationRow<Q, QV, R, RV> {
  readonly name: string;
  readonly records: ConcernedRecords<QV> | undefined;
  readonly group: "system" | "governed" | undefined;
  readonly checksIds: boolean;
}

/** Describes one operation. All descriptions have one shape, as each request reads its own. */
export function operation<Q, QV extends StructView<Q>, R, RV extends StructView<R>>(
  row: OperationRow<Q, QV, R, RV>,
): Operation<Q, QV, R, RV> {
  const { id, kind, repeatable, access, request, reply, cost, codes, records, group } = row;
  const { checksIds = false } = row;
  return {
    id,
    name: "",
    kind,
    repeatable,
    access,
    request,
    reply,
    cost,
    codes,
    records,
    group,
    checksIds,
  };
}

/** Operations by name. */
export type OperationTable = Readonly<Record<string, Operation>>;

/** Names each operation of a subject after its property. */
export function named<T extends OperationTable>(rows: T): T {
  const entries = Object.entries(rows).map(([name, row]) => [name, { ...row, name }] as const);
  return Object.fromEntries(entries) as T;
}

/** A type without the properties of `T`. */
type Without<T> = { readonly [Name in keyof T]?: never };

/** Joins the tables of eleven subjects; a name that two of them use does not compile. */
export function joined<
  A extends OperationTable,
  B extends OperationTable & Without<A>,
  C extends OperationTable & Without<A & B>,
  D extends OperationTable & Without<A & B & C>,
  E extends OperationTable & Without<A & B & C & D>,
  F extends OperationTable & Without<A & B & C & D & E>,
  G extends OperationTable & Without<A & B & C & D & E & F>,
  H extends OperationTable & Without<A & B & C & D & E & F & G>,
  I extends OperationTable & Without<A & B & C & D & E & F & G & H>,
  J extends OperationTable & Without<A & B & C & D & E & F & G & H & I>,
  K extends OperationTable & Without<A & B & C & D & E & F & G & H & I & J>,
>(
  ...[a, b, c, d, e, f, g, h, i, j, k]: readonly [A, B, C, D, E, F, G, H, I, J, K]
): A & B & C & D & E & F & G & H & I & J & K {
  return { ...a, ...b, ...c, ...d, ...e, ...f, ...g, ...h, ...i, ...j, ...k };
}

/**
 * Error codes that every operation may return. With `connection_lost` a group was closed before the
 * outcome was known, or the session ended before the reply could be sent.
 */
export const COMMON_CODES: readonly ErrorCode[] = [
  "malformed",
  "too_large",
  "invalid_argument",
  "unauthenticated",
  "permission_denied",
  "deadline_exceeded",
  "overloaded",
  "storage_unavailable",
  "not_leader",
  "not_replica",
  "shutting_down",
  "connection_lost",
  "internal",
  "unknown_delegation",
];

/** Reports whether a reply of the operation, or an item of it, may have this code. */
export function mayAnswer({ codes }: Pick<Operation, "codes">, code: ErrorCode): boolean {
  return codes.includes(code) || COMMON_CODES.includes(code);
}

/** Requests that name one agent by its id. */
export const ONE_AGENT: ConcernedRecords<{ readonly id: Uint8Array }> = {
  kinds: [KIND_AGENT],
  keyOf: ({ id }) => ({ kind: KIND_AGENT, id }),
};

/** Requests that name one gateway by its id. */
export const ONE_GATEWAY: ConcernedRecords<{ readonly id: Uint8Array }> = {
  kinds: [KIND_GATEWAY],
  keyOf: ({ id }) => ({ kind: KIND_GATEWAY, id }),
};

/** The kinds of record that operations which name a kind serve. */
export const ALL_KINDS: readonly RecordKind[] = RECORD_KINDS.servedRows.map(({ number }) =>
  recordKind(number)
);

/** Requests that name one record by its kind and id. */
export const ONE_RECORD: ConcernedRecords<{ readonly kind: number; readonly id: Uint8Array }> = {
  kinds: ALL_KINDS,
  keyOf: ({ kind, id }) => ({ kind: recordKind(kind), id }),
};

/** Requests that name one record by its kind and id, also of a kind with operations of its own. */
export const ONE_OF_ANY_KIND: typeof ONE_RECORD = {
  kinds: RECORD_KINDS.rows.map(({ number }) => anyKind(number)),
  keyOf: ({ kind, id }) => ({ kind: anyKind(kind), id }),
};
