/**
 * Manages certificates by hand: creates a trust domain, join tokens, first certificates and
 * renewals. Secrets are written to files of mode 0600 or shown once.
 */
import { parseUuid } from "../../base/uuid.ts";
import { ERROR_TABLE, toRegistryError } from "../../base/errors.ts";
import type { OperationCaller } from "../../client/invoker.ts";
import { processWorld } from "../../node/process_world.ts";
import { SETTINGS } from "../../node/settings.ts";
import { initAuthority } from "../../../identity/enrolment/authority_init.ts";
import { readCheckpointKeys } from "../../../identity/files/authority_folder.ts";
import { encodeBase64 } from "../../base/base64.ts";
import {
  rotateAuthority,
  ROTATED_PARTS,
  type RotatedPart,
} from "../../../identity/enrolment/authority_rotation.ts";
import { formatPin } from "../../../identity/pki/certificate.ts";
import { createCertificateRequest } from "../../../identity/pki/certificate_request.ts";
import { IdentityFolder } from "../../../identity/files/identity_folder.ts";
import { hashJoinToken } from "../../../identity/enrolment/join_token.ts";
import { renewFolder } from "../../../identity/files/kept_identity.ts";
import type { OwnIdentity } from "../../../identity/trust/own_identity.ts";
import { decodePem, encodePem } from "../../../identity/pki/pem.ts";
import { proveRenewal } from "../../../identity/enrolment/renewal_proof.ts";
import { formatSpiffeId, isCertifiedRole, parseSpiffeId } from "../../../identity/pki/spiffe.ts";
import { bundleFromJson } from "../../../identity/trust/trust_bundle_content.ts";
import { guardRejections } from "../../../transport/guard.ts";
import { askAny, type Asking, dialerOf, JOIN_ANEW, provenTarget } from "../connect_to.ts";
import { endpointText } from "../endpoint_text.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import { invocation } from "../invocation.ts";
import {
  type CommonOptions,
  type Reply,
  type ServerOptions,
  type Shell,
  showReply,
  withClient,
} from "../shell.ts";
import { facts } from "../table.ts";
import { JOIN_TOKEN_VARIABLE, tokenGiven } from "../token_text.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import type { Endpoint } from "../../../transport/transport.ts";
import type { Terminal } from "../terminal.ts";
import { findTarget, identityOf } from "../target.ts";
import { type GrantFlags, grantsOfFlags } from "./identity_grants.ts";

/** Flags of `init`. */
export interface InitFlags extends CommonOptions {
  readonly trustDomain: string;
  readonly region: string;
  readonly out: string;
}

/** Creates the files of a trust domain. */
export async function init(flags: InitFlags, { terminal }: Shell): Promise<number> {
  const { wall, entropy } = processWorld();
  const made = await initAuthority({
    folder: flags.out,
    trustDomain: flags.trustDomain,
    region: flags.region,
    nowMs: wall.unixMs(),
    entropy,
  });
  const crs = invocation(terminal.environment);
  const reply: Reply = {
    json: made,
    text: () =>
      `Created the trust domain ${made.trustDomain} with its region ${made.region}\n` + facts([
        ["root", `${made.rootFolder}: take it offline`],
        ["authority", `${made.authorityFolder}: for the region's nodes`],
        ["administrator", `${made.administratorFolder}: take it offline, use it for first access`],
        ["subject", made.administrator],
      ]) + `\nStart a node with it, then get the administrator's certificate:\n\n` +
      `  ${crs} start --authority ${made.authorityFolder} --region ${made.region} --found\n` +
      `  ${crs} identity issue --identity ${made.administratorFolder}\n`,
  };
  return await showReply(reply, flags, terminal);
}

/** Flags of `rotate`. */
export interface RotateFlags extends CommonOptions {
  readonly authority: string;
  readonly root?: string;
}

