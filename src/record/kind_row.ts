/**
 * The description of one kind of record: a row of the table in kinds.ts. Store, serving, client and
 * command line read what they need to know about a kind from its row, and name no kind themselves
 * unless a rule is about that kind alone.
 *
 * The stored forms of all kinds begin with the id and have the fields of {@link OwnedRecord}, under
 * the same names. A kind without a lease leaves `ttlMs` and `leaseExpiryMs` 0; a kind without
 * domains leaves `domain` empty.
 */
import type { ErrorCode } from "../base/errors.ts";
import type { Role } from "../base/peer.ts";
import type { Position } from "../base/position.ts";
import type { Extra, ExtraView } from "../../schemas/gen/record.ts";
import type { FrameWriter, Input as Encoded, StructView } from "../../schemas/runtime.ts";
import type { Field, FieldDescription } from "./field.ts";
import type { RecordInfo, RecordInput } from "./plain.ts";

/** Fields that the stored forms of all kinds have. */
export interface OwnedRecord {
  readonly id: Uint8Array;
  readonly process: number;
  readonly sequence: number;
  readonly leaseExpiryMs: number;
  readonly incarnation: Position;
  readonly revision: Position;
  readonly ttlMs: number;
  readonly lastSeenUnixS: number;
  readonly writer: number;
  readonly state: number;
  readonly scope: number;
  readonly domain: string;
  readonly region: string;
  readonly extra: Extra | undefined;
}

/** Fields that the views of all kinds have; the store patches the ones that are not read-only. */
export interface OwnedView extends StructView<OwnedRecord> {
  readonly id: Uint8Array;
  readonly idOffset: number;
  readonly process: number;
  sequence: number;
  leaseExpiryMs: number;
  incarnationGeneration: number;
  incarnationIndex: number;
  revisionGeneration: number;
  revisionIndex: number;
  readonly ttlMs: number;
  lastSeenUnixS: number;
  writer: number;
  state: number;
  readonly scope: number;
  readonly domain: string;
  readonly domainLength: number;
  readonly region: string;
  readonly regionBytes: Uint8Array;
  readonly regionOffset: number;
  readonly regionLength: number;
  readonly hasExtra: boolean;
  readonly extra: ExtraView;
}

/** The generated codec of a kind's stored form (schemas/record.capnp). */
export interface RecordCodec<Stored, View> {
  readonly layout: { readonly dataWords: number; readonly pointerWords: number };
  newView(): View;
  /** @throws RegistryError `malformed`. */
  decode(bytes: Uint8Array): Stored;
  /** @throws RangeError when a field holds a value outside its type. */
  encode(record: Encoded<Stored>): Uint8Array;
  append(out: FrameWriter, record: Encoded<Stored>): void;
}

/** The descriptions of the fields that a kind has in addition to the shared ones. */
export type OwnFields<Input> = Readonly<
  Record<Exclude<keyof Input, keyof RecordInput>, FieldDescription>
>;

/** One kind of record. */
export interface KindRow<
  Stored = OwnedRecord,
  View = OwnedView,
  Input = RecordInput,
  Info = RecordInfo,
