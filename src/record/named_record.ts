/**
 * Parts shared by the kinds of record whose names another system gives: the key is such a name, and the
 * record names its owner, who writes it from any process. A registration by the owner updates a live
 * record; one by anybody else is refused.
 */
import { bytesEqual, toHex } from "../base/bytes.ts";
import { formatUuid } from "../base/uuid.ts";
import type { OwnedView, Succession } from "./kind_row.ts";
import { RECORD_SCOPES, type RecordInfo } from "./plain.ts";
import { isStaleState, stateName } from "./record_state.ts";
import { SHARED_FIELDS } from "./shared_fields.ts";

/** The shared fields of such records. */
const NAMES: ReadonlySet<string> = new Set(["region", "credentialHash", "ttlMs", "state", "scope"]);

/** The fields that such records share with others. */
export const NAMED_FIELDS = SHARED_FIELDS.filter(({ name }) => NAMES.has(name));

/** A view on such a record. */
export interface NamedView extends OwnedView {
  ownerEquals(bytes: Uint8Array, offset?: number): boolean;
  readonly ownerOffset: number;
}

/**
 * Returns the refusal of a registration by another owner, or under another credential; `undefined` for
 * the same ones.
 */
export function otherOwner(
  current: NamedView,
  incoming: NamedView,
  name: string,
): Exclude<Succession, string> | undefined {
  const isSame = current.ownerEquals(incoming.$bytes, incoming.ownerOffset) &&
    bytesEqual(credentialOf(current), credentialOf(incoming));
  if (isSame) return undefined;
  return {
    code: "permission_denied",
    message: `The ${name} is registered by another owner, or under another credential`,
  };
}

/** Returns the refusal of a name that has the id of another one. */
export function otherName(kind: string): Exclude<Succession, string> {
  return {
    code: "permission_denied",
    message: `Another ${kind} has the id of this name: choose another name`,
  };
}

const NO_BYTES = new Uint8Array(0);

/** Returns the hash of the credential under which a record is registered; empty if there is none. */
export function credentialOf(record: OwnedView): Uint8Array {
  return record.hasExtra ? record.extra.credentialHash : NO_BYTES;
}

/** Returns a copy of the shared fields of such a record. */
export function namedInfo(view: OwnedView, { address, port }: NamedPlace): RecordInfo {
  return {
    id: formatUuid(view.id),
    domain: "",
    address,
    port,
    region: view.region,
    labels: {},
    credentialHash: toHex(credentialOf(view)),
    ttlMs: view.ttlMs,
    state: stateName(view.state),
    isStale: isStaleState(view.state),
    scope: RECORD_SCOPES[view.scope] ?? "region",
    incarnation: { generation: view.incarnationGeneration, index: view.incarnationIndex },
    revision: { generation: view.revisionGeneration, index: view.revisionIndex },
    lastSeenUnixMs: view.lastSeenUnixS * 1_000,
    writer: view.writer,
  };
}

/** Where such a record is reached; empty and 0 if it is not. */
interface NamedPlace {
  readonly address: string;
  readonly port: number;
}
