/**
 * Sealed labels: label values that the registry stores but cannot read. A client encrypts a value
 * for named recipients, each of whom can decrypt it. A sealed value is `sealed:` and a JWE in
 * general form (RFC 7516 §7.2.1), in canonical JSON (RFC 8785): ECDH-ES+A256KW over X25519 for each
 * recipient, A256GCM for the value. The additional data names the record and the label, so a value
 * that is moved to another place does not open there.
 *
 * Limitations: anybody may seal, so an opened value does not prove who wrote it (that is whoever
 * may write the record); and its length is visible. Values not of exactly this form are refused
 * before a key is used: `jose` would accept other algorithms, compression and many header shapes.
 */
import { flattenedDecrypt, GeneralEncrypt } from "jose";
import { bytesEqual } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import {
  LABEL_VALUE_BYTES_MAX,
  SEALED_LABEL_BYTES_MAX,
  SEALED_RECIPIENTS_MAX,
} from "../../src/base/limits.ts";
import { formatUuid } from "../../src/base/uuid.ts";
import { SEALED_PREFIX } from "../../src/record/validation.ts";
import { decodeBase64url } from "../../src/base/base64url.ts";
import { canonicalJson, membersOf, readCanonicalJson } from "../../src/signing/canonical_json.ts";
import { type OpeningKey, type SealingKey, x25519Fault } from "./x25519.ts";

const KEY_ALGORITHM = "ECDH-ES+A256KW";
const CONTENT_ALGORITHM = "A256GCM";

/** The place of a label. */
export interface LabelPlace {
  /** 16 bytes. */
  readonly recordId: Uint8Array;
  /** The label's key. */
  readonly label: string;
}

/** Reasons why a sealed value cannot be opened. */
export type SealedFault =
  | "not_sealed"
  | "too_large"
  | "not_json"
  | "not_canonical"
  | "wrong_form"
  | "wrong_algorithm"
  | "unsound_key"
  | "other_place"
  | "not_a_recipient"
  | "damaged";

/** An opened value, or the reason why it cannot be opened. */
export type Opened = { readonly value: string } | { readonly fault: SealedFault };

/** Reports whether a value has the sealed prefix. Only a recipient can tell whether it opens. */
export function isSealedLabel(value: string): boolean {
  return value.startsWith(SEALED_PREFIX);
}

/**
 * Seals a value for its recipients.
 *
 * @param value text of at most `LABEL_VALUE_BYTES_MAX` bytes.
 * @param recipients keys that can open it, 1 to `SEALED_RECIPIENTS_MAX`, each once.
 * @returns the value to register for the label.
 * @throws RegistryError `invalid_argument`, `too_large`.
 */
export async function sealLabel(
  value: string,
  place: LabelPlace,
  recipients: readonly SealingKey[],
): Promise<string> {
  const plaintext = new TextEncoder().encode(value);
  if (plaintext.length > LABEL_VALUE_BYTES_MAX || !value.isWellFormed()) {
    throw invalid("value", `be text of at most ${LABEL_VALUE_BYTES_MAX} bytes`, plaintext.length);
  }
  const distinct = new Set(recipients.map(({ keyId }) => keyId)).size;
  if (distinct !== recipients.length || distinct < 1 || distinct > SEALED_RECIPIENTS_MAX) {
    throw invalid("recipients", `be 1 to ${SEALED_RECIPIENTS_MAX} different keys`, distinct);
  }
  const encryption = new GeneralEncrypt(plaintext)
    .setProtectedHeader({ enc: CONTENT_ALGORITHM })
    .setAdditionalAuthenticatedData(placeBytes(place));
  for (const { keyId, handle } of recipients) {
    encryption.addRecipient(handle).setUnprotectedHeader({ alg: KEY_ALGORITHM, kid: keyId });
  }
  const sealed = SEALED_PREFIX + canonicalJson(await encryption.encrypt());
  if (sealed.length > SEALED_LABEL_BYTES_MAX) {
    throw new RegistryError(
      "too_large",
      `A sealed label must have at most ${SEALED_LABEL_BYTES_MAX} bytes: found ${sealed.length}`,
      { field: "value" },
    );
  }
  return sealed;
}

