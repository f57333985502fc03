/**
 * Identities by hand: makes a trust domain, asks for certificates, mints and checks tokens, bans, and
 * reads the audit log. What is secret is written to files of mode 0600, or shown once.
 */
import { auditEntryCodec } from "../../../schemas/gen/audit.ts";
import { RegistryError } from "../../base/errors.ts";
import { AUDIT_PAGE_ENTRIES } from "../../base/limits.ts";
import { toHex } from "../../base/bytes.ts";
import { formatUuid, parseUuid } from "../../base/uuid.ts";
import { processWorld } from "../../node/process_world.ts";
import { AUDIT_ACTIONS, verifyAudit } from "../../system/audit_log.ts";
import { initAuthority } from "../../../identity/authority_init.ts";
import { formatPin } from "../../../identity/certificate.ts";
import { createCertificateRequest } from "../../../identity/certificate_request.ts";
import { IdentityFolder } from "../../../identity/identity_folder.ts";
import { renewFolder } from "../../../identity/kept_identity.ts";
import type { OwnIdentity } from "../../../identity/own_identity.ts";
import { encodePem } from "../../../identity/pem.ts";
import { formatSpiffeId, isCertifiedRole, parseSpiffeId } from "../../../identity/spiffe.ts";
import { checkToken, readTokenForm } from "../../../identity/token_check.ts";
import { PublishedTokenKeys } from "../../../identity/token_keys.ts";
import { bundleFromJson } from "../../../identity/trust_bundle_content.ts";
import { guardRejections } from "../../../transport/guard.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { askAny } from "../connect_to.ts";
import { parseDuration } from "../duration.ts";
import { EXIT_CODES } from "../exit_codes.ts";
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
import { facts, table } from "../table.ts";
import { findTarget, identityOf } from "../target.ts";

/** Flags of `init`. */
export interface InitFlags extends CommonOptions {
  readonly trustDomain: string;
  readonly region: string;
  readonly out: string;
}

/** Makes a trust domain's files. */
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
      `Made the trust domain ${made.trustDomain} with its region ${made.region}\n` + facts([
        ["root", `${made.rootFolder}: take it offline`],
        ["authority", `${made.authorityFolder}: for the region's nodes`],
        ["administrator", `${made.administratorFolder}: take it offline, use it to come in`],
        ["subject", made.administrator],
      ]) + `\nStart a node with it, then get the administrator's certificate:\n\n` +
      `  ${crs} start --authority ${made.authorityFolder} --region ${made.region}\n` +
      `  ${crs} identity issue --identity ${made.administratorFolder}\n`,
  };
  return await showReply(reply, flags, terminal);
}

/** Flags of `join-token`. */
export interface JoinTokenFlags extends ServerOptions {
  readonly id?: string;
  readonly region?: string;
  readonly domain?: readonly string[];
  readonly gateway?: readonly string[];
  readonly credentialHashes?: boolean;
}

