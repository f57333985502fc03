/**
 * Redaction of credential hashes in replies, for callers to whom the access rules do not show them.
 * Stored forms are embedded in replies unchanged, so a record with a hash is copied and the hash
 * removed from the copy: its pointer becomes null and its bytes zero. Readers skip the unused space
 * that remains. Records without a hash, and callers who may see all hashes, cost no copy.
 */
import { WORD_BYTES } from "../../schemas/runtime/cursor.ts";
import type { ByteSource, ByteSpan } from "../../schemas/runtime/writer.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import {
  type AccessPolicy,
  recordFacts,
  seesAllCredentialHashes,
  seesCredentialHash,
  STRICT_POLICY,
} from "../record/access.ts";
import type { OwnedView } from "../record/kind_row.ts";
import { ownsRecords, RECORD_KINDS, type RecordKind } from "../record/kinds.ts";
import type { StoredSpan } from "../store/reply.ts";

/** Redacts credential hashes. One instance serves all streams of a node. */
export class CredentialRedaction {
  readonly #policy: AccessPolicy;
  /** By the number of the kind. */
  readonly #views: OwnedView[] = [];
  #chunk = new Uint8Array(0);
  #used = 0;

  constructor(policy: AccessPolicy = STRICT_POLICY) {
    this.#policy = policy;
    for (const { number, codec } of RECORD_KINDS.rows) this.#views[number] = codec.newView();
  }

  /** Returns the stored form as `peer` may see it: the span itself, or a copy without its hash. */
  redact(peer: AuthenticatedPeer, kind: RecordKind, span: StoredSpan): ByteSource {
    if (seesAllCredentialHashes(peer, this.#policy)) return span;
    const { view, bytes, start, end } = span;
    const record = this.#views[kind]!.wrap(view, bytes, start, end);
    if (!record.hasExtra) return span;
    const { extra } = record;
    const length = extra.credentialHashLength;
    if (length === 0) return span;
    if (this.#mayOwn(peer) && seesCredentialHash(peer, recordFacts(kind, record), this.#policy)) {
      return span;
    }
    const copy = this.#copyOf(span);
    const moved = copy.start - start;
    const pointerAt = extra.$pointerAt(CREDENTIAL_HASH_POINTER) + moved;
    copy.bytes.fill(0, pointerAt, pointerAt + WORD_BYTES);
    const hashAt = extra.credentialHashOffset + moved;
    copy.bytes.fill(0, hashAt, hashAt + length);
    return copy;
  }

  /** Reports whether a stored form, or an empty span, has a credential hash. */
  hasHash(kind: RecordKind, { view, bytes, start, end }: StoredSpan): boolean {
    if (end === start) return false;
    const record = this.#views[kind]!.wrap(view, bytes, start, end);
    return record.hasExtra && record.extra.credentialHashLength > 0;
  }

  /** Returns of how many records the peer sees the hashes; some: that depends on the record. */
  hashesSeenBy(peer: AuthenticatedPeer): "all" | "some" | "none" {
    if (seesAllCredentialHashes(peer, this.#policy)) return "all";
    return this.#mayOwn(peer) ? "some" : "none";
  }

  /**
   * Copies a span into the current chunk. The receiver may keep the copy: a full chunk is left to
   * its copies, and no byte of a chunk is handed out twice. A separate array per copy would cost a
   * microsecond.
   */
  #copyOf({ bytes, start, end }: StoredSpan): ByteSpan {
    const length = end - start;
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.max(CHUNK_BYTES, length));
      this.#used = 0;
    }
    const copy = { bytes: this.#chunk, start: this.#used, end: this.#used + length };
    this.#chunk.set(bytes.subarray(start, end), copy.start);
    this.#used = copy.end;
    return copy;
  }

  /**
   * Reports whether the role can own records. Avoids the facts lookup for proxies, most of the
   * readers.
   */
  #mayOwn({ role }: AuthenticatedPeer): boolean {
    return ownsRecords(role);
  }
}

/** Index of the pointer `Extra.credentialHash`, the first one (schemas/record.capnp). */
const CREDENTIAL_HASH_POINTER = 0;
/** Room for about 200 records. */
const CHUNK_BYTES = 64 * 1024;
