/**
 * Commands on tokens and on the public data that verifies identities: the public keys of tokens and
 * the trust bundle. Tokens are verified as a service that receives one would.
 */
import { claimsJson } from "../../answers/identity_json.ts";
import { RegistryError } from "../../base/errors.ts";
import { TOKEN_LIFE_MS_MAX } from "../../base/limits.ts";
import type { Client } from "../../client/types.ts";
import { processWorld } from "../../node/process_world.ts";
import { formatPin } from "../../../identity/pki/certificate.ts";
import {
  formatRegionScope,
  formatSpiffeId,
  parseSpiffeId,
  type SpiffeId,
} from "../../../identity/pki/spiffe.ts";
import { checkToken, readTokenForm } from "../../../identity/tokens/token_check.ts";
import { PublishedTokenKeys } from "../../../identity/tokens/token_keys.ts";
import { parseDuration } from "../duration.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { facts } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { tokenNeeded, VERIFY_TOKEN_VARIABLE } from "../token_text.ts";
import { type GrantFlags, grantsOfFlags, hasGrants } from "./identity_grants.ts";

/** Flags of `token mint`. */
export interface MintFlags extends ServerOptions, GrantFlags {
  readonly audience?: string;
  readonly subject?: string;
  readonly life: string;
}

/** Mints a token for the caller's own certificate or, as a controller, for somebody else's. */
export async function mint(flags: MintFlags, shell: Shell): Promise<number> {
  const lifeMs = parseDuration(flags.life, "--life", { min: 1_000, max: TOKEN_LIFE_MS_MAX });
  const ask = flags.subject === undefined
    ? mintOwn(flags, lifeMs)
    : mintFor(parseSpiffeId(flags.subject), flags, lifeMs);
  const token = await withClient(shell, flags, ({ client }) => ask(client.identities));
  const reply = { json: { token, claims: claimsJson(token) }, text: () => `${token}\n` };
  return await showReply(reply, flags, shell.terminal);
}

type Ask = (identities: Client["identities"]) => Promise<string>;

function mintOwn(flags: MintFlags, lifeMs: number): Ask {
  const { audience } = flags;
  if (audience === undefined) {
    throw usageFailure(
      "A token for the own certificate needs an audience",
      "Pass the service that will accept the token with --audience.",
      "audience",
    );
  }
  if (hasGrants(flags)) {
    throw usageFailure(
      "A token for the own certificate cannot have grants of its own",
      "Ask a controller, who can add grants with --subject.",
      "subject",
    );
  }
  return (identities) => identities.mintToken(audience, lifeMs);
}

function mintFor(subject: SpiffeId, flags: MintFlags, lifeMs: number): Ask {
  const { audience = formatRegionScope(subject) } = flags;
  const order = { subject: formatSpiffeId(subject), audience, lifeMs };
  return (identities) => identities.issueToken({ ...order, grants: grantsOfFlags(flags) });
}

/** Flags of `token verify`. */
export interface VerifyFlags extends ServerOptions {
  readonly audience: string;
  readonly issuer?: string;
  readonly jwks?: string;
  readonly tokenFile?: string;
}

/**
 * Verifies a token as a service that receives it would.
 *
 * @param token the token itself; `-` for standard input; absent: `--token-file` or the variable.
 */
export async function verify(
  token: string | undefined,
  flags: VerifyFlags,
  shell: Shell,
): Promise<number> {
  const { terminal } = shell;
  const text = verifiedText(token, flags, terminal);
  const jwks = flags.jwks === undefined
    ? await withClient(shell, flags, ({ client }) => client.identities.tokenKeys())
    : terminal.readText(flags.jwks).trim();
  const keys = new PublishedTokenKeys();
  keys.replace(jwks);
  const form = readTokenForm(text);
  const verdict = typeof form === "string" ? form : checkToken(
    text,
    // Shows the certificate the token is bound to. Only a session proves that its holder has it.
    form,
    {
      issuer: flags.issuer ?? `spiffe://${parseSpiffeId(form.subject).trustDomain}`,
      audience: flags.audience,
      keys,
      bans: { version: 0, isBanned: () => false },
    },
    processWorld().wall.unixMs(),
  );
  if (typeof verdict === "string") {
    throw new CliFailure("unauthenticated", `The token is not valid: ${verdict}`, {
      advice: "Refuse clients that present it.",
      fields: { field: "token" },
    });
  }
  const reply: Reply = {
    json: claimsJson(text),
    text: () =>
      "The token is valid\n" + facts([
        ["subject", verdict.subject],
        ["audience", verdict.audience],
        ["certificate", formatPin(verdict.leafHash)],
        ["until", new Date(verdict.expiresAtMs).toISOString()],
        ["id", verdict.tokenId],
      ]),
  };
  return await showReply(reply, flags, terminal);
}

function verifiedText(
  text: string | undefined,
  { tokenFile: file }: VerifyFlags,
  terminal: Terminal,
): string {
  return tokenNeeded({
    noun: "token",
    flag: "--token",
    variable: VERIFY_TOKEN_VARIABLE,
    text,
    file,
  }, terminal);
}

/** Prints the public keys of tokens unchanged. */
export async function jwks(flags: ServerOptions, shell: Shell): Promise<number> {
  const text = await withClient(shell, flags, ({ client }) => client.identities.tokenKeys());
  const reply = { json: JSON.parse(text) as unknown, text: () => `${text}\n` };
  return await showReply(reply, flags, shell.terminal);
}

/** Prints the signed trust bundle unchanged. */
export async function bundle(flags: ServerOptions, shell: Shell): Promise<number> {
  const text = await withClient(shell, flags, ({ client }) => client.identities.trustBundle());
  if (text === "") throw new RegistryError("not_found", "This registry has no trust bundle");
  const reply = { json: JSON.parse(text) as unknown, text: () => `${text}\n` };
  return await showReply(reply, flags, shell.terminal);
}
