/**
 * The audit of the governed plane: who proposed, signed and applied what, and what was refused and why.
 * The log keeps what was applied for ever; the audit keeps the newest `GOVERNED_AUDIT_RECORDS_MAX` events.
 */
import type { GovernanceAction, GovernanceAuditRecord } from "../../schemas/gen/governance.ts";
import { GOVERNANCE_ACTIONS } from "../../schemas/gen/governance.ts";
import { GOVERNED_AUDIT_RECORDS_MAX } from "../base/limits.ts";

/** An event to record. */
export interface GovernanceEvent {
  readonly action: GovernanceAction;
  readonly unixS: number;
  readonly caller: string;
  /** `ok`, or the code of the refusal. */
  readonly code: string;
  /** At most `GOVERNED_MESSAGE_LENGTH_MAX` characters. */
  readonly message?: string;
  readonly proposal?: number | undefined;
  readonly id?: string | undefined;
  readonly contentId?: string | undefined;
}

/** The newest records of the audit. */
export class GovernanceAudit {
  readonly #records: GovernanceAuditRecord[] = [];
  #count = 0;

  /** Number of records ever made. */
  get count(): number {
    return this.#count;
  }

  /** The kept records, the oldest first. */
  get records(): readonly GovernanceAuditRecord[] {
    return this.#records;
  }

  /** Records an event. */
  record({ action, unixS, caller, code, message, proposal, id, contentId }: GovernanceEvent): void {
    this.#count++;
    this.load({
      number: this.#count,
      unixS,
      proposal: proposal ?? 0,
      action: GOVERNANCE_ACTIONS[action],
      code,
      caller,
      id: id ?? "",
      contentId: contentId ?? "",
      message: message ?? "",
    });
    if (this.#records.length > GOVERNED_AUDIT_RECORDS_MAX) this.#records.shift();
  }

  /** Loads the number of records of an image. */
  loadCount(count: number): void {
    this.#count = count;
  }

  /** Loads a record of an image. */
  load(record: GovernanceAuditRecord): void {
    this.#records.push(record);
  }
}
