/**
 * The record of an item to register, whatever its kind: its fields, and the stored form sent on the
 * wire. The row of the kind decodes it again (src/record/kind_row.ts).
 */
import { type AnyKindRow, kindNamed, type RecordKindName } from "../record/kinds.ts";
import type { Ownership, RecordInput } from "../record/plain.ts";
import { toStored } from "../record/stored_form.ts";
import { notEncoded } from "./not_encoded.ts";
import type { RegisterItem } from "./types.ts";

/** Returns the fields of the record that an item registers. */
export function fieldsOf(item: RegisterItem): RecordInput {
  return (item as unknown as Readonly<Record<RecordKindName, RecordInput>>)[item.kind];
}

/** Returns the item with some fields of its record changed. */
export function withFields<Item extends RegisterItem>(
  item: Item,
  fields: Partial<RecordInput>,
): Item {
  return {
    kind: item.kind,
    [item.kind]: { ...fieldsOf(item), ...fields },
  } as unknown as Item;
}

/** Returns the stored form of a record to register. @throws RegistryError `invalid_argument`. */
export function storedRecord(item: RegisterItem, ownership: Ownership): Uint8Array {
  const row: AnyKindRow = kindNamed(item.kind);
  const record = toStored(row, fieldsOf(item), ownership);
  try {
    return row.codec.encode(record);
  } catch (error) {
    // Values that no field can hold fail here; the registry validates the rest.
    throw notEncoded(error);
  }
}
