/**
 * The identity state of group 0: join tokens, lineages, bans, documents, and the audit log of all
 * their changes. Pure; a change is refused as a whole when a record it replaces has changed in the
 * meantime.
 *
 * Records that nobody can use any more (an expired join token, a stopped lineage whose last leaf
 * expired long ago) are removed when space is needed. The clock for that is the command's wall
 * time, which is the same on every replica. A stopped lineage whose leaf could still be presented
 * is kept, or it would appear to be unknown.
 */
import type { AuditPage, BanCommand } from "../../schemas/gen/identity.ts";
import {
  AuditNoteCommandView,
  AuditPageView,
  BanCommandView,
  type DocumentCommand,
  DocumentCommandView,
  type EnrolmentCommand,
  EnrolmentCommandView,
  type GrantCommand,
  GrantCommandView,
} from "../../schemas/gen/identity.ts";
import type { CommandView } from "../../schemas/gen/command.ts";
import { RegistryError } from "../base/errors.ts";
import { toHex } from "../base/bytes.ts";
import {
  AUDIT_PAGE_ENTRIES,
  BAN_REASON_BYTES_MAX,
  BANS_MAX,
  DOCUMENT_BYTES_MAX,
  JOIN_TOKENS_MAX,
  LINEAGES_MAX,
  RENEWAL_GRACE_MS_MAX,
  SPIFFE_ID_BYTES_MAX,
} from "../base/limits.ts";
import { COMMAND_KINDS, type CommandHeader } from "../record/command.ts";
import { AUDIT_ACTIONS, type AuditAction, AuditLog } from "./audit_log.ts";
import type { JoinToken, Lineage } from "./enrolment_records.ts";
import {
  BAN_KINDS,
  encodeAuditPage,
  encodeBan,
  encodeDocument,
  encodeEnrolment,
  encodeGrant,
  grantFromWire,
  lineageFromWire,
  tokenFromWire,
} from "./identity_codec.ts";
import { type TokenGrant, TokenGrants } from "./token_grants.ts";

/** The current version of a document. */
export interface Document {
  readonly version: number;
  readonly bytes: Uint8Array;
}

/** A ban in force or expired. */
export type Ban = Readonly<Omit<BanCommand, "lifted" | "detail">> & {
  /** Lineage of the identity that made it; 0 for the registry itself. */
  readonly writer: number;
  /** Time of the ban, s since 1970. */
  readonly unixS: number;
};

/**
 * Receiver of events that end the sessions of an identity or admit it again, called in the turn of
 * the apply.
 */
export interface RevocationSink {
  banned(ban: Ban): void;
  lifted(ban: Pick<Ban, "kind" | "name">): void;
  stopped(lineage: Lineage): void;
  /** Called when a token grants something until it expires. */
  granted(grant: TokenGrant): void;
  /** Called when the whole state was replaced, as by an image. */
  replaced(state: IdentityState): void;
}

const AUDIT_NAMES = new Map<number, AuditAction>(
  Object.entries(AUDIT_ACTIONS).map(([name, number]) => [number, name as AuditAction]),
);
const DOCUMENT_NUMBER_MAX = 2;
const BAN_KIND_MAX = Math.max(...Object.values(BAN_KINDS));

/** The identities in group 0. */
export class IdentityState {
  readonly audit = new AuditLog();
  /** Grants of tokens beyond those of certificates. */
  readonly grants = new TokenGrants();
  readonly #tokens = new Map<string, JoinToken>();
  readonly #lineages = new Map<number, Lineage>();
  /** The active lineage of each subject. */
  readonly #bySubject = new Map<string, Lineage>();
  readonly #bans = new Map<string, Ban>();
  readonly #documents = new Map<number, Document>();
  /** Greater than all numbers ever assigned; 1 is the development identity's. */
  #nextLineage = 2;
  /** Receiver of revocations, if any. */
  sink: RevocationSink | undefined;
  /** Pages of the audit log while an image is loaded, during which nothing is audited. */
  #pages: AuditPage[] | undefined;

