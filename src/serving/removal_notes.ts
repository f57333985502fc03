/**
 * Audits removals of records by others than their owners, in group 0: here if this node leads it, else at
 * its leader.
 */
import { formatUuid } from "../base/uuid.ts";
import { type RecordKind, recordKindName } from "../record/kinds.ts";
import type { IdentityGroup } from "./identities/identity_group.ts";
import type { LeaderCalls } from "./leader_calls.ts";
import { REGISTRY_ITSELF, type Requester } from "./node_calls.ts";

/** A record to be removed, or removed, and why. */
export interface Removal {
  readonly kind: RecordKind;
  readonly id: Uint8Array;
  readonly detail: string;
  /** The administrator; absent for the registry itself. */
  readonly requester?: Requester;
}

/** Audits removals. */
export class RemovalNotes {
  readonly #identities: IdentityGroup;
  readonly #leaders: LeaderCalls;

  constructor(identities: IdentityGroup, leaders: LeaderCalls) {
    this.#identities = identities;
    this.#leaders = leaders;
  }

  /** Audits a removal at the leader of group 0. @throws RegistryError */
  async note(removal: Removal, deadlineMs: number): Promise<void> {
    const { kind, id, detail, requester: { lineage, subject } = REGISTRY_ITSELF } = removal;
    await this.#leaders.take({
      what: "the audit log",
      place: () => ({ isHere: true, group: this.#identities.leading }),
      here: () => this.noteHere(removal, deadlineMs),
      there: async (calls, node, timeoutMs) => {
        await calls.call(node, "noteRemoval", { kind, id, detail, lineage, subject }, timeoutMs);
      },
      deadlineMs,
    });
  }

  /** Audits a removal on this node, which leads group 0. @throws RegistryError `not_leader`. */
  async noteHere(
    { kind, id, detail, requester = REGISTRY_ITSELF }: Removal,
    deadlineMs: number,
  ): Promise<void> {
    const subject = `${recordKindName(kind)} ${formatUuid(id)}`;
    const note = { action: "removeRecord", subject, detail } as const;
    await this.#identities.note(note, requester.lineage, deadlineMs);
  }
}
