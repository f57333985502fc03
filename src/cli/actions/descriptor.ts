/** Commands on descriptors at a node: proposals, reads, and verification. */
import { PUBLIC_FILE_MODE, replaceFile } from "../../../identity/files/private_file.ts";
import { descriptorJson, proposalJson, proposalStateJson } from "../../answers/governed_json.ts";
import { CHECKPOINT_AGE_MS_DEFAULT, GOVERNED_JSON_DEPTH_MAX } from "../../base/limits.ts";
import {
  type Client,
  type GovernedVerdict,
  GovernedVerifier,
  type GovernedView,
} from "../../client/mod.ts";
import { parseSha256 } from "../../governance/documents/content_id.ts";
import { type PayloadSignature, readSignature } from "../../governance/documents/signature.ts";
import { processWorld } from "../../node/process_world.ts";
import { readStrictJson } from "../../signing/strict_json.ts";
import { requiredInteger } from "../integer_flag.ts";
import { parseDuration } from "../duration.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import { readPayloadText } from "../payload_file.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { facts, table } from "../table.ts";

/** Exit code if something was refused by verification. */
const REFUSED = 4;
const CHECKPOINT_AGE_MS_LARGEST = 10 * 365 * 86_400_000;

/** Flags of `descriptor propose`. */
export interface ProposeFlags extends ServerOptions {
  readonly file: string;
  readonly sig?: readonly string[];
}

/** Flags of `descriptor add-signature`. */
export interface SignatureFlags extends ServerOptions {
  readonly sig: readonly string[];
}

/** Flags of `descriptor apply`. */
export interface ApplyFlags extends ServerOptions {
  readonly proposal: string;
}

/** Flags of `descriptor get`. */
export interface GetFlags extends ServerOptions {
  readonly id: string;
  readonly version?: string;
}

/** Flags of `descriptor log`. */
export interface LogFlags extends ServerOptions {
  readonly after?: string;
  readonly id?: string;
}

/** Flags of `descriptor verify`. */
export interface VerificationFlags extends ServerOptions {
  readonly genesis: string;
  readonly id?: string;
  readonly save?: string;
  readonly offline?: string;
  readonly maxAge?: string;
}

/** Proposes a payload. */
export async function propose(flags: ProposeFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const { bytes, contentId, payload } = readPayloadText(terminal.readText(flags.file), flags.file);
  const signatures = (flags.sig ?? []).map((file) => signatureIn(terminal.readText(file), file));
  const state = await withClient(
    shell,
    flags,
    ({ client }) => client.governed.propose(bytes, signatures),
  );
  const named = `${payload.id}, version ${payload.version}`;
  return await showState(state, { payload_b3: contentId }, `Proposed ${named}`, flags, shell);
}

/** Adds signatures. */
export async function addSignature(
  text: string,
  flags: SignatureFlags,
  shell: Shell,
): Promise<number> {
  const number = requiredInteger("proposal", text);
  const signatures = flags.sig.map((file) => signatureIn(shell.terminal.readText(file), file));
  const state = await withClient(
    shell,
    flags,
    ({ client }) => client.governed.sign(number, signatures),
  );
  return await showState(state, {}, "Signed", flags, shell);
}

/** Applies a proposal. */
export async function apply(flags: ApplyFlags, shell: Shell): Promise<number> {
  const number = requiredInteger("--proposal", flags.proposal);
  const state = await withClient(shell, flags, ({ client }) => client.governed.apply(number));
  return await showState(state, {}, "Applied", flags, shell);
}

