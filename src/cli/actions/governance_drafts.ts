/** Commands that write the next payload of a descriptor to a file, for signers to read and to sign. */
import { PUBLIC_FILE_MODE, replaceFile } from "../../../identity/files/private_file.ts";
import { decodeBase64 } from "../../base/base64.ts";
import { GOVERNED_JSON_DEPTH_MAX, SIGNERS_MAX } from "../../base/limits.ts";
import type { GovernedView } from "../../client/mod.ts";
import { NO_PREVIOUS } from "../../governance/documents/content_id.ts";
import { type JsonObject, objectOf } from "../../governance/documents/json_members.ts";
import {
  canonicalPayload,
  FREEZE_ID,
  HOME_ID,
  type PayloadAction,
  SIGNERS_ID,
  SUPERSESSION_REASONS,
} from "../../governance/documents/payload.ts";
import { newestSchema } from "../../governance/documents/schema_gate.ts";
import { readSignerSet, signerSetBody } from "../../governance/signer_set.ts";
import { readStrictJson } from "../../signing/strict_json.ts";
import { usageFailure } from "../failure.ts";
import { requiredInteger } from "../integer_flag.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { facts } from "../table.ts";
import { signerOf } from "./governance.ts";

/** Flags of all of these commands. */
export interface OutFlags extends ServerOptions {
  readonly out: string;
}

/** Flags of `governance signers`. */
export interface SignersFlags extends OutFlags {
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
  readonly revoke?: readonly string[];
  readonly threshold?: string;
  readonly addCheckpointKey?: readonly string[];
  readonly dropCheckpointKey?: readonly string[];
}

/** Flags of `governance freeze` and `governance unfreeze`. */
export interface FreezeFlags extends OutFlags {
  readonly reason: string;
}

/** Flags of `descriptor draft`. */
export interface DraftFlags extends OutFlags {
  readonly file?: string;
  readonly id?: string;
  readonly deprecate?: string;
  readonly supersede?: string;
}

/** Writes the next signer set. */
export async function draftSigners(flags: SignersFlags, shell: Shell): Promise<number> {
  return await draft(flags, shell, (view) => {
    const { current } = governed(view).signers;
    const signers = new Map(current.signers);
    for (const id of flags.remove ?? []) {
      if (!signers.delete(id)) throw notListed("remove", `signer ${id}`);
    }
    for (const { id, key } of (flags.add ?? []).map(addedSigner)) signers.set(id, key);
    const revoked = new Set(current.revoked);
    for (const key of flags.revoke ?? []) {
      revoked.add(publicKey("revoke", key));
      // A revoked key signs no more.
      for (const [id, listed] of signers) if (listed === key) signers.delete(id);
    }
    const dropped = flags.dropCheckpointKey ?? [];
    const unknown = dropped.find((key) => !current.checkpointKeys.includes(key));
    if (unknown !== undefined) throw notListed("drop-checkpoint-key", `key ${unknown}`);
    const checkpointKeys = [
      ...current.checkpointKeys.filter((key) => !dropped.includes(key)),
      ...(flags.addCheckpointKey ?? []).map((key) => publicKey("add-checkpoint-key", key)),
    ];
    const threshold = flags.threshold === undefined
      ? current.threshold
      : requiredInteger("--threshold", flags.threshold, { max: SIGNERS_MAX });
    const body = signerSetBody({ signers, threshold, revoked, checkpointKeys });
    readSignerSet(body, 0);
    return { action: "signers", id: SIGNERS_ID, kind: "signers", body };
  });
}

/** Writes a freeze, or its end. */
export async function draftFreeze(
  frozen: boolean,
  flags: FreezeFlags,
  shell: Shell,
): Promise<number> {
  const body = { frozen, reason: flags.reason };
  return await draft(
    flags,
    shell,
    () => ({ action: "freeze", id: FREEZE_ID, kind: "freeze", body }),
  );
}

/** Writes the move of the home to a region. */
export async function draftHome(region: string, flags: OutFlags, shell: Shell): Promise<number> {
  return await draft(
    flags,
    shell,
    () => ({ action: "home", id: HOME_ID, kind: "home", body: { region } }),
  );
}

