/**
 * Descriptors as they are answered. The newest version of each is kept as text until there is a
 * newer one, or until others need the room; older versions are read rarely and are written each time.
 */
import { descriptorJson } from "../../answers/governed_json.ts";
import { HTTP_WRITTEN_BYTES_MAX, HTTP_WRITTEN_COUNT_DEFAULT } from "../../base/limits.ts";
import type { AppliedEntry, GovernedLog } from "../../governance/governed_log.ts";
import { MeasuredText } from "../measured_text.ts";
import { jsonText } from "../json_text.ts";

/** A version of a descriptor as it is answered. */
export interface WrittenDescriptor {
  /** Its document. */
  readonly text: MeasuredText;
  /** The ETag of the version and its state. */
  readonly etag: string;
}

/** A newest version. */
interface Kept extends WrittenDescriptor {
  readonly applied: AppliedEntry;
}

/** The descriptors that were written. */
export class WrittenDescriptors {
  /** By id, the one that was written first is the first one. */
  readonly #kept = new Map<string, Kept>();
  readonly #countMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  /** @param countMax maximum number of those that are kept. @param bytesMax bytes of all of them. */
  constructor(countMax = HTTP_WRITTEN_COUNT_DEFAULT, bytesMax = HTTP_WRITTEN_BYTES_MAX) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  /** The number of those that are kept. */
  get count(): number {
    return this.#kept.size;
  }

  /** The bytes of all that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns a version of a descriptor. @param log the log that it is in. */
  of(applied: AppliedEntry, log: GovernedLog): WrittenDescriptor {
    const { id } = applied.entry;
    const isHead = log.headOf(id) === applied;
    const kept = this.#kept.get(id);
    if (isHead && kept?.applied === applied) return kept;
    const text = new MeasuredText(jsonText(descriptorJson(applied, log)));
    const written = { applied, text, etag: descriptorTag(applied, log) };
    if (isHead) this.#keep(id, written);
    return written;
  }

  #keep(id: string, written: Kept): void {
    this.#drop(id);
    this.#kept.set(id, written);
    this.#bytes += written.text.byteLength;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#countMax && this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest);
    }
  }

  #drop(id: string): void {
    this.#bytes -= this.#kept.get(id)?.text.byteLength ?? 0;
    this.#kept.delete(id);
  }
}

/** Returns the ETag of a version: its state changes while the rest does not. */
export function descriptorTag(applied: AppliedEntry, log: GovernedLog): string {
  return `"${applied.entry.version}-${log.stateOf(applied)}"`;
}
