/**
 * Commands on capabilities. `mint` and `verify` ask a node; `attenuate` and `inspect` work without
 * one. A capability is a secret, so it comes from a file, standard input or a variable.
 */
import { CAPABILITY_SCOPES } from "../../base/capability.ts";
import { RegistryError } from "../../base/errors.ts";
import { CAPABILITY_LIFE_MS_MAX } from "../../base/limits.ts";
import { processWorld } from "../../node/process_world.ts";
import {
  attenuate as withCaveats,
  type CapabilityForm,
  isCapabilityText,
  readCapability,
} from "../../../identity/capabilities/capability.ts";
import { type Caveat, caveatsText, encodeCaveat } from "../../../identity/capabilities/caveat.ts";
import { type GuardedRequest, RequestCaveats } from "../../../identity/capabilities/guarded.ts";
import { capabilityRefused } from "../../../identity/capabilities/verify.ts";
import { parseDuration } from "../duration.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import {
  type CommonOptions,
  type Reply,
  type ServerOptions,
  type Shell,
  showReply,
  withClient,
} from "../shell.ts";
import { facts } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { CAPABILITY_VARIABLE, tokenNeeded } from "../token_text.ts";

/** Flags that name caveats, each repeatable; several values of one flag are alternatives. */
export interface CaveatFlags {
  readonly scope?: readonly string[];
  readonly operation?: readonly string[];
  readonly idPrefix?: readonly string[];
  readonly path?: readonly string[];
  readonly method?: readonly string[];
  readonly address?: readonly string[];
}

/** The flags of caveats, in the order in which they are added. */
const CAVEAT_FLAGS = ["scope", "operation", "idPrefix", "path", "method", "address"] as const;

/** Flags of `mint`. */
export interface MintCapabilityFlags extends ServerOptions, CaveatFlags {
  readonly ttl: string;
}

/** Mints a capability. */
export async function mint(flags: MintCapabilityFlags, shell: Shell): Promise<number> {
  const lifeMs = lifeOf(flags.ttl);
  if (flags.scope === undefined) {
    throw usageFailure(
      "A capability needs a scope: found none",
      `Pass --scope with one of ${CAPABILITY_SCOPES.join(", ")}; repeat it for several.`,
      "scope",
    );
  }
  const caveats = caveatsOf(flags);
  // Refuses what no node would take, before it connects.
  caveats.forEach(encodeCaveat);
  const capability = await withClient(
    shell,
    flags,
    ({ client }) => client.identities.mintCapability({ caveats, lifeMs }),
  );
  return await showCapability(capability, flags, shell.terminal);
}

/** The flag and argument that name a capability. */
export interface GivenCapability {
  /** The capability itself; `-` for standard input; absent: the file or the variable. */
  readonly text: string | undefined;
  readonly file: string | undefined;
}

/** Flags of `attenuate`. */
export interface AttenuateFlags extends CommonOptions, CaveatFlags {
  readonly ttl?: string;
}

/** Prints a capability with further caveats, without asking anybody. */
export async function attenuate(
  given: GivenCapability,
  flags: AttenuateFlags,
  { terminal }: Shell,
): Promise<number> {
  const caveats = caveatsOf(flags);
  if (flags.ttl !== undefined) {
    const endMs = processWorld().wall.unixMs() + lifeOf(flags.ttl);
    caveats.push({ kind: "expiry", atMs: Math.floor(endMs / 1_000) * 1_000 });
  }
  if (caveats.length === 0) {
    throw usageFailure(
      "A caveat to add is needed: found none",
      "Narrow the capability with --scope, --ttl, --operation, --id-prefix, --path, --method or " +
        "--address.",
      "scope",
    );
  }
  return await showCapability(withCaveats(capabilityOf(given, terminal), caveats), flags, terminal);
}

/** Shows what a capability states, without verifying it. */
export async function inspect(
  given: GivenCapability,
  flags: CommonOptions,
  { terminal }: Shell,
): Promise<number> {
  const form = formOf(capabilityOf(given, terminal));
  const reply: Reply = {
    json: formJson(form),
    text: () => facts(rowsOf(form)),
    note: "Nothing of this is proven: crs identity capability verify asks a node.\n",
  };
  return await showReply(reply, flags, terminal);
}

