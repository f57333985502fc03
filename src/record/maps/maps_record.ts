/**
 * Fields and rules that the records of the Maps protocol share. Their owners need no identity: whoever
 * names the credential under which a record was registered may register it again, and nobody else while
 * it lives. The credential is the hash of a certificate, which clients publish so that others can verify
 * it: it keeps owners apart, and is no secret. An owner with an identity has its record to itself.
 */
import { fromHex, isZero, toHex } from "../../base/bytes.ts";
import { MAPS_CREDENTIAL_BYTES_MAX } from "../../base/limits.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import type { Field, FieldType } from "../field.ts";
import { port, text, textOf } from "../field_types.ts";
import type { OwnedView, Succession } from "../kind_row.ts";
import type { RecordInput } from "../plain.ts";
import { SHARED_FIELDS } from "../shared_fields.ts";
import { invalid } from "../validation.ts";

/** Bytes of the ids that the protocol gives to gateways and agents: SHA-256. */
const MAPS_ID_BYTES = 32;

/** The fields of all records that a registration of any of these kinds may name. */
export type MapsInput = Pick<RecordInput, "id" | "region" | "ttlMs" | "state" | "scope">;

/** A credential. */
export const credential: FieldType<string, string> = text({ bytesMax: MAPS_CREDENTIAL_BYTES_MAX });

/** An id that the protocol gives: 64 hexadecimal digits. */
export const mapsId: FieldType<string, Uint8Array> = {
  form: "text",
  fromJson: textOf,
  toStored: (plain, field) => {
    const bytes = fromHex(textOf(plain, field));
    if (bytes === undefined) throw invalid(field, "be hexadecimal", plain);
    return bytes;
  },
  check: (bytes, field) => {
    if (bytes.length === MAPS_ID_BYTES) return bytes;
    throw invalid(field, `have ${2 * MAPS_ID_BYTES} hexadecimal digits`, toHex(bytes));
  },
  show: (plain) => plain,
};

/** Returns the fields that such a record shares with those of other kinds: all have the first ones. */
export function mapsFields(...more: readonly (keyof RecordInput)[]): readonly Field[] {
  const names: readonly string[] = ["region", "ttlMs", "state", "scope", ...more];
  return SHARED_FIELDS.filter(({ name }) => names.includes(name))
    .map((field) => field.name === "port" ? { ...field, type: port } : field);
}

/** A view on such a record. */
export interface MapsView extends OwnedView {
  readonly credential: string;
  readonly ownerOffset: number;
  ownerEquals(bytes: Uint8Array, offset?: number): boolean;
}

/**
 * Decides about a registration while a record with its id lives: the same credential updates it, unless an
 * identity owns it and another one, or none, registers it.
 */
export function successionByCredential(current: MapsView, incoming: MapsView): Succession {
  const { $bytes: bytes, ownerOffset: at } = current;
  const isOwned = !isZero(bytes, at, at + UUID_BYTES);
  if (isOwned && !current.ownerEquals(incoming.$bytes, incoming.ownerOffset)) {
    return { code: "permission_denied", message: "It is registered by another identity" };
  }
  if (current.credential === incoming.credential) return "updates";
  return { code: "permission_denied", message: "It is registered under another credential" };
}