/** Makes a join token. */
export async function joinToken(
  role: string,
  flags: JoinTokenFlags,
  shell: Shell,
): Promise<number> {
  const { environment } = shell.terminal;
  if (!isCertifiedRole(role)) {
    throw usageFailure(
      `The role must be agent, gateway, proxy, controller or node: found ${role}`,
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
  const grants = {
    domains: flags.domain ?? [],
    gateways: (flags.gateway ?? []).map((id) => formatUuid(parseUuid(id, "gateway"))),
    ...(flags.credentialHashes === true ? { credentialHashes: true } : {}),
  };
  const target = findTarget(flags, environment);
  const made = await withClient(shell, flags, async ({ client, endpoints }) => {
    const token = await client.identities.createJoinToken(subject, grants);
    const map = await client.ringMap();
    return { ...token, endpoints, nodes: map.nodes };
  });
  const pins = made.nodes.flatMap(({ currentPin }) =>
    currentPin.length === 0 ? [] : [formatPin(currentPin)]
  );
  const [endpoint] = target.endpoints;
  const server = endpoint === undefined ? "" : ` --server ${endpoint.host}:${endpoint.port}`;
  const command = `${invocation(environment)} identity issue --identity ./${role}` +
    ` --subject ${subject} --token ${made.token}${server}` +
    pins.slice(0, 1).map((pin) => ` --pin ${pin}`).join("");
  const reply: Reply = {
    json: { token: made.token, subject, expiresAtMs: made.expiresAtMs, pins, command },
    text: () =>
      facts([
        ["token", made.token],
        ["for", subject],
        ["until", new Date(made.expiresAtMs).toISOString()],
      ]) + `\nIt is shown once and good for one certificate. On the new machine:\n\n  ${command}\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Flags of `issue`. */
export interface IssueFlags extends ServerOptions {
  readonly token?: string;
  readonly subject?: string;
  readonly root?: string;
}

/** Gets a first certificate, or the next of an administrator's key. */
export async function issue(flags: IssueFlags, { terminal }: Shell): Promise<number> {
  const { environment } = terminal;
  const folder = new IdentityFolder(mustIdentity(flags, environment));
  if (flags.subject !== undefined) folder.create(flags.subject);
  if (flags.root !== undefined) folder.keepRoots(terminal.readText(flags.root));
  const own = await asStranger(async (dialing) => {
    const key = await folder.firstKey(dialing.world.entropy);
    const body = {
      token: flags.token ?? "",
      subject: folder.subject,
      request: await createCertificateRequest(key),
    };
    const target = findTarget(flags, environment);
    const { chain, bundle } = await askAny("enrol", body, target, dialing);
    // The server was pinned: who it says to believe is who it is.
    if (!folder.hasRoots) folder.keepRoots(rootsOf(bundle));
    return await folder.keep(chain, bundle, dialing.world.wall.unixMs());
  });
  return await showReply(identityReply("Issued", folder.path, own), flags, terminal);
}

/** Renews a certificate, one that has ended too, within the registry's grace. */
export async function renew(flags: ServerOptions, { terminal }: Shell): Promise<number> {
  const { environment } = terminal;
  const folder = new IdentityFolder(mustIdentity(flags, environment));
  const own = await asStranger((dialing) =>
    renewFolder(folder, {
      ...dialing.world,
      ask: (order) => askAny("renewIdentity", order, findTarget(flags, environment), dialing),
    })
  );
  return await showReply(identityReply("Renewed", folder.path, own), flags, terminal);
}

type Dialing = Parameters<typeof askAny>[3];

async function asStranger<T>(use: (dialing: Dialing) => Promise<T>): Promise<T> {
  const world = processWorld();
  const guard = guardRejections(globalThis, () => {});
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  try {
    return await use({ world, dialer });
  } finally {
    await dialer.close();
    guard.remove();
  }
}

function rootsOf(bundle: string): string {
  if (bundle === "") {
    throw usageFailure(
      "The node has no trust bundle to take the root from",
      "Name the file of the root's certificate by --root.",
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
        ["until", `${new Date(notAfterMs).toISOString()}; commands renew it as they use it`],
      ]),
  };
}

/** Flags of `token mint`. */
export interface MintFlags extends ServerOptions {
  readonly audience: string;
  readonly life: string;
}

/** Mints a token for the own certificate. */
export async function mint(flags: MintFlags, shell: Shell): Promise<number> {
  const lifeMs = parseDuration(flags.life, "--life", { min: 1_000, max: 900_000 });
  const token = await withClient(
    shell,
    flags,
    ({ client }) => client.identities.mintToken(flags.audience, lifeMs),
  );
  const reply = { json: { token, claims: claimsJson(token) }, text: () => `${token}\n` };
  return await showReply(reply, flags, shell.terminal);
}

/** Flags of `token verify`. */
export interface VerifyFlags extends ServerOptions {
  readonly audience: string;
  readonly issuer?: string;
  readonly jwks?: string;
}

/** Checks a token, as whoever serves it would. */
export async function verify(token: string, flags: VerifyFlags, shell: Shell): Promise<number> {
  const { terminal } = shell;
  const text = (token === "-" ? terminal.readText("-") : token).trim();
  const jwks = flags.jwks === undefined
    ? await withClient(shell, flags, ({ client }) => client.identities.tokenKeys())
    : terminal.readText(flags.jwks).trim();
  const keys = new PublishedTokenKeys();
  await keys.replace(jwks);
  const form = readTokenForm(text);
  const verdict = typeof form === "string" ? form : await checkToken(
    text,
    // Whose certificate it is bound to is shown; that its holder has it, only a session proves.
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
    throw new RegistryError("unauthenticated", `The token is refused: ${verdict}`, {
      field: "token",
    });
  }
  const reply: Reply = {
    json: claimsJson(text),
    text: () =>
      "The token is good\n" + facts([
        ["subject", verdict.subject],
        ["audience", verdict.audience],
        ["certificate", formatPin(verdict.leafHash)],
        ["until", new Date(verdict.expiresAtMs).toISOString()],
        ["id", verdict.tokenId],
      ]),
  };
  return await showReply(reply, flags, terminal);
}

function claimsJson(token: string): unknown {
  const claims = readTokenForm(token);
  if (typeof claims === "string") return undefined;
  return { ...claims, leafHash: formatPin(claims.leafHash) };
}

/** Prints the public keys of tokens as they are. */
export async function jwks(flags: ServerOptions, shell: Shell): Promise<number> {
  const text = await withClient(shell, flags, ({ client }) => client.identities.tokenKeys());
  const reply = { json: JSON.parse(text) as unknown, text: () => `${text}\n` };
  return await showReply(reply, flags, shell.terminal);
}

/** Prints the signed trust bundle as it is. */
export async function bundle(flags: ServerOptions, shell: Shell): Promise<number> {
  const text = await withClient(shell, flags, ({ client }) => client.identities.trustBundle());
  if (text === "") throw new RegistryError("not_found", "This registry has no trust bundle");
  const reply = { json: JSON.parse(text) as unknown, text: () => `${text}\n` };
  return await showReply(reply, flags, shell.terminal);
}

/** What bans take by name. */
export type BanKindName = "subject" | "lineage" | "token";

/** Flags of `ban` and `unban`. */
export interface BanFlags extends ServerOptions {
  readonly reason?: string;
  readonly for?: string;
}

/** Bans, or lifts a ban. */
export async function ban(
  order: { readonly kind: string; readonly name: string; readonly lifted: boolean },
  flags: BanFlags,
  shell: Shell,
): Promise<number> {
  const { kind, name, lifted } = order;
  if (kind !== "subject" && kind !== "lineage" && kind !== "token") {
    throw usageFailure(
      `A ban must name a subject, a lineage or a token: found ${kind}`,
      "Say which of them the name is of, such as: ban subject spiffe://…",
      "kind",
    );
  }
  const lifeMs = flags.for === undefined
    ? undefined
    : parseDuration(flags.for, "--for", { min: 1_000, max: 3_650 * 86_400_000 });
  const untilMs = lifeMs === undefined ? undefined : processWorld().wall.unixMs() + lifeMs;
  await withClient(shell, flags, async ({ client }) => {
    const named = { kind: kind as BanKindName, name, reason: flags.reason ?? "" };
    if (lifted) await client.identities.unban(named);
    else {
      await client.identities.ban({ ...named, ...(untilMs === undefined ? {} : { untilMs }) });
    }
  });
  const reply: Reply = {
    json: { kind, name, banned: !lifted, untilMs: untilMs ?? null },
    text: () => lifted ? `The ${kind} ${name} may come in again.\n` : `Banned ${kind} ${name}.\n`,
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Ends another's record. */
export async function removeRecord(
  kind: string,
  id: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  if (kind !== "agent" && kind !== "gateway") {
    throw usageFailure(`A record must be of an agent or a gateway: found ${kind}`, "Name one.");
  }
  const removed = await withClient(
    shell,
    flags,
    ({ client }) => client.identities.removeRecord(kind, id),
  );
  const reply = { json: { kind, id, removed }, text: () => `Removed the ${kind} ${id}.\n` };
  return await showReply(reply, flags, shell.terminal);
}

/** Flags of `audit`. */
export interface AuditFlags extends ServerOptions {
  readonly verify?: boolean;
  readonly last?: string;
}

const ACTION_NAMES = new Map<number, string>(
  Object.entries(AUDIT_ACTIONS).map(([name, number]) => [number, name]),
);

/** Reads the audit log, and checks its chain. */
export async function audit(flags: AuditFlags, shell: Shell): Promise<number> {
  const read = await withClient(shell, flags, async ({ client }) => {
    const entries: Uint8Array[] = [];
    let page = await client.identities.audit(1, AUDIT_PAGE_ENTRIES);
    const { anchor } = page;
    for (;;) {
      entries.push(...page.entries);
      const last = entries.at(-1);
      const next = last === undefined ? 1 : auditEntryCodec.decode(last).number + 1;
      if (page.entries.length === 0 || next > page.count) break;
      page = await client.identities.audit(next, AUDIT_PAGE_ENTRIES);
    }
    return { anchor, head: page.head, entries };
  });
  const verdict = verifyAudit(read.anchor, read.entries);
  const isWhole = verdict.ok && toHex(verdict.head) === toHex(read.head);
  if (flags.verify === true && !isWhole) {
    const reason = verdict.ok ? "its last entry is not the newest" : verdict.reason;
    throw new CliFailure("corrupt", `The audit log does not hold together: ${reason}`, {
      advice: "Ask another node, and keep what this one said.",
    });
  }
  const shown = read.entries.slice(flags.last === undefined ? 0 : -Number(flags.last))
    .map((bytes) => auditEntryCodec.decode(bytes));
  const reply: Reply = {
    json: {
      verified: isWhole,
      head: toHex(read.head),
      entries: shown.map(({ previous, action, ...entry }) => ({
        ...entry,
        action: ACTION_NAMES.get(action) ?? String(action),
        previous: toHex(previous),
      })),
    },
    text: () =>
      table(
        ["NUMBER", "TIME", "ACTION", "BY LINEAGE", "SUBJECT", "DETAIL"],
        shown.map(({ number, unixS, action, writer, subject, detail }) => [
          String(number),
          new Date(unixS * 1_000).toISOString(),
          ACTION_NAMES.get(action) ?? String(action),
          String(writer),
          subject,
          detail,
        ]),
      ) + (flags.verify === true
        ? `${read.entries.length} entries follow each other, up to ${toHex(read.head)}.\n`
        : ""),
    exitCode: EXIT_CODES.success,
  };
  return await showReply(reply, flags, shell.terminal);
}

function mustIdentity(
  flags: ServerOptions,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const folder = identityOf(flags, environment);
  if (folder !== undefined) return folder;
  throw usageFailure(
    "It must be said whose identity is meant",
    "Name its folder by --identity, or by CRS_IDENTITY.",
    "identity",
  );
}
