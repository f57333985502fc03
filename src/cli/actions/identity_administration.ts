/**
 * Commands of controllers on identities: bans, removal of others' records and members, and the
 * audit log.
 */
import { auditEntryJson, banJson } from "../../answers/identity_json.ts";
import { isRecordKindName } from "../../record/kinds.ts";
import { BAN_KINDS, type BanKind } from "../../../schemas/gen/wire.ts";
import { auditEntryCodec } from "../../../schemas/gen/audit.ts";
import { bytesEqual, toHex } from "../../base/bytes.ts";
import { AUDIT_PAGE_ENTRIES, BANS_PAGE_MAX } from "../../base/limits.ts";
import type { ListedBan } from "../../client/identity_types.ts";
import type { Client } from "../../client/mod.ts";
import { processWorld } from "../../node/process_world.ts";
import { verifyAudit } from "../../system/audit_log.ts";
import { parseDuration } from "../duration.ts";
import { CliFailure, usageFailure } from "../failure.ts";
import { type Reply, type ServerOptions, type Shell, showReply, withClient } from "../shell.ts";
import { table } from "../table.ts";

/** Flags of `ban` and `unban`. */
export interface BanFlags extends ServerOptions {
  readonly reason?: string;
  readonly for?: string;
}

/** Creates or lifts a ban. */
export async function ban(
  order: { readonly kind: string; readonly name: string; readonly lifted: boolean },
  flags: BanFlags,
  shell: Shell,
): Promise<number> {
  const { kind, name, lifted } = order;
  if (!isBanKind(kind)) {
    throw usageFailure(
      `A ban must name a subject, a lineage, a token or a capability: found ${kind}`,
      "State the kind before the name, for example: ban subject spiffe://…",
      "kind",
    );
  }
  const lifeMs = flags.for === undefined
    ? undefined
    : parseDuration(flags.for, "--for", { min: 1_000, max: 3_650 * 86_400_000 });
  const untilMs = lifeMs === undefined ? undefined : processWorld().wall.unixMs() + lifeMs;
  const named = { kind, name, reason: flags.reason ?? "" } as const;
  if (lifted) {
    await withClient(shell, flags, ({ client }) => client.identities.unban(named));
    const json = { kind, name, banned: false, untilMs: null };
    const text = () => `Lifted the ban of ${kind} ${name}.\n`;
    return await showReply({ json, text }, flags, shell.terminal);
  }
  const wanted = { ...named, ...(untilMs === undefined ? {} : { untilMs }) };
  const made = await withClient(shell, flags, ({ client }) => client.identities.ban(wanted));
  const reply: Reply = {
    json: { kind, ...made, banned: true, untilMs: untilMs ?? null },
    text: () =>
      `Banned ${kind} ${made.name}${until(untilMs ?? null)}.\n` +
      (made.known ? "" : UNKNOWN_TEXTS[kind]),
  };
  return await showReply(reply, flags, shell.terminal);
}

function isBanKind(kind: string): kind is BanKind {
  return Object.hasOwn(BAN_KINDS, kind);
}

/** Remarks on a ban of something the registry does not know at this time. */
const UNKNOWN_TEXTS = {
  subject: "No certificate has been issued to it yet: the ban is kept, and none will be issued.\n",
  lineage: "",
  token: "No token with grants of its own has this id: the ban is kept and ends any session that " +
    "uses a token of this id. Check the id: it is the claim jti.\n",
  capability:
    "The registry keeps no list of capabilities, so check the id: crs identity capability " +
    "inspect shows it.\n",
} as const;

function until(untilMs: number | null): string {
  return untilMs === null ? "" : ` until ${new Date(untilMs).toISOString()}`;
}