/** Opens the sealed value at `place` with the key of one of its recipients. */
export async function openLabel(
  sealed: string,
  place: LabelPlace,
  key: OpeningKey,
): Promise<Opened> {
  const message = readSealed(sealed);
  if (typeof message === "string") return { fault: message };
  if (!bytesEqual(message.place, placeBytes(place))) return { fault: "other_place" };
  const recipient = message.recipients.find(({ header }) => header.kid === key.sealing.keyId);
  if (recipient === undefined) return { fault: "not_a_recipient" };
  const { aad, ciphertext, iv, protected: header, tag } = message.jwe;
  try {
    const { plaintext } = await flattenedDecrypt(
      { aad, ciphertext, iv, protected: header, tag, ...recipient },
      key.handle,
      {
        keyManagementAlgorithms: [KEY_ALGORITHM],
        contentEncryptionAlgorithms: [CONTENT_ALGORITHM],
      },
    );
    return { value: UTF8.decode(plaintext) };
  } catch {
    // The form is valid, so either the wrapped key or the content failed authentication.
    return { fault: "damaged" };
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Returns the additional authenticated data: version of this form, record, label. */
function placeBytes({ recordId, label }: LabelPlace): Uint8Array {
  return new TextEncoder().encode(`registry-sealed-label/1 ${formatUuid(recordId)} ${label}`);
}

/** The text members of the JWE. */
interface SealedJwe {
  readonly aad: string;
  readonly ciphertext: string;
  readonly iv: string;
  readonly protected: string;
  readonly tag: string;
}

interface SealedRecipient {
  readonly encrypted_key: string;
  readonly header: { readonly alg: string; readonly epk?: object; readonly kid: string };
}

interface SealedMessage {
  readonly jwe: SealedJwe;
  /** The additional authenticated data. */
  readonly place: Uint8Array;
  readonly recipients: readonly SealedRecipient[];
}

/** Parses a sealed value in canonical form. */
function readSealed(sealed: string): SealedMessage | SealedFault {
  if (!isSealedLabel(sealed)) return "not_sealed";
  if (sealed.length > SEALED_LABEL_BYTES_MAX) return "too_large";
  const read = readCanonicalJson(sealed.slice(SEALED_PREFIX.length));
  if (typeof read === "string") return read;
  const members = membersOf(read.value, MESSAGE_MEMBERS);
  if (members === undefined) return "wrong_form";
  const { aad, ciphertext, iv, protected: header, tag } = members;
  const place = bytesOf(aad);
  if (
    place === undefined || bytesOf(ciphertext) === undefined || bytesOf(iv, 12) === undefined ||
    bytesOf(tag, 16) === undefined || typeof header !== "string"
  ) return "wrong_form";
  const recipients = Array.isArray(members.recipients)
    ? recipientsOf(members.recipients, header)
    : "wrong_form";
  if (typeof recipients === "string") return recipients;
  return { jwe: members as unknown as SealedJwe, place, recipients };
}

const MESSAGE_MEMBERS = ["aad", "ciphertext", "iv", "protected", "recipients", "tag"] as const;
/** Size of a wrapped 256-bit key (RFC 3394): 8 bytes more than the key. */
const WRAPPED_BYTES = 40;

/**
 * Validates the recipients. Each has an ephemeral key in its own header; a single recipient's
 * ephemeral key is in the protected header, where jose puts it.
 */
function recipientsOf(items: unknown[], protectedText: string): SealedRecipient[] | SealedFault {
  if (items.length < 1 || items.length > SEALED_RECIPIENTS_MAX) return "wrong_form";
  const single = items.length === 1;
  const shared = protectedOf(protectedText, single ? ["enc", "epk"] : ["enc"]);
  if (shared?.["enc"] !== CONTENT_ALGORITHM) return "wrong_algorithm";
  const headerNames = single ? ["alg", "kid"] : ["alg", "epk", "kid"];
  const names = new Set<unknown>();
  for (const item of items) {
    const recipient = membersOf(item, ["encrypted_key", "header"]);
    const header = membersOf<string>(recipient?.header, headerNames);
    if (recipient === undefined || header === undefined) return "wrong_form";
    if (bytesOf(recipient.encrypted_key, WRAPPED_BYTES) === undefined) return "wrong_form";
    if (bytesOf(header["kid"], 32) === undefined || names.has(header["kid"])) return "wrong_form";
    names.add(header["kid"]);
    if (header["alg"] !== KEY_ALGORITHM) return "wrong_algorithm";
    const fault = ephemeralFault(single ? shared["epk"] : header["epk"]);
    if (fault !== undefined) return fault;
  }
  return items as SealedRecipient[];
}

/**
 * Returns the members of the protected header, whose text must be compact JSON without duplicates.
 */
function protectedOf(
  text: string,
  names: readonly string[],
): Readonly<Record<string, unknown>> | undefined {
  try {
    const json = UTF8.decode(bytesOf(text));
    const value: unknown = JSON.parse(json);
    return JSON.stringify(value) === json ? membersOf(value, names) : undefined;
  } catch {
    // The text is not JSON or not UTF-8; the caller names the fault.
    return undefined;
  }
}

function ephemeralFault(epk: unknown): SealedFault | undefined {
  const members = membersOf(epk, ["crv", "kty", "x"]);
  if (members === undefined) return "wrong_form";
  if (members.crv !== "X25519" || members.kty !== "OKP") return "wrong_algorithm";
  const bytes = bytesOf(members.x);
  if (bytes === undefined) return "wrong_form";
  return x25519Fault(bytes) === undefined ? undefined : "unsound_key";
}

/** Decodes base64url text, which must have `length` bytes if given. */
function bytesOf(text: unknown, length?: number): Uint8Array | undefined {
  const bytes = typeof text === "string" ? decodeBase64url(text) : undefined;
  return length === undefined || bytes?.length === length ? bytes : undefined;
}

function invalid(field: string, wanted: string, found: unknown): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}: found ${found}`, {
    field,
  });
}
