/**
 * Group 0 as the services for identities use it: its state as applied on this node, proposals of
 * changes, and the authority of the region, if this node has one.
 */
import type { Input } from "../../../schemas/runtime/writer.ts";
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import { SYSTEM_APPLIED_LOOK_MS, VERSION_RETRY_MS } from "../../base/limits.ts";
import type { AuthenticatedPeer, Grants, ReadLimit } from "../../base/peer.ts";
import type { MonotonicClock, Scheduler, WallClock } from "../../base/world.ts";
import type { CommandHeader } from "../../record/command.ts";
import type { Group } from "../../replication/group_interface.ts";
import { AUDIT_ACTIONS, type AuditAction } from "../../../schemas/gen/audit.ts";
import { type Document, DOCUMENTS } from "../../../schemas/gen/identity.ts";
import { encodeAuditNote, encodeDocument } from "../../system/identity_codec.ts";
import type { IdentityState } from "../../system/identity_state.ts";
import { commandOf, type SystemReply, type SystemStore } from "../../system/system_store.ts";
import type { OperationName, ReplyOf, RequestOf } from "../../wire/operations/mod.ts";
import { publicationFromBytes } from "../../../identity/trust/bundle_publication.ts";
import type { RegionScope } from "../../../identity/pki/spiffe.ts";
import type { RootKey } from "../../../identity/capabilities/root_key.ts";
import type { TrustStore } from "../../../identity/trust/trust_store.ts";
import { checkNodesRegionCommand } from "../regions/region_proposals.ts";
import type { IdentityAuthority } from "./identity_authority.ts";
import type { IdentityLinks } from "./identity_links.ts";
import { keyHolders } from "./key_holders.ts";
import { checkHasKeys, needsKeys, proveKeys } from "./proposal_rights.ts";

/** Dependencies of an {@link IdentityGroup}. */
export interface IdentityGroupParts {
  readonly group: Group<SystemReply>;
  readonly store: SystemStore;
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly links: IdentityLinks;
}

/** Encoder of a command for group 0, given its header. */
type Command = (header: CommandHeader) => Uint8Array;

const NO_PROOF = new Uint8Array(0);

/** Timeout of a read barrier or a background proposal of group 0, ms. */
const READ_MS = 3_000;

/** State of identities, and the way to change it. */
export class IdentityGroup {
  readonly #parts: IdentityGroupParts;
  /** Authority that makes certificates and tokens, if this node has one. */
  knownAuthority: IdentityAuthority | undefined;
  /** Trust domain and region of a node that has an identity and not the authority's keys. */
  keylessScope: RegionScope | undefined;
  /** Returns the trust that the node's folder holds, for a node that is one of several. */
  keptTrust: (() => TrustStore) | undefined;
  /** Returns the root key of capabilities of a node with the development identity. */
  developmentRootKey: (() => RootKey) | undefined;

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

  /**
   * Authority of this node.
   *
   * @throws RegistryError `invalid_configuration` if there is none; `not_leader` with the hint to a node
   * that has the keys if this one does not.
   */
  get authority(): IdentityAuthority {
    if (this.knownAuthority !== undefined) return this.knownAuthority;
    if (this.keylessScope !== undefined) throw this.#keysElsewhere();
    throw new RegistryError(
      "invalid_configuration",
      "This node has the development identity and issues none: create a real one with " +
        "`crs identity init`, and start the node with --authority",
      { field: "authority" },
    );
  }

  /** Trust by which certificates are verified. @throws RegistryError as {@link authority}. */
  get trust(): TrustStore {
    const { authority, keptTrust } = this;
    return authority.hasTrust || keptTrust === undefined ? authority.trust : keptTrust();
  }

  /** Trust domain and region of the identities; undefined with the development identity. */
  get knownScope(): RegionScope | undefined {
    return this.knownAuthority ?? this.keylessScope;
  }

  /** Root keys of capabilities that this node has, the newest last. */
  get rootKeys(): readonly RootKey[] {
    const { knownAuthority, developmentRootKey } = this;
    if (knownAuthority !== undefined) return knownAuthority.capabilityKeys;
    return developmentRootKey === undefined ? [] : [developmentRootKey()];
  }

