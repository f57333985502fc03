/**
 * Group 0 as the services for identities use it: its state as applied on this node, proposals of
 * changes, and the authority of the region, if this node has one.
 */
import { RegistryError } from "../../base/errors.ts";
import type { Grants } from "../../base/peer.ts";
import type { MonotonicClock, WallClock } from "../../base/world.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { Group } from "../../replication/group_interface.ts";
import { AUDIT_ACTIONS, type AuditAction } from "../../system/audit_log.ts";
import { DOCUMENTS, encodeAuditNote, encodeDocument } from "../../system/identity_codec.ts";
import type { IdentityState } from "../../system/identity_state.ts";
import type { SystemReply, SystemStore } from "../../system/system_store.ts";
import { publicationFromBytes } from "../../../identity/trust/bundle_publication.ts";
import type { IdentityAuthority } from "./identity_authority.ts";

/** Dependencies of an {@link IdentityGroup}. */
export interface IdentityGroupParts {
  readonly group: Group<SystemReply>;
  readonly store: SystemStore;
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
}

/** Encoder of a command for group 0, given its header. */
type Command = (header: CommandHeader) => Uint8Array;

/** Timeout of a read barrier or a background proposal of group 0, ms. */
const READ_MS = 3_000;

/** State of identities, and the way to change it. */
export class IdentityGroup {
  readonly #parts: IdentityGroupParts;
  /** Authority that makes certificates and tokens, if this node has one. */
  knownAuthority: IdentityAuthority | undefined;

  constructor(parts: IdentityGroupParts) {
    this.#parts = parts;
  }

  /** Identities of group 0, as applied on this node. */
  get state(): IdentityState {
    return this.#parts.store.identities;
  }

  /** The whole state of group 0. */
  get store(): SystemStore {
    return this.#parts.store;
  }

  /** Authority of this node. @throws RegistryError `invalid_configuration` if it has none. */
  get authority(): IdentityAuthority {
    if (this.knownAuthority !== undefined) return this.knownAuthority;
    throw new RegistryError(
      "invalid_configuration",
      "This node has the development identity and issues none: create a real one with " +
        "`crs identity init`, and start the node with --authority",
      { field: "authority" },
    );
  }

  /** Trust bundle; "" if there is none. */
  get trustBundle(): string {
    const document = this.state.document(DOCUMENTS.trustBundle);
    return document === undefined ? "" : publicationFromBytes(document.bytes).text;
  }

  /** Whether this node leads group 0, and which one does. */
  get leading(): Pick<Group<SystemReply>, "notLeading"> {
    return this.#parts.group;
  }

  /**
   * Waits until all previously committed changes are applied on this node.
   *
   * @throws RegistryError
   */
  async current(): Promise<void> {
    const { group } = this.#parts;
    if (group.readPoint(0) !== undefined) return;
    const permitted = await group.readBarrier(0, READ_MS);
    if (permitted instanceof RegistryError) throw permitted;
  }

  /**
   * Waits until all previously committed changes are applied on this node, for a request that is for
   * the leader of group 0.
   *
   * @throws RegistryError `not_leader`, with the leader as the hint if it is known.
   */
  async currentAtLeader(): Promise<void> {
    const refusal = this.#parts.group.notLeading();
    if (refusal !== undefined) throw refusal;
    await this.current();
  }

  /** Returns the deadline of a proposal in the background, monotonic ms. */
  soon(): number {
    return this.#parts.monotonic.nowMs() + READ_MS;
  }

  /**
   * Audits an action of an administrator that takes place elsewhere, before it is done.
   *
   * @throws RegistryError
   */
  async note(
    note: { readonly action: AuditAction; readonly subject: string; readonly detail: string },
    writer: number,
    deadlineMs: number,
  ): Promise<void> {
    const body = { ...note, action: AUDIT_ACTIONS[note.action] };
    await this.propose((header) => encodeAuditNote(header, body), writer, deadlineMs);
  }

  /** Replaces the current version of a document. @throws RegistryError as a commit does. */
  async putDocument(
    name: keyof typeof DOCUMENTS,
    bytes: Uint8Array,
    detail: string,
  ): Promise<void> {
    const number = DOCUMENTS[name];
    const replacedVersion = this.state.document(number)?.version ?? 0;
    const body = { name: number, replacedVersion, version: replacedVersion + 1, bytes, detail };
    await this.propose((header) => encodeDocument(header, body), 0, this.soon());
  }

  /**
   * Commits a command on behalf of a lineage.
   *
   * @param writer lineage; 0 for the registry itself.
   * @throws RegistryError the code of a refusal by group 0, `deadline_exceeded`, and those of a group.
   */
  async propose(command: Command, writer: number, deadlineMs: number): Promise<void> {
    const { group, monotonic, wall } = this.#parts;
    const leftMs = deadlineMs - monotonic.nowMs();
    if (leftMs <= 0) {
      throw new RegistryError(
        "deadline_exceeded",
        "The request's deadline passed before it was logged",
      );
    }
    const header = {
      timeMs: Math.floor(group.timeMs()),
      unixS: Math.min(0xffff_ffff, Math.floor(wall.unixMs() / 1_000)),
      writer,
    };
    const proposed = await group.propose(command(header), leftMs);
    if (!proposed.ok) throw proposed.error;
    const { outcome } = proposed;
    if (outcome.code !== "ok") throw new RegistryError(outcome.code, outcome.message);
  }
}

/** Describes grants in the audit log. */
export function grantsText({ domains, gateways, credentialHashes }: Grants): string {
  const parts = [
    ...domains.map((domain) => `domain ${domain}`),
    ...gateways.map((gateway) => `gateway ${gateway}`),
    ...(credentialHashes === true ? ["credential hashes"] : []),
  ];
  return parts.length === 0 ? "no grants" : parts.join(", ");
}

/** Returns the refusal of a request because of one of its fields. */
export function invalid(field: string, wanted: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}`, { field });
}
