/** Bans of subjects, lineages, tokens and capabilities. Ended bans are removed when space is needed. */
import type { CommandView } from "../../../schemas/gen/command.ts";
import { BanCommandView } from "../../../schemas/gen/identity.ts";
import { RegistryError } from "../../base/errors.ts";
import { BAN_REASON_BYTES_MAX, BANS_MAX, SPIFFE_ID_BYTES_MAX } from "../../base/limits.ts";
import { COMMAND_KINDS, type CommandHeader } from "../../record/command.ts";
import { BAN_KINDS } from "../../../schemas/gen/wire.ts";
import { CAPABILITIES_APPLY_VERSION, encodeBan } from "../identity_codec.ts";
import { full, type SubMachine } from "../sub_machine.ts";
import type { AuditState } from "./audit_state.ts";
import type { Ban } from "./ban.ts";
import { malformed } from "./refusals.ts";
import type { Revocations } from "./revocations.ts";

/** The highest kind of ban that every version knows. */
const FIRST_BAN_KIND_MAX = BAN_KINDS.token;
const BAN_KIND_MAX = Math.max(...Object.values(BAN_KINDS));

/** The bans of group 0. */
export class BanState implements SubMachine {
  readonly section = 4;
  readonly kinds = [COMMAND_KINDS.ban];
  readonly #audit: AuditState;
  readonly #revocations: Revocations;
  readonly #applyVersion: () => number;
  readonly #bans = new Map<string, Ban>();

  constructor(audit: AuditState, revocations: Revocations, applyVersion: () => number) {
    this.#audit = audit;
    this.#revocations = revocations;
    this.#applyVersion = applyVersion;
  }

  /** Returns all bans that were not lifted, including expired ones. */
  all(): Ban[] {
    return [...this.#bans.values()];
  }

  /** Returns the ban in force on a name of that kind; `undefined` if none. */
  of(kind: number, name: string, nowMs: number): Ban | undefined {
    const ban = this.#bans.get(banKey(kind, name));
    return ban === undefined || (ban.untilMs !== 0 && ban.untilMs <= nowMs) ? undefined : ban;
  }

  apply(command: CommandView): void {
    const hasAll = this.#applyVersion() >= CAPABILITIES_APPLY_VERSION;
    this.#put(command, hasAll ? BAN_KIND_MAX : FIRST_BAN_KIND_MAX);
  }

  #put(command: CommandView, kindMax: number): void {
    const { lifted, detail, ...order } = command.bodyInto(new BanCommandView()).toPlain();
    const ban: Ban = { ...order, writer: command.writer, unixS: command.unixS };
    const audited = detail === "" ? ban.reason : detail;
    if (detail.length > 2 * BAN_REASON_BYTES_MAX) throw malformed("detail of a ban");
    if (ban.kind === 0 || ban.kind > kindMax) throw malformed(`kind of ban ${ban.kind}`);
    if (ban.name === "" || ban.name.length > SPIFFE_ID_BYTES_MAX) throw malformed("name of a ban");
    if (ban.reason.length > BAN_REASON_BYTES_MAX) throw malformed("reason of a ban");
    const key = banKey(ban.kind, ban.name);
    if (lifted) {
      if (!this.#bans.delete(key)) throw new RegistryError("not_found", "There is no such ban");
      this.#revocations.sink?.lifted(ban);
      return this.#audit.record(command, "unban", ban.name, audited);
    }
    if (!this.#bans.has(key) && this.#bans.size >= BANS_MAX) {
      const nowMs = command.unixS * 1_000;
      for (const [old, { untilMs }] of this.#bans) {
        if (untilMs !== 0 && untilMs < nowMs) this.#bans.delete(old);
      }
      if (this.#bans.size >= BANS_MAX) throw full("bans", BANS_MAX);
    }
    this.#bans.set(key, ban);
    this.#revocations.sink?.banned(ban);
    this.#audit.record(command, "ban", ban.name, audited);
  }

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    for (const { writer, unixS, ...ban } of this.#bans.values()) {
      yield encodeBan({ ...from, writer, unixS }, { ...ban, lifted: false });
    }
  }

  load(command: CommandView): void {
    // The version is in a later section.
    this.#put(command, BAN_KIND_MAX);
  }

  loaded(): void {}
}

function banKey(kind: number, name: string): string {
  return `${kind} ${name}`;
}