  /** The connected nodes that have the authority's keys. */
  get connectedKeyHolders(): readonly number[] {
    return keyHolders(this.state).filter((node) => this.#parts.links.isConnected(node));
  }

  /** A node that has the keys and can be asked; undefined if there is none. */
  get keyHolder(): number | undefined {
    return this.connectedKeyHolders[0];
  }

  /**
   * Passes a request on to a node that has the authority's keys, if this one does not.
   *
   * @param peer sender of the request; what a node passed on is not passed on again.
   * @returns the reply, or undefined if this node serves the request.
   * @throws RegistryError the refusal of that node; `not_leader` if there is none.
   */
  async passOn<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
    { peer, deadlineMs }: { readonly peer: AuthenticatedPeer; readonly deadlineMs: number },
  ): Promise<ReplyOf<Name> | undefined> {
    if (this.knownAuthority !== undefined || this.keylessScope === undefined) return undefined;
    const { keyHolder } = this;
    if (keyHolder === undefined || peer.role === "node") throw this.#keysElsewhere();
    return await this.#parts.links.call(keyHolder, name, body, this.#leftMs(deadlineMs));
  }

  /** Sends this node's own request to a node that has the authority's keys. @throws RegistryError */
  async askKeyHolder<Name extends OperationName>(
    name: Name,
    body: Input<RequestOf<Name>>,
  ): Promise<ReplyOf<Name>> {
    const { keyHolder } = this;
    if (keyHolder === undefined) throw this.#keysElsewhere();
    return await this.askNode(keyHolder, name, body);
  }

  /** Sends this node's own request to another node. @throws RegistryError */
  async askNode<Name extends OperationName>(
    node: number,
    name: Name,
    body: Input<RequestOf<Name>>,
  ): Promise<ReplyOf<Name>> {
    return await this.#parts.links.call(node, name, body, READ_MS);
  }

  #keysElsewhere(): RegistryError {
    const { keyHolder } = this;
    return new RegistryError(
      "not_leader",
      keyHolder === undefined
        ? "No node that has the authority's keys can be reached, so no certificate or token can be " +
          "issued: start one with --authority"
        : `This node does not have the authority's keys: node ${keyHolder} does`,
      keyHolder === undefined ? {} : { leaderHint: keyHolder },
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
    const { group, links } = this.#parts;
    if (group.readPoint(0) !== undefined) return;
    const { leader } = group.status();
    if (!group.isLeading && links.isConnected(leader)) {
      const { appliedIndex } = await links.call(leader, "systemReadPoint", {}, READ_MS);
      return await this.#applied(appliedIndex);
    }
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

  /** Waits until this node has applied the entry. */
  async #applied(index: number): Promise<void> {
    const { group, monotonic, scheduler } = this.#parts;
    const deadlineMs = monotonic.nowMs() + READ_MS;
    while (group.status().appliedIndex < index) {
      if (monotonic.nowMs() > deadlineMs) {
        throw new RegistryError("deadline_exceeded", "This node is behind the leader of group 0");
      }
      await new Promise<void>((resolve) => void scheduler.after(SYSTEM_APPLIED_LOOK_MS, resolve));
    }
  }

  /** The point up to which this node, the leader of group 0, has applied. @throws RegistryError */
  async readPoint(): Promise<number> {
    const { group } = this.#parts;
    const point = await group.readBarrier(0, READ_MS);
    if (point instanceof RegistryError) throw point;
    return point.appliedIndex;
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
    name: Document,
    bytes: Uint8Array,
    detail: string,
  ): Promise<void> {
    const number = DOCUMENTS[name];
    const replacedVersion = this.state.document(number)?.version ?? 0;
    const body = { name: number, replacedVersion, version: replacedVersion + 1, bytes, detail };
    await this.propose((header) => encodeDocument(header, body), 0, this.soon());
  }