/** Flags of `verify`. */
export interface VerifyCapabilityFlags extends ServerOptions {
  readonly method?: string;
  readonly path?: string;
  readonly address?: string;
}

/** Has a capability verified by a node, and checks its other caveats against a request if given. */
export async function verify(
  given: GivenCapability,
  flags: VerifyCapabilityFlags,
  shell: Shell,
): Promise<number> {
  const { terminal } = shell;
  const capability = capabilityOf(given, terminal);
  const form = formOf(capability);
  const request = requestOf(flags);
  await withClient(
    shell,
    flags,
    ({ client }) => client.identities.verifyCapability(capability).catch(refusedCapability),
  );
  const fault = request && new RequestCaveats(form.caveats).faultOf(request);
  if (fault !== undefined) {
    throw new CliFailure("permission_denied", capabilityRefused(fault).message, {
      advice: "The capability is valid, but not for this request.",
      fields: { field: "capability" },
    });
  }
  const unchecked = request === undefined
    ? form.caveats.filter(({ kind }) => kind === "path" || kind === "method" || kind === "address")
    : [];
  const reply: Reply = {
    json: { ...formJson(form), valid: true, unchecked: unchecked.map(caveatJson) },
    text: () => "The capability is valid\n" + facts(rowsOf(form)),
    ...(unchecked.length === 0 ? {} : {
      note: `Still to be checked by whoever serves the request: ${caveatsText(unchecked)}. Pass ` +
        "--method, --path and --address to check them here.\n",
    }),
  };
  return await showReply(reply, flags, terminal);
}

function lifeOf(text: string): number {
  return parseDuration(text, "--ttl", { min: 1_000, max: CAPABILITY_LIFE_MS_MAX });
}

/** Returns the caveats of the flags. What they contain is checked when they are encoded. */
function caveatsOf(flags: CaveatFlags): Caveat[] {
  return CAVEAT_FLAGS.flatMap((kind) => {
    const any = flags[kind];
    return any === undefined ? [] : [{ kind, any } as Caveat];
  });
}

/** Returns the request to check; all of its facts are needed. */
function requestOf({ method, path, address }: VerifyCapabilityFlags): GuardedRequest | undefined {
  if (method === undefined && path === undefined && address === undefined) return undefined;
  if (method !== undefined && path !== undefined && address !== undefined) {
    return { method, path, address };
  }
  throw usageFailure(
    "A request has a method, a path and an address: one of them is missing",
    "Pass all of --method, --path and --address, or none.",
    "method",
  );
}

function capabilityOf({ text, file }: GivenCapability, terminal: Terminal): string {
  return tokenNeeded({
    noun: "capability",
    flag: "--capability",
    variable: CAPABILITY_VARIABLE,
    text,
    file,
  }, terminal);
}

/** Returns the form of a capability. Other secrets are refused without being shown. */
function formOf(text: string): CapabilityForm {
  const form = readCapability(text);
  if (typeof form !== "string") return form;
  throw usageFailure(
    `The text is no capability: ${form}`,
    isCapabilityText(text) ? "Pass it whole." : "A capability begins with crs-cap-.",
    "capability",
  );
}

function showCapability(
  capability: string,
  flags: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  const json = { capability, ...formJson(formOf(capability)) };
  return showReply({ json, text: () => `${capability}\n` }, flags, terminal);
}

function formJson({ capabilityId, keyId, caveats }: CapabilityForm) {
  return { id: capabilityId, keyId, caveats: caveats.map(caveatJson) };
}

function caveatJson(caveat: Caveat): unknown {
  return caveat.kind === "expiry"
    ? { expiry: new Date(caveat.atMs).toISOString() }
    : { [caveat.kind]: caveat.any };
}

function rowsOf({ capabilityId, keyId, caveats }: CapabilityForm): [string, string][] {
  return [
    ["id", capabilityId],
    ["root key", keyId],
    ...caveats.map((caveat): [string, string] => ["caveat", caveatsText([caveat])]),
  ];
}

/** Adds to a node's refusal of a capability what to do, which is not about the identity that asked. */
function refusedCapability(error: unknown): never {
  if (!(error instanceof RegistryError) || error.fields.field !== "capability") throw error;
  const advice = "Mint another one: crs identity capability mint.";
  throw new CliFailure(error.code, error.message, { advice, fields: error.fields, cause: error });
}
