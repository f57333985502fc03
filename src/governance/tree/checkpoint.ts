/**
 * Checkpoints (C2SP tlog-checkpoint): the signed size and root of the tree, as a signed note.
 *
 * The origin contains the hash of the genesis, so checkpoints of two registries cannot be confused. An
 * extension line states when the checkpoint was signed, s since 1970: without it, an old one could be
 * shown for ever. The note's key has the origin as its name.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { bytesEqual, concatBytes } from "../../base/bytes.ts";
import { verifyAgreed } from "../../signing/ed25519_verdict.ts";
import { TREE_SIZE_MAX, type TreeHead } from "./merkle_proof.ts";

/** A checkpoint. */
export interface Checkpoint extends TreeHead {
  readonly origin: string;
  /** When it was signed, s since 1970. */
  readonly unixS: number;
}

/** A checkpoint with its signatures, not verified. */
export interface SignedCheckpoint extends Checkpoint {
  /** The signed text. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A signature line of a note. */
export interface NoteSignature {
  readonly name: string;
  /** 4 bytes by which a verifier finds the key. */
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

const KEY_ID_BYTES = 4;
const ALGORITHM_ED25519 = Uint8Array.of(1);
const TIME_LINE = /^time (0|[1-9][0-9]{0,11})$/;
const SIZE = /^(0|[1-9][0-9]{0,9})$/;
const SIGNATURES_MAX = 16;
const NOTE_LENGTH_MAX = 4_096;

/** Returns the origin of a registry's checkpoints. @param genesis `sha256:…`. */
export function originOf(genesis: string): string {
  return `crs-governance/${genesis.slice("sha256:".length)}`;
}

/** Returns the text that is to be signed. */
export function checkpointText({ origin, size, root, unixS }: Checkpoint): string {
  return `${origin}\n${size}\n${encodeBase64(root)}\ntime ${unixS}\n`;
}

/** Returns the note of a text and its signature by an Ed25519 key. */
export function signedNote(
  text: string,
  { name, publicKey, signature }: {
    readonly name: string;
    readonly publicKey: Uint8Array;
    readonly signature: Uint8Array;
  },
): string {
  const signed = encodeBase64(concatBytes([noteKeyId(name, publicKey), signature]));
  return `${text}\n— ${name} ${signed}\n`;
}

/** Reads a note as a checkpoint; undefined if it is none. */
export function readCheckpoint(note: string): SignedCheckpoint | undefined {
  const end = note.indexOf("\n\n");
  if (note.length > NOTE_LENGTH_MAX || end === -1) return undefined;
  const text = note.slice(0, end + 1);
  const [origin = "", size = "", root = "", ...extensions] = text.slice(0, -1).split("\n");
  const rootBytes = decodeBase64(root);
  const times = extensions.flatMap((line) => TIME_LINE.exec(line)?.[1] ?? []);
  const signatures = signaturesOf(note.slice(end + 2));
  if (origin === "" || !SIZE.test(size) || Number(size) > TREE_SIZE_MAX) return undefined;
  if (rootBytes?.length !== 32 || times.length !== 1 || signatures === undefined) return undefined;
  return {
    origin,
    size: Number(size),
    root: rootBytes,
    unixS: Number(times[0]),
    text,
    signatures,
  };
}

/** Reports whether a checkpoint is signed, under the name of its origin, by a key. */
export function isCheckpointSignedBy(
  { origin, text, signatures }: SignedCheckpoint,
  publicKey: Uint8Array,
): boolean {
  const keyId = noteKeyId(origin, publicKey);
  return signatures.some((one) =>
    one.name === origin && bytesEqual(one.keyId, keyId) &&
    verifyAgreed(publicKey, new TextEncoder().encode(text), one.signature)
  );
}

function signaturesOf(lines: string): NoteSignature[] | undefined {
  if (!lines.endsWith("\n")) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of lines.slice(0, -1).split("\n")) {
    const [, name, text] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    const bytes = text === undefined ? undefined : decodeBase64(text);
    if (name === undefined || bytes === undefined || bytes.length <= KEY_ID_BYTES) return undefined;
    const [keyId, signature] = [bytes.subarray(0, KEY_ID_BYTES), bytes.subarray(KEY_ID_BYTES)];
    signatures.push({ name, keyId, signature });
  }
  return signatures.length <= SIGNATURES_MAX ? signatures : undefined;
}

/** Returns the id of a note's key (C2SP signed-note). */
function noteKeyId(name: string, publicKey: Uint8Array): Uint8Array {
  const named = new TextEncoder().encode(`${name}\n`);
  return sha256(concatBytes([named, ALGORITHM_ED25519, publicKey])).subarray(0, KEY_ID_BYTES);
}