/** Shows a proposal. */
export async function proposal(
  text: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  const number = requiredInteger("proposal", text);
  const found = await withClient(shell, flags, ({ client }) => client.governed.proposal(number));
  const { version, missing, caller, remainingMs } = found;
  const reply: Reply = {
    json: proposalJson(number, found),
    text: () =>
      facts([
        ["state", version === 0 ? stateText(missing) : `applied as version ${version}`],
        ["signed by", found.signatures.map(({ signerId }) => signerId).join(", ") || "nobody"],
        ...(version === 0
          ? [["proposed by", caller], ["expires", new Date(Date.now() + remainingMs).toISOString()]]
          : []) as [string, string][],
      ]) + `\n${JSON.stringify(parsed(found.payload), undefined, 2)}\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Shows a descriptor. */
export async function get(flags: GetFlags, shell: Shell): Promise<number> {
  const version = flags.version === undefined
    ? undefined
    : requiredInteger("--version", flags.version);
  return await withView(flags, shell, async (view) => {
    const versions = view.plane?.log.versionsOf(flags.id) ?? [];
    const found = version === undefined ? versions.at(-1) : versions[version - 1];
    if (found === undefined) {
      const what = version === undefined ? flags.id : `version ${version} of ${flags.id}`;
      const advice = "List them: crs descriptor log.";
      throw new CliFailure("not_found", `There is no descriptor ${what}`, { advice });
    }
    const json = descriptorJson(found, view.plane!.log);
    const text = () => `${JSON.stringify(json, undefined, 2)}\n`;
    return await showReply({ json, text }, flags, shell.terminal);
  });
}

/** Lists what was applied. */
export async function log(flags: LogFlags, shell: Shell): Promise<number> {
  const after = flags.after === undefined ? 0 : requiredInteger("--after", flags.after, { min: 0 });
  return await withView(flags, shell, async (view) => {
    const entries = (view.plane?.log.entries ?? []).filter(({ entry }) =>
      entry.version > after && (flags.id === undefined || entry.id === flags.id)
    );
    const reply: Reply = {
      json: {
        version: view.version,
        entries: entries.map((one) => descriptorJson(one, view.plane!.log)),
      },
      text: (columns) =>
        entries.length === 0 ? "Nothing was applied.\n" : table(
          ["VERSION", "APPLIED", "ID", "OF ID", "KIND", "STATE", "SIGNED BY"],
          entries.map((one) => [
            one.entry.version,
            new Date(one.entry.committedAt * 1_000).toISOString(),
            one.entry.id,
            one.entry.idVersion,
            one.entry.kind,
            view.plane!.log.stateOf(one),
            one.entry.approvals.map(({ signerId }) => signerId).join(" "),
          ]),
          { columns, shrinks: [2, 6] },
        ),
    };
    return await showReply(reply, flags, shell.terminal);
  });
}

/** Verifies descriptors. */
export async function verify(flags: VerificationFlags, shell: Shell): Promise<number> {
  const { genesis, id, offline, save } = flags;
  if (id === undefined && (offline ?? save) !== undefined) {
    throw usageFailure("--save and --offline need --id", "Name the descriptor.", "id");
  }
  if (parseSha256(genesis) === undefined) {
    throw usageFailure(
      `--genesis must be sha256: and 64 hexadecimal digits: found ${JSON.stringify(genesis)}`,
      "Pass the hash that crs governance init printed.",
      "genesis",
    );
  }
  const checkpointAgeMsMax = flags.maxAge === undefined
    ? CHECKPOINT_AGE_MS_DEFAULT
    : parseDuration(flags.maxAge, "--max-age", { min: 1, max: CHECKPOINT_AGE_MS_LARGEST });
  const verifier = new GovernedVerifier({ genesis, checkpointAgeMsMax });
  const check = (text: string, id: string) =>
    [id, verifier.verify(text, { id, nowMs: processWorld().wall.unixMs() })] as const;
  if (id !== undefined && offline !== undefined) {
    return await showVerdicts([check(shell.terminal.readText(offline), id)], flags, shell);
  }
  const verdicts = await withClient(shell, flags, async ({ client }) => {
    const found: (readonly [string, GovernedVerdict])[] = [];
    for (const id of await idsOf(client, flags)) {
      const text = await client.governed.bundle(id, verifier.size);
      found.push(check(text, id));
      if (save !== undefined) replaceFile(save, text, PUBLIC_FILE_MODE);
    }
    return found;
  });
  return await showVerdicts(verdicts, flags, shell);
}

async function idsOf(client: Client, { id }: VerificationFlags): Promise<readonly string[]> {
  if (id !== undefined) return [id];
  const view = await client.governed.view();
  const ids = [...view.plane?.log.ids ?? []];
  view.close();
  return ids;
}

async function showVerdicts(
  verdicts: readonly (readonly [string, GovernedVerdict])[],
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  const areAllFine = verdicts.every(([, { ok }]) => ok);
  const reply: Reply = {
    json: {
      ok: areAllFine,
      descriptors: verdicts.map(([id, verdict]) =>
        verdict.ok
          ? {
            id,
            ok: true,
            checkpoint_age_ms: verdict.ageMs,
            descriptor: verdict.descriptor ?? null,
          }
          : { id, ok: false, fault: verdict.fault, message: verdict.message }
      ),
    },
    text: () =>
      verdicts.length === 0
        ? "There is nothing to verify: nothing was applied.\n"
        : verdicts.map(([id, verdict]) => verdictLine(id, verdict)).join(""),
    exitCode: areAllFine ? 0 : REFUSED,
  };
  return await showReply(reply, flags, shell.terminal);
}

function verdictLine(id: string, verdict: GovernedVerdict): string {
  if (!verdict.ok) return `${id}: refused (${verdict.fault}): ${verdict.message}\n`;
  const { descriptor } = verdict;
  if (descriptor === undefined) return `${id}: verified that there is none\n`;
  const signers = descriptor.signers.length === 0
    ? ""
    : `, signed by ${descriptor.signers.join(" ")}`;
  const state = descriptor.body === undefined ? ", deprecated" : "";
  return `${id}: verified version ${descriptor.version}${state}${signers}\n`;
}

async function showState(
  state: { readonly proposal: number; readonly version: number; readonly missing: number },
  more: Readonly<Record<string, string>>,
  what: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  const { proposal, version, missing } = state;
  const reply: Reply = {
    json: proposalStateJson(state, more),
    text: () =>
      `${what}: proposal ${proposal}, ${
        version === 0 ? stateText(missing) : `applied as version ${version}`
      }\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

function stateText(missing: number): string {
  if (missing === 0) return "has the signatures of a quorum";
  return `lacks ${missing} signature${missing === 1 ? "" : "s"}`;
}

async function withView(
  flags: ServerOptions,
  shell: Shell,
  use: (view: GovernedView) => Promise<number>,
): Promise<number> {
  return await withClient(shell, flags, async ({ client }) => {
    const view = await client.governed.view();
    try {
      return await use(view);
    } finally {
      view.close();
    }
  });
}

/** Reads a signature in the text of a file. */
function signatureIn(text: string, file: string): PayloadSignature {
  const read = readStrictJson(text, GOVERNED_JSON_DEPTH_MAX);
  if ("fault" in read) {
    throw usageFailure(
      `${file} must be strict JSON: ${read.detail ?? read.fault}`,
      "Name a file that crs descriptor sign wrote.",
      "sig",
    );
  }
  return readSignature(read.value);
}

function parsed(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}