  /** Returns the join token with that hash. */
  token(hash: Uint8Array): JoinToken | undefined {
    return this.#tokens.get(toHex(hash));
  }

  /** Returns a lineage by its number. */
  lineage(number: number): Lineage | undefined {
    return this.#lineages.get(number);
  }

  /** Returns the active lineage of a subject. */
  lineageOf(subject: string): Lineage | undefined {
    return this.#bySubject.get(subject);
  }

  /** Number of the next lineage. */
  get nextLineage(): number {
    return this.#nextLineage;
  }

  /** Returns all bans that were not lifted, including expired ones. */
  bans(): Ban[] {
    return [...this.#bans.values()];
  }

  /** Returns the ban in force on a name of that kind; `undefined` if none. */
  banOf(kind: number, name: string, nowMs: number): Ban | undefined {
    const ban = this.#bans.get(banKey(kind, name));
    return ban === undefined || (ban.untilMs !== 0 && ban.untilMs <= nowMs) ? undefined : ban;
  }

  /** Returns the stopped lineages that are still kept. */
  *stoppedLineages(): Generator<Lineage, void, undefined> {
    for (const lineage of this.#lineages.values()) {
      if (lineage.stopped !== undefined) yield lineage;
    }
  }

  /** Returns a document by its number. */
  document(name: number): Document | undefined {
    return this.#documents.get(name);
  }

  /**
   * Applies a command about identities. Returns false for other commands.
   *
   * @throws RegistryError the code of the refusal; nothing was changed then.
   */
  apply(command: CommandView): boolean {
    switch (command.kind) {
      case COMMAND_KINDS.enrolment:
        this.#enrol(command, command.bodyInto(new EnrolmentCommandView()).toPlain());
        return true;
      case COMMAND_KINDS.ban:
        this.#ban(command, command.bodyInto(new BanCommandView()).toPlain());
        return true;
      case COMMAND_KINDS.document:
        this.#put(command, command.bodyInto(new DocumentCommandView()).toPlain());
        return true;
      case COMMAND_KINDS.grant:
        this.#grant(command, command.bodyInto(new GrantCommandView()).toPlain());
        return true;
      case COMMAND_KINDS.auditNote: {
        const { action, subject, detail } = command.bodyInto(new AuditNoteCommandView()).toPlain();
        this.#note(command, action, subject, detail);
        return true;
      }
      default:
        return false;
    }
  }

  #enrol(command: CommandView, { tokens, lineages, action, detail }: EnrolmentCommand): void {
    const newTokens = tokens.map(({ replacedVersion, record }) => {
      const token = tokenFromWire(record);
      expect(`Join token of ${token.subject}`, this.token(token.hash), replacedVersion, token);
      return token;
    });
    const newLineages = lineages.map(({ replacedVersion, record }) => {
      const lineage = lineageFromWire(record);
      const { lineage: number } = lineage;
      expect(`Lineage ${number}`, this.#lineages.get(number), replacedVersion, lineage);
      const isGiven = replacedVersion === 0 ? number >= this.#nextLineage : true;
      if (!isGiven || number < 2) throw moved(`Lineage ${number} was given out before`);
      return lineage;
    });
    for (const lineage of newLineages) this.#checkOwner(lineage, newLineages);
    this.#makeRoom(command.unixS * 1_000, newTokens.length, newLineages.length);
    const audited = auditName(action);
    for (const token of newTokens) this.#tokens.set(toHex(token.hash), token);
    for (const lineage of newLineages) this.#putLineage(lineage);
    if (audited === undefined) return;
    const subject = newLineages[0]?.subject ?? newTokens[0]?.subject ?? "";
    this.#record(command, audited, subject, detail);
  }

  /** A subject has one active lineage; a change that adds a second must also stop the first. */
  #checkOwner({ lineage, subject, stopped }: Lineage, change: readonly Lineage[]): void {
    const owner = this.#bySubject.get(subject);
    if (stopped !== undefined || owner === undefined || owner.lineage === lineage) return;
    const isStopped = change.some((other) =>
      other.lineage === owner.lineage && other.stopped !== undefined
    );
    if (!isStopped) throw moved(`${subject} has lineage ${owner.lineage}`);
  }

