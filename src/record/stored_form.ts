/**
 * Records of any kind on their way into the registry: from the plain value to the stored form, and
 * the validation of a stored form before it is logged. Both are derived from the fields of the
 * kind's row. Source: design §3.
 */
import { isNilUuid } from "../base/uuid.ts";
import type { Extra } from "../../schemas/gen/record.ts";
import { NO_POSITION } from "../base/position.ts";
import type { Field } from "./field.ts";
import type { KindRow, OwnedRecord, OwnedView, ReadableKind } from "./kind_row.ts";
import type { Ownership, RecordInfo, RecordInput } from "./plain.ts";
import { invalid } from "./validation.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * Returns the stored form of a record to register, to be checked by {@link validated}.
 *
 * @throws RegistryError `invalid_argument` when text does not parse.
 */
export function toStored<
  Stored extends OwnedRecord,
  View extends OwnedView,
  Input extends RecordInput,
  Info extends RecordInfo,
>(
  row: KindRow<Stored, View, Input, Info>,
  input: NoInfer<Input>,
  { process, sequence }: Ownership,
): Stored {
  // A copy of the empty record has all fields from the start, so that setting them stays cheap.
  const stored = { ...row.empty, process, sequence } as unknown as Record<string, unknown>;
  const given = input as unknown as Readonly<Record<string, unknown>>;
  const extra = setFields(row.sharedFields, given, stored, undefined);
  stored.extra = setFields(row.ownFields, given, stored, extra);
  return stored as unknown as Stored;
}

/** Sets the given fields, and returns `extra` with those that are stored there. */
function setFields(
  fields: readonly Field[],
  given: Readonly<Record<string, unknown>>,
  stored: Record<string, unknown>,
  extra: Extra | undefined,
): Extra | undefined {
  for (const { name, type, isExtra } of fields) {
    const plain = given[name];
    if (plain === undefined) continue;
    const value = type.toStored(plain, name);
    if (isExtra !== true) stored[name] = value;
    else if (value.length > 0) extra = { ...extra ?? NO_EXTRA, [name]: value };
  }
  return extra;
}

const NO_EXTRA: Extra = { credentialHash: NO_BYTES, labels: [], superseded: [] };

/**
 * Checks a record sent by its owner and returns the form to log: canonical, with the registry's own
 * fields empty.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function validated<
  Stored extends OwnedRecord,
  View extends OwnedView,
  Input extends RecordInput,
  Info extends RecordInfo,
>(row: KindRow<Stored, View, Input, Info>, record: Stored): Stored {
  if (isNilUuid(record.id)) throw invalid("id", "not be all zero", "00000000-…");
  if (record.process === 0) {
    throw invalid("process", "be a random number that is not 0", record.process);
  }
  row.check?.(record);
  const valid = {
    ...record,
    leaseExpiryMs: 0,
    incarnation: NO_POSITION,
    revision: NO_POSITION,
    lastSeenUnixS: 0,
    writer: 0,
    extra: canonicalExtra(row.sharedFields, record.extra),
  } as unknown as Record<string, unknown>;
  if (row.claimsDomain) valid.claim = NO_POSITION;
  if (!row.hasLease) valid.ttlMs = 0;
  checkFields(row.sharedFields, valid);
  checkFields(row.ownFields, valid);
  return valid as unknown as Stored;
}

function checkFields(fields: readonly Field[], record: Record<string, unknown>): void {
  const checked = CHECKED.get(fields) ?? checkedFields(fields);
  for (let index = 0; index < checked.length; index++) {
    const { name, check } = checked[index]!;
    const value = record[name];
    const canonical = check(value, name);
    // Most are canonical already, and a store by a computed name is slow.
    if (canonical !== value) record[name] = canonical;
  }
}

/** A field with its check. */
interface CheckedField {
  readonly name: string;
  readonly check: NonNullable<Field["type"]["check"]>;
}

/** The fields of a list that have a check and lie in the record itself. */
const CHECKED = new WeakMap<readonly Field[], readonly CheckedField[]>();

function checkedFields(fields: readonly Field[]): readonly CheckedField[] {
  const checked = fields.flatMap(({ name, type: { check }, isExtra }) =>
    check === undefined || isExtra === true ? [] : [{ name, check }]
  );
  CHECKED.set(fields, checked);
  return checked;
}

function canonicalExtra(fields: readonly Field[], extra: Extra | undefined): Extra | undefined {
  if (extra === undefined) return undefined;
  const canonical: Record<string, unknown> = { ...NO_EXTRA };
  let isEmpty = true;
  for (const { name, type, isExtra } of fields) {
    if (isExtra !== true) continue;
    const value = extra[name as keyof Extra];
    canonical[name] = type.check?.(value, name) ?? value;
    if (value.length > 0) isEmpty = false;
  }
  return isEmpty ? undefined : canonical as unknown as Extra;
}

/**
 * Returns the plain value of a stored form.
 *
 * @throws RegistryError `malformed` when the bytes hold no record of the kind.
 */
export function infoOf<View extends OwnedView, Info>(
  row: ReadableKind<View, Info>,
  bytes: Uint8Array,
): Info {
  const dataView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return row.decode(row.codec.newView().wrap(dataView, bytes, 0, bytes.length));
}