/** Writes the next version of a descriptor, or its end. */
export async function draftDescriptor(flags: DraftFlags, shell: Shell): Promise<number> {
  const given = flags.file === undefined ? {} : objectIn(flags.file, shell);
  const id = flags.id ?? given["id"];
  if (typeof id !== "string") {
    throw usageFailure("The descriptor must have an id", "Name it: --id, or in the file.", "id");
  }
  return await draft(flags, shell, (view) => {
    const kind = given["kind"] ?? view.plane?.log.headOf(id)?.entry.kind;
    if (typeof kind !== "string") {
      throw usageFailure(`${id} is new: its file must have a kind`, "Add it to the file.", "file");
    }
    return { id, kind, ...effectOf(flags, given) };
  });
}

function effectOf(
  { deprecate, supersede, file }: DraftFlags,
  { body }: JsonObject,
): Pick<Draft, "action" | "body"> {
  if (deprecate !== undefined) return { action: "deprecation", body: { reason: deprecate } };
  if (typeof body !== "object" || body === null) {
    const what = file === undefined ? "A version needs a file" : `${file} must have a body`;
    throw usageFailure(what, "Pass --file with {id, kind, body}, or --deprecate.", "file");
  }
  if (supersede === undefined) return { action: "descriptor", body: body as JsonObject };
  if ((SUPERSESSION_REASONS as readonly string[]).includes(supersede)) {
    return { action: "supersession", body: { reason: supersede, body } };
  }
  const reasons = SUPERSESSION_REASONS.join(", ");
  throw usageFailure(`--supersede must be one of ${reasons}`, "Name one of them.", "supersede");
}

/** A payload without its place in the history. */
interface Draft {
  readonly action: PayloadAction;
  readonly id: string;
  readonly kind: string;
  readonly body: JsonObject;
}

/** Completes a payload by the newest version of its descriptor, and writes it. */
async function draft(
  flags: OutFlags,
  shell: Shell,
  make: (view: GovernedView) => Draft,
): Promise<number> {
  const read = await withClient(shell, flags, async ({ client }) => {
    const view = await client.governed.view();
    try {
      const { action, id, kind, body } = make(view);
      const head = view.plane?.log.headOf(id)?.entry;
      return canonicalPayload({
        schema: newestSchema(action),
        ...{ id, kind, version: (head?.idVersion ?? 0) + 1 },
        prev_hash: head?.contentId ?? NO_PREVIOUS,
        body,
      });
    } finally {
      view.close();
    }
  });
  const { payload, schema, contentId } = read;
  const document = { schema, ...payload };
  replaceFile(flags.out, JSON.stringify(document, undefined, 2) + "\n", PUBLIC_FILE_MODE);
  const reply: Reply = {
    json: { file: flags.out, payload_b3: contentId, payload: document },
    text: () =>
      `Wrote ${payload.id}, version ${payload.version}, for its signers to read and to sign\n` +
      facts([["payload", contentId], ["file", flags.out]]),
  };
  return await showReply(reply, flags, shell.terminal);
}

function governed({ plane }: GovernedView) {
  if (plane !== undefined) return plane;
  throw usageFailure("The registry is not governed", "Begin with crs governance init.", "server");
}

function objectIn(file: string, { terminal }: Shell): JsonObject {
  const read = readStrictJson(terminal.readText(file), GOVERNED_JSON_DEPTH_MAX);
  if ("fault" in read) {
    const message = `${file} must be strict JSON: ${read.detail ?? read.fault}`;
    throw usageFailure(message, "Correct the file.", "file");
  }
  return objectOf(read.value, file);
}

function addedSigner(text: string): { readonly id: string; readonly key: string } {
  const { id } = signerOf(text, "add");
  return { id, key: text.slice(id.length + 1) };
}

function publicKey(flag: string, text: string): string {
  if (decodeBase64(text)?.length === 32) return text;
  throw usageFailure(
    `--${flag} must be a public key: found ${JSON.stringify(text)}`,
    "Give it as crs governance status shows it.",
    flag,
  );
}

function notListed(flag: string, what: string) {
  return usageFailure(
    `--${flag}: the signer set has no ${what}`,
    "See crs governance status.",
    flag,
  );
}
