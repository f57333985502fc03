/**
 * The audit log as a part of group 0's state: every part records its audited changes here, and actions
 * that were performed elsewhere are noted by a command. While an image is loaded nothing is recorded,
 * because the image holds the pages of the log.
 */
import type { CommandView } from "../../../schemas/gen/command.ts";
import {
  AuditNoteCommandView,
  type AuditPage,
  AuditPageView,
} from "../../../schemas/gen/identity.ts";
import { AUDIT_PAGE_ENTRIES } from "../../base/limits.ts";
import { COMMAND_KINDS, type CommandHeader } from "../../record/command.ts";
import { AUDIT_ACTION_NAMES, type AuditAction } from "../../../schemas/gen/audit.ts";
import { AuditLog } from "../audit_log.ts";
import { DEPARTURES_APPLY_VERSION } from "../departures/departure_codec.ts";
import { LEADERS_APPLY_VERSION } from "../leaders/leader_codec.ts";
import { CAPABILITIES_APPLY_VERSION, encodeAuditPage } from "../identity_codec.ts";
import type { SubMachine } from "../sub_machine.ts";
import { BACKUPS_APPLY_VERSION, PAUSED_MOVES_APPLY_VERSION } from "../versions/features.ts";
import { malformed } from "./refusals.ts";

/** The apply versions from which on replicas know actions that were added later. */
const SINCE_APPLY_VERSION: Partial<Record<AuditAction, number>> = {
  capability: CAPABILITIES_APPLY_VERSION,
  depart: DEPARTURES_APPLY_VERSION,
  stay: DEPARTURES_APPLY_VERSION,
  preferLeader: LEADERS_APPLY_VERSION,
  rebalance: LEADERS_APPLY_VERSION,
  backup: BACKUPS_APPLY_VERSION,
  pauseMoves: PAUSED_MOVES_APPLY_VERSION,
};

/** The audit log of group 0. */
export class AuditState implements SubMachine {
  readonly section = 7;
  readonly kinds = [COMMAND_KINDS.auditNote, COMMAND_KINDS.auditPage];
  readonly log = new AuditLog();
  readonly #applyVersion: () => number;
  /** Pages of the audit log while an image is loaded. */
  #pages: AuditPage[] | undefined;

  /** @param applyVersion returns the version by which commands are applied. */
  constructor(applyVersion: () => number) {
    this.#applyVersion = applyVersion;
  }

  /** Records an action as part of the command that performs it. */
  record(
    { unixS, writer }: CommandView,
    action: AuditAction,
    subject: string,
    detail: string,
  ): void {
    if (this.#pages === undefined) this.log.append({ unixS, writer, action, subject, detail });
  }

  /** Begins the load of an image. */
  loading(): void {
    this.#pages = [];
  }

  apply(command: CommandView): void {
    if (command.kind !== COMMAND_KINDS.auditNote) {
      throw malformed("a page of the audit log outside of an image");
    }
    const { action, subject, detail } = command.bodyInto(new AuditNoteCommandView()).toPlain();
    const name = auditName(action);
    if (name === undefined) throw malformed("action 0");
    if (this.#applyVersion() < (SINCE_APPLY_VERSION[name] ?? 0)) {
      throw malformed(`action ${action}`);
    }
    this.record(command, name, subject, detail);
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    const { anchor, count } = this.log;
    const entries = this.log.read(1, Infinity);
    for (let at = 0; at < entries.length; at += AUDIT_PAGE_ENTRIES) {
      const page = entries.slice(at, at + AUDIT_PAGE_ENTRIES);
      yield encodeAuditPage(from, { anchor, count, entries: page });
    }
  }

  load(command: CommandView): void {
    if (command.kind !== COMMAND_KINDS.auditPage) throw malformed("a note in an image");
    this.#pages?.push(command.bodyInto(new AuditPageView()).toPlain());
  }

  loaded(): void {
    const pages = this.#pages ?? [];
    this.#pages = undefined;
    const [first] = pages;
    if (first === undefined) return;
    const entries = pages.flatMap((page) => page.entries);
    this.log.restore({ count: first.count, anchor: first.anchor, entries });
  }
}

/** Returns the name of an action; undefined for 0. @throws RegistryError `malformed` if unknown. */
export function auditName(action: number): AuditAction | undefined {
  if (action === 0) return undefined;
  const name = AUDIT_ACTION_NAMES[action];
  if (name === undefined) throw malformed(`action ${action}`);
  return name;
}