  /**
   * Commits a command on behalf of a lineage; the leader of group 0 logs it.
   *
   * @param writer lineage; 0 for the registry itself.
   * @returns the number that the command assigned, if it assigns one.
   * @throws RegistryError the code of a refusal by group 0, `deadline_exceeded`, and those of a group.
   */
  async propose(command: Command, writer: number, deadlineMs: number): Promise<number | undefined> {
    const { group, links } = this.#parts;
    const { leader } = group.status();
    const bytes = this.#encoded(command, writer);
    if (group.isLeading || !links.isConnected(leader)) {
      return await this.proposeHere(bytes, deadlineMs);
    }
    const { assigned } = await links.call(
      leader,
      "proposeSystem",
      { command: bytes, proof: await this.#proofOf(bytes) },
      this.#leftMs(deadlineMs),
    );
    await this.#caughtUp();
    return assigned === 0 ? undefined : assigned;
  }

  /**
   * Commits a command as {@link propose} does, for a request that is for the leader of group 0.
   *
   * @throws RegistryError as {@link propose}; `not_leader`.
   */
  async proposeAtLeader(command: Command, writer: number, deadlineMs: number): Promise<void> {
    await this.proposeHere(this.#encoded(command, writer), deadlineMs);
  }

  /** Returns the proof that goes with a command to the leader of group 0; empty if there is none. */
  async #proofOf(command: Uint8Array): Promise<Uint8Array> {
    const { knownAuthority } = this;
    if (knownAuthority === undefined) return NO_PROOF;
    return await proveKeys(command, this.#parts.store, knownAuthority.tokenKeys) ?? NO_PROOF;
  }

  /**
   * Commits a command of node `from` at this node, which must lead group 0.
   *
   * @throws as {@link proposeHere}; `permission_denied` if that takes the authority's keys, and the node
   * shows none.
   */
  async proposeFor(
    from: number,
    { command, proof }: RequestOf<"proposeSystem">,
    deadlineMs: number,
  ): Promise<number | undefined> {
    const { store, wall } = this.#parts;
    if (needsKeys(command, store.identities)) {
      await this.currentAtLeader();
      checkHasKeys({ command, proof, from, nowMs: wall.unixMs() }, store);
    }
    checkNodesRegionCommand(command, from, store.state.regions);
    return await this.proposeHere(command.slice(), deadlineMs);
  }

  #encoded(command: Command, writer: number): Uint8Array {
    const timeMs = Math.floor(this.#parts.group.timeMs());
    return command({ timeMs, unixS: this.#unixS, writer });
  }

  get #unixS(): number {
    return Math.min(0xffff_ffff, Math.floor(this.#parts.wall.unixMs() / 1_000));
  }

  /**
   * Commits a command at this node, which must lead group 0. Takes ownership of its bytes.
   *
   * @throws as {@link propose}; `malformed`.
   */
  async proposeHere(command: Uint8Array, deadlineMs: number): Promise<number | undefined> {
    const { group } = this.#parts;
    const view = commandOf(command);
    // Group time never goes back: a time ahead of it, from another node, would stay for good.
    view.timeMs = Math.min(view.timeMs, Math.floor(group.timeMs()));
    // The audit log shows it, and it decides which ended records may be forgotten.
    view.unixS = this.#unixS;
    const proposed = await group.propose(command, this.#leftMs(deadlineMs));
    if (!proposed.ok) throw proposed.error;
    const { outcome } = proposed;
    if (outcome.code !== "ok") throw new RegistryError(outcome.code, outcome.message);
    return outcome.assigned;
  }

  /** Waits until a change that was committed elsewhere is applied here. */
  async #caughtUp(): Promise<void> {
    try {
      await this.current();
    } catch (cause) {
      const { message } = toRegistryError(cause);
      // The change is made; its caller asks again where that must be seen.
      throw new RegistryError("connection_lost", `The change was not seen yet: ${message}`);
    }
  }

  #leftMs(deadlineMs: number): number {
    const leftMs = deadlineMs - this.#parts.monotonic.nowMs();
    if (leftMs > 0) return leftMs;
    throw new RegistryError(
      "deadline_exceeded",
      "The request's deadline passed before it was logged",
    );
  }
}

/** Describes grants in the audit log. */
export function grantsText({ domains, gateways, credentialHashes, reads = [] }: Grants): string {
  const parts = [
    ...domains.map((domain) => `domain ${domain}`),
    ...gateways.map((gateway) => `gateway ${gateway}`),
    ...(credentialHashes === true ? ["credential hashes"] : []),
    ...reads.map((limit) => `reads of ${readLimitText(limit)}`),
  ];
  return parts.length === 0 ? "no grants" : parts.join(", ");
}

function readLimitText({ regions, labels, domains }: ReadLimit): string {
  const parts = [
    ...(regions.length === 0 ? [] : [`region ${regions.join(" or ")}`]),
    ...labels.map(({ key, value }) => `label ${key}=${value}`),
    ...(domains.length === 0 ? [] : [`domain ${domains.join(" or ")}`]),
  ];
  return parts.join(" and ");
}

/**
 * Checks that all nodes know something that an apply version adds.
 *
 * @throws RegistryError `overloaded`.
 */
export function checkVersion(
  { store }: Pick<IdentityGroup, "store">,
  needed: number,
  what: string,
): void {
  const { applyVersion } = store.state.versions;
  if (applyVersion >= needed) return;
  throw new RegistryError(
    "overloaded",
    `The cluster must have apply version ${needed}, and has ${applyVersion}: it rises once all ` +
      `nodes run a program that knows ${what}`,
    { retryAfterMs: VERSION_RETRY_MS },
  );
}

/** Returns the refusal of a request because of one of its fields. */
export function invalid(field: string, wanted: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${wanted}`, { field });
}
