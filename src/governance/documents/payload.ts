/**
 * Payloads: the documents that signers sign, `{schema, id, kind, version, prev_hash, body}` in RFC 8785
 * form.
 *
 * Version and `prev_hash`, the content id of the version before, are part of what is signed, so a
 * signature counts for one version of one descriptor only. So is the action, which is the schema's name:
 * a deprecation cannot be made of a signed publication. Descriptors whose ids begin with `@` are the
 * registry's own: its signers, its freeze and its home.
 */
import { bytesEqual } from "../../base/bytes.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  GOVERNED_ID_LENGTH_MAX,
  GOVERNED_PAYLOAD_BYTES_MAX,
  REGION_BYTES_MAX,
} from "../../base/limits.ts";
import { canonicalJson } from "../../signing/canonical_json.ts";
import { contentIdOf, isContentId, NO_PREVIOUS } from "./content_id.ts";
import {
  exactMembers,
  integerOf,
  invalidDocument,
  type JsonObject,
  objectOf,
  strictJsonIn,
  textOf,
} from "./json_members.ts";
import { checkRegionBody } from "./region_map.ts";
import { checkWritable, readDocument, type SchemaName } from "./schema_gate.ts";

/** Kinds of descriptors. */
export const DESCRIPTOR_KINDS = ["service", "node", "region_map", "policy_pin"] as const;
/** A kind of descriptor. */
export type DescriptorKind = typeof DESCRIPTOR_KINDS[number];

/** The registry's own descriptors. */
export const SIGNERS_ID = "@signers";
export const FREEZE_ID = "@freeze";
/** The region in which proposals are made. */
export const HOME_ID = "@home";

/** Reasons for which a version is superseded. */
export const SUPERSESSION_REASONS = [
  "KeyCompromise",
  "DataError",
  "GovernanceAction",
  "Other",
] as const;

/** The effect of a payload. */
export type PayloadAction = Exclude<SchemaName, "genesis" | "entry" | "bundle">;

/** A payload, as its newest schema has it. */
export interface Payload {
  readonly id: string;
  readonly kind: string;
  /** Version of the descriptor: one more than that of the version before. */
  readonly version: number;
  /** Content id of the version before; {@link NO_PREVIOUS} for the first. */
  readonly prev_hash: string;
  readonly body: JsonObject;
}

/** A payload with its canonical bytes. */
export interface ReadPayload {
  readonly payload: Payload;
  readonly action: PayloadAction;
  /** The schema that was signed. */
  readonly schema: string;
  readonly bytes: Uint8Array;
  /** `b3:…` of the bytes. */
  readonly contentId: string;
}

const MEMBERS = ["id", "kind", "version", "prev_hash", "body"] as const;
const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]*(@[A-Za-z0-9._-]+)?$/;
const ACTIONS: readonly string[] = [
  "descriptor",
  "deprecation",
  "supersession",
  "signers",
  "freeze",
  "home",
] satisfies readonly PayloadAction[];

/**
 * Reads the canonical bytes of a payload.
 *
 * @param applyVersion the version by which a command that brings the payload is applied: only the
 * schemas that it writes are read. By default all that this program knows.
 * @throws RegistryError `invalid_argument` if they are not the canonical form of a payload; `too_large`;
 * `unsupported_version`, but not with an `applyVersion`.
 */
export function readPayload(bytes: Uint8Array, applyVersion?: number): ReadPayload {
  checkSize(bytes);
  const value = strictJsonIn(bytes, "Payload");
  if (applyVersion !== undefined) {
    checkWritable(objectOf(value, "Payload")["schema"], applyVersion);
  }
  const found = canonicalPayload(value);
  if (!bytesEqual(found.bytes, bytes)) {
    throw invalidDocument("Payload must be in its RFC 8785 form: it is not");
  }
  return found;
}

/** Returns a payload in its canonical form. @throws RegistryError as {@link readPayload}. */
export function canonicalPayload(value: unknown): ReadPayload {
  const { name, schema, document } = readDocument(value, "Payload");
  if (!ACTIONS.includes(name)) throw invalidDocument(`Schema ${schema} is not that of a payload`);
  const action = name as PayloadAction;
  const payload = payloadOf(document, action);
  const bytes = new TextEncoder().encode(canonicalJson(value as JsonObject));
  checkSize(bytes);
  return { payload, action, schema, bytes, contentId: contentIdOf(bytes) };
}