> {
  /** Number in logs, images, hashes and requests, `[1, 15]`; never reused. */
  readonly number: number;
  /** Name in messages, JSON, metrics and commands. */
  readonly name: string;
  /** The name of several. */
  readonly plural: string;
  readonly codec: RecordCodec<Stored, View>;
  /** The record with all fields at their defaults. */
  readonly empty: Stored;
  /** The fields that it shares with other kinds (shared_fields.ts). */
  readonly sharedFields: readonly Field[];
  /** The fields of this kind alone. */
  readonly ownFields: readonly Field[];
  /**
   * Returns a copy of the record at `view` for users. Written out for each kind, since every read of
   * the SDK runs it. @throws RegistryError `malformed`.
   */
  decode(view: View): Info;
  /**
   * Checks what involves several fields of a record to register.
   *
   * @throws RegistryError `invalid_argument`.
   */
  check?(record: Stored): void;
  /** Never set: carries the type of the plain value. */
  readonly input?: Input;
  /** Role of the identities that own such records, each the one with the id of its subject. */
  readonly owner?: Role;
  /** Set if a record names its owner, who writes it from any process. */
  readonly ownership?: NamedOwnership<Stored, View>;
  /** The lowest apply version of partitions that store it. Default: every partition stores it. */
  readonly applyVersion?: number;
  /**
   * Whether it is read and written by operations of its own alone. Default: those that name a kind serve
   * it too.
   */
  readonly hasOwnOperations?: boolean;
  /**
   * Whether a record ends unless it is renewed. A kind without a lease is never renewed and never
   * expires: it lasts until it is removed.
   */
  readonly hasLease: boolean;
  /**
   * Whether its records end as soon as their leases do, however many at once: to their readers an ended
   * record must not exist. Default: the expiry guard keeps records of which too many end, marked as stale.
   */
  readonly endsAtOnce?: boolean;
  /** Whether its domain is claimed for it by an alias, so that the domain resolves to it. */
  readonly claimsDomain: boolean;
  /** Whether its owner reports how much of its capacity is in use. */
  readonly reportsUse: boolean;
  /** Role of identities that may name such a record in theirs if a grant allows it. */
  readonly namedBy?: Role;
  /** The record of another kind that it is attached to. */
  readonly attachedTo?: Attachment<Stored | View>;
  /**
   * Returns the parts of the key of a record that another system names. Its id is derived from them
   * (idOfForeignKey in derived_id.ts), so that it is stored and found like any other.
   */
  foreignKey?(record: Stored): readonly string[];
}

/** The apply version from which on a partition stores records that name their owner. */
export const NAMED_OWNERS_APPLY_VERSION = 10;

/** The apply version from which on a partition stores records of the Maps protocol. */
export const MAPS_APPLY_VERSION = 11;

/** The apply version from which on a partition stores where the Maps protocol is served. */
export const MAPS_SEEDERS_APPLY_VERSION = 12;

/** The apply version from which on a partition may mark records as stale, and expires none without a permit. */
export const STALE_APPLY_VERSION = 16;

/** Ownership of records that name their owner. */
export interface NamedOwnership<Stored, View> {
  /** Roles of the identities that may own such records. */
  readonly roles: readonly Role[];
  /** Returns the id of the owner (ownerIdOf in access.ts), 16 bytes. */
  idOf(record: Stored | View): Uint8Array;
  /**
   * Whether names in a record are granted to nobody: its region is any, and a front may give it any domain.
   * Default: as for other records, the region is that of the writer's certificate.
   */
  readonly hasFreeNames?: boolean;
  /** Decides about a registration while a record with its id lives. Pure, as apply runs it. */
  succession(current: View, incoming: View): Succession;
}

/**
 * Effect of a registration on the live record: its content changes, or it begins a new incarnation; or the
 * reason for which the registration is refused.
 */
export type Succession =
  | "updates"
  | "replaces"
  | { readonly code: ErrorCode; readonly message: string };

/** The part of a row that reading records needs. */
export interface ReadableKind<View, Info> {
  readonly codec: { newView(): View };
  decode(view: View): Info;
}

/** A row whose type tells its number and its name. */
export type Named<Row, Number extends number, Name extends string> = Row & {
  readonly number: Number;
  readonly name: Name;
};

/** The relation of a record to another one, whose owner may renew and read it. */
export interface Attachment<Source> {
  /** Role of the owner of the other record. */
  readonly role: Role;
  /** Returns the id of the other record, 16 bytes; all zero if there is none. */
  idOf(record: Source): Uint8Array;
}

/** Returns the id of the record that `record` is attached to; `undefined` for kinds without that. */
export function attachedIdOf(
  row: KindRow,
  record: OwnedRecord | OwnedView,
): Uint8Array | undefined {
  return row.attachedTo?.idOf(record);
}

/** Returns the id of the owner that `record` names; `undefined` for kinds without that. */
export function ownerNamedBy(
  row: KindRow,
  record: OwnedRecord | OwnedView,
): Uint8Array | undefined {
  return row.ownership?.idOf(record);
}
