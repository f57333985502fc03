/**
 * What of a record a caller is not shown: its credential hash, unless the access rules say that it
 * may see it. Stored forms are embedded in replies as they are, so a record with a hash is copied and
 * the hash taken out of the copy: its pointer becomes null and its bytes zero. Readers pass over the
 * room that is left. Nothing is copied for a record without a hash, nor for who may see all.
 */
import { agentCodec, type AgentView, gatewayCodec } from "../../schemas/gen/record.ts";
import type { GatewayView } from "../../schemas/gen/record.ts";
import { WORD_BYTES } from "../../schemas/runtime/cursor.ts";
import type { ByteSource, ByteSpan } from "../../schemas/runtime/writer.ts";
import type { AuthenticatedPeer } from "../base/peer.ts";
import {
  type AccessPolicy,
  type KeyFacts,
  seesAllCredentialHashes,
  seesCredentialHash,
  STRICT_POLICY,
} from "../record/access.ts";
import { KIND_AGENT, type RecordKind } from "../record/key.ts";
import type { StoredSpan } from "../store/reply.ts";

/** Covers credential hashes. One for all streams of a node. */
export class CredentialVeil {
  readonly #policy: AccessPolicy;
  readonly #agent = agentCodec.newView();
  readonly #gateway = gatewayCodec.newView();
  #chunk = new Uint8Array(0);
  #used = 0;

  constructor(policy: AccessPolicy = STRICT_POLICY) {
    this.#policy = policy;
  }

  /** The stored form as `peer` may see it: the span itself, or a copy without its hash. */
  cover(peer: AuthenticatedPeer, kind: RecordKind, span: StoredSpan): ByteSource {
    if (seesAllCredentialHashes(peer, this.#policy)) return span;
    const { view, bytes, start, end } = span;
    const record: AgentView | GatewayView = kind === KIND_AGENT
      ? this.#agent.wrap(view, bytes, start, end)
      : this.#gateway.wrap(view, bytes, start, end);
    if (!record.hasExtra) return span;
    const { extra } = record;
    const length = extra.credentialHashLength;
    if (length === 0) return span;
    if (this.#mayOwn(peer) && seesCredentialHash(peer, factsOf(kind, record), this.#policy)) {
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

  /**
   * A copy in the current chunk, which its owner may keep: a full chunk is left to its copies, and
   * no byte of a chunk is given out twice. An array of its own for each would cost a microsecond.
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

  /** Spares the facts of a record to those who have none of their own: most readers are proxies. */
  #mayOwn({ role }: AuthenticatedPeer): boolean {
    return role === "agent" || role === "gateway";
  }
}

function factsOf(kind: RecordKind, record: AgentView | GatewayView): KeyFacts {
  const { id } = record;
  return "gatewayId" in record ? { kind, id, gatewayId: record.gatewayId } : { kind, id };
}

/** `Extra.credentialHash` is the first of its pointers (schemas/record.capnp). */
const CREDENTIAL_HASH_POINTER = 0;
/** Some 200 records. */
const CHUNK_BYTES = 64 * 1024;
