/** Commands of signers, which need no node, and those that begin and show the governed plane. */
import { resolve } from "node:path";
import type { GovernanceStatusReply } from "../../../schemas/gen/wire.ts";
import { PUBLIC_FILE_MODE, replaceFile } from "../../../identity/files/private_file.ts";
import { signMessage } from "../../../identity/pki/ed25519.ts";
import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { SOURCE_AGE_UNKNOWN } from "../../wire/record_source.ts";
import { SIGNERS_MAX } from "../../base/limits.ts";
import type { FirstSigner } from "../../client/mod.ts";
import { readGenesis } from "../../governance/documents/genesis.ts";
import { signingMessage } from "../../governance/documents/content_id.ts";
import { signatureJson } from "../../governance/documents/signature.ts";
import { processWorld } from "../../node/process_world.ts";
import { usageFailure } from "../failure.ts";
import { requiredInteger } from "../integer_flag.ts";
import { readPayloadText } from "../payload_file.ts";
import {
  type CommonOptions,
  type Reply,
  type ServerOptions,
  type Shell,
  showReply,
  withClient,
} from "../shell.ts";
import { createSigningKeyFile, readSigningKeyFile } from "../signing_key_file.ts";
import { facts, indented, table } from "../table.ts";

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

/** Flags of `governance init`. */
export interface GenesisFlags extends ServerOptions {
  readonly signer: readonly string[];
  readonly threshold: string;
}

/** Flags of `governance mirror`. */
export interface MirrorFlags extends ServerOptions {
  readonly genesis: string;
}

/** Begins the governed plane. */
export async function init(flags: GenesisFlags, shell: Shell): Promise<number> {
  const signers = flags.signer.map((text) => signerOf(text, "signer"));
  const threshold = requiredInteger("--threshold", flags.threshold, { max: SIGNERS_MAX });
  const bytes = await withClient(
    shell,
    flags,
    ({ client }) => client.governed.init(signers, threshold),
  );
  const { hash } = readGenesis(bytes);
  const genesis = JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  const reply: Reply = {
    json: { genesis_hash: hash, genesis },
    text: () => `Pin this hash wherever descriptors are verified:\n${hash}\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Begins to mirror the governed plane of another region. */
export async function mirror(
  region: string,
  flags: MirrorFlags,
  shell: Shell,
): Promise<number> {
  const { genesis } = flags;
  const { version } = await withClient(
    shell,
    flags,
    ({ client }) => client.call("mirrorGovernance", { region, genesis }),
  );
  const reply: Reply = {
    json: { home: region, genesis_hash: genesis, version },
    text: () => `Mirroring the governed plane of ${region}: crs governance status shows how far\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Shows the governed plane. */
export async function status(flags: ServerOptions, shell: Shell): Promise<number> {
  const found = await withClient(shell, flags, ({ client }) => client.governed.status());
  const { genesis, version, threshold, signerSet, openProposals, isFrozen } = found;
  const { home, contactAgeMs, refusal, checkpointKey } = found;
  const signers = found.signers.map(({ id, publicKey }) => ({
    signer_id: id,
    public_key: encodeBase64(publicKey),
  }));
  const reply: Reply = {
    json: {
      genesis_hash: genesis || null,
      version,
      frozen: isFrozen,
      threshold,
      signer_set: signerSet,
      signers,
      open_proposals: openProposals,
      home: home || null,
      contact_age_ms: home === "" || contactAgeMs === SOURCE_AGE_UNKNOWN ? null : contactAgeMs,
      refusal: refusal || null,
      checkpoint_key: checkpointKey.length === 0 ? null : encodeBase64(checkpointKey),
    },
    text: () =>
      genesis === "" ? "The registry is not governed: begin with crs governance init.\n" : facts([
        ["genesis", genesis],
        ["version", version],
        ["state", isFrozen ? "frozen: only signers and freeze may change" : "open"],
        ["threshold", `${threshold} of ${signers.length} signers`],
        ["open proposals", openProposals],
        [
          "checkpoint key",
          checkpointKey.length === 0 ? "none on this node" : encodeBase64(checkpointKey),
        ],
        ...mirrorFacts(found),
      ]) + "\n" +
        indented(table(["SIGNER", "PUBLIC KEY"], signers.map((one) => Object.values(one)))),
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Returns the lines about the home of a mirror; none at the home. */
function mirrorFacts(
  { home, contactAgeMs, refusal, version }: GovernanceStatusReply,
): [string, string][] {
  if (home === "") return [];
  const contact = contactAgeMs === SOURCE_AGE_UNKNOWN
    ? "not heard by this node"
    : `heard ${Math.round(contactAgeMs / 1_000)} s ago`;
  return [
    ["home", `${home}, mirrored up to version ${version}, ${contact}`],
    ...(refusal === "" ? [] : [["refused", refusal] as [string, string]]),
  ];
}

/** Returns a signer as `keygen` prints it. @throws CliFailure that names the flag. */
export function signerOf(text: string, flag: string): FirstSigner {
  const at = text.indexOf("=");
  const publicKey = decodeBase64(text.slice(at + 1));
  if (at > 0 && publicKey?.length === 32) return { id: text.slice(0, at), publicKey };
  throw usageFailure(
    `--${flag} must be id=public key: found ${JSON.stringify(text)}`,
    "Give it as crs governance keygen prints it.",
    flag,
  );
}