/** Creates a new version of one part of an authority folder. */
export async function rotate(
  part: string,
  flags: RotateFlags,
  { terminal }: Shell,
): Promise<number> {
  const known = ROTATED_PARTS.find((one) => one === part);
  if (known === undefined) {
    throw usageFailure(
      `<part> must be one of ${ROTATED_PARTS.join(", ")}: found ${part}`,
      "Name one of them.",
      "part",
    );
  }
  const { wall, entropy } = processWorld();
  const file = await rotateAuthority({
    part: known,
    authorityFolder: flags.authority,
    ...(flags.root === undefined ? {} : { rootFolder: flags.root }),
    nowMs: wall.unixMs(),
    entropy,
  });
  // A key of checkpoints is used once the signers have listed it.
  const newest = known === "checkpoint-key"
    ? (await readCheckpointKeys(flags.authority)).at(-1)
    : undefined;
  const publicKey = newest === undefined ? undefined : encodeBase64(newest.verifying.bytes);
  const reply: Reply = {
    json: { part, file, ...(publicKey === undefined ? {} : { public_key: publicKey }) },
    text: () =>
      `Created ${file}\nCopy it to all nodes of the region now: they ` + useOf(known, publicKey),
  };
  return await showReply(reply, flags, terminal);
}

/** Returns the rest of the advice about a new key. */
function useOf(part: RotatedPart, publicKey: string | undefined): string {
  if (publicKey !== undefined) {
    return "sign checkpoints with it once @signers lists its public key in checkpoint_keys:\n" +
      `${publicKey}\n`;
  }
  return part === "capability-key"
    ? "use it within a minute. Keep the old one until all capabilities under it have ended.\n"
    : "publish it within a minute and use it once everybody has had time to learn of it.\n";
}

/** Flags of `join-token`. */
export interface JoinTokenFlags extends ServerOptions, GrantFlags {
  readonly id?: string;
  readonly region?: string;
}

