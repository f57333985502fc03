/** Comparison of texts in stored forms, without decoding them. */
import { isBytesAt } from "../base/bytes.ts";
import type { OwnedView } from "../record/kind_row.ts";

/** Reports whether a record has a label. */
export function hasLabel(record: OwnedView, key: Uint8Array, value: Uint8Array): boolean {
  if (!record.hasExtra) return false;
  const { labels } = record.extra;
  const { $bytes: bytes } = record;
  for (let place = 0; place < labels.count; place++) {
    const label = labels.at(place);
    const keyAt = label.keyOffset;
    if (!isBytesAt(key, bytes, keyAt, keyAt + label.keyLength)) continue;
    const valueAt = label.valueOffset;
    return isBytesAt(value, bytes, valueAt, valueAt + label.valueLength);
  }
  return false;
}
