/**
 * Intake of records: decodes the bytes of a caller, assigns the id, validates, and encodes again,
 * so that a stored form is always the canonical one that our own codec writes.
 */
import { createHash } from "node:crypto";
import type { FrameWriter } from "../../schemas/runtime/writer.ts";
import { bytesEqual } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { RECORD_BYTES_MAX } from "../base/limits.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import { NO_POSITION, type Position } from "../base/position.ts";
import { formatUuid, isNilUuid, parseUuid } from "../base/uuid.ts";
import { ownerIdOf } from "../record/access.ts";
import { idOfDomain, idOfForeignKey } from "../record/derived_id.ts";
import { canonicalDomain } from "../record/domain.ts";
import { attachedIdOf, type OwnedRecord, type OwnedView } from "../record/kind_row.ts";
import type { AnyKindRow } from "../record/kinds.ts";
import { validated } from "../record/stored_form.ts";
import { invalid } from "../record/validation.ts";
import type { StoredSpan } from "../store/reply.ts";

/** Validated record, ready to be logged. */
export interface AcceptedRecord {
  readonly row: AnyKindRow;
  readonly record: OwnedRecord;
  readonly id: Uint8Array;
  /** Canonical; "" if there is none. */
  readonly domain: string;
  readonly region: string;
  /** Id of the record that it is attached to; all zero if there is none. */
  readonly gatewayId: Uint8Array;
  readonly ttlMs: number;
}

const NIL_ID = new Uint8Array(16);

/** Decodes records that callers sent, with one view for each kind. */
export class SentRecordReader {
  readonly #views: OwnedView[] = [];

  /**
   * Returns the record in `[start, end)` of `bytes`, which `view` covers; shares nothing with them.
   *
   * @throws RegistryError `malformed`, `too_large`.
   */
  read({ number, codec }: AnyKindRow, { view, bytes, start, end }: StoredSpan): OwnedRecord {
    if (end - start > RECORD_BYTES_MAX) {
      throw new RegistryError(
        "too_large",
        `record must have at most ${RECORD_BYTES_MAX} bytes: found ${end - start}`,
        { field: "record" },
      );
    }
    const form = this.#views[number] ??= codec.newView();
    return form.wrap(view, bytes, start, end).toPlain();
  }
}

/**
 * Validates the record that a caller sent.
 *
 * @throws RegistryError `invalid_argument`.
 */
export function acceptRecord(
  row: AnyKindRow,
  sent: OwnedRecord,
  peer: AuthenticatedPeer,
): AcceptedRecord {
  const record = validated(row, withOwner(row, withId(row, sent, peer), peer));
  const { id, domain, region, ttlMs } = record;
  return { row, record, id, domain, region, gatewayId: attachedIdOf(row, record) ?? NIL_ID, ttlMs };
}

/**
 * Appends the stored form to be logged.
 *
 * @param claim the claim on its domain; `NO_POSITION` if it has none.
 */
export function appendRecord(
  out: FrameWriter,
  { row, record }: AcceptedRecord,
  claim: Position,
): void {
  // A validated record has no claim.
  row.codec.append(out, claim === NO_POSITION ? record : { ...record, claim } as OwnedRecord);
}

/**
 * Returns the record with its id. A record that another system names has the id of its key. An
 * owner that gives no id means its own: the one of its identity or, as the development identity has
 * none, one derived from its domain, so that a retry writes the same record.
 */
function withId(row: AnyKindRow, record: OwnedRecord, peer: AuthenticatedPeer): OwnedRecord {
  const key = row.foreignKey?.(record);
  if (key !== undefined) return { ...record, id: keyedId(record.id, key) };
  if (!isNilUuid(record.id)) return record;
  if (!isNilUuid(peer.subjectId)) return { ...record, id: peer.subjectId };
  if (record.domain === "") {
    throw new RegistryError("invalid_argument", "id or domain must be given: found neither", {
      field: "id",
    });
  }
  return { ...record, id: parseUuid(idOfDomain(canonicalDomain(record.domain), hash("sha1"))) };
}

/** Returns the record with the caller as its owner, if it is of a kind that names one. */
function withOwner(row: AnyKindRow, record: OwnedRecord, peer: AuthenticatedPeer): OwnedRecord {
  return row.ownership === undefined
    ? record
    : { ...record, owner: ownerIdOf(peer) } as OwnedRecord;
}

/** Returns the id of a foreign key; an id that was given must be the same. */
function keyedId(given: Uint8Array, key: readonly string[]): Uint8Array {
  const id = idOfForeignKey(key, hash("sha256"));
  if (isNilUuid(given) || bytesEqual(given, id)) return id;
  throw invalid("id", `be absent, or ${formatUuid(id)} as derived from its key`, formatUuid(given));
}

function hash(algorithm: "sha1" | "sha256"): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => createHash(algorithm).update(bytes).digest();
}