/** Creates a join token. */
export async function joinToken(
  role: string,
  flags: JoinTokenFlags,
  shell: Shell,
): Promise<number> {
  const { environment } = shell.terminal;
  if (!isCertifiedRole(role)) {
    throw usageFailure(
      `<role> must be agent, gateway, proxy, controller, node or front: found ${role}`,
      "Name one of them.",
      "role",
    );
  }
  const own = parseSpiffeId(new IdentityFolder(mustIdentity(flags, environment)).subject);
  const subject = formatSpiffeId({
    trustDomain: own.trustDomain,
    region: flags.region ?? own.region,
    role,
    subjectId: parseUuid(flags.id ?? crypto.randomUUID(), "id"),
  });
  const grants = grantsOfFlags(flags);
  const target = findTarget(flags, environment);
  const made = await withClient(shell, flags, async ({ client, endpoints }) => {
    const token = await client.identities.createJoinToken(subject, grants);
    const map = await client.ringMap();
    const place = role === "node" ? await placeFlags(client) : "";
    return { ...token, endpoints, nodes: map.nodes, place };
  });
  const pins = made.nodes.flatMap(({ currentPin }) =>
    currentPin.length === 0 ? [] : [formatPin(currentPin)]
  );
  const [endpoint] = target.endpoints;
  const pin = pinOf(made.nodes, endpoint) ?? pins[0] ?? "";
  const crs = invocation(environment);
  const place = { endpoint, pin, subject };
  const command = role === "node"
    ? startCommand(crs, { ...place, token: made.token, flags: made.place })
    : issueCommand(crs, place);
  const reply: Reply = {
    json: { token: made.token, subject, expiresAtMs: made.expiresAtMs, pins, command },
    text: () =>
      facts([
        ["token", made.token],
        ["for", subject],
        ["until", new Date(made.expiresAtMs).toISOString()],
      ]) +
      `\nIt is shown once and is valid for one certificate. On the new machine` +
      (role === "node" ? "" : ", with the token on standard input") + `:\n\n  ${command}\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

/** The server of a printed command, and the subject that the token is for. */
interface TokenPlace {
  readonly endpoint: Endpoint | undefined;
  readonly pin: string;
  readonly subject: string;
}

/** Returns the command with which a program gets its first certificate. */
function issueCommand(crs: string, { endpoint, pin, subject }: TokenPlace): string {
  const server = endpoint === undefined ? "" : ` --server ${endpointText(endpoint)}`;
  return `${crs} identity issue --identity ./${parseSpiffeId(subject).role} --subject ${subject}` +
    `${server}${pin === "" ? "" : ` --pin ${pin}`} --token-file -`;
}

/** Returns the flags that a node must have in common with the others of the cluster, or as they have. */
async function placeFlags(client: OperationCaller): Promise<string> {
  const { members, partitionCount } = await client.call("clusterStatus", {});
  const partitions = partitionCount === SETTINGS.partitions.default
    ? ""
    : ` --partitions ${partitionCount}`;
  return (members.some(({ zone }) => zone !== "") ? " --zone <zone>" : "") + partitions;
}

/** Returns the command with which a node joins; its number, and with it its subject, is given then. */
function startCommand(
  crs: string,
  { endpoint, pin, subject, token, flags }: TokenPlace & {
    readonly token: string;
    readonly flags: string;
  },
): string {
  const server = endpoint === undefined ? "<host:port>" : endpointText(endpoint);
  const { region } = parseSpiffeId(subject);
  return `${crs} start --join ${server} --pin ${
    pin || "<pin>"
  } --token ${token} --region ${region}${flags}`;
}

/** Returns the pin of the node at an endpoint. */
function pinOf(nodes: RingMap["nodes"], endpoint: Endpoint | undefined): string | undefined {
  const node = nodes.find(({ addresses }) =>
    addresses.some(({ host, port }) => host === endpoint?.host && port === endpoint.port)
  );
  return node === undefined || node.currentPin.length === 0
    ? undefined
    : formatPin(node.currentPin);
}

/** Flags of `issue`. */
export interface IssueFlags extends ServerOptions {
  readonly token?: string;
  /** File that contains the token; `-` is standard input. */
  readonly tokenFile?: string;
  readonly subject?: string;
  readonly root?: string;
}

/** Obtains a first certificate, or the next one of an administrator's key. */
export async function issue(flags: IssueFlags, { terminal }: Shell): Promise<number> {
  const { environment } = terminal;
  if (flags.tls === true) {
    throw usageFailure(
      "A first certificate cannot be requested over TLS, which itself requires a certificate",
      "Omit --tls; commands can use TLS once the certificate is issued.",
      "tls",
    );
  }
  const folder = new IdentityFolder(mustIdentity(flags, environment));
  // Everything that can be wrong is checked before anything is created.
  const subject = flags.subject ?? folder.subject;
  parseSpiffeId(subject);
  const target = findTarget(flags, environment);
  const roots = flags.root === undefined ? undefined : rootsOfFile(flags.root, terminal);
  const token = joinTokenOf(flags, terminal);
  const isNew = flags.subject !== undefined && folder.create(subject);
  const own = await unauthenticated(async (asking) => {
    const { world: { entropy, wall } } = asking;
    if (roots !== undefined) folder.keepRoots(roots);
    const key = await folder.firstKey(entropy);
    const request = await createCertificateRequest(key);
    const timeMs = Math.floor(wall.unixMs());
    const body = {
      token,
      subject,
      request,
      timeMs,
      proof: await proveRenewal({ request, timeMs, purpose: "administrator" }, key),
    };
    const { chain, bundle } = await askAny("enrol", body, target, asking).catch((error) => {
      // The next attempt may be for another subject. If the outcome is unknown, the key is kept for
      // it.
      if (isNew && ERROR_TABLE[toRegistryError(error).code].unapplied) folder.discard();
      throw error;
    });
    // The server was pinned, so the roots it names are trusted.
    if (!folder.hasRoots) folder.keepRoots(rootsOf(bundle));
    return await folder.keep(chain, bundle, wall.unixMs());
  }, {
    flags,
    environment,
    advice: "Ask a controller for a new join token (crs identity join-token).",
  });
  return await showReply(identityReply("Issued", folder.path, own), flags, terminal);
}

/** Renews a certificate, even an expired one within the registry's grace period. */
export async function renew(flags: ServerOptions, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const { environment } = terminal;
  const folder = new IdentityFolder(mustIdentity(flags, environment));
  const own = await renewOverSession(flags, shell) ?? await unauthenticated(async (asking) => {
    const target = await provenTarget(findTarget(flags, environment), folder.path, asking.world);
    return await renewFolder(folder, {
      ...asking.world,
      ask: (order, pinsOf) => askAny("renewIdentity", order, target, { ...asking, pinsOf }),
    });
  }, { flags, environment, advice: JOIN_ANEW });
  return await showReply(identityReply("Renewed", folder.path, own), flags, terminal);
}

/**
 * Renews over a session authenticated by the certificate; `undefined` if it is no longer accepted.
 */
async function renewOverSession(
  flags: ServerOptions,
  shell: Shell,
): Promise<OwnIdentity | undefined> {
  try {
    return await withClient(shell, flags, async ({ identity }) => await identity?.renewNow());
  } catch (error) {
    if (toRegistryError(error).code !== "unauthenticated") throw error;
    return undefined;
  }
}

/** Runs `use` for unauthenticated requests; a refusal carries `advice`. */
async function unauthenticated<T>(
  use: (asking: Asking) => Promise<T>,
  { flags, environment, advice }: {
    readonly flags: ServerOptions;
    readonly environment: Terminal["environment"];
    readonly advice: string;
  },
): Promise<T> {
  const world = processWorld();
  const guard = guardRejections(globalThis, () => {});
  const dialer = dialerOf(flags, environment, world);
  try {
    return await use({ world, dialer });
  } catch (cause) {
    const { code, message, fields } = toRegistryError(cause);
    if (code !== "unauthenticated") throw cause;
    throw new CliFailure(code, message, { advice, fields, cause });
  } finally {
    await dialer.close();
    guard.remove();
  }
}

/** Returns the text of a PEM file of root certificates. */
function rootsOfFile(file: string, terminal: Terminal): string {
  const text = terminal.readText(file);
  if (decodePem("CERTIFICATE", text).some((der) => der !== undefined)) return text;
  throw usageFailure(
    `--root must name a PEM file with a certificate: ${file} contains none`,
    "Pass root.pem of the authority folder.",
    "root",
  );
}

/**
 * Returns the join token; "" if none is given, as for an administrator. A mistyped token is
 * reported before any request is sent.
 */
function joinTokenOf({ token: text, tokenFile: file }: IssueFlags, terminal: Terminal): string {
  const given = { noun: "join token", flag: "--token", variable: JOIN_TOKEN_VARIABLE, text, file };
  const token = tokenGiven(given, terminal);
  if (token === undefined || hashJoinToken(token) !== undefined) return token ?? "";
  throw usageFailure(
    "The join token must be given in full, as crs-join-…",
    "Copy it from the output of crs identity join-token.",
    "token",
  );
}

function rootsOf(bundle: string): string {
  if (bundle === "") {
    throw usageFailure(
      "The node has no trust bundle from which to take the root",
      "Pass the file of the root's certificate with --root.",
      "root",
    );
  }
  const { roots } = bundleFromJson((JSON.parse(bundle) as { bundle: unknown }).bundle);
  return roots.map((der) => encodePem("CERTIFICATE", der)).join("");
}

function identityReply(done: string, path: string, { identity }: OwnIdentity): Reply {
  const { subject, lineage, notAfterMs } = identity;
  return {
    json: { identity: path, subject, lineage, notAfterMs },
    text: () =>
      `${done} the certificate of ${subject}\n` + facts([
        ["folder", path],
        ["lineage", lineage],
        ["until", `${new Date(notAfterMs).toISOString()}; commands renew it automatically`],
      ]),
  };
}

/** Returns the folder of the selected identity. @throws CliFailure if none is selected. */
function mustIdentity(
  flags: ServerOptions,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const folder = identityOf(flags, environment);
  if (folder !== undefined) return folder;
  throw usageFailure(
    "This command needs an identity",
    "Pass its folder with --identity or CRS_IDENTITY.",
    "identity",
  );
}