/** Lists the bans that were not lifted. */
export async function bans(flags: ServerOptions, shell: Shell): Promise<number> {
  const all = await withClient(shell, flags, async ({ client: { identities } }) => {
    const found: ListedBan[] = [];
    for (;;) {
      const page = await identities.bans(found.length, BANS_PAGE_MAX);
      found.push(...page.bans);
      if (page.bans.length === 0 || found.length >= page.count) return found;
    }
  });
  const nowMs = processWorld().wall.unixMs();
  const shown = all.map((ban) => banJson(ban, nowMs));
  const time = (ms: number) => new Date(ms).toISOString();
  const reply: Reply = {
    json: { bans: shown },
    text: (columns) =>
      table(
        ["KIND", "NAME", "UNTIL", "BY LINEAGE", "MADE", "REASON"],
        shown.map(({ kind, name, untilMs, ended, writer, madeAtMs, reason }) => [
          kind,
          name,
          untilMs === null ? "it is lifted" : `${time(untilMs)}${ended ? " (over)" : ""}`,
          writer === 0 ? "-" : String(writer),
          madeAtMs === 0 ? "-" : time(madeAtMs),
          reason,
        ]),
        { columns, shrinks: [1, 5] },
      ),
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Removes another owner's record. */
export async function removeRecord(
  kind: string,
  id: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  if (!isRecordKindName(kind)) {
    throw usageFailure(`<kind> must be agent or gateway: found ${kind}`, "Pass one of them.");
  }
  const removed = await withClient(
    shell,
    flags,
    ({ client }) => client.identities.removeRecord(kind, id),
  );
  const reply = { json: { kind, id, removed }, text: () => `Removed the ${kind} ${id}.\n` };
  return await showReply(reply, flags, shell.terminal);
}

/** Ends a node's membership. */
export async function removeMember(
  number: string,
  flags: ServerOptions,
  shell: Shell,
): Promise<number> {
  const nodeId = Number(number);
  if (!Number.isInteger(nodeId) || nodeId < 1 || nodeId > 0xffff_ffff) {
    throw usageFailure(
      `<node> must be a number from 1: found ${number}`,
      "See crs cluster status.",
    );
  }
  await withClient(shell, flags, ({ client }) => client.identities.removeMember(nodeId));
  const reply = { json: { nodeId, removed: 1 }, text: () => `Removed node ${nodeId}.\n` };
  return await showReply(reply, flags, shell.terminal);
}

/** Flags of `audit`. */
export interface AuditFlags extends ServerOptions {
  readonly verify?: boolean;
  readonly last?: string;
}

/** The audit log as a node returned it. */
interface ReadAudit {
  readonly entries: readonly Uint8Array[];
  readonly head: Uint8Array;
  /** Reason why the entries do not form a valid chain; `undefined` if they do. */
  readonly fault: string | undefined;
}

/** Reads the audit log and verifies its hash chain. */
export async function audit(flags: AuditFlags, shell: Shell): Promise<number> {
  const last = flags.last === undefined ? undefined : parseCount(flags.last);
  const { entries, head, fault } = await withClient(
    shell,
    flags,
    ({ client }) => readAudit(client),
  );
  if (flags.verify === true && fault !== undefined) {
    throw new CliFailure("corrupt", `The audit log is not a valid hash chain: ${fault}`, {
      advice: "Read the log from another node, and keep this node's answer as evidence.",
    });
  }
  const shown = entries.slice(last === undefined ? 0 : -last)
    .map(auditEntryJson);
  const reply: Reply = {
    json: {
      verified: fault === undefined,
      head: toHex(head),
      entries: shown,
    },
    text: (columns) =>
      table(
        ["NUMBER", "TIME", "ACTION", "BY LINEAGE", "SUBJECT", "DETAIL"],
        shown.map(({ number, unixS, action, writer, subject, detail }) => [
          String(number),
          new Date(unixS * 1_000).toISOString(),
          action,
          String(writer),
          subject,
          detail,
        ]),
        { columns, shrinks: [4, 5] },
      ) + (flags.verify === true
        ? `Verified the chain of ${entries.length} entries, up to ${toHex(head)}.\n`
        : ""),
  };
  return await showReply(reply, flags, shell.terminal);
}

/** Reads all pages of the log and verifies them together. */
async function readAudit({ identities }: Pick<Client, "identities">): Promise<ReadAudit> {
  const entries: Uint8Array[] = [];
  let page = await identities.audit(1, AUDIT_PAGE_ENTRIES);
  const { anchor } = page;
  for (;;) {
    entries.push(...page.entries);
    const newest = entries.at(-1);
    const next = newest === undefined ? 1 : auditEntryCodec.decode(newest).number + 1;
    if (page.entries.length === 0 || next > page.count) break;
    page = await identities.audit(next, AUDIT_PAGE_ENTRIES);
  }
  const { head } = page;
  const verdict = verifyAudit(anchor, entries);
  if (!verdict.ok) return { entries, head, fault: verdict.reason };
  const isNewest = bytesEqual(verdict.head, head);
  return { entries, head, fault: isNewest ? undefined : "its last entry is not the head" };
}

function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count > 0 && Number.isSafeInteger(count)) return count;
  throw usageFailure(
    `--last must be a number of entries, from 1: found ${text}`,
    "For example: --last 20.",
    "last",
  );
}