  #putLineage(lineage: Lineage): void {
    const { lineage: number, subject, stopped } = lineage;
    this.#lineages.set(number, lineage);
    this.#nextLineage = Math.max(this.#nextLineage, number + 1);
    if (stopped === undefined) this.#bySubject.set(subject, lineage);
    else {
      if (this.#bySubject.get(subject)?.lineage === number) this.#bySubject.delete(subject);
      this.sink?.stopped(lineage);
    }
  }

  #makeRoom(nowMs: number, tokens: number, lineages: number): void {
    if (this.#tokens.size + tokens > JOIN_TOKENS_MAX) {
      for (const [key, { expiresAtMs }] of this.#tokens) {
        if (expiresAtMs + RENEWAL_GRACE_MS_MAX < nowMs) this.#tokens.delete(key);
      }
    }
    if (this.#lineages.size + lineages > LINEAGES_MAX) {
      for (const [number, { stopped, latest }] of this.#lineages) {
        // The highest number stays, because it shows which numbers were assigned.
        if (stopped === undefined || number === this.#nextLineage - 1) continue;
        if (latest.notAfterMs + RENEWAL_GRACE_MS_MAX < nowMs) this.#lineages.delete(number);
      }
    }
    if (this.#tokens.size + tokens > JOIN_TOKENS_MAX) throw full("join tokens", JOIN_TOKENS_MAX);
    if (this.#lineages.size + lineages > LINEAGES_MAX) throw full("lineages", LINEAGES_MAX);
  }

  #ban(command: CommandView, { lifted, detail, ...order }: BanCommand): void {
    const ban: Ban = { ...order, writer: command.writer, unixS: command.unixS };
    const audited = detail === "" ? ban.reason : detail;
    if (detail.length > 2 * BAN_REASON_BYTES_MAX) throw malformed("detail of a ban");
    if (ban.kind === 0 || ban.kind > BAN_KIND_MAX) throw malformed(`kind of ban ${ban.kind}`);
    if (ban.name === "" || ban.name.length > SPIFFE_ID_BYTES_MAX) throw malformed("name of a ban");
    if (ban.reason.length > BAN_REASON_BYTES_MAX) throw malformed("reason of a ban");
    const key = banKey(ban.kind, ban.name);
    if (lifted) {
      if (!this.#bans.delete(key)) throw new RegistryError("not_found", "There is no such ban");
      this.sink?.lifted(ban);
      return this.#record(command, "unban", ban.name, audited);
    }
    if (!this.#bans.has(key) && this.#bans.size >= BANS_MAX) {
      const nowMs = command.unixS * 1_000;
      for (const [old, { untilMs }] of this.#bans) {
        if (untilMs !== 0 && untilMs < nowMs) this.#bans.delete(old);
      }
      if (this.#bans.size >= BANS_MAX) throw full("bans", BANS_MAX);
    }
    this.#bans.set(key, ban);
    this.sink?.banned(ban);
    this.#record(command, "ban", ban.name, audited);
  }

  #grant(command: CommandView, granted: GrantCommand): void {
    const grant = grantFromWire(granted);
    this.grants.add(grant, command.unixS * 1_000);
    this.sink?.granted(grant);
    this.#record(command, "token", grant.subject, granted.detail);
  }

  #put(command: CommandView, document: DocumentCommand): void {
    const { name, replacedVersion, version, bytes, detail } = document;
    if (name === 0 || name > DOCUMENT_NUMBER_MAX) throw malformed(`document ${name}`);
    if (bytes.length > DOCUMENT_BYTES_MAX) throw full("bytes of a document", DOCUMENT_BYTES_MAX);
    expect(`Document ${name}`, this.#documents.get(name), replacedVersion, document);
    this.#documents.set(name, { version, bytes });
    this.#record(command, name === 1 ? "trustBundle" : "tokenKey", "", detail);
  }

  #note(command: CommandView, action: number, subject: string, detail: string): void {
    const name = auditName(action);
    if (name === undefined) throw malformed("action 0");
    this.#record(command, name, subject, detail);
  }

  #record(command: CommandView, action: AuditAction, subject: string, detail: string): void {
    if (this.#pages !== undefined) return;
    this.audit.append({ unixS: command.unixS, writer: command.writer, action, subject, detail });
  }

  /** Audits an action of another command of group 0, as part of that command. */
  noteDone(command: CommandView, action: AuditAction, subject: string, detail: string): void {
    this.#record(command, action, subject, detail);
  }

  /**
   * Returns the state as commands from which {@link load} rebuilds it; equal states give equal
   * bytes.
   */
  *commands(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    for (const record of this.#tokens.values()) {
      yield encodeEnrolment(from, { token: { replacedVersion: 0, record }, lineages: [] });
    }
    for (const record of [...this.#lineages.values()].sort((a, b) => a.lineage - b.lineage)) {
      yield encodeEnrolment(from, { lineages: [{ replacedVersion: 0, record }] });
    }
    for (const { writer, unixS, ...ban } of this.#bans.values()) {
      yield encodeBan({ ...from, writer, unixS }, { ...ban, lifted: false });
    }
    for (const grant of this.grants.values()) yield encodeGrant(from, grant);
    for (const [name, { version, bytes }] of this.#documents) {
      yield encodeDocument(from, { name, version, bytes, replacedVersion: 0, detail: "" });
    }
    const { anchor, count } = this.audit;
    const entries = this.audit.read(1, Infinity);
    for (let at = 0; at < entries.length; at += AUDIT_PAGE_ENTRIES) {
      const page = entries.slice(at, at + AUDIT_PAGE_ENTRIES);
      yield encodeAuditPage(from, { anchor, count, entries: page });
    }
  }

  /**
   * Applies a command of an image. Returns false when it is not about identities. Nothing is
   * audited: the image contains the pages of the audit log, which {@link loaded} restores.
   */
  load(command: CommandView): boolean {
    this.#pages ??= [];
    if (command.kind !== COMMAND_KINDS.auditPage) return this.apply(command);
    this.#pages.push(command.bodyInto(new AuditPageView()).toPlain());
    return true;
  }

  /** Completes the load of an image. */
  loaded(): void {
    const pages = this.#pages ?? [];
    this.#pages = undefined;
    const [first] = pages;
    if (first === undefined) return;
    const entries = pages.flatMap((page) => page.entries);
    this.audit.restore({ count: first.count, anchor: first.anchor, entries });
  }
}

/** @throws RegistryError `incarnation_mismatch` when the record to be replaced has changed. */
function expect(
  what: string,
  found: { readonly version: number } | undefined,
  replacedVersion: number,
  record: { readonly version: number },
): void {
  const version = found?.version ?? 0;
  if (version !== replacedVersion) {
    throw moved(`${what} must have version ${replacedVersion}: it has ${version}`);
  }
  if (record.version <= replacedVersion) throw malformed(`version ${record.version}`);
}

function banKey(kind: number, name: string): string {
  return `${kind} ${name}`;
}

function auditName(action: number): AuditAction | undefined {
  if (action === 0) return undefined;
  const name = AUDIT_NAMES.get(action);
  if (name === undefined) throw malformed(`action ${action}`);
  return name;
}

function moved(message: string): RegistryError {
  return new RegistryError("incarnation_mismatch", message);
}

function full(what: string, max: number): RegistryError {
  return new RegistryError("overloaded", `Group 0 keeps at most ${max} ${what}`, {
    retryAfterMs: 60_000,
  });
}

function malformed(what: string): RegistryError {
  return new RegistryError("malformed", `Identity command must be valid: found ${what}`);
}
