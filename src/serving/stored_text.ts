/** Comparison of texts in stored forms, without decoding them. */
import type { OwnedView } from "../record/kind_row.ts";

/** Reports whether a record has a label. */
export function hasLabel(record: OwnedView, key: Uint8Array, value: Uint8Array): boolean {
  if (!record.hasExtra) return false;
  const { labels } = record.extra;
  const { $bytes: bytes } = record;
  for (let place = 0; place < labels.count; place++) {
    const label = labels.at(place);
    const keyAt = label.keyOffset;
    if (!isAt(bytes, keyAt, keyAt + label.keyLength, key)) continue;
    const valueAt = label.valueOffset;
    return isAt(bytes, valueAt, valueAt + label.valueLength, value);
  }
  return false;
}

/** Reports whether `[start, end)` of `bytes` are the bytes of `other`. */
export function isAt(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let at = 0; at < other.length; at++) if (bytes[start + at] !== other[at]) return false;
  return true;
}