/** Returns the published body, which a supersession wraps; undefined for a deprecation. */
export function publishedBody({ action, payload }: Pick<ReadPayload, "action" | "payload">) {
  if (action === "deprecation") return undefined;
  return action === "supersession" ? objectOf(payload.body["body"], "body") : payload.body;
}

/** Reports whether a payload concerns the registry itself, and so may be applied while it is frozen. */
export function isOwnAction(action: PayloadAction): boolean {
  return action === "signers" || action === "freeze" || action === "home";
}

function payloadOf(document: JsonObject, action: PayloadAction): Payload {
  const object = exactMembers(document, "Payload", MEMBERS);
  const payload: Payload = {
    id: textOf(object, "id", GOVERNED_ID_LENGTH_MAX),
    kind: textOf(object, "kind", 40),
    version: integerOf(object, "version", { min: 1 }),
    prev_hash: textOf(object, "prev_hash", 67),
    body: objectOf(object["body"], "body"),
  };
  if (!isContentId(payload.prev_hash)) {
    throw invalidDocument(`prev_hash must be b3: and 64 hexadecimal digits`, "prev_hash");
  }
  if ((payload.version === 1) !== (payload.prev_hash === NO_PREVIOUS)) {
    throw invalidDocument(`prev_hash must be ${NO_PREVIOUS} for version 1 only`, "prev_hash");
  }
  checkBody(payload, action);
  return payload;
}

function checkBody({ id, kind, version, body }: Payload, action: PayloadAction): void {
  if (isOwnAction(action)) {
    if (kind !== action || id !== `@${action}`) {
      throw invalidDocument(
        `A payload of ${action} must have kind ${action} and id @${action}`,
        "id",
      );
    }
    // The signer set is checked against the one before it, where that is known.
    if (action === "freeze") checkFreeze(body);
    if (action === "home") checkHome(body);
    return;
  }
  if (!ID.test(id)) throw invalidDocument(`id must match ${ID}: found ${JSON.stringify(id)}`, "id");
  if (!(DESCRIPTOR_KINDS as readonly string[]).includes(kind)) {
    throw invalidDocument(`kind must be one of ${DESCRIPTOR_KINDS.join(", ")}`, "kind");
  }
  if (action !== "descriptor" && version === 1) {
    throw invalidDocument(`The first version of a descriptor must publish it`, "schema");
  }
  if (action === "deprecation") {
    const { reason } = exactMembers(body, "body", ["reason"], ["replacement"]);
    textOf({ reason }, "reason", 1_000);
    if (body["replacement"] !== undefined) textOf(body, "replacement", GOVERNED_ID_LENGTH_MAX);
    return;
  }
  if (action === "supersession") checkSupersession(body);
  const published = action === "supersession" ? objectOf(body["body"], "body") : body;
  if (kind === "region_map") checkRegionBody(published);
}

function checkFreeze(body: JsonObject): void {
  exactMembers(body, "body", ["frozen", "reason"]);
  textOf(body, "reason", 1_000);
  if (typeof body["frozen"] !== "boolean") throw invalidDocument("frozen must be true or false");
}

function checkHome(body: JsonObject): void {
  exactMembers(body, "body", ["region"]);
  if (textOf(body, "region", REGION_BYTES_MAX) !== "") return;
  throw invalidDocument("region must name a region", "region");
}

function checkSupersession(body: JsonObject): void {
  const { reason } = exactMembers(body, "body", ["reason", "body"], ["detail"]);
  if (!(SUPERSESSION_REASONS as readonly unknown[]).includes(reason)) {
    throw invalidDocument(`reason must be one of ${SUPERSESSION_REASONS.join(", ")}`, "reason");
  }
  if (body["detail"] !== undefined) textOf(body, "detail", 1_000);
}

function checkSize({ length }: Uint8Array): void {
  if (length <= GOVERNED_PAYLOAD_BYTES_MAX) return;
  const message =
    `Payload must have at most ${GOVERNED_PAYLOAD_BYTES_MAX} bytes in its RFC 8785 form: it has ${length}`;
  throw new RegistryError("too_large", message, { field: "payload" });
}
