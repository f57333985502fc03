/**
 * Join tokens and lineages. A change is refused as a whole when a record it replaces has changed in the
 * meantime.
 *
 * Records that nobody can use any more (an expired join token, a stopped lineage whose last leaf
 * expired long ago) are removed when space is needed. The clock for that is the command's wall
 * time, which is the same on every replica. A stopped lineage whose leaf could still be presented
 * is kept, or it would appear to be unknown.
 */
import type { CommandView } from "../../../schemas/gen/command.ts";
import { EnrolmentCommandView } from "../../../schemas/gen/identity.ts";
import { toHex } from "../../base/bytes.ts";
import { JOIN_TOKENS_MAX, LINEAGES_MAX, RENEWAL_GRACE_MS_MAX } from "../../base/limits.ts";
import { COMMAND_KINDS, type CommandHeader } from "../../record/command.ts";
import type { JoinToken, Lineage } from "../enrolment_records.ts";
import {
  encodeEnrolment,
  lineageFromWire,
  READ_LIMITS_APPLY_VERSION,
  tokenFromWire,
} from "../identity_codec.ts";
import { full, moved, type SubMachine } from "../sub_machine.ts";
import { auditName, type AuditState } from "./audit_state.ts";
import { checkReplaced, malformed } from "./refusals.ts";
import type { Revocations } from "./revocations.ts";

/** The join tokens and lineages of group 0. */
export class EnrolmentState implements SubMachine {
  readonly section = 3;
  readonly kinds = [COMMAND_KINDS.enrolment];
  readonly #audit: AuditState;
  readonly #revocations: Revocations;
  readonly #applyVersion: () => number;
  readonly #tokens = new Map<string, JoinToken>();
  readonly #lineages = new Map<number, Lineage>();
  /** The active lineage of each subject. */
  readonly #bySubject = new Map<string, Lineage>();
  /** Greater than all numbers ever assigned; 1 is the development identity's. */
  #nextLineage = 2;

  constructor(audit: AuditState, revocations: Revocations, applyVersion: () => number) {
    this.#audit = audit;
    this.#revocations = revocations;
    this.#applyVersion = applyVersion;
  }

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

  /** Returns the stopped lineages that are still kept. */
  *stoppedLineages(): Generator<Lineage, void, undefined> {
    for (const lineage of this.#lineages.values()) {
      if (lineage.stopped !== undefined) yield lineage;
    }
  }

  apply(command: CommandView): void {
    this.#put(command, this.#applyVersion() >= READ_LIMITS_APPLY_VERSION);
  }

  #put(command: CommandView, knowsReadLimits: boolean): void {
    const { tokens, lineages, action, detail } = command
      .bodyInto(new EnrolmentCommandView()).toPlain();
    const newTokens = tokens.map(({ replacedVersion, record }) => {
      const token = tokenFromWire(record);
      checkReplaced(
        `Join token of ${token.subject}`,
        this.token(token.hash),
        replacedVersion,
        token,
      );
      return token;
    });
    const newLineages = lineages.map(({ replacedVersion, record }) => {
      const lineage = lineageFromWire(record);
      const { lineage: number } = lineage;
      checkReplaced(`Lineage ${number}`, this.#lineages.get(number), replacedVersion, lineage);
      const isGiven = replacedVersion === 0 ? number >= this.#nextLineage : true;
      if (!isGiven || number < 2) throw moved(`Lineage ${number} was given out before`);
      return lineage;
    });
    const hasLimits = [...newTokens, ...newLineages].some(({ grants }) =>
      grants.reads !== undefined
    );
    if (hasLimits && !knowsReadLimits) throw malformed("limits on reads");
    for (const lineage of newLineages) this.#checkOwner(lineage, newLineages);
    this.#makeRoom(command.unixS * 1_000, newTokens.length, newLineages.length);
    const audited = auditName(action);
    for (const token of newTokens) this.#tokens.set(toHex(token.hash), token);
    for (const lineage of newLineages) this.#putLineage(lineage);
    if (audited === undefined) return;
    const subject = newLineages[0]?.subject ?? newTokens[0]?.subject ?? "";
    this.#audit.record(command, audited, subject, detail);
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
      this.#revocations.sink?.stopped(lineage);
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

  *segments(from: CommandHeader): Generator<Uint8Array, void, undefined> {
    for (const record of this.#tokens.values()) {
      yield encodeEnrolment(from, { token: { replacedVersion: 0, record }, lineages: [] });
    }
    for (const record of [...this.#lineages.values()].sort((a, b) => a.lineage - b.lineage)) {
      yield encodeEnrolment(from, { lineages: [{ replacedVersion: 0, record }] });
    }
  }

  load(command: CommandView): void {
    // The version is in a later section.
    this.#put(command, true);
  }

  loaded(): void {}
}
