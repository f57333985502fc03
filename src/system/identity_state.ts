/**
 * The identity state of group 0, as the rest of the node reads it: join tokens, lineages, bans, grants
 * of tokens, documents, and the audit log of all their changes. Each is a part of its own
 * (`identities/`).
 */
import type { AuditLog } from "./audit_log.ts";
import type { JoinToken, Lineage } from "./enrolment_records.ts";
import type { AuditState } from "./identities/audit_state.ts";
import type { Ban } from "./identities/ban.ts";
import { BanState } from "./identities/ban_state.ts";
import { type Document, DocumentState } from "./identities/document_state.ts";
import { EnrolmentState } from "./identities/enrolment_state.ts";
import { GrantState } from "./identities/grant_state.ts";
import type { Revocations, RevocationSink } from "./identities/revocations.ts";
import type { SubMachine } from "./sub_machine.ts";
import type { TokenGrants } from "./token_grants.ts";

export type { Ban } from "./identities/ban.ts";
export type { Document } from "./identities/document_state.ts";
export type { RevocationSink, RevocationState } from "./identities/revocations.ts";

/** The identities in group 0. */
export class IdentityState {
  readonly #audit: AuditState;
  readonly #revocations: Revocations = { sink: undefined };
  readonly #enrolment: EnrolmentState;
  readonly #bans: BanState;
  readonly #grants: GrantState;
  readonly #documents: DocumentState;

  /** @param applyVersion returns the version by which commands are applied. */
  constructor(audit: AuditState, applyVersion: () => number) {
    this.#audit = audit;
    this.#enrolment = new EnrolmentState(audit, this.#revocations, applyVersion);
    this.#bans = new BanState(audit, this.#revocations, applyVersion);
    this.#grants = new GrantState(audit, this.#revocations);
    this.#documents = new DocumentState(audit);
  }

  /** The parts, in the order of their sections. */
  get parts(): readonly SubMachine[] {
    return [this.#enrolment, this.#bans, this.#grants, this.#documents];
  }

  /** The audit log. */
  get audit(): AuditLog {
    return this.#audit.log;
  }

  /** Grants of tokens beyond those of certificates. */
  get grants(): TokenGrants {
    return this.#grants.grants;
  }

  /** Receiver of revocations, if any. */
  get sink(): RevocationSink | undefined {
    return this.#revocations.sink;
  }

  set sink(sink: RevocationSink | undefined) {
    this.#revocations.sink = sink;
  }

  /** Returns the join token with that hash. */
  token(hash: Uint8Array): JoinToken | undefined {
    return this.#enrolment.token(hash);
  }

  /** Returns a lineage by its number. */
  lineage(number: number): Lineage | undefined {
    return this.#enrolment.lineage(number);
  }

  /** Returns the active lineage of a subject. */
  lineageOf(subject: string): Lineage | undefined {
    return this.#enrolment.lineageOf(subject);
  }

  /** Number of the next lineage. */
  get nextLineage(): number {
    return this.#enrolment.nextLineage;
  }

  /** Returns the stopped lineages that are still kept. */
  stoppedLineages(): Iterable<Lineage> {
    return this.#enrolment.stoppedLineages();
  }

  /** Returns all bans that were not lifted, including expired ones. */
  bans(): Ban[] {
    return this.#bans.all();
  }

  /** Returns the ban in force on a name of that kind; `undefined` if none. */
  banOf(kind: number, name: string, nowMs: number): Ban | undefined {
    return this.#bans.of(kind, name, nowMs);
  }

  /** Returns a document by its number. */
  document(name: number): Document | undefined {
    return this.#documents.of(name);
  }
}
