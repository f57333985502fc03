/** Commands of signers, which need no node: they run on a machine that no node can reach. */
import { resolve } from "node:path";
import { PUBLIC_FILE_MODE, replaceFile } from "../../../identity/files/private_file.ts";
import { signMessage } from "../../../identity/pki/ed25519.ts";
import { encodeBase64 } from "../../base/base64.ts";
import { signingMessage } from "../../governance/documents/content_id.ts";
import { signatureJson } from "../../governance/documents/signature.ts";
import { processWorld } from "../../node/process_world.ts";
import { usageFailure } from "../failure.ts";
import { readPayloadText } from "../payload_file.ts";
import { type CommonOptions, type Reply, type Shell, showReply } from "../shell.ts";
import { createSigningKeyFile, readSigningKeyFile } from "../signing_key_file.ts";
import { facts } from "../table.ts";

/** Flags of `governance keygen`. */
export interface KeygenFlags extends CommonOptions {
  readonly out: string;
  readonly id?: string;
}

/** Creates the key of a signer. */
export async function keygen(flags: KeygenFlags, { terminal }: Shell): Promise<number> {
  const { entropy } = processWorld();
  const { signerId, key } = await createSigningKeyFile(flags.out, entropy, flags.id);
  const publicKey = encodeBase64(key.verifying.bytes);
  const reply: Reply = {
    json: { signer_id: signerId, public_key: publicKey, file: flags.out },
    text: () => `${signerId}=${publicKey}\n`,
  };
  return await showReply(reply, flags, terminal);
}

/** Flags of `descriptor sign`. */
export interface SignFlags extends CommonOptions {
  readonly file: string;
  readonly key: string;
  readonly out: string;
}

/**
 * Signs a payload.
 *
 * @throws CliFailure `invalid_argument` if the signature would replace the key or the payload.
 */
export async function sign(flags: SignFlags, { terminal }: Shell): Promise<number> {
  for (const source of ["key", "file"] as const) {
    if (resolve(flags[source]) !== resolve(flags.out)) continue;
    throw usageFailure(
      `--out must be another file than --${source}: both are ${flags.out}`,
      "The signature would replace it.",
      "out",
    );
  }
  const { payload, contentId } = readPayloadText(terminal.readText(flags.file), flags.file);
  const { signerId, key } = await readSigningKeyFile(flags.key);
  const signature = await signMessage(key, signingMessage(contentId));
  const signedAt = new Date(processWorld().wall.unixMs()).toISOString();
  const document = signatureJson({ signerId, signature, signedAt });
  replaceFile(flags.out, JSON.stringify(document, undefined, 2) + "\n", PUBLIC_FILE_MODE);
  const reply: Reply = {
    json: { payload_b3: contentId, ...document, file: flags.out },
    text: () =>
      `Signed ${payload.id}, version ${payload.version}, as ${signerId}\n` + facts([
        ["payload", contentId],
        ["signature", flags.out],
      ]),
  };
  return await showReply(reply, flags, terminal);
}
